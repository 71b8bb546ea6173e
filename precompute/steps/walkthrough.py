"""The step that keeps one image with all that a page shows of it, to be there before any attack is."""

from typing import Any

import torch

from core import data
from core.runtime import describe, device, dtype_name, network_precision
from core.walkthrough import walkthrough as walk
from precompute.steps.job import Job, Outcome
from precompute.steps.loading import load_model
from precompute.steps.records import Sweep, Walkthrough
from precompute.store import Artifact


def walkthrough(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """The first test image of a class; the last beta is the best of a sweep. The facts are the plan of it."""
    model, test = load_model(params, inputs["weights"]), data.load(params["dataset"]).test
    facts = {
        **{name: params[name] for name in ("attack", "fields", "source", "target", "seed")},
        "index": int(torch.nonzero(test.labels == params["source"])[0]),
        "betas": [*params["betas"], Sweep.of(inputs["sweep"]).best_beta],
        "device": describe(device()),
        "gradients": dtype_name(network_precision(device())),
    }
    return Outcome.of(Walkthrough(**walk(model, test, facts), facts=facts))
