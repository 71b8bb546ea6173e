"""DeepCaps: convolutional capsules in residual blocks, the last of them with routing over space."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.models.base import ReconstructingNet, Shape
from core.models.capsules import length_logit, squash
from core.models.decoders import DeconvDecoder
from core.models.layers import standardise
from core.models.routing import Routing


@dataclass(frozen=True)
class DeepSize:
    """Widths of DeepCaps.

    Attributes:
        enlarge: Factor by which images are enlarged before the first layer.
        width: Maps of the first convolution.
        types: Capsule types of every convolutional capsule layer.
        dims: Dimension of their capsules, in the first block and in the other three.
        pose: Dimension of a class capsule.
        decoder: Makes the decoder, from how many numbers it is given for one image, and the image's shape.
    """

    enlarge: int
    width: int
    types: int
    dims: tuple[int, int]
    pose: int
    decoder: Callable[[int, Shape], nn.Module]


DEEPCAPS_SIZES = {
    "paper": DeepSize(
        enlarge=2,
        width=128,
        types=32,
        dims=(4, 8),
        pose=32,
        decoder=partial(DeconvDecoder, maps=(16, 64, 32, 16)),
    ),
    "compact": DeepSize(
        enlarge=1,
        width=32,
        types=6,
        dims=(4, 8),
        pose=16,
        decoder=partial(DeconvDecoder, maps=(16, 32, 16, 8)),
    ),
}


class CapsuleConv2d(nn.Conv2d):
    """3x3 convolution without bias whose maps are read as capsules and squashed; no routing.

    Args:
        maps: Input maps.
        types: T, capsule types that come out.
        dim: D, their dimension: `forward` gives maps (B, T * D, h, w), those of a type side by side.
        stride: 2 halves the side, rounding up.
    Source: rajasegaran2019, ConvCaps with one routing iteration.
    """

    def __init__(self, maps: int, types: int, dim: int, stride: int = 1) -> None:
        super().__init__(maps, types * dim, 3, stride, padding=1, bias=False)
        self.dim = dim
        # Capsules of length 1/2 going in come out of this about as long. Squash maps short vectors to far
        # shorter ones: with the usual init nothing would be left of the signal after a few of these layers.
        nn.init.normal_(self.weight, std=2.5 * (9 * maps) ** -0.5)

    def forward(self, input: Tensor) -> Tensor:
        """Maps (B, maps, H, W) to capsules, as maps (B, T * D, h, w)."""
        places = super().forward(input).permute(0, 2, 3, 1)  # (B, h, w, T * D)
        return squash(places.unflatten(-1, (-1, self.dim))).flatten(-2).permute(0, 3, 1, 2)


class Routing3d(nn.Module):
    """Dynamic routing of convolutional capsules over types and space, three iterations.

    Every input type votes through the same 3x3 convolution. Its coupling is a softmax over the output types
    *and all places*, and the output capsules of one type, at all places, are squashed together.

    Args:
        inputs: I, capsule types going in.
        outputs: J, types coming out.
        dim: D, dimension of both.
        iterations: Routing passes, at least 1.
    Source: rajasegaran2019, softmax_3D and squash_3D as in its public code.
    """

    def __init__(self, inputs: int, outputs: int, dim: int, iterations: int = 3) -> None:
        super().__init__()
        self.inputs, self.outputs, self.dim, self.iterations = inputs, outputs, dim, iterations
        self.votes = nn.Conv2d(dim, outputs * dim, 3, padding=1, bias=False)
        self.bias = nn.Parameter(torch.full((outputs, dim, 1, 1), 0.1))
        nn.init.kaiming_normal_(self.votes.weight)

    def forward(self, maps: Tensor) -> Tensor:
        """Capsules as maps (B, I * D, h, w) to capsules as maps (B, J * D, h, w), squashed."""
        batch, _, height, width = maps.shape
        apart = maps.reshape(batch * self.inputs, self.dim, height, width)
        votes = self.votes(apart).view(batch, self.inputs, self.outputs, self.dim, height, width)
        votes = votes.to(self.bias.dtype)  # couplings differ by less than bfloat16 resolves
        agreement = votes.new_zeros(batch, self.inputs, self.outputs, 1, height, width)
        v = self.squashed(agreement, votes)
        for _ in range(self.iterations - 1):
            agreement = agreement + (votes * v.unsqueeze(1)).sum(3, keepdim=True)
            v = self.squashed(agreement, votes)
        return v.flatten(1, 2)

    def squashed(self, agreement: Tensor, votes: Tensor) -> Tensor:
        """Outputs (B, J, D, h, w) from agreement (B, I, J, 1, h, w) and votes (B, I, J, D, h, w)."""
        coupling = agreement.flatten(2).softmax(-1).view_as(agreement)
        s = (coupling * votes).sum(1) + self.bias
        return squash(s.flatten(2)).view_as(s)


class Block(nn.Module):
    """Residual block: one capsule layer of stride 2, then two layers beside a skip layer, summed.

    Args:
        maps: Input maps.
        types, dim: Of all its capsules.
        skip: The layer of the skip connection.
    """

    def __init__(self, maps: int, types: int, dim: int, skip: nn.Module) -> None:
        super().__init__()
        self.down = CapsuleConv2d(maps, types, dim, stride=2)
        self.skip = skip
        self.path = nn.Sequential(
            CapsuleConv2d(types * dim, types, dim), CapsuleConv2d(types * dim, types, dim)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (B, maps, H, W) to capsules, as maps (B, T * D, H / 2, W / 2)."""
        capsules = self.down(maps)
        return self.path(capsules) + self.skip(capsules)


