"""How experiments declare their steps."""

from typing import Any

from precompute.graph import Step
from precompute.steps import STEPS


def step(
    name: str, function: str, params: dict[str, Any], inputs: dict[str, Step], digests: dict[str, str]
) -> Step:
    """A step with its function's version."""
    entry = STEPS[function]
    return Step(name, function, entry.version, params, inputs, digests, entry.gpu)
