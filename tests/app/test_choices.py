"""What is on offer for data sets with few and with many classes."""

from dataclasses import replace

import pytest
import torch
from streamlit.testing.v1 import AppTest

from app.ui.choices import usual_pair
from app.ui.picker import EACH, THUMBNAILS, _candidates
from core import data
from core.data.split import Split


def of_a_hundred() -> None:
    import streamlit as st

    from app.ui.choices import choose_targets
    from app.ui.choose import show_corrections

    classes = tuple(f"object {number}" for number in range(100))
    st.session_state["chosen"] = choose_targets(classes, st.session_state.get("label", 3))
    show_corrections()


def of_three() -> None:
    import streamlit as st

    from app.ui.choices import choose_targets

    st.session_state["chosen"] = choose_targets(("cat", "dog", "ox"), st.session_state.get("label", 0))


def test_of_a_hundred_classes_one_target_is_picked_from_a_list() -> None:
    app = AppTest.from_function(of_a_hundred, default_timeout=60).run()
    assert not app.exception
    assert app.session_state["chosen"] == (8,)
    options = app.selectbox(key="target").options
    assert options == [*(f"object {number}" for number in range(100) if number != 3), "Any other class"]
    app.selectbox(key="target").select("object 77").run()
    assert app.session_state["chosen"] == (77,)
    app.selectbox(key="target").select("Any other class").run()
    assert app.session_state["chosen"] == (None,)


def test_all_of_a_hundred_classes_at_once_are_refused_in_a_sentence() -> None:
    app = AppTest.from_function(of_a_hundred, default_timeout=60)
    app.query_params["target"] = "All 99"
    app.run()
    assert not app.exception
    assert app.session_state["chosen"] == (8,)
    assert "Target “All 99” is not among object 0 to Any other class" in app.warning[0].value


@pytest.mark.parametrize(("label", "usual"), [(0, 2), (1, 2), (2, 1)])
def test_of_three_classes_each_is_a_button_and_so_are_all(label: int, usual: int) -> None:
    app = AppTest.from_function(of_three, default_timeout=60)
    app.session_state["label"] = label
    app.run()
    assert not app.exception
    assert app.session_state["chosen"] == (usual,)
    app.button_group(key="target").set_value("All 2").run()
    assert app.session_state["chosen"] == tuple(number for number in range(3) if number != label)


@pytest.mark.parametrize(("count", "pair"), [(2, (0, 1)), (3, (1, 2)), (10, (3, 8)), (100, (3, 8))])
def test_the_usual_pair_are_two_classes_there_are(count: int, pair: tuple[int, int]) -> None:
    assert usual_pair(tuple(map(str, range(count)))) == pair


@pytest.mark.parametrize(("count", "pages"), [(4, 2), (10, 4), (100, 40)])
def test_one_of_each_class_fills_as_many_pages_as_it_takes(count: int, pages: int) -> None:
    labels = torch.arange(4 * count).flip(0) % count
    spec = replace(data.SPECS["digits"], classes=tuple(map(str, range(count))))
    test = Split(torch.zeros(4 * count, 1, 2, 2, dtype=torch.uint8), labels)
    dataset = data.Dataset(spec, test, test, test, "", "")
    indices, found = _candidates(dataset, EACH)
    assert sorted(indices) == list(range(4 * count)), "every image is on one of the pages"
    assert labels[indices[:count]].tolist() == list(range(count)), "one of each comes first"
    assert found == pages
    assert (found - 1) * THUMBNAILS < len(indices) <= found * THUMBNAILS
