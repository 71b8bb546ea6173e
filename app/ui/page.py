"""What pages of cached results start with: the bundle, the data set where there is a copy, the threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import state
from app.results import MICHELS2019, QIN2020
from app.results import attacks as results
from app.results.attacks import Attacked, Clean
from app.ui import notices
from app.ui.choose import show_corrections
from core.data import SPECS, Dataset, DatasetSpec
from core.data.specs import OFFICIAL
from core.models import MODELS
from precompute.store import Bundle


@dataclass(frozen=True)
class Opened:
    """A page's view of the results.

    Attributes:
        spec: Of the chosen data set.
        dataset: The data set, or None without a local copy of the images that the results are about.
        bundle: The results.
        models: Names of the models that have what the page needs.
        fpr: The false-positive rate chosen in the sidebar.
    """

    spec: DatasetSpec
    dataset: Dataset | None
    bundle: Bundle
    models: tuple[str, ...]
    fpr: float

    def offer_pictures(self) -> None:
        """Where there are no pictures, say why and what to do."""
        if self.dataset is None:
            local = state.dataset(self.spec.name)
            if local is None:
                notices.offer_download(self.spec.name)
            else:
                notices.other_copy(self.bundle, local)

    def clean(self, model: str) -> Clean:
        """The clean distances of a model."""
        return results.clean(self.bundle, model)

    def attacked(self, model: str, name: str = "matrix") -> Attacked:
        """The attacked images of that name."""
        return results.attacked(self.bundle, model, name)

    def threshold(self, model: str) -> float:
        """theta of a model at the chosen false-positive rate."""
        return self.clean(model).threshold(self.fpr)

    @property
    def about(self) -> dict[str, Any]:
        """Columns that say where numbers come from."""
        return {"dataset": self.spec.name, "profile": self.bundle.profile}

    @property
    def origin(self) -> tuple[str, ...]:
        """Phrases for the line at the foot of a page."""
        facts = self.bundle.facts
        words = {"device": "computed on {}", "size": "{} models"}
        phrases = [form.format(facts[name]) for name, form in words.items() if facts.get(name)]
        copy = facts.get("data_copy", OFFICIAL)
        return tuple(phrases if copy == OFFICIAL else [*phrases, f"data: {copy}"])


def open_page(title: str, intro: str, *, needs: str, paper: str = QIN2020) -> Opened:
    """Draw the head of a page; where there are no results, say how to get them and end the page.

    Args:
        intro: What one sees and what to try, a sentence or two.
        needs: Name of the artifact that a model must have.
        paper: The paper whose results these are.
    Raises: MissingArtifact, CorruptArtifact, DataError.
    """
    bundle = _open_bundle(title, intro, paper)
    models = tuple(m for m in MODELS if f"{m}/{needs}" in bundle and f"{m}/clean" in bundle)
    if not models:
        first = next(iter(bundle.facts.get("models", ())), "capsnet")
        bundle.load(f"{first}/{needs}", only=())  # says what is missing and how to build it
    return _opened(bundle, models)


def open_michels2019(title: str, intro: str, *, needs: Sequence[str], what: str) -> Opened:
    """Draw the head of a page about results of michels2019; where there are none, say so and end the page.

    Args:
        intro: What one sees and what to try, a sentence or two.
        needs: Names of the artifacts that there must be.
        what: What they are, for the sentence that says that they are missing.
    Raises: CorruptArtifact, DataError.
    """
    bundle = _open_bundle(title, intro, MICHELS2019)
    if any(name not in bundle for name in needs):
        of = SPECS[bundle.dataset].title
        st.info(
            f"This bundle of {of} has no {what} yet; to have them, run `{bundle.command}`.",
            icon=":material/info:",
        )
        show_corrections()
        st.stop()
    return _opened(bundle, ())


def _open_bundle(title: str, intro: str, paper: str) -> Bundle:
    """The head of a page, and the bundle; without one the page ends with how to get it."""
    st.title(title, anchor=False)
    st.markdown(intro)
    name = state.dataset_name()
    bundle = state.bundle(name, paper)
    if bundle is None:
        notices.missing_bundle(name)
        st.stop()
    return bundle


def _opened(bundle: Bundle, models: tuple[str, ...]) -> Opened:
    local = state.dataset(bundle.dataset)
    return Opened(SPECS[bundle.dataset], local if state.fits(bundle) else None, bundle, models, state.fpr())
