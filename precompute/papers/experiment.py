"""How the experiments of papers declare their steps."""

from collections.abc import Mapping
from typing import Any

from precompute.steps.job import StepFunction
from precompute.steps.step import Step
from precompute.steps.table import STEPS


def step(
    name: str,
    function: str,
    params: Mapping[str, Any],
    inputs: Mapping[str, Step],
    digests: Mapping[str, str],
    functions: Mapping[str, StepFunction] = STEPS,
) -> Step:
    """A step with its function's version.

    Args:
        name: What the bundle calls the result.
        function: The name of its function.
        params, inputs: As in `Step`.
        digests: Digest of every data set that it reads, by name.
        functions: The table that the function is in: that of all papers, or a paper's own.
    """
    entry = functions[function]
    return Step(name, function, entry.version, params, inputs, digests, entry.gpu)
