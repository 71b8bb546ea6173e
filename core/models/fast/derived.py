"""What a layer computes from its weights alone, kept while they are at rest."""

from collections.abc import Callable, Hashable

import torch
from torch import Tensor


class Derived:
    """Tensors computed from a frozen parameter, by key, until the parameter changes.

    Copies and pickles of a layer start empty: these tensors are large and soon computed again.
    """

    def __init__(self) -> None:
        self._kept: dict[Hashable, tuple[tuple[int, int], Tensor]] = {}

    def __reduce__(self) -> tuple[type["Derived"], tuple[()]]:
        return Derived, ()

    def get(self, parameter: Tensor, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """What `make` returns, from an earlier call if the parameter is frozen and still the same."""
        if parameter.requires_grad:
            return make()
        state = parameter.data_ptr(), parameter._version
        kept = self._kept.get(key)
        if kept is None or kept[0] != state:
            # Also where the first to ask is in inference mode: its tensors would be of no use to others.
            with torch.inference_mode(mode=False):
                kept = self._kept[key] = state, make()
        return kept[1]
