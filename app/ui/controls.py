"""The controls of an attack: made from its dataclass' fields, which say label, help and limits themselves."""

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any

from app.ui.choose import choose, choose_number, choose_whether
from core.attacks import Attack


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
    label, about = f.metadata["label"], f.metadata["help"]
    if options := f.metadata.get("options"):
        return choose("segmented_control", label, f.name, options, default=default, follow=True, help=about)
    if isinstance(default, bool):
        return choose_whether(label, f.name, default=default, follow=True, help=about)
    low, high = f.metadata["min"], f.metadata["max"]
    if isinstance(default, int):
        return choose_number("slider", label, f.name, low, high, default=default, follow=True, help=about)
    step = f.metadata.get("step", 0.005)
    return choose_number(
        "slider", label, f.name, low, high, default=default, step=step, format="%.3f", follow=True, help=about
    )
