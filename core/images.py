"""Images at the boundary: one check for every public function that takes them, and exact 8-bit conversion."""

import torch
from torch import Tensor

LEVELS = 255
"""Steps between black and white in 8 bits; one level is 1/255 in pixel units."""


class ImageError(ValueError):
    """Images that are not what was asked for; the message says what was expected and what came."""


def check_images(x: Tensor, *, shape: tuple[int, int, int] | None = None) -> Tensor:
    """Refuse anything but a batch of float32 images in [0, 1].

    An empty batch is refused too: rates and thresholds over nothing have no value, so it is better to hear of
    it here. The pixels are read once, and on a GPU the host waits once.

    Args:
        x: Images (B, C, H, W), float32, finite, in [0, 1]; B >= 1.
        shape: (C, H, W) that every image must have; None accepts any.
    Returns: x itself, unchanged.
    Raises: ImageError: when type, dtype, dimensions, shape or range are others.
    """
    _check_layout(x, torch.float32, shape)
    if x.shape[0] == 0:
        raise ImageError("expected at least one image, got an empty batch; select some images first")
    _check_range(x)
    return x


def to_uint8(x: Tensor) -> Tensor:
    """The nearest 8-bit level of each pixel; undoes `from_uint8` exactly.

    Args:
        x: Images (B, C, H, W), float32 in [0, 1]; B may be 0.
    Returns: (B, C, H, W), uint8.
    Raises: ImageError: as check_images, but for the empty batch.
    """
    return _levels(x).to(torch.uint8)


def from_uint8(x: Tensor) -> Tensor:
    """Pixel units from 8-bit levels: x / 255.

    Args:
        x: Images (B, C, H, W), uint8; B may be 0.
    Returns: (B, C, H, W), float32 in [0, 1].
    Raises: ImageError: when x is no such tensor.
    """
    _check_layout(x, torch.uint8, None)
    return x.to(torch.float32) / LEVELS


def quantise(x: Tensor) -> Tensor:
    """Images as an 8-bit file would keep them: every pixel moved to the nearest multiple of 1/255.

    Equal, bit for bit, to `from_uint8(to_uint8(x))`. No gradient passes.

    Args:
        x: Images (B, C, H, W), float32 in [0, 1]; B may be 0.
    Returns: (B, C, H, W), float32 in [0, 1], at most 1/510 away from x.
    Raises: ImageError: as check_images, but for the empty batch.
    """
    return _levels(x) / LEVELS


def in_levels(delta: Tensor) -> Tensor:
    """Changes of images rounded to 8-bit levels: int8 where that holds all of them, else int16.

    Args:
        delta: In pixel units, (..., C, H, W), from -1 to 1.
    """
    levels = (delta * LEVELS).round()
    return levels.to(_holding(float(levels.abs().max())))


def in_pixels(levels: Tensor) -> Tensor:
    """Changes of images in pixel units, float32, from 8-bit levels of the same shape; undoes `in_levels`."""
    return levels.float() / LEVELS


def add_levels(images: Tensor, levels: Tensor) -> Tensor:
    """Changed images, clipped to what 8 bits hold, (..., C, H, W) uint8.

    Args:
        images: uint8.
        levels: Changes in 8-bit levels, of a shape that broadcasts.
    """
    return (images.short() + levels.short()).clamp(0, LEVELS).to(torch.uint8)


def eight_bit(x: Tensor, x_adv: Tensor, epsilon: float = 1.0) -> Tensor:
    """What attacked images change of clean ones in 8-bit levels, (B, C, H, W), rounded to stay in the ball.

    Args:
        x: Images that are 8-bit, float32 in [0, 1].
        x_adv: Attacked images.
        epsilon: linf radius.
    Returns: int8 where that holds epsilon, else int16.
    """
    levels = int(epsilon * LEVELS + 1e-6)
    delta = to_uint8(x_adv).short() - to_uint8(x).short()
    return delta.clamp(-levels, levels).to(_holding(levels))


def _holding(largest: float) -> torch.dtype:
    """The smallest type of whole numbers that holds levels up to `largest` of either sign."""
    return torch.int8 if largest <= torch.iinfo(torch.int8).max else torch.int16


def _levels(x: Tensor) -> Tensor:
    """Whole levels 0..255 as float32, of checked images."""
    _check_layout(x, torch.float32, None)
    _check_range(x)
    return (x.detach() * LEVELS).round_()


def _check_layout(x: object, dtype: torch.dtype, shape: tuple[int, int, int] | None) -> None:
    """Refuse other types, dtypes, numbers of dimensions and shapes, without reading a pixel."""
    if not isinstance(x, Tensor):
        raise ImageError(f"expected images as a torch.Tensor, got {type(x).__name__}; convert them first")
    if x.dtype != dtype:
        way = "use from_uint8" if x.dtype == torch.uint8 else "convert them first"
        raise ImageError(f"expected images as {dtype}, got {x.dtype}; {way}")
    if x.ndim != 4:
        raise ImageError(
            f"expected images of shape (B, C, H, W), got {tuple(x.shape)}; add or remove dimensions"
        )
    if shape is not None and tuple(x.shape[1:]) != tuple(shape):
        raise ImageError(
            f"expected images of shape (C, H, W) = {tuple(shape)}, got {tuple(x.shape[1:])}; "
            "check that they belong to this data set"
        )
    if 0 in x.shape[1:]:
        raise ImageError(
            f"expected images with at least one pixel, got shape {tuple(x.shape)}; check the source"
        )


def _check_range(x: Tensor) -> None:
    """Refuse pixels outside [0, 1]; the minimum and maximum of a tensor that holds NaN are NaN."""
    if x.shape[0] == 0:
        return
    bounds = torch.stack(torch.aminmax(x.detach())).cpu()
    low, high = float(bounds[0]), float(bounds[1])
    # Written so that NaN, which fails every comparison, is refused as well.
    if not (low >= 0.0 and high <= 1.0):
        if low != low:
            raise ImageError("expected pixels in [0, 1], got NaN among them; look where it came from")
        way = "divide by 255" if high > 2.0 and low >= 0.0 else "clamp them or undo the normalisation"
        raise ImageError(f"expected pixels in [0, 1], got values from {low:g} to {high:g}; {way}")
