"""Named settings that show something worth seeing."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.ui.choices import FEW, every, usual_pair
from app.ui.picker import first_image
from core.data import Dataset

# Fewer than the papers take: a scenario should be over while one still watches.
STEPS = 100
_LETTERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Scenario:
    """Settings by name, for any data set.

    Attributes:
        title: On the button; {others} stands for how many classes there are besides the true one.
        about: What there is to see.
        promise: Words of the verdict on the shipped digits.
        all_targets: Whether every class is aimed at, or only the usual one.
        radius: Share of the data set's usual epsilon.
    """

    title: str
    about: str
    promise: str
    attack: str = "r-pgd"
    all_targets: bool = False
    radius: float = 1.0


SCENARIOS = (
    Scenario(
        "Get caught",
        "PGD hits its target, but what the network rebuilds does not fit the image: the detector flags it.",
        "Target hit, but flagged by the detector",
        attack="pgd",
    ),
    Scenario(
        "Slip past the detector",
        "R-PGD hits the same target on the same image, and the detector misses it.",
        "Target hit and missed by the detector",
    ),
    Scenario(
        "Too weak",
        "The same with a tenth of the strength: the network holds.",
        "Failed: the network",
        radius=0.1,
    ),
    Scenario(
        "All {others} targets",
        "One image, every other class as a target, in one batch.",
        "targets hit",
        all_targets=True,
    ),
)


def show_scenarios(dataset: Dataset, model: str) -> None:
    """A button for each scenario; it sets the controls, and with them the address.

    Args:
        model: The capsule network that they are about.
    """
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.caption("Try:", width="content")
        for scenario in SCENARIOS:
            if scenario.all_targets and dataset.spec.n_classes > FEW:
                continue
            st.button(
                scenario.title.format(others=_counted(dataset.spec.n_classes - 1)),
                help=scenario.about,
                key=f"scenario-{scenario.title}",
                on_click=apply,
                args=(scenario, dataset, model),
            )


def apply(scenario: Scenario, dataset: Dataset, model: str) -> None:
    """Set the controls to a scenario."""
    spec = dataset.spec
    source, target = usual_pair(spec.classes)
    settings: dict[str, Any] = {
        "model": model,
        "attack": scenario.attack,
        "image": first_image(dataset, source),
        "target": every(spec.classes) if scenario.all_targets else spec.classes[target],
        "epsilon": scenario.radius * spec.epsilon,
        "step_size": spec.step_size,
        "steps": STEPS,
        "seed": 0,
        "one_stage": False,
        "hold": False,
    }
    for key, value in settings.items():
        st.session_state[key] = value


def _counted(number: int) -> str:
    """A number as it stands in a sentence: up to nine in letters."""
    return _LETTERS[number] if number < len(_LETTERS) else str(number)
