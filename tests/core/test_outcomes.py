from itertools import product

import pytest
import torch

from core.metrics import undetected_rate
from core.outcomes import WORKED, Outcome, Verdict, outcomes

CLASSES = ("shirt", "trouser", "bag")


def verdict(prediction: int, target: int | None, distance: float) -> Verdict:
    return Verdict(prediction, 0, target, distance, 3.0, CLASSES)


@pytest.mark.parametrize(
    ("prediction", "target", "distance", "outcome", "headline"),
    [
        (1, 1, 2.0, Outcome.UNDETECTED, "Target hit and missed by the detector"),
        (1, 1, 3.0, Outcome.UNDETECTED, "Target hit and missed by the detector"),
        (1, 1, 4.0, Outcome.FLAGGED, "Target hit, but flagged by the detector"),
        (2, 1, 2.0, Outcome.OTHER, "Wrong class, but not the target; not flagged"),
        (2, 1, 4.0, Outcome.OTHER, "Wrong class, but not the target; and flagged"),
        (0, 1, 2.0, Outcome.FAILED, "Failed: the network still answers shirt"),
        (0, 1, 4.0, Outcome.FAILED, "Failed: the network still answers shirt, and flagged"),
        (2, None, 2.0, Outcome.UNDETECTED, "Fooled and missed by the detector"),
        (2, None, 4.0, Outcome.FLAGGED, "Fooled, but flagged by the detector"),
        (0, None, 2.0, Outcome.FAILED, "Failed: the network still answers shirt"),
    ],
)
def test_every_outcome_has_its_words(
    prediction: int, target: int | None, distance: float, outcome: Outcome, headline: str
) -> None:
    found = verdict(prediction, target, distance)
    assert found.outcome is outcome
    assert found.headline == headline


def test_the_sentence_has_the_classes_and_the_numbers() -> None:
    told = verdict(1, 1, 2.126).sentence
    assert told == (
        "The network takes this shirt for trouser. Its reconstruction is 2.13 away, within the threshold of "
        "3.00, so the detector lets it pass."
    )
    assert verdict(2, 1, 4.0).sentence.startswith("The network takes this shirt for bag, not for trouser.")
    assert verdict(0, 1, 4.0).sentence.startswith("The network still sees shirt, not trouser.")
    assert "raises the alarm" in verdict(0, 1, 4.0).sentence


def in_plain_words(prediction: int, label: int, target: int | None, score: float) -> str:
    """Of a threshold of 3: an independent reference."""
    if target is None and prediction == label:
        return "failed"
    if target is not None and prediction != target:
        return "failed" if prediction == label else "wrong class"
    return "flagged" if score > 3 else "undetected"


@pytest.mark.parametrize("targeted", [True, False])
def test_outcomes_of_many_are_those_of_each(targeted: bool) -> None:
    cases = list(product(range(3), range(3), range(3), (2.9, 3.0, 3.1)))
    prediction, label, target = (torch.tensor([case[place] for case in cases]) for place in range(3))
    score = torch.tensor([case[3] for case in cases])
    aims = target if targeted else None
    found = outcomes(prediction, label, aims, score, 3.0)
    assert found == [in_plain_words(p, y, t if targeted else None, s) for p, y, t, s in cases]
    assert found == [Verdict(p, y, t if targeted else None, s, 3.0, CLASSES).outcome for p, y, t, s in cases]
    assert found.count(Outcome.UNDETECTED) == undetected_rate(prediction, score, 3.0, label, aims).k
    worked = prediction == target if targeted else prediction != label
    assert [outcome in WORKED for outcome in found] == worked.tolist()
