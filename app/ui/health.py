"""Attack health on every page: a warning beside each number that a failed check touches."""

from collections.abc import Iterable

import streamlit as st

from app.results import checks
from core.health import FAILED, NOT_APPLICABLE, PASSED, Check, failed
from core.models import title_of
from precompute.store import Bundle

MARKS = {
    PASSED: ":green[:material/check_circle:] passed",
    FAILED: ":red[:material/cancel:] **failed**",
    NOT_APPLICABLE: ":gray[:material/do_not_disturb_on:] not applicable",
}
"""Icon and word, for those who see no colour."""


def touching(bundle: Bundle, model: str, metric: str, attack: str | None) -> list[Check]:
    """The failed checks that touch a metric of an attack on a model; none where nothing was checked."""
    return failed((checks.checks(bundle) or {}).get(model, []), metric, attack)


def failed_words(checks: Iterable[Check]) -> str:
    """Numbers of failed checks in words: "checks 4 and 13"; empty for none."""
    numbers = [str(number) for number in sorted({check.number for check in checks})]
    if not numbers:
        return ""
    listed = " and ".join([", ".join(numbers[:-1]), numbers[-1]] if numbers[1:] else numbers)
    return f"check{'s' if numbers[1:] else ''} {listed} failed"


def mark(bundle: Bundle, model: str, metric: str, attack: str | None) -> str:
    """What to put behind a number in Markdown: a warning with the checks that failed, or nothing."""
    words = failed_words(touching(bundle, model, metric, attack))
    return f" :orange[:material/warning: {words}]" if words else ""


def note(bundle: Bundle, models: Iterable[str], metrics: Iterable[str], attack: str | None) -> None:
    """A line under a chart that names the models whose numbers in it a failed check touches."""
    chosen = tuple(metrics)
    words = {
        title_of(model): failed_words(c for metric in chosen for c in touching(bundle, model, metric, attack))
        for model in models
    }
    touched = [f"{title}: {text}" for title, text in words.items() if text]
    if touched:
        st.caption(f":orange[:material/warning:] {'; '.join(touched)}. See **Attack health**.")
