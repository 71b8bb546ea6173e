"""What independent judges see in adversarial images that a detector let pass: the target, or the source?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from core.coherence.pairs import RESAMPLES, TAILS
from core.coherence.similarity import Points
from core.metrics import Rate, rate

NONE = -1
"""In place of a class where there is no majority."""
MAJORITY = "majority"


@dataclass(frozen=True)
class Opinions:
    """What one judge says about adversarial images.

    Attributes:
        judge: Its name.
        target, source, other: Share that it takes for the class aimed at, for the true class, and for
            another.
        split: Share on which a majority of judges does not come about; none of a single judge.
    """

    judge: str
    target: Rate
    source: Rate
    other: Rate
    split: Rate

    def parts(self) -> dict[str, Rate]:
        """The shares by what was seen; together all."""
        return {"target": self.target, "source": self.source, "other": self.other, "split": self.split}

    def records(self) -> list[dict[str, Any]]:
        """As rows of a table, one a share."""
        return [
            {
                "judge": self.judge,
                "metric": f"called_{seen}",
                "k": share.k,
                "n": share.n,
                "value": share.value,
                "low": share.low,
                "high": share.high,
            }
            for seen, share in self.parts().items()
        ]


@dataclass(frozen=True, eq=False)
class Agreement:
    """How far judges say the same.

    Attributes:
        kappa: Fleiss' kappa: 1 when all always agree, 0 when they agree as often as chance would have it. NaN
            when there is only one answer.
        low, high: Its 95 % interval, from resampled images.
        pairwise: Share of images on which two judges agree, (K, K).
        n: Adversarial images.
    """

    kappa: float
    low: float
    high: float
    pairwise: NDArray[np.float64]
    n: int


def neighbour_labels(reference: Points, labels: Tensor, points: Points, neighbours: int = 5) -> Tensor:
    """A judge without a network: the class of the nearest clean images, near ones counting more.

    Args:
        reference, labels: Clean training images as `pixels`, (M, D), with their classes (M,).
        points: Images to be judged, (N, D).
        neighbours: How many of them vote, with weights of one over their distance.
    Returns: (N,) int64.
    """
    judge = KNeighborsClassifier(neighbours, weights="distance", algorithm="brute")
    return torch.from_numpy(judge.fit(reference, labels.numpy()).predict(points)).long()


def majority(predictions: Tensor) -> Tensor:
    """The class that more than half of the judges name, (N,); `NONE` where there is none.

    Args:
        predictions: (K, N).
    """
    named = predictions.mode(0).values
    clear = (predictions == named).sum(0) * 2 > len(predictions)
    return torch.where(clear, named, torch.full_like(named, NONE))


def opinions(predictions: Mapping[str, Tensor], source: Tensor, target: Tensor) -> list[Opinions]:
    """How often each judge sees the target, the source or neither, and how often their majority does.

    The intervals are Wilson's, which take images as independent: adversarials made from one image, towards
    several targets, are less so, so that the true intervals are somewhat wider.

    Args:
        predictions: Classes that each judge names, (N,), by its name; three judges at least. None of them may
            have been attacked, or share weights with what was attacked or with each other.
        source, target: Of the adversarial images, (N,).
    Returns: One for each judge, then the majority.
    Raises: ValueError: for less than three judges, or no image.
    """
    if len(predictions) < 3 or not len(target):
        raise ValueError(
            f"expected at least 3 judges and 1 image, got {len(predictions)} and {len(target)}; add judges, "
            "or say that no attack went undetected"
        )
    answers = {**predictions, MAJORITY: majority(torch.stack(list(predictions.values())))}
    shares: list[Opinions] = []
    for name, seen in answers.items():
        split = seen == NONE
        other = (seen != target) & (seen != source) & ~split
        shares.append(Opinions(name, rate(seen == target), rate(seen == source), rate(other), rate(split)))
    return shares


def agreement(predictions: Tensor, index: Tensor, n_classes: int, *, seed: int = 0) -> Agreement:
    """Fleiss' kappa and pairwise agreement of judges.

    Args:
        predictions: (K, N), two judges at least.
        index: The clean image that each adversarial was made of, (N,): what is resampled for the interval.
        n_classes: J, the number of classes.
        seed: Of the resampling.
    Source: fleiss1971.
    """
    named = predictions.numpy()
    pairwise = (named[:, None] == named[None]).mean(-1)
    images, place = np.unique(index.numpy(), return_inverse=True)
    votes = np.stack([(named == j).sum(0) for j in range(n_classes)], 1)  # (N, J)
    judges = len(named)
    agreeing = ((votes**2).sum(1) - judges) / (judges * (judges - 1))
    # Per clean image: sums that kappa of any sample of images is made of.
    sums = np.zeros((len(images), n_classes + 2))
    np.add.at(sums, place, np.column_stack([votes / judges, agreeing, np.ones(len(agreeing))]))

    everything = np.ones((1, len(images)))
    value = float(_kappa(everything @ sums)[0])
    if (votes.sum(0) > 0).sum() == 1:
        return Agreement(float("nan"), -1.0, 1.0, pairwise, len(index))
    drawn = np.random.default_rng(seed).multinomial(len(images), everything[0] / len(images), RESAMPLES)
    low, high = np.quantile(_kappa(drawn @ sums), TAILS)
    return Agreement(value, float(low), float(high), pairwise, len(index))


def _kappa(total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fleiss' kappa from sums over images: votes by class, agreeing pairs, images, (R, J + 2) to (R,).

    1 where all votes are for one class: all agree, and there is no chance to set off.
    """
    share = total / total[:, -1:]
    chance = (share[:, :-2] ** 2).sum(1)
    beyond, possible = share[:, -2] - chance, 1 - chance
    return np.divide(beyond, possible, out=np.ones_like(beyond), where=possible > 1e-12)
