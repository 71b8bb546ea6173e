"""Records of models, their detector and attacks on both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from core.metrics import Rate, rate, succeeded, success_rate, threshold_at, undetected_rate
from precompute.steps.records.base import Kept, Packed, Record, Stored, Targeted


@dataclass(frozen=True, eq=False, kw_only=True)
class Weights(Packed):
    """`{model}/weights`, `judges/{name}`: a trained model's state.

    The facts name the model and its size, its recipe, and how its training went.
    """

    @property
    def size(self) -> str:
        """The model's size, as `core.models.build` takes it."""
        return str(self.facts["size"])


@dataclass(frozen=True, eq=False, kw_only=True)
class Clean(Record):
    """`{model}/clean`: distances of clean images to their reconstructions, and what the model sees in them.

    Attributes:
        validation_distance: Of the validation images, which set thresholds, (Nv,).
        test_distance: Of the test images, (Nt,).
        test_prediction, test_label: Classes of the test images, (Nt,).
        test_class_distance: Distance to the reconstruction from each class, (Nc, J), of the first Nc <= Nt
            test images; None for models without such.
    """

    validation_distance: Tensor
    test_distance: Tensor
    test_prediction: Tensor
    test_label: Tensor
    test_class_distance: Tensor | None = None

    def threshold(self, fpr: float = 0.05) -> float:
        """theta at a false-positive rate on the validation images."""
        return threshold_at(self.validation_distance, fpr)

    def flagged(self, threshold: float) -> Rate:
        """The share of clean *test* images that a threshold flags."""
        return rate(self.test_distance > threshold)

    @property
    def errors(self) -> Rate:
        """The share of test images that the model misreads."""
        return rate(self.test_prediction != self.test_label)

    @property
    def stored_threshold(self) -> float:
        """theta that steps after this one used."""
        return float(self.facts["threshold"])


@dataclass(frozen=True, eq=False, kw_only=True)
class Attacked(Kept):
    """`{model}/matrix`, `{model}/attack/...`: attacked images before a model and its detector.

    Attributes:
        prediction, distance: Of the 8-bit attacked images, (N,). Attacks that minimise a norm end just past
            the border, from where rounding takes many back: theirs are of the float32 images. The distance is
            what the model's own detector scores, that by reconstruction; None where it has no such detector.
        size: Of the perturbations of attacks that minimise a norm, in that norm, (N,); else None.
        queries: Answers that the boundary attack asked for, (N,); else None.
    """

    prediction: Tensor
    distance: Tensor | None = None
    size: Tensor | None = None
    queries: Tensor | None = None

    @property
    def score(self) -> Tensor:
        """What the detector gave, (N,): the distance.

        Raises: ValueError: where no detector watched.
        """
        if self.distance is None:
            raise ValueError(
                "expected an attack before a detector, got one on a model that reconstructs nothing; fit a "
                "detector and score the attack with it"
            )
        return self.distance

    @property
    def worked(self) -> Tensor:
        """Which attacks worked, (N,) bool."""
        return succeeded(self.prediction, self.label, self.target)

    def undetected(self, threshold: float) -> Tensor:
        """Which attacks worked and were missed, (N,) bool."""
        return self.worked & (self.score <= threshold)

    def success_rate(self) -> Rate:
        """The share of attacks that worked."""
        return success_rate(self.prediction, self.label, self.target)

    def undetected_rate(self, threshold: float) -> Rate:
        """The share of attacks that worked and were missed."""
        return undetected_rate(self.prediction, self.score, threshold, self.label, self.target)

    @property
    def beta(self) -> float | None:
        """Of attacks on the detector, what the attack on the class weighs; else None."""
        return self.facts.get("beta")


def attacks_of(rows: Targeted, prediction: Tensor, distance: Tensor) -> list[Attacked]:
    """Several attacks on the same rows; predictions and distances are (K, N)."""
    return [
        Attacked(
            index=rows.index,
            label=rows.label,
            target=rows.target,
            prediction=of_attack,
            distance=distances,
            facts=rows.facts,
        )
        for of_attack, distances in zip(prediction, distance, strict=True)
    ]


@dataclass(frozen=True, eq=False, kw_only=True)
class Sweep(Targeted):
    """`{model}/beta...`: the same images attacked at every beta.

    Attributes:
        beta: (K,).
        prediction, distance: Of the 8-bit attacked images at every beta, (K, N).
    """

    beta: Tensor
    prediction: Tensor
    distance: Tensor

    @property
    def attacks(self) -> list[Attacked]:
        """The attack at each beta."""
        return attacks_of(self, self.prediction, self.distance)

    @property
    def best_beta(self) -> float:
        """The beta with the highest undetected rate at a false-positive rate of 5 %."""
        return float(self.facts["best_beta"])


@dataclass(frozen=True, eq=False, kw_only=True)
class Corrupted(Targeted):
    """`{model}/corrupted`: the same test images under every corruption.

    Attributes:
        prediction, distance: By corruption, in the order of `names`, (K, N).
    """

    prediction: Tensor
    distance: Tensor

    @property
    def names(self) -> list[str]:
        """Of the corruptions, in order."""
        return list(self.facts["corruptions"])

    @property
    def attacks(self) -> dict[str, Attacked]:
        """Every corruption as an attack that aims at no class, by its name."""
        return dict(zip(self.names, attacks_of(self, self.prediction, self.distance), strict=True))


@dataclass(frozen=True, eq=False, kw_only=True)
class Reconstructed(Record):
    """`{model}/reconstructions`: what the winning class makes of every attacked image of the matrix.

    Attributes:
        reconstruction: (N, C, H, W) uint8.
    """

    reconstruction: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Walkthrough(Record):
    """`{model}/walkthrough`: one image, untouched and attacked at every beta.

    The facts are its plan, see `core.walkthrough`.

    Attributes:
        image, reconstruction: (1 + betas, C, H, W) uint8, the untouched one first.
        prediction, distance: Of these images, (1 + betas,).
    """

    image: Tensor
    reconstruction: Tensor
    prediction: Tensor
    distance: Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Similarity(Record):
    """`similarity`: how far the classes of a data set are apart.

    Attributes:
        distances: (J, J) by the name of the measure, see `core.coherence.MEASURES`.
    """

    distances: Mapping[str, Tensor]

    @classmethod
    def of(cls, artifact: Stored, **more: Any) -> Self:
        """Read an artifact."""
        return cls(distances=artifact.tensors, facts=artifact.facts, **more)

    def tensors(self) -> dict[str, Tensor]:
        """As stored, by name."""
        return dict(self.distances)


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged(Record):
    """`{model}/judged`: what judges see in the attacked images of a matrix that were read as the target.

    Attributes:
        row: Of the matrix, (N,).
        prediction: The class that each judge names, in the order of `judges`, (K, N).
    """

    row: Tensor
    prediction: Tensor

    @property
    def judges(self) -> list[dict[str, Any]]:
        """Of each judge its name as "judge", its accuracy, and of networks what they are."""
        return list(self.facts["judges"])
