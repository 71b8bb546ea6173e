"""The networks of michels2019: a plain ConvNet, and capsule networks behind one or two convolutions.

Every data set has sizes of its own; where a size is named "paper-svhn", "paper" alone is that of MNIST.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from core.models.base import Shape
from core.models.capsnet import CapsNet
from core.models.dcnet import DENSE_SIZES, DCNet, DenseSize
from core.models.decoders import Decoder, DeconvDecoder
from core.models.fast.frequency_conv import FrequencyConv2d
from core.models.fast.patch_conv import PatchConv2d
from core.models.groups import GroupSize
from core.models.layers import PRIMARY_DIM, standardise

PRIMARY_KERNEL = 9


@dataclass(frozen=True)
class ConvSize:
    """Widths of the ConvNet.

    Attributes:
        blocks: For each its kernel, its maps and its convolutions, all before one halving.
        units: Of the fully connected layer.
        dropout: Share of maps dropped after a block; half of the units are dropped.
    """

    blocks: tuple[tuple[int, int, int], ...]
    units: int
    dropout: float = 0.15


CONV_SIZES = {
    "paper": ConvSize(((5, 32, 1), (3, 64, 1), (3, 128, 1)), 1024),
    "paper-cifar10": ConvSize(((5, 32, 2), (3, 64, 2), (3, 128, 1)), 1024, dropout=0.1),
    "compact": ConvSize(((5, 24, 1), (3, 48, 1), (3, 96, 1)), 128),
    "compact-cifar10": ConvSize(((5, 24, 2), (3, 48, 2), (3, 96, 1)), 128, dropout=0.1),
}


class MichelsConvNet(nn.Module):
    """Blocks of convolutions, each halved, thinned out and normalised over the batch; two linear layers.

    Args:
        shape: (C, H, W) of an image.
        n_classes: J, number of classes.
        size: Widths, see `CONV_SIZES`.
    Source: michels2019, section 4.1, and its public code, from which the order of the layers is.
    """

    def __init__(self, shape: Shape, n_classes: int, size: ConvSize) -> None:
        super().__init__()
        maps, height, width = shape
        layers: list[nn.Module] = []
        for kernel, wide, convolutions in size.blocks:
            for _ in range(convolutions):
                layers += [nn.Conv2d(maps, wide, kernel, padding=kernel // 2), nn.ReLU()]
                maps = wide
            layers += [nn.MaxPool2d(2), nn.Dropout(size.dropout), nn.BatchNorm2d(wide)]
            height, width = height // 2, width // 2
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Linear(maps * height * width, size.units),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(size.units, n_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to logits (B, J)."""
        return self.head(self.features(standardise(x)).flatten(1))


@dataclass(frozen=True)
class FrontSize(GroupSize):
    """Widths of a capsule network; `width` is that of its first convolution.

    Attributes:
        kernel: Of the convolutions before the capsules'.
        second: Maps of the second of these; 0 for none.
    """

    kernel: int = 9
    second: int = 0


CAPSULE_SIZES: Mapping[str, FrontSize | DenseSize] = {
    "paper": FrontSize(64, 32, partial(Decoder, hidden=(512, 1024))),
    "paper-fashion_mnist": FrontSize(32, 16, partial(Decoder, hidden=(512, 1024)), kernel=3, second=32),
    "paper-svhn": FrontSize(64, 64, partial(Decoder, hidden=(2048, 4096)), kernel=5, second=256),
    "paper-cifar10": DENSE_SIZES["paper"],
    "compact": FrontSize(24, 3, partial(Decoder, hidden=(48, 64))),
    "compact-fashion_mnist": FrontSize(24, 2, partial(Decoder, hidden=(32, 48)), kernel=3, second=24),
    "compact-svhn": FrontSize(24, 2, partial(DeconvDecoder, maps=(8, 16, 8, 8)), kernel=5, second=48),
    "compact-cifar10": DENSE_SIZES["compact"],
}


class Front(nn.Sequential):
    """One or two convolutions, each normalised over the batch, then that of the capsules, 9x9 with stride 2.

    Args:
        channels: Colour channels of the image.
        size: Widths.
    """

    def __init__(self, channels: int, size: FrontSize) -> None:
        layers: list[nn.Module] = [
            PatchConv2d(channels, size.width, size.kernel),
            nn.ReLU(),
            nn.BatchNorm2d(size.width),
        ]
        maps = size.width
        if size.second:
            layers += [
                nn.Conv2d(maps, size.second, size.kernel),
                nn.LeakyReLU(0.2),
                nn.BatchNorm2d(size.second),
            ]
            maps = size.second
        capsules = FrequencyConv2d(maps, size.types * PRIMARY_DIM, PRIMARY_KERNEL)
        # CapsNet divides by the number of types: this gives capsules a length of about one half.
        spread = PRIMARY_DIM * capsules.weight[0].numel()
        nn.init.normal_(capsules.weight, std=size.types * spread**-0.5)
        super().__init__(*layers, capsules)

    def forward(self, input: Tensor) -> Tensor:
        """Images (B, C, H, W) to maps (B, 8 * types, h, w)."""
        return super().forward(standardise(input))


class MichelsCapsNet(CapsNet):
    """CapsNet behind one convolution (MNIST) or two (Fashion-MNIST, SVHN), normalised over the batch.

    Args:
        shape: (C, H, W) of an image.
        n_classes: J, number of classes.
        size: Widths, see `CAPSULE_SIZES`.
    Source: michels2019, section 4.1, and its public code, which has 16 capsule types for Fashion-MNIST and
        64 for SVHN where the paper says 32. Routing is sabour2017's, over all primary capsules.
    """

    def make_encoder(self, size: GroupSize) -> tuple[nn.Module, int]:
        """The layers between image and capsules, maps of 8 for each type; how many places the maps have."""
        assert isinstance(size, FrontSize)
        channels, *sides = self.shape
        shrunk = (2 if size.second else 1) * (size.kernel - 1) + PRIMARY_KERNEL
        height, width = ((side - shrunk) // 2 + 1 for side in sides)
        return Front(channels, size), height * width


def michels_capsnet(shape: Shape, n_classes: int, size: FrontSize | DenseSize) -> MichelsCapsNet | DCNet:
    """The capsule network of michels2019 of that size: DCNet for CIFAR-10, else `MichelsCapsNet`."""
    if isinstance(size, DenseSize):
        return DCNet(shape, n_classes, size)
    return MichelsCapsNet(shape, n_classes, size)
