"""The step that keeps one image with all that a page shows of it, to be there before any attack is."""

from typing import Any

import torch

from core import data
from core.runtime import describe, device, dtype_name, network_precision
from core.walkthrough import walkthrough as walk
from precompute.artifact import Artifact
from precompute.loading import load_model
from precompute.work import Job, Outcome


def walkthrough(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:  # noqa: ARG001
    """The first test image of a class; the last beta is the best of a sweep. The facts are the plan of it."""
    model, test = load_model(params, inputs["weights"]), data.load(params["dataset"]).test
    facts = {
        **{name: params[name] for name in ("attack", "fields", "source", "target", "seed")},
        "index": int(torch.nonzero(test.labels == params["source"])[0]),
        "betas": [*params["betas"], inputs["sweep"].facts["best_beta"]],
        "device": describe(device()),
        "gradients": dtype_name(network_precision(device())),
    }
    return Outcome(walk(model, test, facts), facts=facts)
