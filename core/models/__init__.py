"""Classifiers: images in [0, 1] to logits, most of them with a reconstruction of the image.

A new model is a network in a file of its own and its entry in `specs.MODELS`.
"""

import torch
from torch import nn

from core.models.base import ReconstructingNet, Shape
from core.models.specs import MODELS, SIZES, ModelSpec, spec, title_of

__all__ = [
    "MODELS",
    "SIZES",
    "ModelSpec",
    "ReconstructingNet",
    "build",
    "spec",
    "title_of",
]


def build(name: str, shape: Shape, n_classes: int, size: str = "compact", seed: int = 0) -> nn.Module:
    """Build an untrained model; the global random state is left as it was.

    Args:
        name: One of `MODELS`.
        shape: (C, H, W) of an image.
        n_classes: J, number of classes.
        size: One of `SIZES`, or what `ModelSpec.size_for` says.
        seed: Of the initial weights.
    Raises: ValueError: for an unknown name or size.
    """
    model = spec(name)
    sizes = {**model.sizes, **(model.rgb_sizes if shape[0] == 3 else {})}
    if size not in sizes:
        raise ValueError(f"expected a size among {', '.join(sizes)}, got {size!r}; choose one of these")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return model.network(shape, n_classes, sizes[size])
