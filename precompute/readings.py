"""The step that says what every model sees in the test images.

Artifact `readings`, T models, n test images:
    prediction (T, n) int8, label (n,) int8.
    Facts: models (T names, in order), accuracy by model, n, device.
"""

from typing import Any

import torch

from core import data
from core.attacks import predict
from core.runtime import describe, device
from precompute.artifact import Artifact
from precompute.loading import load_network
from precompute.work import Job, Outcome


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
    tensors = {"prediction": torch.stack(seen).to(torch.int8), "label": test.labels.to(torch.int8)}
    return Outcome(tensors, facts=facts)
