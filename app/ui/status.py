"""The line at the foot of a page: where its numbers come from."""

import streamlit as st

from core.runtime import describe, device


def status_line(
    *parts: str, live: bool, n: int | None = None, profile: str | None = None, seconds: float | None = None
) -> None:
    """Show where a page's numbers come from.

    Args:
        parts: Anything else worth saying, as short phrases.
        live: Computed just now, or read from a bundle.
        n: Sample size.
        profile: The bundle's profile.
        seconds: Time it took.
    """
    words = ["live" if live else "cached"]
    if live:
        words.append(describe(device()))
    if n is not None:
        words.append(f"n = {n:,}")
    if seconds is not None:
        words.append(f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min")
    if profile:
        words.append(f"{profile} profile")
    st.caption(":material/info: " + " · ".join([*words, *parts]))
