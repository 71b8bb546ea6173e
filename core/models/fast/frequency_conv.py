"""A wide convolution with stride 2, computed as products of spectra when its weights are at rest.

By the convolution theorem a convolution is a product at every frequency. With stride 2 the image falls into
four phases (even and odd rows and columns), each convolved with its phase of the kernel at stride 1. For 9x9
kernels on 20x20 maps this takes 3.5 times fewer multiplications than the sum over the kernel, forward and
backward, at the same rounding error; all of it is matrix products.
"""

import math
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.models.fast.derived import Derived

# Below these, moving to frequencies and back costs more than it saves (measured on CPUs, both precisions).
MIN_CHANNELS = 128
MIN_BATCH = 3


@lru_cache(maxsize=8)
def transforms(rows: int, columns: int, out_rows: int, out_columns: int) -> tuple[Tensor, Tensor]:
    """The discrete Fourier transform of real maps and its inverse, as real matrices.

    Of each pair of conjugate frequencies one is kept. F frequencies have 2F parts: real, imaginary.

    Args:
        rows, columns: Size of a map.
        out_rows, out_columns: The corner of the inverse that is wanted.
    Returns: (2F, rows * columns) and (out_rows * out_columns, 2F), float64.
    """
    numbers = [(a, b) for a in range(rows) for b in range(columns)]
    kept = [(a, b) for a, b in numbers if (a, b) <= (-a % rows, -b % columns)]
    own_conjugate = torch.tensor([(a, b) == (-a % rows, -b % columns) for a, b in kept])
    size = torch.tensor([rows, columns], dtype=torch.float64)
    places = torch.tensor(numbers, dtype=torch.float64)
    angle = 2 * math.pi * (torch.tensor(kept, dtype=torch.float64) / size) @ places.T
    forward = torch.stack([angle.cos(), -angle.sin()], 1)  # (F, 2, rows * columns)
    count = torch.where(own_conjugate, 1.0, 2.0).double() / (rows * columns)
    inverse = (forward * count[:, None, None]).flatten(0, 1).T
    corner = (places[:, 0] < out_rows) & (places[:, 1] < out_columns)
    return forward.flatten(0, 1), inverse[corner].contiguous()


class SpectralProduct(torch.autograd.Function):
    """Maps times the spectrum of a kernel; differentiable in the maps alone."""

    @staticmethod
    def forward(
        ctx: Any, maps: Tensor, spectrum: Tensor, to: Tensor, back: Tensor, reach: tuple[int, int]
    ) -> Tensor:
        """Convolve.

        Args:
            maps: (B, 2h, 2w, C), channels last.
            spectrum: Of the kernel, (F, 4C, 2 * out): real parts, then imaginary ones, of each frequency.
            to, back: From `transforms`, (2F, h * w) and (places, 2F).
            reach: Rows and columns that any window covers; beyond them the gradient is exactly zero.
        Returns: (B, places, out).
        """
        batch, height, width, channels = maps.shape
        frequencies, out = len(spectrum), spectrum.shape[2] // 2
        ctx.save_for_backward(spectrum, to, back)
        ctx.reach = reach
        ctx.size = (batch, height // 2, width // 2, channels)
        phases = maps.view(batch, height // 2, 2, width // 2, 2, channels).permute(1, 3, 0, 2, 4, 5)
        x = to @ phases.reshape(to.shape[1], -1)  # (2F, B * 4C)
        products = torch.bmm(x.view(frequencies, 2 * batch, -1), spectrum).view(frequencies, 2, batch, 2, out)
        real = products[:, 0, :, 0] + products[:, 1, :, 1]  # x times the kernel's conjugate: correlation
        imaginary = products[:, 1, :, 0] - products[:, 0, :, 1]
        y = torch.stack([real, imaginary], 1).view(2 * frequencies, batch * out)
        return (back @ y).view(-1, batch, out).transpose(0, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The transposed products, in reverse order."""
        spectrum, to, back = ctx.saved_tensors
        batch, height, width, channels = ctx.size
        frequencies = len(spectrum)
        g = gradient.to(spectrum.dtype).transpose(0, 1).reshape(back.shape[0], -1)
        real, imaginary = (back.T @ g).view(frequencies, 2, batch, -1).unbind(1)
        rows = (torch.cat([real, -imaginary], -1), torch.cat([imaginary, real], -1))
        x = torch.bmm(torch.stack(rows, 1).flatten(1, 2), spectrum.mT)  # (F, 2B, 4C)
        phases = (to.T @ x.view(2 * frequencies, -1)).view(height, width, batch, 2, 2, channels)
        maps = phases.permute(2, 0, 3, 1, 4, 5).reshape(batch, 2 * height, 2 * width, channels)
        # Rounding would leave a little there, and a sign step would make as much of it as of anything.
        maps[:, ctx.reach[0] :] = 0
        maps[:, :, ctx.reach[1] :] = 0
        return maps, None, None, None, None


class FrequencyConv2d(nn.Conv2d):
    """A convolution with stride 2 that goes through frequencies when that is faster.

    That is: on a CPU, with frozen weights (an attack's or a detector's, not a training's), many channels, and
    more than one or two images. The kernel's spectrum is computed once per state of the weights.

    Args:
        in_channels, out_channels, kernel_size: As for a convolution; no padding.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride=2)
        self._derived = Derived()

    def forward(self, input: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, out, h, w)."""
        worthwhile = min(self.in_channels, self.out_channels) >= MIN_CHANNELS and len(input) >= MIN_BATCH
        if not worthwhile or self.weight.requires_grad or input.device.type != "cpu":
            return super().forward(input)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype
        with torch.autocast("cpu", enabled=False):
            return self.through_frequencies(input.to(dtype))

    def through_frequencies(self, input: Tensor) -> Tensor:
        """The convolution, in the precision of its input."""
        # Odd sizes get one more row or column, which no window covers.
        maps = F.pad(input.permute(0, 2, 3, 1), (0, 0, 0, input.shape[3] % 2, 0, input.shape[2] % 2))
        rows, columns = maps.shape[1] // 2, maps.shape[2] // 2
        k, m = self.kernel_size
        height, width = (input.shape[2] - k) // 2 + 1, (input.shape[3] - m) // 2 + 1
        reach = 2 * (height - 1) + k, 2 * (width - 1) + m
        to, back = (matrix.to(input.dtype) for matrix in transforms(rows, columns, height, width))
        spectrum = self.spectrum(rows, columns, input.dtype)
        y = cast(Tensor, SpectralProduct.apply(maps.contiguous(), spectrum, to, back, reach))
        if self.bias is not None:
            y = y + self.bias.to(input.dtype)
        return y.view(len(input), height, width, self.out_channels).permute(0, 3, 1, 2)

    def spectrum(self, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        """The kernel's spectrum, (F, 4C, 2 * out)."""

        def make() -> Tensor:
            to = transforms(rows, columns, 1, 1)[0].to(self.weight.dtype)
            height, width = self.kernel_size
            padded = F.pad(self.weight.detach(), (0, 2 * columns - width, 0, 2 * rows - height))
            phases = padded.view(*padded.shape[:2], rows, 2, columns, 2).permute(2, 4, 3, 5, 1, 0)
            parts = to @ phases.reshape(rows * columns, -1)  # (2F, 4C * out)
            parts = parts.view(len(to) // 2, 2, -1, self.out_channels).to(dtype)
            return parts.transpose(1, 2).flatten(2).contiguous()

        return self._derived.get(self.weight, (rows, columns, dtype), make)
