import numpy as np
import pytest
import torch

from core.coherence import Agreement, opinions
from core.figures.judges import SEEN_COLOURS, agreement_words, judges_chart

NAMES = {"a": "ResNet", "b": "MLP"}


@pytest.fixture
def bars(layers):
    source, target = torch.zeros(20, dtype=torch.long), torch.ones(20, dtype=torch.long)
    said = {"a": [1] * 12 + [0] * 7 + [2], "b": [1] * 10 + [0] * 10, "c": [2] * 20}
    found = opinions({name: torch.tensor(values) for name, values in said.items()}, source, target)
    return layers(judges_chart(found, "CapsNet", NAMES))


def test_a_bar_is_cut_into_what_the_judge_sees(bars):
    parts = [row for row in bars[0]["rows"] if row["judge"] == "a"]
    assert [(p["seen"], p["left"], p["right"]) for p in parts] == [
        ("the target", 0, 0.6),
        ("the true class", 0.6, pytest.approx(0.95)),
        ("another class", pytest.approx(0.95), pytest.approx(1)),
    ]
    assert parts[0]["words"] == "ResNet: the target in 60 % (12 of 20)"
    assert parts[0]["interval"] == "39–78 %"


def test_the_majority_comes_last_with_where_there_is_none(bars):
    names = list(dict.fromkeys(row["judge_name"] for row in bars[0]["rows"]))
    assert names == ["ResNet", "MLP", "c", "most of them"]
    seen = {row["seen"]: row["value"] for row in bars[0]["rows"] if row["judge_name"] == "most of them"}
    assert seen == {"the target": 0.5, "the true class": 0.35, "another class": 0.05, "no majority": 0.1}
    assert set(seen) == set(SEEN_COLOURS)


def test_numbers_are_written_where_they_have_room(bars):
    written = [(row["judge"], row["short"]) for row in bars[1]["rows"]]
    assert ("a", "60 %") in written
    assert ("a", "5 %") not in written


def test_agreement_in_words():
    pairwise = np.ones((3, 3))
    words = agreement_words(Agreement(0.612, 0.52, 0.7, pairwise, 1410))
    assert words == "agreement: κ = 0.61 (0.52 to 0.70), n = 1,410"
    assert agreement_words(Agreement(float("nan"), -1, 1, pairwise, 5)) == "all judges give one answer, n = 5"
