"""What came of an attack: on many images at once, and on one in words."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import torch
from torch import Tensor

from core.metrics import succeeded


class Outcome(StrEnum):
    """What became of an attacked image, by the network's answer and the detector's."""

    UNDETECTED = "undetected"
    FLAGGED = "flagged"
    OTHER = "wrong class"
    FAILED = "failed"


WORKED = (Outcome.UNDETECTED, Outcome.FLAGGED)
"""Outcomes of attacks that got what they aimed at."""


def outcomes(
    prediction: Tensor, label: Tensor, target: Tensor | None, score: Tensor, threshold: float
) -> list[Outcome]:
    """What became of each of N attacked images.

    Args:
        prediction: Classes that the network answers, (N,).
        label: True classes, (N,).
        target: Classes aimed at, (N,); None where any other will do.
        score: The detector's, (N,).
        threshold: theta: the detector flags scores above it.
    """
    missed = torch.where(score <= threshold, 0, 1)
    led = torch.where(prediction != label, 2, 3)
    codes = torch.where(succeeded(prediction, label, target), missed, led)
    kinds = tuple(Outcome)
    return [kinds[code] for code in codes.tolist()]


@dataclass(frozen=True)
class Verdict:
    """An attacked image before the network and the detector.

    Attributes:
        prediction: Class the network answers.
        label: True class.
        target: Class aimed at; None when any other will do.
        distance: To the reconstruction.
        threshold: theta: the detector flags distances above it.
        classes: Names of the classes.
    """

    prediction: int
    label: int
    target: int | None
    distance: float
    threshold: float
    classes: tuple[str, ...]

    @property
    def hit(self) -> bool:
        """Whether the attack got what it aimed at."""
        return self.outcome in WORKED

    @property
    def flagged(self) -> bool:
        """Whether the detector flags the image."""
        return self.distance > self.threshold

    @cached_property
    def outcome(self) -> Outcome:
        """The outcome in one word."""
        prediction, label = torch.tensor([self.prediction]), torch.tensor([self.label])
        target = None if self.target is None else torch.tensor([self.target])
        score = torch.tensor([self.distance], dtype=torch.float64)
        return outcomes(prediction, label, target, score, self.threshold)[0]

    @property
    def headline(self) -> str:
        """The outcome in a few words."""
        if self.hit:
            what = "Fooled" if self.target is None else "Target hit"
            return (
                f"{what}, but flagged by the detector"
                if self.flagged
                else f"{what} and missed by the detector"
            )
        flag = "and flagged" if self.flagged else "not flagged"
        if self.outcome is Outcome.OTHER:
            return f"Wrong class, but not the target; {flag}"
        return f"Failed: the network still answers {self.classes[self.label]}" + (
            f", {flag}" if self.flagged else ""
        )

    @property
    def sentence(self) -> str:
        """What happened, with the numbers."""
        answer = f"The network takes this {self.classes[self.label]} for {self.classes[self.prediction]}"
        if self.prediction == self.label:
            answer = f"The network still sees {self.classes[self.label]}"
            if self.target is not None:
                answer += f", not {self.classes[self.target]}"
        elif not self.hit and self.target is not None:
            answer += f", not for {self.classes[self.target]}"
        side = "above" if self.flagged else "within"
        then = "so the detector raises the alarm" if self.flagged else "so the detector lets it pass"
        return (
            f"{answer}. Its reconstruction is {self.distance:.2f} away, {side} the threshold of "
            f"{self.threshold:.2f}, {then}."
        )


class Effect(StrEnum):
    """What a perturbation did to a network's reading of an image, where there is no detector."""

    FOOLED = "Fooled"
    OTHER = "Other class"
    HELD = "Not fooled"
    ALREADY = "Wrong before"


def effect(prediction: int, label: int, clean: int, target: int | None = None) -> Effect:
    """What a perturbation did to one image.

    Args:
        prediction: Class that is read with the perturbation.
        label, clean: True class, and the class that is read without.
        target: Class aimed at; None where any other will do.
    """
    if clean != label and (prediction != target or clean == target):
        return Effect.ALREADY
    if prediction == label:
        return Effect.HELD
    return Effect.FOOLED if target in (None, prediction) else Effect.OTHER
