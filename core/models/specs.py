"""All that is known of each model: how it is built, its sizes, its loss, how figures draw it.

Who asks for a fact about a model asks here; `MODELS` lists the models in the order in which they are shown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from core.models.base import Shape
from core.models.capsnet import CapsNet
from core.models.cnn import CNNCR, CNNR, CONVNET_SIZES, ConvNet
from core.models.deepcaps import DEEPCAPS_SIZES, DeepCaps
from core.models.deeper_capsnet import DEEPER_SIZES, CapsNetAll, DeeperCapsNet
from core.models.groups import GROUP_SIZES, RGB_SIZES
from core.models.michels import CAPSULE_SIZES, CONV_SIZES, MichelsConvNet, michels_capsnet
from core.models.resnet import RESIDUAL_SIZES, ResidualNet

SIZES = ("paper", "compact")
"""The sizes that every model has."""


@dataclass(frozen=True)
class ModelSpec:
    """One model.

    Attributes:
        title: As people write it.
        network: Makes it, from an image's shape (C, H, W), the number of classes and one of its sizes.
        sizes: Its sizes by name: those of `SIZES`, and "paper-svhn" where "paper" is another on one data set.
        rgb_sizes: Those that colour images have instead of the size of the same name.
        loss: What it is trained with. "margin" is a loss on the lengths of capsules.
        conditional: Whether its reconstruction is made from one class alone, so that it matters which, rather
            than from all classes at once; None for a model that reconstructs nothing.
        colour: Of all that figures draw of it, "#RRGGBB"; no other model has it.
        marker: Shape of its points in figures, as Vega names it.
    """

    title: str
    network: Callable[[Shape, int, Any], nn.Module]
    sizes: Mapping[str, Any]
    loss: Literal["margin", "cross_entropy"]
    conditional: bool | None
    colour: str
    marker: str
    rgb_sizes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def capsules(self) -> bool:
        """Whether a logit is that of a class capsule's length, so that its sigmoid is the length.

        This is what the margin loss asks for, and nothing else is trained with it.
        """
        return self.loss == "margin"

    def size_for(self, dataset: str, size: str) -> str:
        """The name of a size on a data set: "paper-svhn" where the model has its own there, else "paper"."""
        own = f"{size}-{dataset}"
        return own if own in self.sizes else size


MODELS: dict[str, ModelSpec] = {
    "capsnet": ModelSpec(
        title="CapsNet",
        network=CapsNet,
        sizes=GROUP_SIZES,
        rgb_sizes=RGB_SIZES,
        loss="margin",
        conditional=True,
        colour="#7B61C9",
        marker="circle",
    ),
    "cnn_cr": ModelSpec(
        title="CNN+CR",
        network=CNNCR,
        sizes=GROUP_SIZES,
        rgb_sizes=RGB_SIZES,
        loss="cross_entropy",
        conditional=True,
        colour="#E69F00",
        marker="square",
    ),
    "cnn_r": ModelSpec(
        title="CNN+R",
        network=CNNR,
        sizes=GROUP_SIZES,
        rgb_sizes=RGB_SIZES,
        loss="cross_entropy",
        conditional=False,
        colour="#009E73",
        marker="triangle-up",
    ),
    "convnet": ModelSpec(
        title="ConvNet",
        network=ConvNet,
        sizes=CONVNET_SIZES,
        loss="cross_entropy",
        conditional=None,
        colour="#56B4E9",
        marker="diamond",
    ),
    "residual": ModelSpec(
        title="Small ResNet",
        network=ResidualNet,
        sizes=RESIDUAL_SIZES,
        loss="cross_entropy",
        conditional=None,
        colour="#A6761D",
        marker="triangle-down",
    ),
    "capsnet_deeper": ModelSpec(
        title="Deeper CapsNet",
        network=DeeperCapsNet,
        sizes=DEEPER_SIZES,
        loss="margin",
        conditional=True,
        colour="#9A7DE0",
        marker="cross",
    ),
    "capsnet_all": ModelSpec(
        title="CapsNet All",
        network=CapsNetAll,
        sizes=DEEPER_SIZES,
        loss="margin",
        conditional=False,
        colour="#8C9A1F",
        marker="triangle-right",
    ),
    "deepcaps": ModelSpec(
        title="DeepCaps",
        network=DeepCaps,
        sizes=DEEPCAPS_SIZES,
        loss="margin",
        conditional=True,
        colour="#2E7D4F",
        marker="triangle-left",
    ),
    "michels_convnet": ModelSpec(
        title="Michels ConvNet",
        network=MichelsConvNet,
        sizes=CONV_SIZES,
        loss="cross_entropy",
        conditional=None,
        colour="#1B87B8",
        marker="diamond",
    ),
    "michels_capsnet": ModelSpec(
        title="Michels CapsNet",
        network=michels_capsnet,
        sizes=CAPSULE_SIZES,
        loss="margin",
        conditional=True,
        colour="#B3409E",
        marker="triangle-down",
    ),
}
"""All models by name, as in URLs, store keys and `build`, in the order in which they are listed."""


def spec(name: str) -> ModelSpec:
    """The spec of a model.

    Raises: ValueError: when there is none of that name; the message lists those there are.
    """
    if name not in MODELS:
        raise ValueError(f"expected a model among {', '.join(MODELS)}, got {name!r}; choose one of these")
    return MODELS[name]


def title_of(name: str) -> str:
    """The title of a model.

    Raises: ValueError: as `spec`.
    """
    return spec(name).title
