"""A small residual network: a classifier with nothing in common with the capsules' encoder."""

from torch import Tensor, nn
from torch.nn import functional as F

from core.models.base import Shape

GROUPS = 4
RESIDUAL_SIZES = {"paper": 64, "compact": 16}


class Block(nn.Module):
    """Two 3x3 convolutions around which the input is passed on. Source: he2016, with wu2018's normalisation.

    Batch normalisation would make an image's logits depend on the images beside it during training, and
    brings running means that half precision rounds.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(GROUPS, channels), nn.GroupNorm(GROUPS, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, h, w) to maps of the same shape."""
        inner = self.conv1(F.relu(self.norm1(x)))
        return x + self.conv2(F.relu(self.norm2(inner)))


class ResidualNet(nn.Module):
    """Three halvings of the image, a block after each of the first two, and one linear layer.

    Args:
        shape: (C, H, W) of an image.
        n_classes: J, number of classes.
        maps: Of the first convolution, see `RESIDUAL_SIZES`.
    """

    def __init__(self, shape: Shape, n_classes: int, maps: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.features = nn.Sequential(
            nn.Conv2d(channels, maps, 3, stride=2, padding=1),
            Block(maps),
            nn.Conv2d(maps, 2 * maps, 3, stride=2, padding=1),
            Block(2 * maps),
            nn.ReLU(),
            nn.Conv2d(2 * maps, 4 * maps, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Linear(4 * maps * (-(-height // 8)) * (-(-width // 8)), n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to logits (B, J)."""
        return self.head(self.features(x).flatten(1))
