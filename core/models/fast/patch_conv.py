"""A convolution of few input channels, computed as matrix products."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.models.fast.derived import Derived


class PatchProduct(torch.autograd.Function):
    """Weights times the patches around every place of an image, several neighbouring places at once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bands: Tensor, bias: Tensor, size: tuple[int, int, int]) -> Tensor:
        """Multiply.

        Args:
            x: Images (B, C, H, W).
            bands: Weights as `spread_out` gives them, (T * out, C * rows * (columns + T - 1)).
            bias: (out,).
            size: (rows, columns, T): of a place's patch, and how many places of a row are computed at once.
        Returns: (B, h, w, out), with w a multiple of T.
        """
        rows, columns, tile = size
        patches = extract(x, rows, columns + tile - 1, tile)
        # Training needs the patches again; attacks, with frozen weights, do not keep them.
        ctx.save_for_backward(bands, *([patches] if ctx.needs_input_grad[1] else []))
        ctx.size, ctx.width = size, x.shape[3]
        shape = len(x), x.shape[2] - rows + 1, x.shape[3] - columns + 1, len(bias)
        return torch.addmm(bias.repeat(tile), patches, bands.T).view(shape)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients of x, bands and bias."""
        bands, *patches = ctx.saved_tensors
        rows, columns, tile = ctx.size
        batch, height, width, out = gradient.shape
        g = gradient.to(bands.dtype).reshape(-1, len(bands))
        g_x = g_bands = g_bias = None
        if ctx.needs_input_grad[0]:
            parts = (g @ bands).view(batch, height, width // tile, -1, rows, columns + tile - 1)
            g_x = add_up(parts, tile, ctx.width).to(bands.dtype)
        if patches:
            g_bands = g.T @ patches[0]
        if ctx.needs_input_grad[2]:
            g_bias = g.view(-1, out).sum(0)
        return g_x, g_bands, g_bias, None


def extract(x: Tensor, rows: int, columns: int, stride: int) -> Tensor:
    """Patches of images (B, C, H, W), every `stride`-th of a row, (B * h * places, C * rows * columns)."""
    windows = x.unfold(2, rows, 1).unfold(3, columns, stride)  # (B, C, h, places, rows, columns)
    return windows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)


def add_up(parts: Tensor, stride: int, width: int) -> Tensor:
    """Images from patches that overlap, the transpose of `extract`.

    Args:
        parts: (B, h, places, C, rows, columns).
        stride: Between two places of a row.
        width: W.
    Returns: (B, C, h + rows - 1, W), in single precision at least, as all sums are.
    """
    batch, height, places, channels, rows, columns = parts.shape
    # Between rows of zeros the parts of one row of the image lie at equal distances: a view of them, one sum.
    dtype = torch.promote_types(parts.dtype, torch.float32)
    padded = parts.new_zeros(batch, height + 2 * (rows - 1), channels, rows, width, dtype=dtype)
    middle = padded[:, rows - 1 : rows - 1 + height]
    for place in range(places):
        middle[..., place * stride : place * stride + columns] += parts[:, :, place]
    of_image, of_row, of_channel, of_part, _ = padded.stride()
    together = padded.as_strided(
        (batch, channels, height + rows - 1, rows, width),
        (of_image, of_channel, of_row, of_row - of_part, 1),
        (rows - 1) * of_part,
    )
    return together.sum(3)


def spread_out(weight: Tensor, tile: int) -> Tensor:
    """Weights (out, C, rows, columns) as a map from the patch of `tile` neighbours to the maps of them all.

    Every neighbour has a copy of the weights, shifted to where it looks: a band of a Toeplitz matrix. That
    takes more multiplications than a patch for each, and moves far less memory.

    Returns: (tile * out, C * rows * (columns + tile - 1)).
    """
    shifted = [F.pad(weight, (place, tile - 1 - place)) for place in range(tile)]
    return torch.stack(shifted).flatten(2).flatten(0, 1)


def neighbours(width: int, columns: int) -> int:
    """How many places of a row of `width` are computed at once: about half a kernel, no rest (measured)."""
    width = max(width, 1)  # an image smaller than the kernel has no places, as torch will say
    least = min(max(2, (columns - 1) // 2), width)
    return next(tile for tile in range(least, width + 1) if width % tile == 0)


class PatchConv2d(nn.Conv2d):
    """A stride-1 convolution computed as a matrix product over image patches.

    With one to three input channels this is several times faster than the library's direct kernels,
    forward and backward, and it computes the same function with the same weights.

    Args:
        in_channels, out_channels: As for a convolution.
        kernel_size: Side of a patch.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self._derived = Derived()

    def forward(self, input: Tensor) -> Tensor:
        """Images (B, C, H, W) to maps (B, out, h, w), stored channels last."""
        where, dtype = input.device.type, input.dtype
        if torch.is_autocast_enabled(where):
            dtype = torch.get_autocast_dtype(where)
        assert self.bias is not None
        rows, columns = self.kernel_size
        tile = neighbours(input.shape[3] - columns + 1, columns)
        with torch.autocast(where, enabled=False):
            bands = self._derived.get(
                self.weight, (tile, dtype), lambda: spread_out(self.weight.to(dtype), tile)
            )
            bias, size = self.bias.to(dtype), (rows, columns, tile)
            maps = cast(Tensor, PatchProduct.apply(input.to(dtype), bands, bias, size))
        return maps.permute(0, 3, 1, 2)
