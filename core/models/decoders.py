"""Reconstruction networks: from numbers that say what is in an image to its pixels."""

from math import prod

import torch
from torch import Tensor, nn

from core.models.base import Shape


class Decoder(nn.Sequential):
    """Fully connected: two ReLU layers and a sigmoid.

    Args:
        inputs: Numbers given to the decoder for one image.
        shape: (C, H, W) of the image; what comes out is flat, (B, C * H * W).
        hidden: Units of the two layers, 512 and 1024 in the paper.
    Source: qin2020, section 4.
    """

    def __init__(self, inputs: int, shape: Shape, hidden: tuple[int, int]) -> None:
        first, second = hidden
        super().__init__(
            nn.Linear(inputs, first),
            nn.ReLU(),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Linear(second, prod(shape)),
            nn.Sigmoid(),
        )


class JoinedDecoder(nn.Module):
    """Fully connected: two ReLU layers of which both are passed on to a third, and a sigmoid.

    Args:
        inputs: Numbers given to the decoder for one image.
        shape: (C, H, W) of the image; what comes out is flat, (B, C * H * W).
        hidden: Units of the three layers.
    Source: michels2019's decoder for CIFAR-10; its public code passes the second layer on twice.
    """

    def __init__(self, inputs: int, shape: Shape, hidden: tuple[int, int, int]) -> None:
        super().__init__()
        first, second, third = hidden
        self.first = nn.Sequential(nn.Linear(inputs, first), nn.ReLU())
        self.second = nn.Sequential(nn.Linear(first, second), nn.ReLU())
        self.last = nn.Sequential(
            nn.Linear(first + second, third), nn.ReLU(), nn.Linear(third, prod(shape)), nn.Sigmoid()
        )

    def forward(self, poses: Tensor) -> Tensor:
        """Numbers (B, inputs) to images (B, C * H * W)."""
        first = self.first(poses)
        return self.last(torch.cat([first, self.second(first)], 1))


class DeconvDecoder(nn.Sequential):
    """Deeper: a fully connected layer to maps a quarter of the image's size, four transposed convolutions.

    The first maps are normalised over the batch: poses are shorter than 1, and without it the other layers
    are slow to learn.

    Args:
        inputs: Numbers given to the decoder for one image.
        shape: (C, H, W) of the image; H and W are multiples of 4.
        maps: Of the fully connected layer and of the first three transposed convolutions.
    Raises: ValueError: for an image whose sides are not multiples of 4.
    Source: rajasegaran2019, in its public code the decoder for 32x32 images, which has no ReLU between the
        transposed convolutions and one at the end. Here ReLU comes between, and a sigmoid at the end.
    """

    def __init__(self, inputs: int, shape: Shape, maps: tuple[int, int, int, int]) -> None:
        channels, height, width = shape
        if height % 4 or width % 4:
            raise ValueError(f"expected an image whose sides are multiples of 4, got {height}x{width}")
        first, second, third, fourth = maps
        rows, columns = height // 4, width // 4
        super().__init__(
            nn.Linear(inputs, first * rows * columns),
            nn.ReLU(),
            nn.Unflatten(1, (first, rows, columns)),
            nn.BatchNorm2d(first),
            nn.ConvTranspose2d(first, second, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(second, third, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(third, fourth, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(fourth, channels, 3, padding=1),
            nn.Sigmoid(),
        )