class DeepCaps(ReconstructingNet):
    """DeepCaps: the capsules of the last two of its four blocks are routed to the class capsules.

    The decoder is given the capsule of one class alone, as one vector, and is not told which class it is.

    Args:
        shape: (C, H, W) of an image.
        n_classes: J, number of classes.
        size: Widths, see `DEEPCAPS_SIZES`.
    Source: rajasegaran2019 and its public code, which enlarges 32x32 images to 64x64; qin2020, section 5.4.
    """

    def __init__(self, shape: Shape, n_classes: int, size: DeepSize) -> None:
        super().__init__(shape, n_classes)
        channels, height, width = shape
        types, (first, dim) = size.types, size.dims
        self.enlarge, self.dim = size.enlarge, dim
        self.stem = nn.Sequential(
            nn.Conv2d(channels, size.width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(size.width)
        )
        self.blocks = nn.ModuleList(
            [
                Block(size.width, types, first, CapsuleConv2d(types * first, types, first)),
                Block(types * first, types, dim, CapsuleConv2d(types * dim, types, dim)),
                Block(types * dim, types, dim, CapsuleConv2d(types * dim, types, dim)),
                Block(types * dim, types, dim, Routing3d(types, types, dim)),
            ]
        )
        places = [
            ceil(height * size.enlarge / stride) * ceil(width * size.enlarge / stride) for stride in (8, 16)
        ]
        self.head = Routing(types * sum(places), dim, n_classes, size.pose)
        # Its input capsules are long, however many: with its own init, nearly all classes would start at a
        # length of 1, where the margin loss has no gradient.
        nn.init.trunc_normal_(self.head.weight, std=(types * sum(places)) ** -0.5)
        self.decoder = size.decoder(size.pose, shape)

    def capsules(self, maps: Tensor) -> Tensor:
        """Maps (B, T * D, h, w) as a list of capsules (B, h * w * T, D)."""
        return maps.permute(0, 2, 3, 1).reshape(len(maps), -1, self.dim)

    def logits_and_poses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] to logits (B, J) and class capsules (B, J, D)."""
        x = standardise(x)
        if self.enlarge > 1:
            x = F.interpolate(x, scale_factor=self.enlarge, mode="bilinear")
        maps = [self.stem(x)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        s = self.head(torch.cat([self.capsules(maps[-1]), self.capsules(maps[-2])], 1))
        return length_logit(s), squash(s)

    def decode(self, poses: Tensor, label: Tensor) -> Tensor:
        """Images (B, C, H, W) from the capsule of `label` (B,) among poses (B, J, D)."""
        return self.decoder(poses[torch.arange(len(poses), device=poses.device), label])
