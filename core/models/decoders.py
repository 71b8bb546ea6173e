"""Deeper reconstruction networks."""

from torch import nn


class DeconvDecoder(nn.Sequential):
    """One fully connected layer to maps a quarter of the image's side, then four transposed convolutions.

    The maps are normalised over the batch: what reaches them are a few numbers of length below 1, on which the
    layers after them would be slow to train.

    Args:
        inputs: Numbers given to the decoder for one image.
        maps: Of the fully connected layer and of the first three transposed convolutions.
        shape: (C, H, W) of the image; H and W are multiples of 4.
    Raises: ValueError: for an image whose sides are not multiples of 4.
    Source: rajasegaran2019, in its public code the decoder for 32x32 images, which has no rectifiers between the
        transposed convolutions and one at the end. Here they have them, and the last is a sigmoid as in qin2020.
    """

    def __init__(self, inputs: int, maps: tuple[int, int, int, int], shape: tuple[int, int, int]) -> None:
        channels, height, width = shape
        if height % 4 or width % 4:
            raise ValueError(f"expected an image whose sides are multiples of 4, got {height}x{width}")
        rows, columns = height // 4, width // 4
        first, second, third, fourth = maps
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
