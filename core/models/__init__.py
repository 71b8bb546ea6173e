"""Classifiers: images in [0, 1] to logits, most of them with a reconstruction of the image."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from core.models.base import ReconstructingNet, Shape
from core.models.deepcaps import DEEPCAPS_SIZES, DeepCaps
from core.models.deeper import DEEPER_SIZES, CapsNetAll, DeeperCapsNet
from core.models.michels import CAPSULE_SIZES, CONV_SIZES, MichelsConvNet, michels_capsnet
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
    "michels_convnet": MichelsConvNet,
    "michels_capsnet": michels_capsnet,
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
    "michels_convnet": "Michels ConvNet",
    "michels_capsnet": "Michels CapsNet",
}
CAPSULE_MODELS = frozenset({"capsnet", "capsnet_deeper", "capsnet_all", "deepcaps", "michels_capsnet"})
"""Those whose logits are those of capsule lengths; the margin loss trains them."""
UNCONDITIONAL = frozenset({"cnn_r", "capsnet_all"})
"""Those whose reconstruction is made from all classes at once."""
SIZES = ("paper", "compact")
"""Those of every model; some have others for single data sets, see `size_for`."""

# What has a decoder is smaller for colour images, see `sizes_for`, so that it can ship.
_OWN_SIZES: dict[str, Mapping[str, Any]] = {
    "convnet": GREY_SIZES,
    "residual": GREY_SIZES,
    "capsnet_deeper": DEEPER_SIZES,
    "capsnet_all": DEEPER_SIZES,
    "deepcaps": DEEPCAPS_SIZES,
    "michels_convnet": CONV_SIZES,
    "michels_capsnet": CAPSULE_SIZES,
}


def size_for(name: str, dataset: str, size: str) -> str:
    """The name of a model's size on a data set: "paper-svhn" where it has its own there, else "paper"."""
    own = f"{size}-{dataset}"
    return own if own in _OWN_SIZES.get(name, ()) else size


def build(name: str, shape: Shape, n_classes: int = 10, size: str = "compact", seed: int = 0) -> nn.Module:
    """Build an untrained model; the global random state is left as it was.

    Args:
        name: One of `MODELS`.
        shape: (C, H, W) of an image.
        n_classes: Number of classes.
        size: One of `SIZES`, or what `size_for` says.
        seed: Of the initial weights.
    Raises: ValueError: for an unknown name or size.
    """
    if name not in MODELS:
        raise ValueError(f"expected a model among {', '.join(MODELS)}, got {name!r}")
    sizes = _OWN_SIZES.get(name) or sizes_for(shape)
    if size not in sizes:
        raise ValueError(f"expected a size among {', '.join(sizes)}, got {size!r}")
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
    "MichelsConvNet",
    "ReconstructingNet",
    "ResidualNet",
    "build",
    "size_for",
]
