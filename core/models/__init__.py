"""Classifiers: images in [0, 1] to logits, some of them with a reconstruction of the image."""

import torch
from torch import nn

from core.models.reconstructing import CNNCR, CNNR, SIZES, CapsNet, ConvNet, ReconstructingNet
from core.models.residual import ResidualNet

MODELS = {"capsnet": CapsNet, "cnn_cr": CNNCR, "cnn_r": CNNR, "convnet": ConvNet, "residual": ResidualNet}
TITLES = {
    "capsnet": "CapsNet",
    "cnn_cr": "CNN+CR",
    "cnn_r": "CNN+R",
    "convnet": "ConvNet",
    "residual": "Residual network",
}


def build(
    name: str, shape: tuple[int, int, int], n_classes: int = 10, size: str = "compact", seed: int = 0
) -> nn.Module:
    """Build an untrained model; the global random state is left as it was.

    Args:
        name: One of `MODELS`.
        shape: (C, H, W) of an image.
        n_classes: Number of classes.
        size: "compact" or "paper".
        seed: Of the initial weights.
    Raises: ValueError: for an unknown name or size.
    """
    if name not in MODELS:
        raise ValueError(f"expected a model among {', '.join(MODELS)}, got {name!r}")
    if size not in SIZES:
        raise ValueError(f"expected a size among {', '.join(SIZES)}, got {size!r}")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MODELS[name](shape, n_classes, SIZES[size])


__all__ = [
    "CNNCR",
    "CNNR",
    "MODELS",
    "SIZES",
    "TITLES",
    "CapsNet",
    "ConvNet",
    "ReconstructingNet",
    "ResidualNet",
    "build",
]
