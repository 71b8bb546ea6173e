import pytest

from app.ui.verdict import Outcome, Verdict

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
