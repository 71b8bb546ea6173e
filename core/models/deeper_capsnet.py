"""CapsNet for photographs: more convolutions before the capsules, and a deeper reconstruction network."""

from functools import partial
from math import ceil

from torch import Tensor, nn

from core.models.capsnet import CapsNet
from core.models.decoders import DeconvDecoder
from core.models.groups import GroupSize
from core.models.layers import PRIMARY_DIM, standardise

DEEPER_SIZES = {
    "paper": GroupSize(width=128, types=64, decoder=partial(DeconvDecoder, maps=(16, 64, 32, 16))),
    "compact": GroupSize(width=32, types=8, decoder=partial(DeconvDecoder, maps=(16, 32, 16, 8))),
}


class DeeperEncoder(nn.Sequential):
    """Four 3x3 convolutions with batch normalisation and ReLU, two of them halving, then the capsules' one.

    Args:
        channels: Colour channels of the image.
        width: Maps of the first two convolutions; the next two have twice as many.
        types: Capsule types, each of 8 maps, of the last one, which halves again.
    """

    def __init__(self, channels: int, width: int, types: int) -> None:
        capsules = nn.Conv2d(2 * width, types * PRIMARY_DIM, 3, stride=2, padding=1)
        # CapsNet divides by the number of types: this gives capsules a length of about one half.
        nn.init.normal_(capsules.weight, std=types * capsules.weight[0].numel() ** -0.5)
        super().__init__(
            *self.unit(channels, width, 1),
            *self.unit(width, width, 2),
            *self.unit(width, 2 * width, 1),
            *self.unit(2 * width, 2 * width, 2),
            capsules,
        )

    @staticmethod
    def unit(maps: int, width: int, stride: int) -> list[nn.Module]:
        """Convolution, normalisation, ReLU."""
        return [nn.Conv2d(maps, width, 3, stride, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]

    def forward(self, input: Tensor) -> Tensor:
        """Images (B, C, H, W) to maps (B, 8 * types, h, w)."""
        return super().forward(standardise(input))


class DeeperCapsNet(CapsNet):
    """CapsNet with deeper networks before its capsules and behind them.

    The paper says of its CIFAR-10 model that the reconstruction network is deeper and that 92.2 % are right,
    which two convolutions do not reach (sabour2017: 89.4 %, by seven of them together); no more is known.

    Args:
        shape: (C, H, W) of an image; H and W are multiples of 4.
        n_classes: J, number of classes.
        size: Widths, see `DEEPER_SIZES`.
    Source: qin2020, section 5.4; the 64 types are sabour2017's for CIFAR-10, the decoder is what
        rajasegaran2019's public code gives a CapsNet for 32x32 images.
    """

    def make_encoder(self, size: GroupSize) -> tuple[nn.Module, int]:
        """The layers between image and capsules, maps of 8 for each type; how many places the maps have."""
        channels, height, width = self.shape
        return DeeperEncoder(channels, size.width, size.types), ceil(height / 8) * ceil(width / 8)


class CapsNetAll(DeeperCapsNet):
    """Deeper CapsNet without the mask: the decoder sees every class's capsule, so `label` does not matter.

    Source: qin2020, section 5.4.
    """

    conditional = False
