"""Controls that are in the address: one call draws one, corrects what it cannot take, and says so.

Streamlit binds a control to the address, but drops what it cannot use without a word. Here every such
control is made, by one rule: a value that is not possible, because the address is mistaken or because
another data set has other options, becomes the usual one. What an address said is corrected in a sentence,
see `show_corrections`.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, cast

import streamlit as st

T = TypeVar("T")
Number = TypeVar("Number", int, float)
OnChange = Callable[[], None]

_CORRECTIONS, _DEFAULTS = "_corrections", "_defaults"
_LISTED = 12
"""Options that a correction lists; of more it names the ends."""


def choose(
    kind: Literal["segmented_control", "pills", "selectbox", "select_slider"],
    label: str,
    key: str,
    options: Sequence[T],
    *,
    title: Callable[[T], str] = str,
    default: T | None = None,
    follow: bool = False,
    what: str | None = None,
    help: str | None = None,
    width: Literal["content", "stretch"] | int | None = None,
    on_change: OnChange | None = None,
    disabled: bool = False,
    hide_label: bool = False,
) -> T:
    """Draw a control that takes one of several options, and bind it to the address.

    Args:
        kind: Streamlit's name of the control.
        label: Above the control.
        key: Its name in the address and in the session.
        options: At least one.
        title: An option in words: on the control and in the address.
        default: The usual option; None for the first.
        follow: Whether a control that nobody has touched moves with its default.
        what: Its name in a correction; None for the label.
        help: What the question mark beside the label tells.
        width: In pixels, or as Streamlit names it; None for what is usual for the kind.
        on_change: Called before the next run when somebody has chosen.
        disabled: Whether it is shown but cannot be moved.
        hide_label: Whether the label is for screen readers alone.
    Returns: The chosen option.
    """
    usual = options[0] if default is None else default
    if follow:
        _follow(key, usual)
    if key in st.session_state and st.session_state[key] not in options:
        st.session_state[key] = usual
    _check_titles(key, [title(option) for option in options], what or label)
    settings = _settings(key, help, width, on_change, disabled=disabled)
    settings |= {"format_func": title, "label_visibility": "collapsed" if hide_label else "visible"}
    match kind:
        case "segmented_control":
            chosen = st.segmented_control(label, options, default=usual, required=True, **settings)
        case "pills":
            chosen = st.pills(label, options, default=usual, required=True, **settings)
        case "selectbox":
            chosen = st.selectbox(label, options, options.index(usual), **settings)
        case "select_slider":
            chosen = st.select_slider(label, options, usual, **settings)
    return cast("T", chosen)


def choose_some(
    label: str, key: str, options: Sequence[T], *, default: Sequence[T], disabled: bool = False
) -> list[T]:
    """Draw pills of which any number can be on, and bind them to the address.

    Args:
        label, key, options, disabled: As `choose` has them.
        default: Those that are usually on.
    Returns: The chosen options.
    """
    titles = [str(option) for option in options]
    for given in _given(key):
        if given and given not in titles:
            _note(f"{label} “{given}” is not among {_listed(titles)}; leaving it out.")
    settings = _settings(key, disabled=disabled)
    return list(st.pills(label, options, selection_mode="multi", default=default, **settings))


def choose_whether(
    label: str,
    key: str,
    *,
    default: bool = False,
    follow: bool = False,
    help: str | None = None,
    disabled: bool = False,
) -> bool:
    """Draw a toggle, and bind it to the address, which says "true" or "false"; arguments as of `choose`."""
    if follow:
        _follow(key, default)
    _check_titles(key, ("true", "false"), label)
    return st.toggle(label, default, **_settings(key, help, disabled=disabled))


def choose_number(
    kind: Literal["slider", "number_input"],
    label: str,
    key: str,
    low: Number,
    high: Number,
    *,
    default: Number,
    step: Number | None = None,
    format: str | None = None,
    follow: bool = False,
    what: str | None = None,
    help: str | None = None,
    width: int | None = None,
    on_change: OnChange | None = None,
    disabled: bool = False,
) -> Number:
    """Draw a control that takes a number, and bind it to the address.

    Controls of one name can have other limits on another data set or for another attack: what was chosen is
    then brought into these.

    Args:
        kind, label, key, follow, what, help, on_change, disabled: As `choose` has them.
        low, high: The least and the largest number.
        default: The usual one.
        step: Between two numbers; None for what is usual for the kind.
        format: How it is written, in the manner of printf.
        width: In pixels; None for all there is.
    Returns: The chosen number.
    """
    if follow:
        _follow(key, default)
    if key in st.session_state:
        st.session_state[key] = min(max(st.session_state[key], low), high)
    _check_number(key, low, high, what or label)
    settings = _settings(key, help, width, on_change, disabled=disabled)
    settings |= {"step": step} | ({} if format is None else {"format": format})
    draw = st.slider if kind == "slider" else st.number_input
    return cast("Number", draw(label, low, high, default, **settings))


def choose_page(key: str, pages: int) -> int:
    """Draw what turns the pages of a gallery, and bind it to the address; past the last it starts anew.

    Returns: The page's number, from 1.
    """
    if st.session_state.get(key, 1) > pages:
        st.session_state[key] = 1
    _check_number(key, 1, pages, "Page")
    return st.pagination(pages, key=key, bind="query-params")


def show_corrections() -> None:
    """Tell what was corrected since this was last called."""
    sentences: list[str] = st.session_state.pop(_CORRECTIONS, [])
    if sentences:
        st.warning("The address was corrected. " + " ".join(sentences), icon=":material/link_off:")


def _settings(
    key: str,
    help: str | None = None,
    width: Literal["content", "stretch"] | int | None = None,
    on_change: OnChange | None = None,
    *,
    disabled: bool,
) -> dict[str, Any]:
    """What all of Streamlit's controls take; without `width` they have their own."""
    settings: dict[str, Any] = {"key": key, "bind": "query-params", "help": help, "disabled": disabled}
    if on_change is not None:
        settings["on_change"] = on_change
    return settings if width is None else {**settings, "width": width}


