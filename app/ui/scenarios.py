"""Named settings that show something worth seeing."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.ui.picker import default_image
from core.data import Dataset


@dataclass(frozen=True)
class Scenario:
    """Settings by name, for any data set.

    Attributes:
        title: On the button.
        help: What there is to see.
        source: Class of the image: the first such test image is taken.
        target: Class aimed at, by number, or the title of another choice.
        radius: Share of the data set's usual epsilon.
    """

    title: str
    help: str
    attack: str = "r-pgd"
    source: int = 3
    target: int | str = 8
    radius: float = 1.0
    model: str = "capsnet"


SCENARIOS = (
    Scenario(
        "Slip past the detector", "The reconstructive attack hits its target, and the detector misses it."
    ),
    Scenario(
        "Get caught", "Plain PGD hits the same target, but the reconstruction gives it away.", attack="pgd"
    ),
    Scenario("Too weak", "With a tenth of the strength nothing happens.", radius=0.1),
    Scenario("All nine targets", "One image, every other class as a target, in one batch.", target="All 9"),
)


def show_scenarios(dataset: Dataset) -> None:
    """A button for each scenario; it sets the controls, and with them the address."""
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.caption("Try:", width="content")
        for scenario in SCENARIOS:
            st.button(
                scenario.title,
                help=scenario.help,
                key=f"scenario-{scenario.title}",
                on_click=apply,
                args=(scenario, dataset),
            )


def apply(scenario: Scenario, dataset: Dataset) -> None:
    """Set the controls to a scenario."""
    spec, target = dataset.spec, scenario.target
    settings: dict[str, Any] = {
        "model": scenario.model,
        "attack": scenario.attack,
        "image": default_image(dataset, scenario.source),
        "target": spec.classes[target] if isinstance(target, int) else target,
        "epsilon": scenario.radius * spec.epsilon,
        "step_size": spec.step_size,
        "steps": spec.steps,
        "seed": 0,
        "hold": False,
    }
    for key, value in settings.items():
        st.session_state[key] = value
