import re

import pytest
import streamlit as st

from app import state
from core.outcomes import Outcome
from tests.app.conftest import MAIN, OpenPage, html


@pytest.mark.parametrize("computed", ["computed here", "as it is stored"])
def test_the_figure_shows_a_clean_a_caught_and_a_missed_image(
    computed: str, open_page: OpenPage, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if computed == "as it is stored":
        request.getfixturevalue("no_copy")
        st.cache_data.clear()
        monkeypatch.setattr(state, "model", lambda *_: pytest.fail("a network was asked for"))
    app = open_page("overview")
    assert not app.exception
    page = html(app)
    assert page.count('class="cs-how"') == 1, "one takes the place of the other"
    assert app.caption[-1].value.startswith(
        ":material/info: live" if computed == "computed here" else ":material/info: cached"
    )
    told = [re.sub("<[^>]+>", " ", text) for text in re.findall(r'class="cs-out">(.*?)</div>', page)]
    assert len(told) == 3
    assert "Close: it passes" in told[0]
    assert "Far: the detector flags it" in told[1]
    assert "Close: the detector misses it" in told[2]
    assert re.findall(r'class="cs-answer">(.)<', page) == ["3", "8", "8"]
    pictures = re.findall(r'<img class="cs-picture"[^>]*>', page)
    assert len(pictures) == 6
    assert len(set(pictures)) == 6
    assert all('alt="' in picture for picture in pictures)


def test_there_are_three_steps_and_a_way_to_every_page(open_page: OpenPage) -> None:
    app = open_page("overview")
    text = app.markdown[0].value
    assert all(f"{number}. **" in text for number in (1, 2, 3))
    pages = {link.proto.page for link in app.get("page_link")}
    assert pages == {path.stem for path in (MAIN.parent / "views").glob("[!_]*.py")} - {"overview"}


def test_the_button_goes_to_the_live_attack(open_page: OpenPage) -> None:
    app = open_page("overview")
    app.session_state["hold"] = True
    app.button(key="start").click().run()
    assert app.title[0].value == "Live attack"


def test_without_a_bundle_the_text_stays_and_the_command_is_named(
    open_page: OpenPage, no_bundles: None
) -> None:
    app = open_page("overview")
    assert not app.exception
    assert "Rebuild" in app.markdown[0].value
    assert [code.value for code in app.code] == ["python -m precompute build digits --profile demo"]
    assert not app.get("spinner")


def test_outcomes_are_told_apart_without_colour() -> None:
    from app.ui.outcomes import COLOURS, MARKS, TITLES

    assert set(COLOURS) == set(MARKS) == set(TITLES) == set(Outcome)
    assert len(set(MARKS.values())) == len(Outcome)
