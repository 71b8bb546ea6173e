"""Classifiers: images in [0, 1] to logits, most of them with a reconstruction of the image."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from core.models.base import ReconstructingNet, Shape
from core.models.deepcaps import DEEPCAPS_SIZES, DeepCaps
from core.models.deeper import DEEPER_SIZES, CapsNetAll, DeeperCapsNet
from core.models.reconstructing import CNNCR, CNNR, GREY_SIZES, CapsNet, ConvNet, sizes_for
from core.models.residual import ResidualNet

MODELS: dict[str, Callable[[Shape, int, Any], nn.Module]] = {
    "capsnet": CapsNet,
    "cnn_cr": CNNCR,
    "cnn_r": CNNR,
    "convnet": ConvNet,
    "residual": ResidualNet,
    "capsnet_deeper": DeeperCapsNet,
    "capsnet_all": CapsNetAll,
    "deepcaps": DeepCaps,
}
TITLES = {
    "capsnet": "CapsNet",
    "cnn_cr": "CNN+CR",
    "cnn_r": "CNN+R",
    "convnet": "ConvNet",
    "residual": "Small ResNet",
    "capsnet_deeper": "Deeper CapsNet",
    "capsnet_all": "CapsNet All",
    "deepcaps": "DeepCaps",
}
CAPSULE_MODELS = frozenset({"capsnet", "capsnet_deeper", "capsnet_all", "deepcaps"})
"""Those whose logits are those of capsule lengths; the margin loss trains them."""
UNCONDITIONAL = frozenset({"cnn_r", "capsnet_all"})
"""Those whose reconstruction is made from all classes at once."""
SIZES = ("paper", "compact")

# What has a decoder is smaller for colour images, see `sizes_for`, so that it can ship.
_OWN_SIZES: dict[str, Mapping[str, Any]] = {
    "convnet": GREY_SIZES,
    "residual": GREY_SIZES,
    "capsnet_deeper": DEEPER_SIZES,
    "capsnet_all": DEEPER_SIZES,
    "deepcaps": DEEPCAPS_SIZES,
}


def build(name: str, shape: Shape, n_classes: int = 10, size: str = "compact", seed: int = 0) -> nn.Module:
    """Build an untrained model; the global random state is left as it was.

    Args:
        name: One of `MODELS`.
        shape: (C, H, W) of an image.
        n_classes: Number of classes.
        size: One of `SIZES`.
        seed: Of the initial weights.
    Raises: ValueError: for an unknown name or size.
    """
    if name not in MODELS:
        raise ValueError(f"expected a model among {', '.join(MODELS)}, got {name!r}")
    if size not in SIZES:
        raise ValueError(f"expected a size among {', '.join(SIZES)}, got {size!r}")
    sizes = _OWN_SIZES.get(name) or sizes_for(shape)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MODELS[name](shape, n_classes, sizes[size])


__all__ = [
    "CAPSULE_MODELS",
    "CNNCR",
    "CNNR",
    "MODELS",
    "SIZES",
    "TITLES",
    "UNCONDITIONAL",
    "CapsNet",
    "CapsNetAll",
    "ConvNet",
    "DeepCaps",
    "DeeperCapsNet",
    "ReconstructingNet",
    "ResidualNet",
    "build",
]
