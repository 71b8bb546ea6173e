"""Which test images an experiment attacks, and towards what: fixed by rule, disjoint where they must be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Attack rows: one image and one target each.

    Attributes:
        index: Into the test split, (N,).
        label: True classes, (N,).
        target: Targets, (N,), or None for untargeted rows.
    """

    index: Tensor
    label: Tensor
    target: Tensor | None

    def __getitem__(self, rows: slice) -> "Rows":
        return Rows(self.index[rows], self.label[rows], None if self.target is None else self.target[rows])


def select(labels: Tensor, choice: Mapping[str, Any], n_classes: int) -> Rows:
    """Take images of each class in test order.

    Args:
        labels: Labels of the test split, (N,).
        choice: `first` and `per_class`: which images of each class, None for all from the first on;
            `targets`: "all" (J - 1 rows an image), "random" (one, uniform over the other classes, keyed by
            `seed` and the image's index) or "none".
        n_classes: J, the number of classes.
    Returns: Rows sorted by label, then image, then target.
    Raises: ValueError: when a class has too few images, or `targets` is none of these.
    """
    first, per_class, targets = choice["first"], choice["per_class"], choice["targets"]
    if targets not in ("all", "random", "none"):
        raise ValueError(f"expected targets all, random or none, got {targets!r}")
    index: list[int] = []
    for label in range(n_classes):
        of_class = torch.nonzero(labels == label).flatten()[first:][:per_class].tolist()
        if per_class is not None and len(of_class) < per_class:
            raise ValueError(
                f"expected {first + per_class} test images of class {label}, got {first + len(of_class)}"
            )
        index += of_class
    if targets == "all":
        pairs = [(i, t) for i in index for t in range(n_classes) if t != int(labels[i])]
        image = torch.tensor([i for i, _ in pairs])
        return Rows(image, labels[image], torch.tensor([t for _, t in pairs]))
    image = torch.tensor(index)
    label = labels[image]
    if targets == "none":
        return Rows(image, label, None)
    offset = [
        int(np.random.Generator(np.random.Philox(key=[choice["seed"], i])).integers(1, n_classes))
        for i in index
    ]
    return Rows(image, label, (label + torch.tensor(offset)) % n_classes)
