"""A convolution of few input channels, computed as matrix products."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from core.models.derived import Derived


class PatchProduct(torch.autograd.Function):
    """Weights times the patches around every place of an image."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, size: tuple[int, int], bands: Tensor | None
    ) -> Tensor:
        """Multiply.

        Args:
            x: Images (B, C, H, W).
            weight: (out, C * rows * columns).
            bias: (out,).
            size: (rows, columns) of a patch.
            bands: The weights as `spread_out` gives them; only for the gradient of x.
        Returns: (B, h, w, out).
        """
        patches = extract(x, size)
        # Training needs the patches again; attacks, with frozen weights, do not keep them.
        ctx.save_for_backward(bands, *([patches] if weight.requires_grad else []))
        ctx.shape, ctx.size = x.shape, size
        height, width = (side - k + 1 for side, k in zip(x.shape[2:], size, strict=True))
        return torch.addmm(bias, patches, weight.T).view(len(x), height, width, -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients of x, weight and bias."""
        bands, *patches = ctx.saved_tensors
        batch, channels, _, width = ctx.shape
        g_x = g_weight = g_bias = None
        if ctx.needs_input_grad[0]:
            # A row of the output reaches `rows` rows of the image: one product gives what it adds to each.
            g_rows = gradient.to(bands.dtype).flatten(2).flatten(0, 1) @ bands
            g_x = add_up(g_rows.view(batch, -1, channels, ctx.size[0], width))
        if patches:
            g = gradient.to(patches[0].dtype).flatten(0, 2)
            g_weight, g_bias = g.T @ patches[0], g.sum(0)
        return g_x, g_weight, g_bias, None, None


def extract(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Patches of images (B, C, H, W), (B * h * w, C * rows * columns)."""
    windows = x.unfold(2, size[0], 1).unfold(3, size[1], 1)  # (B, C, h, w, rows, columns)
    return windows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)


def add_up(rows: Tensor) -> Tensor:
    """Rows of images from the parts that overlap: row y is the sum over k of part k of y - k.

    Args:
        rows: (B, h, C, K, W).
    Returns: (B, C, h + K - 1, W); sums are made in single precision at least.
    """
    batch, height, channels, parts, width = rows.shape
    # Between rows of zeros the parts of one y lie at equal distances in memory: a view of them, one sum.
    padded = rows.new_zeros(batch, height + 2 * (parts - 1), channels, parts, width)
    padded[:, parts - 1 : parts - 1 + height] = rows
    of_image, of_row, of_channel, of_part, _ = padded.stride()
    together = padded.as_strided(
        (batch, channels, height + parts - 1, parts, width),
        (of_image, of_channel, of_row, of_row - of_part, 1),
        (parts - 1) * of_part,
    )
    return together.sum(3, dtype=torch.promote_types(rows.dtype, torch.float32)).to(rows.dtype)


def spread_out(weight: Tensor, width: int) -> Tensor:
    """Weights (out, C, rows, columns) as the map from a row of the output back to rows of an image.

    Every place of the row has a copy of the weights, shifted to where it looks: a band of a Toeplitz matrix.
    That is more multiplications than patches need, and far less memory to move.

    Args:
        width: W, of the image.
    Returns: (w * out, C * rows * W).
    """
    out, channels, rows, columns = weight.shape
    bands = weight.new_zeros(width - columns + 1, out, channels, rows, width)
    for place, band in enumerate(bands):
        band[..., place : place + columns] = weight
    return bands.flatten(2).flatten(0, 1)


class PatchConv2d(nn.Conv2d):
    """A stride-1 convolution computed as a matrix product over image patches; its gradient, as one over rows.

    With one to three input channels this is several times faster than the library's direct kernels,
    forward and backward, and it computes the same function with the same weights.

    Args:
        in_channels, out_channels: As for a convolution.
        kernel_size: Side of a patch.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.patch = (kernel_size, kernel_size)
        self._derived = Derived()

    def forward(self, input: Tensor) -> Tensor:
        """Images (B, C, H, W) to maps (B, out, h, w), stored channels last."""
        where, dtype = input.device.type, input.dtype
        if torch.is_autocast_enabled(where):
            dtype = torch.get_autocast_dtype(where)
        assert self.bias is not None
        with torch.autocast(where, enabled=False):
            weight, bias = self.weight.flatten(1).to(dtype), self.bias.to(dtype)
            bands = None
            if input.requires_grad and torch.is_grad_enabled():
                width = input.shape[3]
                bands = self._derived.get(
                    self.weight, (width, dtype), lambda: spread_out(self.weight.detach().to(dtype), width)
                )
            maps = cast(Tensor, PatchProduct.apply(input.to(dtype), weight, bias, self.patch, bands))
        return maps.permute(0, 3, 1, 2)
