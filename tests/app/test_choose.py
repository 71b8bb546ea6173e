import ast
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

APP = Path(__file__).parents[2] / "app"


def page() -> None:
    import streamlit as st

    from app.ui.choose import (
        choose,
        choose_number,
        choose_page,
        choose_some,
        choose_whether,
        show_corrections,
    )

    other = st.toggle("Other data", key="other")
    fruits = {"a": "Apple", "b": "Banana"} if other else {"a": "Apple", "b": "Banana", "c": "Cherry"}
    st.session_state["chosen"] = {
        "fruit": choose("segmented_control", "Fruit", "fruit", list(fruits), title=fruits.__getitem__),
        "cake": choose("selectbox", "Cake", "cake", list(fruits), default="b", title=fruits.__getitem__),
        "share": choose("select_slider", "Share", "share", (0.0, 0.5, 1.0), title=lambda v: f"{100 * v:g}%"),
        "size": choose(
            "pills",
            "How large",
            "size",
            ["small", "medium", "large"],
            default="small" if other else "large",
            follow=True,
            what="Size",
        ),
        "spices": choose_some("Spices", "spices", ("salt", "mint", "thyme"), default=("salt",)),
        "many": choose("selectbox", "Many", "many", range(1, 31)),
        "count": choose_number("number_input", "Count", "count", 0, 5 if other else 9, default=2),
        "strength": choose_number("slider", "Strength", "strength", 0.0, 2.0, default=1.0, step=0.05),
        "hot": choose_whether("Hot", "hot"),
        "page": choose_page("page", 2 if other else 4),
    }
    show_corrections()


USUAL = {
    "fruit": "a",
    "cake": "b",
    "share": 0.0,
    "size": "large",
    "spices": ["salt"],
    "many": 1,
    "count": 2,
    "strength": 1.0,
    "hot": False,
    "page": 1,
}


def opened(**query: str | list[str]) -> AppTest:
    app = AppTest.from_function(page, default_timeout=60)
    app.query_params.update(query)
    return app.run()


def chosen(app: AppTest) -> dict[str, Any]:
    assert not app.exception
    return app.session_state["chosen"]


def switched(app: AppTest) -> dict[str, Any]:
    """What is chosen after another data set is."""
    return chosen(app.toggle(key="other").set_value(not app.toggle(key="other").value).run())


def test_without_an_address_everything_is_as_usual_and_nothing_is_said() -> None:
    app = opened()
    assert chosen(app) == USUAL
    assert not app.warning


def test_what_is_in_the_address_is_chosen() -> None:
    query = {"fruit": "Cherry", "cake": "Apple", "share": "50%", "size": "small", "many": "30", "count": "9"}
    app = opened(**query, spices=["mint", "thyme"], strength="0.25", hot="true", page="3")
    assert chosen(app) == {
        "fruit": "c",
        "cake": "a",
        "share": 0.5,
        "size": "small",
        "spices": ["mint", "thyme"],
        "many": 30,
        "count": 9,
        "strength": 0.25,
        "hot": True,
        "page": 3,
    }
    assert not app.warning


def test_what_the_address_may_not_say_becomes_the_usual_value_and_a_sentence() -> None:
    query = {"fruit": "Chery", "cake": "Pie", "share": "7%", "size": "huge", "many": "31", "hot": "perhaps"}
    app = opened(**query, spices=["mint", "sand"], count="10", strength="much", page="5")
    assert chosen(app) == {**USUAL, "spices": ["mint"]}
    assert app.warning[0].value == (
        "The address was corrected. "
        "Fruit “Chery” is not among Apple, Banana, Cherry; showing the usual one. "
        "Cake “Pie” is not among Apple, Banana, Cherry; showing the usual one. "
        "Share “7%” is not among 0%, 50%, 100%; showing the usual one. "
        "Size “huge” is not among small, medium, large; showing the usual one. "
        "Spices “sand” is not among salt, mint, thyme; leaving it out. "
        "Many “31” is not among 1 to 30; showing the usual one. "
        "Count 10 is outside 0 to 9; showing the usual one. "
        "Strength “much” is not a number; showing the usual one. "
        "Hot “perhaps” is not among true, false; showing the usual one. "
        "Page 5 is outside 1 to 4; showing the usual one."
    )
    app.run()
    assert not app.warning, "it is said once"


def test_what_another_data_set_lacks_becomes_possible() -> None:
    app = opened(fruit="Cherry", cake="Cherry", count="8", page="4")
    assert chosen(app)["count"] == 8
    now = switched(app)
    assert (now["fruit"], now["cake"]) == ("a", "b"), "the first option, or else the usual one"
    assert now["count"] == 5, "the nearest number"
    assert now["page"] == 1
    assert not app.warning, "the address is not to blame"


def test_what_another_data_set_has_too_is_kept() -> None:
    now = switched(opened(fruit="Banana", cake="Apple", count="4", page="2"))
    assert (now["fruit"], now["cake"], now["count"], now["page"]) == ("b", "a", 4, 2)


def test_a_default_is_followed_while_nobody_has_chosen() -> None:
    app = opened()
    assert switched(app)["size"] == "small"
    assert switched(app)["size"] == "large"
    app.button_group(key="size").set_value("medium").run()
    assert switched(app)["size"] == "medium"
    assert switched(app)["size"] == "medium"


def test_all_controls_of_the_address_are_made_in_one_place() -> None:
    bound = {
        path.relative_to(APP).as_posix()
        for path in APP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.keyword) and node.arg == "bind")
        or (isinstance(node, ast.Constant) and node.value in ("bind", "query-params"))
    }
    assert bound == {"ui/choose.py"}
