import io

import pytest
from rich.console import Console

from precompute.engine.display import Display
from precompute.engine.task import Event

EVENTS = [
    Event("plan", done=1, total=4),
    Event("progress", "a[1]", "k1", 0, 0, "another build is making it"),
    Event("progress", "a[1]", "k1", 1, 4, "epoch [1]"),
    Event("built", "a[1]", "k1", note="2.5"),
    Event("progress", "a[1]", "k1", 4, 4, "too late"),
    Event("failed", "b", "k2", note="ValueError: no"),
    Event("not run", "c", "k3", note="b failed: ValueError: no"),
]


def shown(terminal, monkeypatch):
    monkeypatch.setattr("precompute.engine.display.LOG_SECONDS", 0)
    output = io.StringIO()
    with Display(Console(file=output, force_terminal=terminal, width=100), "toy smoke") as display:
        for event in EVENTS:
            display.show(event)
    return output.getvalue()


def test_log_has_a_line_for_each_piece_of_news(monkeypatch):
    assert shown(False, monkeypatch).splitlines() == [
        "toy smoke: 3 of 4 steps to do",
        "  a[1]  another build is making it",
        "  a[1] 25% epoch [1]",
        "  built a[1] 2.5 s",
        "  failed b ValueError: no",
        "  not run c b failed: ValueError: no",
    ]


@pytest.mark.parametrize("text", ["built", "a[1]", "ValueError: no"])
def test_terminal_has_the_same_news(text, monkeypatch):
    assert text in shown(True, monkeypatch)
