"""Records of detectors of `core.detectors.DETECTORS`: what one learnt, and what it gives images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from core.metrics import Rate, rate, threshold_at
from precompute.steps.records.base import Packed, Record, Targeted
from precompute.steps.records.detection import Attacked


@dataclass(frozen=True, eq=False, kw_only=True)
class Fitted(Packed):
    """`{model}/fitted/{detector}`: what a detector learnt; it holds no threshold.

    The facts say what it learnt from.
    """

    @property
    def detector(self) -> str:
        """Its name in `core.detectors.DETECTORS`."""
        return str(self.facts["detector"])

    @property
    def fields(self) -> dict[str, Any]:
        """What it was made with besides the classifier that it watches."""
        return dict(self.facts["fields"])


@dataclass(frozen=True, eq=False, kw_only=True)
class Scored(Record):
    """`{model}/scored/{detector}`: what a detector gives clean images, and those of attacks that were stored.

    All is of 8-bit images, in float32. Rows of all attacks, N, come one attack after the other; a score may
    have P parts.

    Attributes:
        validation_score: Of the validation images, which set thresholds, (Nv,).
        test_score: Of the test images, (Nt,).
        test_prediction, test_label: Classes of the test images, (Nt,).
        attack: Place of each row's attack in the order of `names`, (N,).
        index, label, target: As of `Targeted`, but with a target of -1 where any will do, (N,).
        prediction, score: Of the attacked images, (N,).
        validation_parts, test_parts, attacked_parts: Parts of the scores in the order of the fact "parts",
            (P, Nv), (P, Nt) and (P, N); None where the score is its only part.
    """

    validation_score: Tensor
    test_score: Tensor
    test_prediction: Tensor
    test_label: Tensor
    attack: Tensor
    index: Tensor
    label: Tensor
    target: Tensor
    prediction: Tensor
    score: Tensor
    validation_parts: Tensor | None = None
    test_parts: Tensor | None = None
    attacked_parts: Tensor | None = None

    def threshold(self, fpr: float = 0.05) -> float:
        """theta at a false-positive rate on the validation images: one for all attacks."""
        return threshold_at(self.validation_score, fpr)

    def flagged(self, threshold: float) -> Rate:
        """The share of clean *test* images that a threshold flags."""
        return rate(self.test_score > threshold)

    def errors_accepted(self, threshold: float) -> Rate:
        """The share of clean *test* images that are misread and not flagged."""
        return rate((self.test_prediction != self.test_label) & (self.test_score <= threshold))

    def undetected_rate(self, name: str, threshold: float) -> Rate:
        """The share of an attack's images on which it worked and was missed."""
        return self.attacks[name].undetected_rate(threshold)

    @property
    def names(self) -> list[str]:
        """Of the attacks, in order."""
        return [about["name"] for about in self.facts["attacks"]]

    @property
    def attacks(self) -> dict[str, Attacked]:
        """Every attack before this detector, whose score is in the place of the distance, by its name."""
        found: dict[str, Attacked] = {}
        for number, about in enumerate(self.facts["attacks"]):
            rows = self.attack == number
            found[about["name"]] = Attacked(
                index=self.index[rows],
                label=self.label[rows],
                target=Targeted.decoded("target", self.target[rows]),
                prediction=self.prediction[rows],
                distance=self.score[rows],
                facts=about["facts"],
            )
        return found

    def parts(self, of: str) -> Mapping[str, Tensor]:
        """Parts of the score by their names, (n,) each; none where the score is its only part.

        Args:
            of: "validation" or "test" for clean images, or the name of an attack.
        """
        clean = {"validation": self.validation_parts, "test": self.test_parts}
        parts = clean.get(of, self.attacked_parts)
        if parts is None:
            return {}
        if of not in clean:
            parts = parts[:, self.attack == self.names.index(of)]
        return dict(zip(self.facts["parts"], parts, strict=True))
