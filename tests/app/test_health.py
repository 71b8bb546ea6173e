"""The page of attack health, and the warnings that failed checks put on the other pages."""

import importlib
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from app.results import checks as checks_of_models
from app.ui import health
from core.health import EXPLANATIONS, Check, Number, rows_of
from precompute.store import Bundle, Store
from precompute.store.bundle import write_bundle
from precompute.store.files import Folder
from precompute.store.store import SHIPPED
from tests.app.conftest import OpenPage, html

MODELS = ("capsnet", "cnn_cr", "cnn_r")
SHARE = Number("unseen by another attack, not by R-PGD", 0.12, 50, 0.06, 0.24)


def made(number: int, model: str) -> Check:
    """On CapsNet check 5 failed, and touches what R-PGD gets past the detector; on CNN+R check 7 failed."""
    if (number, model) == (5, "capsnet"):
        return Check(5, "failed", "at most 12 %", (SHARE,), ("undetected_rate/r-pgd",), "A note.")
    if (number, model) == (7, "cnn_r"):
        return Check(7, "failed", "tied", (SHARE,), ("error_rate", "undetected_rate"))
    if (number, model) == (9, "capsnet"):
        return Check(9, "passed", "success 100 % on cnn_cr", (SHARE,))
    return Check(number, "not applicable" if number == 15 else "passed", f"figure {number}", (SHARE,))


Ship = Callable[[bool], Bundle]


