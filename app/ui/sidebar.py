"""The controls in the sidebar that pages share."""

import streamlit as st

from app import state
from app.ui.choose import choose
from core.data import SPECS


def shared_controls(*, detector: bool = True) -> None:
    """The controls that every page obeys: the data set, and how many false alarms are allowed.

    To be drawn by the entry file: bound to the address in a page's file, they would lose their value whenever
    somebody goes to another page.

    Args:
        detector: Whether the page depends on the second; else it is shown but cannot be moved.
    """
    with st.sidebar:
        choose_dataset()
        choose(
            "select_slider",
            "False alarms allowed",
            "fpr",
            state.FPRS,
            title=lambda fpr: f"{100 * fpr:g}%",
            default=0.05,
            what="False alarms",
            disabled=not detector,
            help="Share of clean validation images that the detector may flag. It sets each model's "
            "threshold θ." + ("" if detector else " This page does not depend on it."),
        )


def choose_dataset() -> None:
    """The data set, and the profile where there are several."""
    dataset = choose(
        "selectbox",
        "Data set",
        "dataset",
        list(SPECS),
        title=lambda name: SPECS[name].title,
        help="Digits come with the program. The others show their pictures from a copy of your own.",
    )
    profiles = state.profiles(dataset)
    if len(profiles) > 1:
        choose(
            "selectbox",
            "Profile",
            "profile",
            profiles,
            help="How much was computed: smoke in seconds, demo in minutes, paper as published.",
        )
