"""Artifacts by key, in the folder of whoever builds and in what ships; bundles name them."""

from precompute.store.artifact import Artifact, CorruptArtifact, MissingArtifact, build_command
from precompute.store.bundle import BEST_FIRST, Bundle
from precompute.store.store import Store, default_url

__all__ = [
    "BEST_FIRST",
    "Artifact",
    "Bundle",
    "CorruptArtifact",
    "MissingArtifact",
    "Store",
    "build_command",
    "default_url",
]
