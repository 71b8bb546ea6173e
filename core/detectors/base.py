"""What every detector is: fitted, asked for scores, and attacked."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from core.objectives import Classifier, Examples
from core.runtime import at_most, untouched, worthwhile_threads

Need = Literal["reconstruction", "fit", "attacked"]


@dataclass(frozen=True)
class Draw:
    """One draw of the randomness of a score: an example has its own, the same alone and in any batch.

    Attributes:
        seed: Of all randomness.
        number: Which draw it is.
        index: Key of each example, (B,) integers: its index in the data set.
    """

    seed: int
    number: int
    index: Tensor

    def __getitem__(self, rows: slice) -> "Draw":
        return Draw(self.seed, self.number, self.index[rows])

    def normal(self, like: Tensor) -> Tensor:
        """Standard normal numbers, as many and where `like` (B, ...) is."""
        samples = np.empty(like.shape, dtype=np.float32)
        for row, key in enumerate(self.index.tolist()):
            philox = np.random.Philox(key=[self.seed, key], counter=[0, 0, 0, self.number])
            samples[row] = np.random.Generator(philox).standard_normal(like.shape[1:], dtype=np.float32)
        return torch.from_numpy(samples).to(like)


class Detector(nn.Module, ABC):
    """Scores images (B, C, H, W), float32 in [0, 1]; the higher, the more adversarial.

    `detector = Kind(model).fit(data.train)`, then `theta = threshold_at(detector.score(data.validation.x()),
    fpr)`, then `flagged = detector.score(x) > theta`. It holds no threshold: whoever asks calibrates it on
    clean images that were held out. A subclass has to say `evasion_loss` alone, as a detector that nobody can
    attack is not published; where the score is another quantity, or random, it says `measure` too. Whatever
    `fit` learns it keeps in parameters and in buffers made with `learnt`.

    The classifier that it watches is no part of it: it is neither in `state_dict` nor in `parameters`, and is
    not moved or trained with it. It has weights of its own, which are stored once however many detectors
    watch it, and belongs to whoever made it.

    Args:
        model: The classifier that it watches, on the device and in the form in which it is asked; None for
            one that looks at images alone.
    Attributes:
        title: As pages write it.
        needs: "reconstruction" of the classifier; to be fitted ("fit"), also with "attacked" images.
        random: Whether the score is drawn, see `score`.
    """

    title: ClassVar[str]
    needs: ClassVar[frozenset[Need]] = frozenset()
    random: bool = False

    def __init__(self, model: Classifier | None = None) -> None:
        super().__init__()
        self._watched = (model,)  # in a tuple, so that torch does not take it for a part
        self._learnt: list[str] = []
        self.register_load_state_dict_pre_hook(_make_room)

    @property
    def model(self) -> Any:
        """The classifier that it watches, or None."""
        return self._watched[0]

    def networks(self) -> tuple[nn.Module, ...]:
        """All that compute a score: itself, and the classifiers that it and detectors inside it watch."""
        watched = [part.model for part in self.modules() if isinstance(part, Detector)]
        return (self, *(model for model in watched if isinstance(model, nn.Module)))

    def fit(self, split: Examples, attacked: Tensor | None = None, seed: int = 0) -> Self:  # noqa: ARG002
        """Learn what clean images are like; a detector with nothing to learn is as it was.

        Args:
            split: Images to learn from, a `core.data.Split`; not those that thresholds are set on.
            attacked: Attacked images (M, C, H, W) of that split, for a detector that needs some.
            seed: Of all randomness.
        Returns: Self.
        """
        return self

    @abstractmethod
    def evasion_loss(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """What an attacker lowers to go unseen, (B,), differentiable in x; it rises with the score.

        Args:
            x: Images (B, C, H, W).
            label: The class aimed at, (B,); None for the winning one.
        """

    def measure(self, x: Tensor, draw: Draw) -> Tensor:  # noqa: ARG002 - for subclasses
        """Scores (B,) of one draw of the randomness; `evasion_loss` unless a subclass says otherwise."""
        return self.evasion_loss(x)

    @torch.no_grad()
    def score(
        self,
        x: Tensor,
        *,
        index: Tensor | None = None,
        seed: int = 0,
        draws: int = 1,
        batch_size: int = 256,
    ) -> Tensor:
        """Scores (B,) of images (B, C, H, W), in evaluation mode and without gradient.

        Args:
            x: Images, float32 in [0, 1].
            index: Each image's index in its data set, (B,): the key of its randomness. Default 0, 1, ...
            seed: Of the randomness. The same seed gives an image the same score, alone and in any batch.
            draws: Random scores are means over so many; others are taken once.
            batch_size: Images in one pass; does not change the result.
        Raises: ValueError: for no draws, or not one index for each image. RuntimeError: before it is fitted.
        """
        index = torch.arange(len(x)) if index is None else index
        if draws < 1 or index.shape != (len(x),):
            raise ValueError(
                f"expected draws as 1 or more and one index for each of {len(x)} images, got {draws} and "
                f"shape {tuple(index.shape)}"
            )
        networks = self.networks()
        threads = max(worthwhile_threads(network, x) for network in networks)
        drawn: list[Tensor] = []
        with untouched(*networks), at_most(threads):
            for number in range(draws if self.random else 1):
                draw = Draw(seed, number, index)
                cuts = (slice(start, start + batch_size) for start in range(0, len(x), batch_size))
                drawn.append(torch.cat([self.measure(x[cut], draw[cut]) for cut in cuts]))
        return torch.stack(drawn).mean(0) if len(drawn) > 1 else drawn[0]

    def parts(
        self,
        x: Tensor,
        *,
        index: Tensor | None = None,
        seed: int = 0,
        draws: int = 1,
        batch_size: int = 256,
    ) -> dict[str, Tensor]:
        """What the score of images (B, C, H, W) is made of, by a name for pages, (B,) each.

        Arguments are those of `score`.
        """
        score = self.score(x, index=index, seed=seed, draws=draws, batch_size=batch_size)
        return {self.title: score}

    def learn(self, **buffers: Tensor) -> None:
        """Keep what `fit` found, by the names of buffers that `learnt` announced."""
        for name, value in buffers.items():
            setattr(self, name, value.detach())

    def learnt(self, *names: str) -> None:
        """Announce buffers that `fit` fills and that are stored; until then they are empty."""
        self._learnt += names
        for name in names:
            self.register_buffer(name, torch.empty(0))

    def ready(self) -> None:
        """Raises: RuntimeError: before it is fitted."""
        if any(getattr(self, name).numel() == 0 for name in self._learnt):
            raise RuntimeError(
                f"expected a fitted {type(self).__name__}, got one that has learnt nothing; call fit, or "
                "load what another one learnt"
            )


def _make_room(module: nn.Module, state: Mapping[str, Any], prefix: str, *_: Any) -> None:
    """Give learnt buffers the shapes in which they come: an unfitted detector cannot know them."""
    assert isinstance(module, Detector)
    for name in module._learnt:  # pyright: ignore[reportPrivateUsage]
        if prefix + name in state:
            here = getattr(module, name)
            setattr(
                module, name, torch.empty_like(state[prefix + name], dtype=here.dtype, device=here.device)
            )
