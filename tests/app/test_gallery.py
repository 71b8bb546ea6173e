import re

import pytest
from streamlit.testing.v1 import AppTest

from app.results import attacks as results
from core.figures.style import in_words
from core.outcomes import Outcome
from precompute.store import Store
from tests.app.conftest import OpenPage, html

PAGE = "gallery"


def pairs(app: AppTest) -> list[str]:
    """What each tile says of its attack."""
    return re.findall(r'class="ct-head"><b>(.*?)</b>', html(app))


def outcomes(app: AppTest) -> set[str]:
    return set(
        re.findall(r'aria-hidden="true">.</span> ([A-Z][a-z ]+)</span></div><div class="ct-pics">', html(app))
    )


def count(app: AppTest) -> int:
    found = re.search(r"Of \*\*([\d,]+)\*\* attacks", app.markdown[1].value)
    assert found
    return int(found.group(1).replace(",", ""))


def test_the_first_page_has_two_dozen_tiles_with_pictures(open_page: OpenPage) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert not app.error
    assert len(pairs(app)) == 24
    assert pairs(app)[:4] == ["0 → 1", "0 → 1", "0 → 1", "0 → 2"]
    assert html(app).count("<img") == 24 * 3
    assert app.pagination(key="page").num_pages == -(-count(app) // 24)


def test_where_few_perturbations_are_stored_only_those_are_shown_and_all_are_counted(
    open_page: OpenPage,
) -> None:
    app = open_page(PAGE, dataset="SVHN", per="96")
    assert not app.exception
    assert not app.error
    assert any("Of **2,700** attacks" in words.value for words in app.markdown)
    assert app.pagination(key="page").num_pages == -(-3 * 72 // 96)
    assert len(pairs(app)) == 96
    assert html(app).count("<img") == 96, "the perturbation alone, without a local copy"
    assert any("Pictures of 216 of these 2,700 attacks" in caption.value for caption in app.caption)


def test_counts_are_those_of_the_results(open_page: OpenPage, tmp_path) -> None:
    app = open_page(PAGE, models="CNN+CR", fpr="10%")
    bundle = Store(tmp_path / "store").bundle("digits", "qin2020")
    assert bundle is not None
    attack, threshold = results.attacked(bundle, "cnn_cr"), results.clean(bundle, "cnn_cr").threshold(0.1)
    words = app.markdown[1].value
    assert in_words(attack.success_rate()) in words
    assert in_words(attack.undetected_rate(threshold)) in words


def test_filters_by_class(open_page: OpenPage) -> None:
    app = open_page(PAGE, **{"models": "CapsNet", "from": "7", "to": "2"})
    assert set(pairs(app)) == {"7 → 2"}
    assert len(pairs(app)) == count(app)


@pytest.mark.parametrize("title", ["Undetected", "Failed"])
def test_filters_by_outcome(open_page: OpenPage, title: str) -> None:
    app = open_page(PAGE, outcome=title)
    assert outcomes(app) == {title}
    assert count(app) == count(open_page(PAGE))


def test_every_outcome_can_be_asked_for(open_page: OpenPage, tmp_path) -> None:
    bundle = Store(tmp_path / "store").bundle("digits", "qin2020")
    assert bundle is not None
    attack = results.attacked(bundle, "capsnet")
    ends = attack.outcomes(results.clean(bundle, "capsnet").threshold(0.05))
    for outcome, title in ((Outcome.FLAGGED, "Flagged"), (Outcome.OTHER, "Other class")):
        app = open_page(PAGE, models="CapsNet", outcome=title, per="96")
        assert not app.exception
        assert len(pairs(app)) == min(96, ends.count(outcome))


def test_pages_follow_one_another(open_page: OpenPage) -> None:
    first, second = open_page(PAGE, models="CapsNet"), open_page(PAGE, models="CapsNet", page="2")
    together = open_page(PAGE, models="CapsNet", per="48")
    assert pairs(first) + pairs(second) == pairs(together)


def test_other_filters_begin_at_the_first_page(open_page: OpenPage) -> None:
    app = open_page(PAGE, page="3")
    assert app.pagination(key="page").value == 3
    app.selectbox(key="from").set_value("5").run()
    assert not app.exception
    assert app.pagination(key="page").value == 1


def test_a_page_beyond_the_last_is_brought_back(open_page: OpenPage) -> None:
    app = open_page(PAGE, **{"models": "CapsNet", "from": "7", "to": "2", "page": "9"})
    assert not app.exception
    assert app.pagination(key="page").value == 1
    assert pairs(app)


def test_a_random_sample_is_drawn_by_its_seed(open_page: OpenPage) -> None:
    def drawn(seed: str) -> list[str]:
        return pairs(open_page(PAGE, order="Random sample", draw=seed))

    assert drawn("1") == drawn("1")
    assert drawn("1") != drawn("2")
    assert drawn("1") != pairs(open_page(PAGE))


def test_the_same_class_twice_is_explained(open_page: OpenPage) -> None:
    app = open_page(PAGE, **{"from": "7", "to": "7"})
    assert not app.exception
    assert "nothing to attack" in app.info[0].value
    assert not pairs(app)


@pytest.mark.usefixtures("no_copy")
def test_without_a_local_copy_perturbations_are_shown_and_a_download_is_offered(open_page: OpenPage) -> None:
    app = open_page(PAGE, models="CapsNet")
    assert not app.exception
    assert "No local copy of Digits" in "".join(block.value for block in app.markdown)
    assert len(pairs(app)) == 24
    alts = set(re.findall(r'alt="([^"]+)"', html(app)))
    assert alts == {"What the attack changed, magnified 3.33 times"}


def test_an_address_that_is_wrong_is_corrected_aloud(open_page: OpenPage) -> None:
    app = open_page(PAGE, outcome="Splendid", **{"from": "eleven"})
    assert not app.exception
    assert "Outcome “Splendid”" in app.warning[0].value
    assert "Source “eleven”" in app.warning[0].value
    assert len(pairs(app)) == 24
