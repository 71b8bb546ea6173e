"""The step that says what every model sees in the test images."""

from typing import Any

import torch

from core import data
from core.attacks import predict
from core.runtime import describe, device
from precompute.steps.job import Job, Outcome
from precompute.steps.loading import load_network
from precompute.steps.records import Predicted
from precompute.store import Artifact


def readings(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Classes of all test images, by every model."""
    test, where = data.load(params["dataset"]).test, device()
    names: list[str] = params["models"]
    x = test.x().to(where)
    seen: list[torch.Tensor] = []
    for number, name in enumerate(names):
        job.progress(number, len(names), name)
        about = {"dataset": params["dataset"], "model": name, "size": params["sizes"][name]}
        seen.append(predict(load_network(about, inputs[f"weights-{name}"]), x).cpu())
    right = [float((prediction == test.labels).double().mean()) for prediction in seen]
    facts = {
        "models": names,
        "accuracy": dict(zip(names, right, strict=True)),
        "n": len(test),
        "device": describe(where),
    }
    prediction = torch.stack(seen).to(torch.int8)
    return Outcome.of(Predicted(prediction=prediction, label=test.labels.to(torch.int8), facts=facts))
