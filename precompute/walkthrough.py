"""The step that keeps one image with all that a page shows of it, to be there before any attack is."""

from typing import Any

import torch

from core import data
from core.attacks import ATTACKS, predict
from core.detectors import ReconstructionDetector
from core.images import from_uint8, to_uint8
from core.runtime import describe, device, dtype_name, network_precision
from precompute.artifact import Artifact
from precompute.loading import load_model
from precompute.work import Job, Outcome


def walkthrough(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:  # noqa: ARG001
    """The first test image of a class: untouched, and attacked at every beta, the last the best of a sweep.

    `image` and `reconstruction` (1 + betas, C, H, W) are 8-bit; `prediction` and `distance` (1 + betas,) are
    those of the 8-bit images.
    """
    model, where = load_model(params, inputs["weights"]), device()
    dataset = data.load(params["dataset"])
    number = int(torch.nonzero(dataset.test.labels == params["source"])[0])
    betas = [*params["betas"], inputs["sweep"].facts["best_beta"]]
    index = torch.full((len(betas),), number)
    x, y = dataset.test.x(index).to(where), dataset.test.labels[index].to(where)
    attack = ATTACKS[params["attack"]](**params["fields"] | {"beta": torch.tensor(betas)})
    result = attack(model, x, y, target=params["target"], index=index, seed=params["seed"])
    images = torch.cat([dataset.test.images[index[:1]], to_uint8(result.x_adv.cpu())])
    seen = from_uint8(images).to(where)
    with torch.no_grad():
        reconstruction = to_uint8(model.reconstruct(seen).cpu())
    tensors = {
        "image": images,
        "reconstruction": reconstruction,
        "prediction": predict(model, seen).cpu(),
        "distance": ReconstructionDetector(model).score(seen).cpu(),
    }
    facts = {
        **{name: params[name] for name in ("attack", "fields", "source", "target", "seed")},
        "index": number,
        "betas": betas,
        "device": describe(where),
        "gradients": dtype_name(network_precision(where)),
    }
    return Outcome(tensors, facts=facts)
