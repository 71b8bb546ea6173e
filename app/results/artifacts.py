"""Artifacts of bundles, read once however many pages and sessions ask for them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from precompute.store import Artifact, Bundle, MissingArtifact


@dataclass(frozen=True)
class Cached:
    """A bundle for `precompute.papers`, whose artifacts are read once."""

    bundle: Bundle

    @property
    def dataset(self) -> str:
        """Its data set."""
        return self.bundle.dataset

    @property
    def profile(self) -> str:
        """Its profile."""
        return self.bundle.profile

    @property
    def facts(self) -> Mapping[str, Any]:
        """About the bundle as a whole."""
        return self.bundle.facts

    # Read whole, whatever is asked for: the next figure wants the rest.
    def get(self, name: str, only: Collection[str] | None = None) -> Artifact | None:  # noqa: ARG002
        """The artifact of that name, or None. Raises CorruptArtifact."""
        try:
            return load_artifact(self.bundle, name)
        except MissingArtifact:
            return None


def load_artifact(bundle: Bundle, name: str) -> Artifact:
    """An artifact of a bundle, read once. Raises MissingArtifact, CorruptArtifact."""
    if name not in bundle:
        bundle.load(name)  # says what is missing and how to build it
    return _artifact(bundle.names[name], bundle, name)


# Keys are hashes of what an artifact was made from, so that they identify it for good.
@st.cache_resource(max_entries=128, show_spinner=False)
def _artifact(key: str, _bundle: Bundle, _name: str) -> Artifact:  # noqa: ARG001
    return _bundle.load(_name)
