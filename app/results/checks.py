"""The checks of attack health as pages use them."""

from typing import Any

from core.health import Check, checks_of
from precompute.store import Bundle


def checks(bundle: Bundle, results: str = "results") -> dict[str, list[Check]] | None:
    """The checks of the attacks on each model; None for a bundle without checks.

    Args:
        bundle: Of any paper.
        results: The name of the artifact with the paper's tables.
    Raises: CorruptArtifact.
    """
    table = bundle.load(results).tables.get("health") if results in bundle else None
    return None if table is None or table.empty else checks_of(table)


def checked_how(bundle: Bundle, model: str) -> dict[str, Any]:
    """How the attacks on a model were checked: fields, n, device. Raises MissingArtifact, CorruptArtifact."""
    return bundle.load(f"{model}/health", only=()).facts
