"""The controls of an attack: made from its dataclass' fields, which say label, help and limits themselves."""

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

import streamlit as st

from app import url
from core.attacks import Attack

_DEFAULTS = "_defaults"


def follow_default(key: str, default: Any) -> None:
    """Move a control to its new default if it still stands at the old one.

    Defaults depend on the data set, the model and the attack. What somebody chose stays, what nobody touched
    follows.
    """
    known: dict[str, Any] = st.session_state.setdefault(_DEFAULTS, {})
    if key in known and known[key] != default and st.session_state.get(key, known[key]) == known[key]:
        st.session_state[key] = default
    known[key] = default


def attack_controls(
    kind: type[Attack], defaults: Mapping[str, Any], names: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """Draw a control for each field of an attack that leaves something to choose.

    Args:
        kind: The attack.
        defaults: Values by field name that come before the dataclass' own.
        names: Fields to draw; None for all.
    Returns: The chosen values by field name.
    """
    chosen = [f for f in fields(kind) if names is None or f.name in names]
    return {f.name: _control(f, defaults.get(f.name, f.default)) for f in chosen if _is_open(f)}


def _is_open(f: Field[Any]) -> bool:
    """Whether there is anything to choose."""
    return "min" not in f.metadata or f.metadata["min"] < f.metadata["max"]


def _control(f: Field[Any], default: Any) -> Any:
    """The control that fits a field's metadata: options, yes or no, whole numbers, numbers."""
    label, told = f.metadata["label"], f.metadata["help"]
    follow_default(f.name, default)
    if options := f.metadata.get("options"):
        url.check_choice(f.name, options, label)
        return st.segmented_control(
            label, options, default=default, required=True, key=f.name, help=told, bind="query-params"
        )
    if isinstance(default, bool):
        url.check_choice(f.name, ("true", "false"), label)
        return st.toggle(label, default, key=f.name, help=told, bind="query-params")
    low, high = f.metadata["min"], f.metadata["max"]
    url.check_number(f.name, low, high, label)
    # Attacks share names but not limits: what was chosen for one is brought into those of the next.
    if f.name in st.session_state:
        st.session_state[f.name] = min(max(st.session_state[f.name], low), high)
    if isinstance(default, int):
        return st.slider(label, low, high, default, key=f.name, help=told, bind="query-params")
    step = f.metadata.get("step", 0.005)
    return st.slider(
        label, low, high, default, step=step, format="%.3f", key=f.name, help=told, bind="query-params"
    )
