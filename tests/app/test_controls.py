from streamlit.testing.v1 import AppTest


def page() -> None:
    from dataclasses import dataclass

    import streamlit as st

    from app.ui.choose import show_corrections
    from app.ui.controls import attack_controls
    from core.attacks import GradientAttack
    from core.attacks.base import knob

    @dataclass(frozen=True)
    class Toy(GradientAttack):
        steps: int = knob(7, "Steps", "How many", min=1, max=9)
        step_size: float = knob(0.2, "Step size", "How far", min=0.0, max=0.5)
        norm: str = knob("l2", "Norm", "Which", options=("linf", "l2"))
        fine: float = knob(0.25, "Fine", "In small steps", min=0.0, max=1.0, step=0.001)
        keen: bool = knob(True, "Keen", "Or not")
        fixed: int = knob(1, "Fixed", "Nothing to choose", min=1, max=1)

    usual = {"epsilon": 0.1 if st.toggle("other data", key="other") else 0.3}
    st.session_state["chosen"] = attack_controls(Toy, usual)
    show_corrections()


def test_every_field_that_is_open_gets_the_control_that_fits_it() -> None:
    app = AppTest.from_function(page, default_timeout=60).run()
    assert not app.exception
    chosen = app.session_state["chosen"]
    assert chosen == {"epsilon": 0.3, "step_size": 0.2, "steps": 7, "norm": "l2", "fine": 0.25, "keen": True}
    steps = app.slider(key="steps")
    assert (steps.label, steps.min, steps.max, steps.help) == ("Steps", 1, 9, "How many")
    assert app.slider(key="step_size").max == 0.5
    assert app.slider(key="fine").step == 0.001
    assert app.toggle(key="keen").value
    assert app.button_group(key="norm").value == "l2"


def test_what_is_chosen_is_returned() -> None:
    app = AppTest.from_function(page, default_timeout=60).run()
    app.slider(key="steps").set_value(3).run()
    app.toggle(key="keen").set_value(False).run()
    assert app.session_state["chosen"]["steps"] == 3
    assert app.session_state["chosen"]["keen"] is False


def test_defaults_are_followed_until_something_is_chosen() -> None:
    app = AppTest.from_function(page, default_timeout=60).run()
    app.toggle(key="other").set_value(True).run()
    assert app.session_state["chosen"]["epsilon"] == 0.1
    app.slider(key="epsilon").set_value(0.2).run()
    app.toggle(key="other").set_value(False).run()
    assert app.session_state["chosen"]["epsilon"] == 0.2


def test_the_address_is_heeded_and_corrected() -> None:
    app = AppTest.from_function(page, default_timeout=60)
    app.query_params.update({"steps": "3", "step_size": "0.9", "norm": "l7", "keen": "perhaps"})
    app.run()
    assert app.session_state["chosen"] == {
        "epsilon": 0.3,
        "step_size": 0.2,
        "steps": 3,
        "norm": "l2",
        "fine": 0.25,
        "keen": True,
    }
    told = app.warning[0].value
    assert "Step size 0.9 is outside 0 to 0.5" in told
    assert "Norm “l7” is not among linf, l2" in told
    assert "Keen “perhaps” is not among true, false" in told
