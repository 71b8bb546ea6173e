"""What a check is: a verdict with its figure, the numbers behind it, and which results it touches."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor

from core.metrics import Rate, wilson

Status = Literal["passed", "failed", "not applicable"]
PASSED: Status = "passed"
FAILED: Status = "failed"
NOT_APPLICABLE: Status = "not applicable"

SUCCESS, UNDETECTED, ERROR = "success_rate", "undetected_rate", "error_rate"

EXPLANATIONS = {
    1: (
        "Success rises with epsilon",
        "The more an attack may change, the more often it works; with no limit it always works.",
    ),
    2: (
        "No better than chance at epsilon 0.5",
        "A change of 0.5 makes any image plain grey, so that nothing can be left to recognise.",
    ),
    3: (
        "Many steps beat one",
        "Whatever image one step fools, an attack of many steps fools too.",
    ),
    4: (
        "More effort adds little",
        "Twice the steps, or a second start, find hardly anything that was missed before.",
    ),
    5: (
        "Knowing more helps",
        "Attacks that see the network beat noise and images made on other networks; the one that knows the "
        "detector goes unseen wherever another does.",
    ),
    6: (
        "Best attack for each image",
        "Taking for every image the attack that works best on it changes little, so that single attacks do "
        "not flatter the network.",
    ),
    7: (
        "Clean accuracy and full ROC",
        "The detector's scores tell images apart, its false alarms are what was asked for, and accuracy on "
        "clean images stands beside them.",
    ),
    8: (
        "Targeted and untargeted",
        "Both were run, and an image that can be driven to a target can be driven away from its class.",
    ),
    9: (
        "Works on an undefended network",
        "The same attack, run on a network without its detector, nearly always works.",
    ),
    10: (
        "Smallest changes are reported",
        "Attacks that look for the smallest change say how large it is, and return the image untouched "
        "where they fail.",
    ),
    11: (
        "Gradients are whole",
        "For no image the gradient that attacks follow vanishes or overflows.",
    ),
    12: (
        "Loss is smooth",
        "A change too small to see, in any direction, hardly changes the loss.",
    ),
    13: (
        "No success is lost",
        "No attack passes a success on its way and returns a failure.",
    ),
    14: (
        "Attacks have finished",
        "Where an attack failed, its loss no longer rises in the last steps: it was not stopped too early.",
    ),
    15: (
        "Randomness is averaged over",
        "A network that answers at random is attacked through the average of its answers.",
    ),
}
"""Name and meaning of every check, by number."""


@dataclass(frozen=True)
class Number:
    """One number behind a verdict; `low` and `high` end its 95 % interval, and are None where it has none."""

    name: str
    value: float
    n: int
    low: float | None = None
    high: float | None = None

    @classmethod
    def share(cls, name: str, hits: Tensor | Rate) -> "Number":
        """A share of examples, (N,) bool or counted, with Wilson's interval."""
        found = hits if isinstance(hits, Rate) else Rate(int(hits.sum()), hits.numel())
        return cls(name, found.value, found.n, found.low, found.high)

    @classmethod
    def median(cls, name: str, values: Tensor) -> "Number":
        """The median of values (N,), with the interval that order statistics give."""
        ordered, n = values.sort().values, values.numel()
        low, high = wilson(n // 2, n)
        ends = (float(ordered[min(int(end * n), n - 1)]) for end in (low, high))
        return cls(name, float(values.median()), n, *ends)


@dataclass(frozen=True)
class Check:
    """How one check ended on one model.

    Attributes:
        number: 1 to 15.
        verdict: Whether it passed, failed, or does not apply.
        figure: The number that decided, in words.
        details: The numbers behind it, the one that decided first.
        touches: What is not to be trusted when it failed: a metric, or "metric/attack".
        note: What else a reader should know.
    """

    number: int
    verdict: Status
    figure: str
    details: tuple[Number, ...] = ()
    touches: tuple[str, ...] = ()
    note: str = ""

    @property
    def name(self) -> str:
        """In a few words."""
        return EXPLANATIONS[self.number][0]

    @property
    def meaning(self) -> str:
        """What passing means, in a sentence."""
        return EXPLANATIONS[self.number][1]

    def concerns(self, metric: str, attack: str | None) -> bool:
        """Whether this check failed and touches a metric of an attack, or of clean images (None)."""
        return self.verdict == FAILED and (metric in self.touches or f"{metric}/{attack}" in self.touches)

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "details": [asdict(number) for number in self.details]}

    @classmethod
    def of(cls, record: dict[str, Any]) -> "Check":
        """What `record` made."""
        details = tuple(Number(**number) for number in record["details"])
        fields: dict[str, Any] = {**record, "details": details, "touches": tuple(record["touches"])}
        return cls(**fields)


def verdict(holds: bool) -> Status:
    """Passed or failed."""
    return PASSED if holds else FAILED


def touching(metrics: Iterable[str], attacks: Iterable[str]) -> tuple[str, ...]:
    """Every metric of every attack."""
    names = tuple(attacks)
    return tuple(f"{metric}/{attack}" for metric in metrics for attack in names)


def percent(value: float) -> str:
    """A share in words: "12 %"."""
    return f"{100 * value:.0f} %"


def at_most(worst: Number) -> str:
    """The worst of several shares, in words."""
    return f"at most {percent(worst.value)} {worst.name} (n = {worst.n:,})"
