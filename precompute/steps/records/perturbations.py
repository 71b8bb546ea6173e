"""Records of smallest and universal perturbations, and of how they transfer."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from core.images import in_pixels
from core.metrics import Rate
from precompute.steps.records.base import Between, Kept, OfModels, Record, Targeted


@dataclass(frozen=True, eq=False, kw_only=True)
class Predicted(OfModels):
    """`readings`: what every model sees in all test images.

    Attributes:
        prediction: (T, n) int8, in the order of `models`.
        label: (n,) int8.
    """

    prediction: Tensor
    label: Tensor

    def right(self, model: str) -> Tensor:
        """Which images a model reads rightly, (n,) bool."""
        return self.prediction[self.models.index(model)] == self.label


@dataclass(frozen=True, eq=False, kw_only=True)
class Minimal(Kept):
    """`{model}/minimum/{attack}`: what an attack that minimises a norm did on one model.

    Attributes:
        success: Target hit, or label left, (N,) bool.
        already: So without any change, at distance 0, (N,) bool.
        prediction, clean: What the model sees in the exact attacked image, and saw in the clean one, (N,).
        norm_l2, norm_linf: Of the change, in pixel units, (N,); 0 for failures.
        steps: Iterations, (N,).
        queries: Gradients computed; of the boundary attack, answers asked for, (N,).
        x_adv: See `Kept`; images of failures are as they were.
    """

    success: Tensor
    already: Tensor
    prediction: Tensor
    clean: Tensor
    norm_l2: Tensor
    norm_linf: Tensor
    steps: Tensor
    queries: Tensor

    @property
    def moved(self) -> Tensor:
        """Which images an attack had to change and did, (N,) bool."""
        return self.success & ~self.already

    def norm(self, name: str) -> Tensor:
        """Lengths in "l2" or "linf", (N,)."""
        return self.norm_l2 if name == "l2" else self.norm_linf


@dataclass(frozen=True, eq=False, kw_only=True)
class Transferred(Between, Targeted):
    """`transfer/{attack}`: what every model sees in the images that an attack made on some of them.

    Attributes:
        prediction: Of the images attacked on source s by model t, (S, T, N) int8.
        clean: Of the clean images, (T, N) int8.
        success: On the source itself, (S, N) bool.
    """

    prediction: Tensor
    clean: Tensor
    success: Tensor

    def seen(self, source: str) -> dict[str, Tensor]:
        """Classes that every model sees in a source's images, (N,) by model."""
        return dict(zip(self.models, self.prediction[self.sources.index(source)].long(), strict=True))

    @property
    def seen_clean(self) -> dict[str, Tensor]:
        """Classes that every model sees in the clean images, (N,) by model."""
        return dict(zip(self.models, self.clean.long(), strict=True))


@dataclass(frozen=True, eq=False, kw_only=True)
class Universal(Record):
    """`{model}/universal`: perturbations that are added to any image; N of them.

    Attributes:
        perturbation: In levels, from -255 to 255, (N, C, H, W) int8, int16 where that does not hold them.
        part, number: Which part of the test set each is from, which of that part's it is, (N,).
        iterations: (N,).
        reached: Whether accuracy fell below the threshold within the budget, (N,) bool.
        accuracy: With the stored perturbation, on the images that it is from, (N,).
        norm_l2, norm_linf: In pixel units, (N,).
    """

    perturbation: Tensor
    part: Tensor
    number: Tensor
    iterations: Tensor
    reached: Tensor
    accuracy: Tensor
    norm_l2: Tensor
    norm_linf: Tensor

    def __len__(self) -> int:
        return len(self.part)

    @property
    def delta(self) -> Tensor:
        """The perturbations in pixel units, (N, C, H, W)."""
        return in_pixels(self.perturbation)


@dataclass(frozen=True, eq=False, kw_only=True)
class UniversalTransferred(Between):
    """`transfer/universal`: what every universal perturbation does to every model, on n test images.

    Accuracy is right / n. Fooling is 1 - right / n over all images, or left over those read rightly before.

    Attributes:
        right: How many images model t reads rightly with perturbation i of source s, (S, N, T) int32.
        left: How many it read rightly without it and does not with it, (S, N, T) int32.
        by_image: Under how many of the perturbations an image is read rightly, (S, T, n) int16.
        clean: Classes without a perturbation, (T, n) int8.
        index, label: The test images, (n,).
    """

    right: Tensor
    left: Tensor
    by_image: Tensor
    clean: Tensor
    index: Tensor
    label: Tensor

    @property
    def known(self) -> Tensor:
        """How many images each model reads rightly without a perturbation, (T,)."""
        return (self.clean.long() == self.label).sum(1)

    def fooling(self, source: str, model: str, of: str) -> Rate | None:
        """The mean fooling count over a source's perturbations, as a rate; None over no images.

        Args:
            of: "all" images, or those that the model reads "right" before.
        """
        s, t, n = self.sources.index(source), self.models.index(model), len(self.label)
        if of == "all":
            return Rate(n - mean_count(self.right[s, :, t], n).k, n)
        known = int(self.known[t])
        return mean_count(self.left[s, :, t], known) if known else None


def mean_count(counts: Tensor, n: int) -> Rate:
    """A mean count over perturbations as a rate over n images."""
    return Rate(round(float(counts.double().mean())), n)


@dataclass(frozen=True, eq=False, kw_only=True)
class Embedded(OfModels):
    """`embedding...`: universal perturbations of several models in the plane, over a grid of settings.

    Attributes:
        tsne: Coordinates for every perplexity and seed, (P, R, N, 2) float16.
        umap: For every number of neighbours and seed, (Q, R, N, 2) float16.
        model: Place of each perturbation's model in `models`, (N,).
        part, number: As of `Universal`, whose rows these are, one model after the other, (N,).
    """

    tsne: Tensor
    umap: Tensor
    part: Tensor
    number: Tensor
    model: Tensor

    SPACES: ClassVar[tuple[str, ...]] = ("tsne", "umap")

    @property
    def seeds(self) -> list[int]:
        """Of the embeddings."""
        return list(self.facts["seeds"])

    def settings(self, space: str) -> list[float]:
        """Perplexities of "tsne", or numbers of neighbours of "umap"."""
        return list(self.facts["perplexities" if space == "tsne" else "neighbours"])

    def places(self, space: str, setting: float, seed: int) -> Tensor | None:
        """Coordinates (N, 2) float32; None for a setting that is not in the grid."""
        settings = self.settings(space)
        if setting not in settings or seed not in self.seeds:
            return None
        grid = self.tsne if space == "tsne" else self.umap
        return grid[settings.index(setting), self.seeds.index(seed)].float()
