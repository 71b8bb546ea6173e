"""DCNet: capsules behind a densely connected block, with a category for what is none of the classes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.models.base import ReconstructingNet, Shape
from core.models.capsules import length_logit, squash
from core.models.decoders import DeconvDecoder, JoinedDecoder
from core.models.layers import standardise


@dataclass(frozen=True)
class DenseSize:
    """Widths of DCNet.

    Attributes:
        growth: Maps that each layer of the dense block adds; the image's channels count with the first.
        layers: Layers of the block after the first.
        primary, middle: Types and dimension of the first two capsule layers.
        pose: Dimension of a class capsule.
        decoder: Makes the decoder, from how many numbers it is given for one image, and the image's shape.
        dropout: Share of maps dropped before the capsules.
    """

    growth: int
    layers: int
    primary: tuple[int, int]
    middle: tuple[int, int]
    pose: int
    decoder: Callable[[int, Shape], nn.Module]
    dropout: float = 0.2


DENSE_SIZES = {
    "paper": DenseSize(32, 7, (32, 12), (64, 24), 48, partial(JoinedDecoder, hidden=(1024, 1024, 2024))),
    "compact": DenseSize(12, 7, (6, 8), (6, 8), 12, partial(DeconvDecoder, maps=(8, 16, 8, 8))),
}


class DenseBlock(nn.Module):
    """3x3 convolutions of which each sees the image and the maps of all before it.

    Args:
        channels: Colour channels of the image.
        growth: Maps that a layer adds; the first adds fewer, so that with the image there are as many.
        layers: Layers after the first, each on maps that are normalised over the batch.
    Source: phaye2018; michels2019's public code.
    """

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, growth - channels, 3, padding=1)
        self.rest = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(growth * (number + 1)),
                nn.Conv2d(growth * (number + 1), growth, 3, padding=1),
                nn.ReLU(),
            )
            for number in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to maps (B, growth * (layers + 1), H, W), the image among them."""
        maps = torch.cat([x, F.relu(self.first(x))], 1)
        for layer in self.rest:
            maps = torch.cat([maps, layer(maps)], 1)
        return maps


class ConvRouting(nn.Module):
    """Dynamic routing between the types of convolutional capsules, at every place by itself.

    The capsules of a type under the kernel vote as one: their transforms, the same wherever the kernel lies,
    are summed over its places.

    Args:
        inputs: I, capsule types going in.
        input_dim: P, their dimension.
        outputs: J, types coming out.
        output_dim: D, their dimension.
        kernel, stride: Of the votes.
        iterations: Routing passes, at least 1.
    Source: michels2019's public code; sabour2017, Procedure 1.
    """

    def __init__(
        self,
        inputs: int,
        input_dim: int,
        outputs: int,
        output_dim: int,
        kernel: int,
        stride: int = 1,
        iterations: int = 3,
    ) -> None:
        super().__init__()
        self.inputs, self.outputs, self.output_dim, self.iterations = inputs, outputs, output_dim, iterations
        self.votes = nn.Conv2d(
            inputs * input_dim, inputs * outputs * output_dim, kernel, stride, groups=inputs, bias=False
        )
        self.bias = nn.Parameter(torch.full((outputs, output_dim, 1, 1), 0.1))
        # From inputs of length 1/2 this gives outputs of about that length: uniform couplings need twice
        # these weights, but routing gathers what they spread.
        nn.init.normal_(self.votes.weight, std=outputs / kernel * (inputs * output_dim) ** -0.5)

    def forward(self, maps: Tensor) -> Tensor:
        """Capsules as maps (B, I * P, h, w) to capsules before squash, (B, J, D, h', w')."""
        votes = self.votes(maps).to(self.bias.dtype)  # couplings differ by less than bfloat16 resolves
        votes = votes.unflatten(1, (self.inputs, self.outputs, self.output_dim))  # (B, I, J, D, h', w')
        agreement = torch.zeros_like(votes[:, :, :, :1])
        s = self.gathered(agreement, votes)
        for _ in range(self.iterations - 1):
            v = squash(s.movedim(2, -1)).movedim(-1, 2)
            agreement = agreement + (votes * v.unsqueeze(1)).sum(3, keepdim=True)
            s = self.gathered(agreement, votes)
        return s

    def gathered(self, agreement: Tensor, votes: Tensor) -> Tensor:
        """Outputs (B, J, D, h, w) from agreement (B, I, J, 1, h, w) and votes (B, I, J, D, h, w)."""
        return (agreement.softmax(2) * votes).sum(1) + self.bias


class DCNet(ReconstructingNet):
    """A dense block, then three layers of convolutional capsules with a none-of-the-above category.

    Each routing layer has one type more than go on: what belongs to no type is routed there and dropped. The
    primary layer's coupling is uniform, so that its extra type only takes its share of it. **While it
    trains, logits have one column more**, of the last layer's extra capsule, which the margin loss keeps
    short; no image has its label.

    Args:
        shape: (C, H, W) of an image.
        n_classes: J, number of classes.
        size: Widths, see `DENSE_SIZES`.
    Source: michels2019, sections 2 and 4.1, and its public code; phaye2018.
    """

    def __init__(self, shape: Shape, n_classes: int, size: DenseSize) -> None:
        super().__init__(shape, n_classes)
        channels, height, _ = shape
        (types, dim), (middle, middle_dim) = size.primary, size.middle
        maps = size.growth * (size.layers + 1)
        self.dim, self.share = dim, types + 1
        self.stem = nn.Sequential(
            DenseBlock(channels, size.growth, size.layers), nn.Dropout(size.dropout), nn.BatchNorm2d(maps)
        )
        self.primary = nn.Conv2d(maps, types * dim, 5, stride=2)
        # Divided by the share, capsules have a length of about one half.
        nn.init.normal_(self.primary.weight, std=self.share * (25 * maps * dim) ** -0.5)
        self.middle = ConvRouting(types, dim, middle + 1, middle_dim, 3, stride=2)
        side = (((height - 5) // 2 + 1) - 3) // 2 + 1
        self.head = ConvRouting(middle, middle_dim, n_classes + 1, size.pose, side)
        self.decoder = size.decoder(n_classes * size.pose, shape)

    def logits_and_poses(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] to logits (B, J), (B, J + 1) in training, and poses (B, J, D).

        Images are square, so that the last layer's kernel covers all places.
        """
        maps = self.primary(self.stem(standardise(x))).to(x.dtype) / self.share
        places = maps.permute(0, 2, 3, 1).unflatten(-1, (-1, self.dim))  # (B, h, w, types, dim)
        capsules = squash(places).flatten(-2).permute(0, 3, 1, 2)
        between = self.middle(capsules).movedim(2, -1)[:, :-1]  # (B, types, h, w, dim)
        between = squash(between).movedim(-1, 2).flatten(1, 2)
        s = self.head(between).flatten(2)  # (B, J + 1, D)
        logits = length_logit(s)
        return logits if self.training else logits[:, :-1], squash(s[:, :-1])

    def decode(self, poses: Tensor, label: Tensor) -> Tensor:
        """Images (B, C, H, W) from poses (B, J, D), through that of `label` (B,) alone."""
        mask = F.one_hot(label, self.n_classes).to(poses.dtype)
        return self.decoder((poses * mask.unsqueeze(-1)).flatten(1)).view(-1, *self.shape)
