"""Stored weights as models that can be attacked."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from core import data
from core.models import ReconstructingNet, build
from core.models.packing import unpack
from core.runtime import configure, device
from precompute.steps.records import Weights
from precompute.store import Artifact


def load_network(params: Mapping[str, Any], weights: Artifact) -> nn.Module:
    """The shipped weights as a float32 model on the device, ready to be attacked.

    Args:
        params: dataset, model, size.
        weights: What the step of that name made.
    """
    configure()
    spec = data.spec(params["dataset"])
    model = build(params["model"], spec.shape, spec.n_classes, params["size"])
    model.load_state_dict(unpack(Weights.of(weights).packed))
    model.to(device=device(), memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch's own
    return model.eval().requires_grad_(False)


def load_model(params: Mapping[str, Any], weights: Artifact) -> ReconstructingNet:
    """`load_network` for the steps that look at reconstructions."""
    model = load_network(params, weights)
    assert isinstance(model, ReconstructingNet)
    return model