@pytest.fixture
def ship(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Ship:
    """Ships the digits' bundle with checks, or as it was before there were any."""
    shipped = Store(tmp_path / "store").bundle("digits", "qin2020")
    assert shipped is not None
    root = tmp_path / "shipped" / "digits"
    root.mkdir(parents=True)
    (root / "artifacts").symlink_to(SHIPPED / "digits" / "artifacts")
    monkeypatch.setattr(importlib.import_module("precompute.store.store"), "SHIPPED", root.parent)

    def made_to_ship(checked: bool) -> Bundle:
        store = Store(tmp_path / "store")
        tables = {name: t for name, t in shipped["results"].tables.items() if name != "health"}
        if checked:
            rows = [
                row
                for model in MODELS
                for row in rows_of([made(number, model) for number in EXPLANATIONS], {"model": model})
            ]
            tables["health"] = pd.DataFrame(rows)
        key = "checked" if checked else "older"  # pages keep what they read by its key
        store.publish(key, {"function": "results"}, tables=tables)
        facts = {"fields": {"steps": 100}, "device": "CPU", "gradients": "float32", "n": 50}
        store.publish("facts-made", {"function": "health"}, facts=facts)
        names = {**shipped.names, "results": key, "capsnet/health": "facts-made"}
        write_bundle(Folder.open(root), replace(shipped, names=names))
        found = store.bundle("digits", "qin2020")
        assert found is not None
        return found

    return made_to_ship


@pytest.fixture
def checked(ship: Ship) -> Bundle:
    return ship(True)


def text_of(app: AppTest) -> str:
    """All text of a page."""
    return "\n".join([*(block.value for block in (*app.markdown, *app.caption)), html(app)])


def test_every_check_of_every_model_has_its_verdict_in_words(checked, open_page: OpenPage) -> None:
    app = open_page("health")
    assert not app.exception
    assert not app.error
    cells = {b.key: b.label for b in app.button if b.key and b.key.startswith("cell-")}
    assert len(cells) == 45
    assert "failed" in cells["cell-5-capsnet"]
    assert ":material/cancel:" in cells["cell-5-capsnet"]
    assert "passed" in cells["cell-5-cnn_r"]
    assert "not applicable" in cells["cell-15-cnn_cr"]
    said = "\n".join(block.value for block in app.markdown)
    assert "**2 of 45** checks failed" in said
    assert all(name in said and meaning in said for name, meaning in EXPLANATIONS.values())
    assert "at most 12 %" in [caption.value for caption in app.caption]


def test_the_first_failure_is_shown_and_a_press_shows_another(checked, open_page: OpenPage) -> None:
    app = open_page("health")
    assert "It touches: undetected rate of R-PGD." in app.warning[0].value
    said = "\n".join(block.value for block in app.markdown)
    assert "| unseen by another attack, not by R-PGD | 0.12 | 0.06 – 0.24 | 50 |" in said
    app.button(key="cell-7-cnn_r").click().run()
    assert (app.selectbox(key="check").value, app.selectbox(key="of").value) == (7, "cnn_r")
    assert "It touches: error rate; undetected rate." in app.warning[0].value
    app.button(key="cell-1-cnn_cr").click().run()
    assert not app.warning


def test_the_address_chooses_a_check(checked, open_page: OpenPage) -> None:
    app = open_page("health", check="7 · Clean accuracy and full ROC", of="CNN+R")
    assert (app.selectbox(key="check").value, app.selectbox(key="of").value) == (7, "cnn_r")
    wrong = open_page("health", check="99", of="Nobody")
    assert "Check “99” is not among" in wrong.warning[-1].value
    assert "Model “Nobody”" in wrong.warning[-1].value


def test_a_failed_check_warns_beside_the_numbers_it_touches(checked, open_page: OpenPage) -> None:
    words = "check 5 failed"
    app = open_page("source_target")
    (capsnet,) = [block.value for block in app.markdown if words in block.value]
    success, undetected, *_ = capsnet.splitlines()
    assert words not in success
    assert words in undetected
    assert "undetected ⚠ check 5 failed" in html(app)
    app = open_page("detection")
    table = next(b.value for b in app.markdown if b.value.startswith("| Model"))
    lines = {line.split("**")[1]: line.split("|") for line in table.splitlines()[2:]}
    assert [words in cell for cell in lines["CapsNet"]] == [False] * 5 + [True, False]
    assert ["check 7 failed" in cell for cell in lines["CNN+R"]] == [False] * 3 + [True, False, True, False]
    assert "failed" not in "".join(lines["CNN+CR"])
    assert any("CapsNet: check 5 failed; CNN+R: check 7 failed" in c.value for c in app.caption)
    app = open_page("gallery")
    assert any("CapsNet: check 5 failed; CNN+R: check 7 failed" in c.value for c in app.caption)


def test_attacks_that_a_check_does_not_touch_carry_no_warning(checked, open_page: OpenPage) -> None:
    assert health.mark(checked, "capsnet", "undetected_rate", "pgd") == ""
    assert "check 5 failed" in health.mark(checked, "capsnet", "undetected_rate", "r-pgd")
    app = open_page("detection", method="PGD, targeted")
    table = next(b.value for b in app.markdown if b.value.startswith("| Model"))
    assert "check 5 failed" not in table


def test_numbers_of_checks_in_words() -> None:
    checks = [Check(number, "failed", "") for number in (13, 4, 5, 4)]
    assert health.failed_words([]) == ""
    assert health.failed_words(checks[:1]) == "check 13 failed"
    assert health.failed_words(checks) == "checks 4, 5 and 13 failed"


@pytest.mark.parametrize("page", ["source_target", "detection", "gallery", "health"])
def test_a_bundle_from_before_has_no_warnings_and_the_page_says_so(
    ship: Ship, open_page: OpenPage, page: str
) -> None:
    assert checks_of_models.checks(ship(False)) is None
    app = open_page(page)
    assert not app.exception
    assert not [number for number in EXPLANATIONS if f"check {number} failed" in text_of(app)]
    if page == "health":
        assert "built before there were checks" in app.info[0].value


def test_figures_name_models_by_their_titles_and_false_alarms_cannot_be_set(
    checked, open_page: OpenPage
) -> None:
    app = open_page("health")
    assert "success 100 % on CNN+CR" in [caption.value for caption in app.caption]
    assert app.select_slider(key="fpr").disabled


def test_visual_coherence_names_the_checks_that_touch_it(checked, open_page: OpenPage) -> None:
    told = [caption.value for caption in open_page("coherence").caption if "failed" in caption.value]
    # One about what goes undetected; none that touches how often R-PGD succeeds.
    assert len(told) == 1
    assert "CapsNet: check 5 failed; CNN+R: check 7 failed" in told[0]