def _follow(key: str, default: Any) -> None:
    """Move a control to its new default if it still stands at the old one.

    Defaults depend on the data set, the model and the attack. What somebody chose stays, what nobody touched
    follows.
    """
    defaults: dict[str, Any] = st.session_state.setdefault(_DEFAULTS, {})
    before = defaults.get(key, default)
    if before != default and st.session_state.get(key, before) == before:
        st.session_state[key] = default
    defaults[key] = default


def _check_titles(key: str, titles: Sequence[str], what: str) -> None:
    """Note what the address gives that is not among a control's titles."""
    for given in _given(key)[-1:]:
        if given not in titles:
            _note(f"{what} “{given}” is not among {_listed(titles)}; showing the usual one.")


def _listed(titles: Sequence[str]) -> str:
    """Titles in a sentence: all, or of many the ends."""
    return ", ".join(titles) if len(titles) <= _LISTED else f"{titles[0]} to {titles[-1]}"


def _check_number(key: str, low: float, high: float, what: str) -> None:
    """Note what the address gives that is no number, or outside a control's range."""
    for given in _given(key)[-1:]:
        try:
            value = float(given)
        except ValueError:
            value = float("nan")
        if value != value:
            _note(f"{what} “{given}” is not a number; showing the usual one.")
        elif not low <= value <= high:
            _note(f"{what} {given} is outside {low:g} to {high:g}; showing the usual one.")


def _given(key: str) -> list[str]:
    """What the address gives, as long as it is what decides: later the control itself does."""
    return [] if key in st.session_state else st.query_params.get_all(key)


def _note(sentence: str) -> None:
    st.session_state.setdefault(_CORRECTIONS, []).append(sentence)
