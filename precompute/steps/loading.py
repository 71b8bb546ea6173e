"""Stored weights as models that can be attacked."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core import data
from core.models import ReconstructingNet, build
from core.models.packing import unpack
from core.runtime import configure, device
from precompute.steps.records import Weights
from precompute.store import Artifact


def stored_network(dataset: str, model: str, size: str, packed: Mapping[str, Tensor]) -> nn.Module:
    """A network with stored weights, in evaluation mode and frozen, on the CPU.

    Args:
        dataset, model, size: Their names.
        packed: Its weights, as `core.models.packing.pack` gives them.
    """
    spec = data.spec(dataset)
    network = build(model, spec.shape, spec.n_classes, size)
    network.load_state_dict(unpack(packed))
    return network.eval().requires_grad_(False)


def load_network(params: Mapping[str, Any], weights: Artifact) -> nn.Module:
    """The shipped weights as a float32 model on the device, ready to be attacked.

    Args:
        params: dataset, model, size.
        weights: What the step of that name made.
    """
    configure()
    packed = Weights.of(weights).packed
    network = stored_network(params["dataset"], params["model"], params["size"], packed)
    network.to(device=device(), memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch's own
    return network


def load_model(params: Mapping[str, Any], weights: Artifact) -> ReconstructingNet:
    """`load_network` for the steps that look at reconstructions."""
    model = load_network(params, weights)
    assert isinstance(model, ReconstructingNet)
    return model
