"""Tensors to PNG: pictures, perturbations in a diverging map, contact sheets."""

import base64
import io
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

# ColorBrewer's RdBu from its blue end: darker pixels blue, unchanged ones white, brighter ones red. Its ends
# can be told apart with any colour vision.
RED_BLUE = (
    "#053061", "#2166AC", "#4393C3", "#92C5DE", "#D1E5F0", "#F7F7F7",
    "#FDDBC7", "#F4A582", "#D6604D", "#B2182B", "#67001F",
)  # fmt: skip
_STOPS = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in RED_BLUE], np.float32)


def levels(image: Tensor) -> Tensor:
    """8-bit levels, for showing, of an image in [0, 1]; uint8 is passed on."""
    if image.dtype == torch.uint8:
        return image.cpu()
    return (image.detach().float().clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def png(image: Tensor) -> bytes:
    """A picture as PNG.

    Args:
        image: (C, H, W) with C of 1 or 3, or (H, W); uint8, or floats in [0, 1].
    """
    array = levels(image).numpy()
    if array.ndim == 3:
        array = array[0] if array.shape[0] == 1 else array.transpose(1, 2, 0)
    return _encode(array)


def perturbation_png(delta: Tensor, gain: float, *, small: bool = False) -> bytes:
    """A perturbation as PNG: blue is darker, white unchanged, red brighter; colour images around grey.

    Args:
        delta: (C, H, W), floats in pixel units or integers in units of 1/255.
        gain: Factor by which it is magnified; a change of 1 / gain has the full colour.
        small: With few colours, and packed well: for thumbnails by the hundred.
    """
    change = delta.detach().cpu()
    change = (change.float() if change.is_floating_point() else change.float() / 255) * gain
    array = change.clamp(-1, 1).numpy()
    if array.shape[0] == 3:
        return _encode(np.round((array.transpose(1, 2, 0) + 1) * 127.5).astype(np.uint8), small=small)
    place = (array.mean(0) + 1) / 2 * (len(_STOPS) - 1)
    low = np.clip(place.astype(int), 0, len(_STOPS) - 2)
    part = (place - low)[..., None]
    colours = np.round(_STOPS[low] * (1 - part) + _STOPS[low + 1] * part).astype(np.uint8)
    return _encode(colours, small=small)


def contact_sheet(images: Sequence[Tensor], columns: int, scale: int = 1, gap: int = 2) -> bytes:
    """Many pictures of one size as a single PNG, row by row, on a transparent ground.

    Args:
        images: Each (C, H, W), as `png` takes them.
        columns: Pictures in a row.
        scale: Whole factor of enlargement.
        gap: Pixels between pictures.
    """
    if not images:
        raise ValueError("expected at least one picture, got none; leave the sheet out")
    height, width = (side * scale for side in images[0].shape[-2:])
    rows = -(-len(images) // columns)
    size = (columns * (width + gap) - gap, rows * (height + gap) - gap)
    sheet = Image.new("RGBA", size)
    for number, image in enumerate(images):
        tile = Image.open(io.BytesIO(png(image))).convert("RGBA")
        row, column = divmod(number, columns)
        place = (column * (width + gap), row * (height + gap))
        sheet.paste(tile.resize((width, height), Image.Resampling.NEAREST), place)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def data_uri(data: bytes) -> str:
    """A PNG as an address that carries it."""
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def _encode(array: np.ndarray, *, small: bool = False) -> bytes:
    buffer = io.BytesIO()
    if small:
        Image.fromarray(array).quantize(16).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()
    # Fast rather than small: pictures of a running attack are made many times a second.
    Image.fromarray(array).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
