"""A convolution of few input channels, computed as one matrix product over image patches."""

from typing import Any, cast

import torch
from torch import Tensor, nn


class PatchProduct(torch.autograd.Function):
    """Weights times the patches around every place of an image."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, size: tuple[int, int]) -> Tensor:
        """Multiply.

        Args:
            x: Images (B, C, H, W).
            weight: (out, C * rows * columns).
            bias: (out,).
            size: (rows, columns) of a patch.
        Returns: (B, h, w, out).
        """
        patches = extract(x, size)
        # Training needs the patches again; attacks, with frozen weights, do not keep them.
        ctx.save_for_backward(weight, *([patches] if weight.requires_grad else []))
        ctx.shape, ctx.size = x.shape, size
        height, width = (side - k + 1 for side, k in zip(x.shape[2:], size, strict=True))
        return torch.addmm(bias, patches, weight.T).view(len(x), height, width, -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients of x, weight and bias."""
        weight, *patches = ctx.saved_tensors
        rows, columns = ctx.size
        batch, channels, height, width = ctx.shape
        g = gradient.to(weight.dtype).flatten(0, 2)
        g_x = g_weight = g_bias = None
        if ctx.needs_input_grad[0]:
            # One plane per patch pixel, so that putting patches together again is adding shifted planes.
            # Sums are made in single precision at least: up to 81 terms add up.
            planes = (weight.T @ g.T).to(torch.promote_types(weight.dtype, torch.float32))
            planes = planes.view(channels, rows, columns, batch, *gradient.shape[1:3])
            wide = planes.new_zeros(channels, rows, batch, gradient.shape[1], width)
            for column in range(columns):
                wide[..., column : column + gradient.shape[2]] += planes[:, :, column]
            whole = planes.new_zeros(channels, batch, height, width)
            for row in range(rows):
                whole[:, :, row : row + gradient.shape[1]] += wide[:, row]
            g_x = whole.transpose(0, 1).to(weight.dtype)
        if ctx.needs_input_grad[1]:
            g_weight = g.T @ patches[0]
        if ctx.needs_input_grad[2]:
            g_bias = g.sum(0)
        return g_x, g_weight, g_bias, None


def extract(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Patches of images (B, C, H, W), (B * h * w, C * rows * columns)."""
    windows = x.unfold(2, size[0], 1).unfold(3, size[1], 1)  # (B, C, h, w, rows, columns)
    return windows.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(0, 2)


class PatchConv2d(nn.Conv2d):
    """A stride-1 convolution computed as one matrix product over image patches.

    With one to three input channels this is several times faster than the library's direct kernels,
    forward and backward, and it computes the same function with the same weights.

    Args:
        in_channels, out_channels: As for a convolution.
        kernel_size: Side of a patch.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size)
        self.patch = (kernel_size, kernel_size)

    def forward(self, input: Tensor) -> Tensor:
        """Images (B, C, H, W) to maps (B, out, h, w), stored channels last."""
        where, dtype = input.device.type, input.dtype
        if torch.is_autocast_enabled(where):
            dtype = torch.get_autocast_dtype(where)
        assert self.bias is not None
        with torch.autocast(where, enabled=False):
            weight, bias = self.weight.flatten(1).to(dtype), self.bias.to(dtype)
            maps = cast(Tensor, PatchProduct.apply(input.to(dtype), weight, bias, self.patch))
        return maps.permute(0, 3, 1, 2)
