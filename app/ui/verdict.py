"""The outcome of an attack, in words and colours."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from core.figures.colours import OUTCOME_COLOURS


class Outcome(StrEnum):
    """What became of an attacked image, by the network's answer and the detector's."""

    UNDETECTED = "undetected"
    FLAGGED = "flagged"
    OTHER = "wrong class"
    FAILED = "failed"


COLOURS = {outcome: OUTCOME_COLOURS[outcome.value] for outcome in Outcome}
TITLES = {
    Outcome.UNDETECTED: "Undetected",
    Outcome.FLAGGED: "Flagged",
    Outcome.OTHER: "Other class",
    Outcome.FAILED: "Failed",
}
MARKS = {Outcome.UNDETECTED: "●", Outcome.FLAGGED: "⚑", Outcome.OTHER: "◐", Outcome.FAILED: "○"}


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
        return self.prediction != self.label if self.target is None else self.prediction == self.target

    @property
    def flagged(self) -> bool:
        """Whether the detector flags the image."""
        return self.distance > self.threshold

    @cached_property
    def outcome(self) -> Outcome:
        """The outcome in one word."""
        if self.hit:
            return Outcome.FLAGGED if self.flagged else Outcome.UNDETECTED
        return Outcome.FAILED if self.prediction == self.label else Outcome.OTHER

    @property
    def colour(self) -> str:
        """The outcome's colour."""
        return COLOURS[self.outcome]

    @property
    def title(self) -> str:
        """The outcome in one or two words."""
        return TITLES[self.outcome]

    @property
    def mark(self) -> str:
        """The outcome as a sign, for those who do not see its colour."""
        return MARKS[self.outcome]

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
