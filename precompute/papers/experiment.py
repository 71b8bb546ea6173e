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


def detector_steps(
    detector: str,
    common: Mapping[str, Any],
    weights: Step,
    attacks: Mapping[str, Step],
    digests: Mapping[str, str],
    *,
    name: str | None = None,
    fields: Mapping[str, Any] | None = None,
    attacked: Step | None = None,
    seed: int = 0,
    draws: int = 20,
) -> tuple[Step, Step]:
    """The steps `{model}/fitted/{name}` and `{model}/scored/{name}` of a detector.

    Args:
        detector: One of `core.detectors.DETECTORS`.
        common: dataset, model, size.
        weights: The model that it watches.
        attacks: To be scored, by name: attacks on test images whose perturbations are kept.
        digests: Digest of the data set.
        name: What the bundle calls it, where one detector is there with several fields.
        fields: What the detector is made with.
        attacked: An attack on the training images, for a detector that learns from some.
        seed: Of fitting and of scores that are random.
        draws: That such scores are means over.
    """
    name = name or detector
    model = common["model"]
    about = {**common, "detector": detector, "fields": dict(fields or {}), "seed": seed}
    learns_from = {"weights": weights} | ({} if attacked is None else {"attacked": attacked})
    fitted = step(f"{model}/fitted/{name}", "fitted", about, learns_from, digests)
    given = {"weights": weights, "fitted": fitted, **{f"attack-{key}": made for key, made in attacks.items()}}
    params = {**common, "seed": seed, "draws": draws}
    return fitted, step(f"{model}/scored/{name}", "scored", params, given, digests)
