"""The corruptions of qin2020's Table 2: what weather, pens, printers and file formats do to a digit.

Source: Mu and Gilmer, MNIST-C, 2019, and the parameters in its public code
(github.com/google-research/mnist-c), each at the severity that is the default there; the paper does not say
which it used. Lengths are in pixels of a 28x28 image, values in [0, 1].

Where this differs from the reference:
    Randomness comes from a generator for each image, so that an image alone is what it is in any batch.
    Results are rounded to 8 bits, as in a file.
    Frost: the reference crops photographs, which are not ours to ship; here the ice is made by a formula.
    Zigzag: the last stroke ends on the axis, in the reference a third of a pixel beside it.
What looks odd but is the reference's: Gaussian Blur works along columns only (its library took the rows of a
grey image for channels); Saturate multiplies hue and value too; Sheer also stretches, as the shear of
scikit-image did at that time.
"""

import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from core.images import LEVELS, ImageError, from_uint8

SIDE = 28
"""Pixels of a side: the only size that the parameters are made for."""

_CENTRE = (SIDE - 1) / 2
_REACH = 2.3
"""Distance at which the ink of a line would have faded to minus infinity; at 1.45 it is none."""

Pixels = NDArray[np.float64]
"""An image (28, 28), values in [0, 1]; what a corruption returns is clipped to that."""


@dataclass(frozen=True)
class Corruption:
    """One column of Table 2.

    Attributes:
        name: As the paper spells it.
        about: What it does, for captions.
        apply: The image, and a generator for what is random, to the corrupted image.
    """

    name: str
    about: str
    apply: Callable[[Pixels, Generator], Pixels]


def corrupt(images: Tensor, name: str, index: Sequence[int] | Tensor, seed: int = 0) -> Tensor:
    """Corrupt images, each in its own way and always in the same.

    Args:
        images: (B, 1, 28, 28), uint8; B may be 0.
        name: One of `CORRUPTIONS`.
        index: Position of each image in its data set, (B,): with `name` and `seed` it decides what is random.
        seed: 0 or more.
    Returns: (B, 1, 28, 28), uint8, newly made.
    Raises: ImageError: for other images. ValueError: for an unknown name, not one index for each image, or a
        negative index or seed.
    """
    if name not in CORRUPTIONS:
        raise ValueError(
            f"expected a corruption among {', '.join(CORRUPTIONS)}, got {name!r}; choose one of these"
        )
    pixels = from_uint8(images)
    if images.shape[1:] != (1, SIDE, SIDE):
        raise ImageError(
            f"expected grey images of shape (B, 1, {SIDE}, {SIDE}), got {tuple(images.shape)}; corruptions "
            "are made for MNIST and its like"
        )
    places = torch.as_tensor(index).tolist()
    if len(places) != len(images):
        raise ValueError(
            f"expected one index for each of {len(images)} images, got {len(places)}; pass their "
            "positions in the data set"
        )
    apply, number = CORRUPTIONS[name].apply, zlib.crc32(name.encode())
    found = np.empty(images.shape, np.uint8)
    for k, image in enumerate(pixels[:, 0].double().cpu().numpy()):
        generator = np.random.Generator(np.random.Philox([seed, number, places[k]]))
        found[k, 0] = np.rint(apply(image, generator).clip(0, 1) * LEVELS)
    return torch.as_tensor(found)


def clean(x: Pixels, _: Generator) -> Pixels:
    """Nothing: the first column of the table."""
    return x


def gaussian_noise(x: Pixels, rng: Generator) -> Pixels:
    """Independent noise on every pixel, sigma 0.38."""
    return x + rng.normal(scale=0.38, size=x.shape)


def gaussian_blur(x: Pixels, _: Generator) -> Pixels:
    """Blur along the columns, sigma 2."""
    return ndimage.gaussian_filter1d(x, 2, axis=0, mode="nearest")


def line(x: Pixels, rng: Generator) -> Pixels:
    """A straight stroke from the left to the right side, at random heights."""
    left, start, right, end = rng.integers([0, 0, 22, 0], [5, 27, 27, 27]).tolist()
    return x + stroke(left, start, right, end)


def dotted_line(x: Pixels, rng: Generator) -> Pixels:
    """A straight stroke of dots two columns wide, two columns apart."""
    start, end = rng.integers(27, size=2).tolist()
    ink = stroke(0, start, 27, end)
    return x + np.where(np.arange(SIDE) // 2 % 2 == 1, ink, 0)


def zigzag(x: Pixels, rng: Generator) -> Pixels:
    """A zigzag of amplitude 2 and period 8 along a line that falls or rises by up to 5."""
    left, right, half, amplitude = 2, 25, 2, 2
    start = rng.integers(27)
    angle = np.arctan(rng.integers(-5, 5) / (right - left))
    length = (right - left) / np.cos(angle)
    along = np.append(np.arange(half, length, 2 * half), length)
    across = amplitude * (-1.0) ** np.arange(len(along))
    along, across = np.insert(along, 0, 0), np.insert(across, 0, 0)
    across[-1] = 0
    columns = left + along * np.cos(angle) - across * np.sin(angle)
    rows = start + along * np.sin(angle) + across * np.cos(angle)
    for k in range(len(rows) - 1):
        x = (x + stroke(columns[k], rows[k], columns[k + 1], rows[k + 1])).clip(0, 1)
    return x


def stroke(column0: float, row0: float, column1: float, row1: float) -> Pixels:
    """Ink of a line between two points: 1 on it, fading with the vertical distance d as 1 + log(1 - d / 2.3).

    Args:
        column0, column1: Where it starts and ends, column0 < column1.
        row0, row1: How high it is there.
    """
    rows, columns = np.ogrid[:SIDE, :SIDE]
    height = row0 + (row1 - row0) / (column1 - column0) * (columns - column0)
    distance = np.minimum(np.abs(rows - height), _REACH * (1 - 1e-9))
    ink = (1 + np.log1p(-distance / _REACH)).clip(0, 1)
    return np.where((columns >= np.floor(column0)) & (columns < np.ceil(column1)), ink, 0)


def elastic_transform(x: Pixels, rng: Generator) -> Pixels:
    """Three corners moved by up to 2.8, then a smooth random field of shifts (amplitude 56, sigma 19.6)."""
    middle, reach = SIDE // 2, SIDE // 3
    corners = middle + reach * np.array([[1, 1], [1, -1], [-1, -1]])
    moved = corners + rng.uniform(-2.8, 2.8, corners.shape)
    # From where a pixel is to where it was: the solution of [row, column, 1] @ back = [row', column'].
    back = np.linalg.solve(np.column_stack([moved, np.ones(3)]), corners)
    x = ndimage.affine_transform(x, back[:2].T, back[2], order=1, mode="grid-constant")
    field = rng.uniform(-1, 1, (2, SIDE, SIDE))
    shift = 56 * ndimage.gaussian_filter(field, (0, 19.6, 19.6), mode="reflect", truncate=3)
    return ndimage.map_coordinates(x, np.indices(x.shape) + shift, order=1, mode="constant")


def saturate(x: Pixels, _: Generator) -> Pixels:
    """Hue, saturation and value times 20 plus 0.2: strokes as bright as can be, on a grey ground.

    A grey pixel x gets hue and saturation 0.2 and the value v = clip(20 x + 0.2): the colour
    (0.96 v, v, 0.8 v), of which the weights of red, green and blue make 0.97708 v.
    """
    return 0.97708 * (20 * x + 0.2).clip(0, 1)


def jpeg(x: Pixels, _: Generator) -> Pixels:
    """Through a JPEG file of quality 7; which levels come back may depend on the JPEG library."""
    file = io.BytesIO()
    Image.fromarray(np.rint(x * LEVELS).astype(np.uint8)).save(file, "JPEG", quality=7)
    return np.asarray(Image.open(file)) / LEVELS


def quantize(x: Pixels, _: Generator) -> Pixels:
    """One bit: black or white, whichever is nearer."""
    return np.rint(x)


def sheer(x: Pixels, rng: Generator) -> Pixels:
    """Sheared to either side by 0.4 about the centre; upright strokes become 1 / cos 0.4 times as long."""
    angle = 0.4 * rng.choice([-1, 1])
    return mapped(x, np.array([[np.cos(angle), 0], [-np.sin(angle), 1]]))


def rotate(x: Pixels, rng: Generator) -> Pixels:
    """Rotated to either side by 0.4 radians about the centre."""
    angle = 0.4 * rng.choice([-1, 1])
    return mapped(x, np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]))


def mapped(x: Pixels, back: Pixels) -> Pixels:
    """A linear map about the centre, bilinear, on a black ground.

    Args:
        back: (2, 2), from the (row, column) of a pixel of the result to where it comes from.
    """
    offset = _CENTRE - back.sum(1) * _CENTRE
    return ndimage.affine_transform(x, back, offset, order=1, mode="grid-constant")


def spatter(x: Pixels, rng: Generator) -> Pixels:
    """Blots of grey (63 of 255) where smoothed noise is high: it covers strokes as well as the ground."""
    liquid = ndimage.gaussian_filter(rng.normal(0.65, 0.3, x.shape), 1, mode="nearest")
    mask = ndimage.gaussian_filter((liquid > 0.65).astype(float), 1.5, mode="nearest")
    mask[mask < 0.8] = 0
    return x * (1 - mask) + mask * 63 / 255


def contrast(x: Pixels, _: Generator) -> Pixels:
    """A tenth of the contrast about the mean of the image."""
    return x.mean() + 0.1 * (x - x.mean())


def inverse(x: Pixels, _: Generator) -> Pixels:
    """Black on white."""
    return 1 - x


def canny_edge(x: Pixels, _: Generator) -> Pixels:
    """The edges that Canny's detector finds at sigma 1, white on black."""
    # Imported here because it takes longer than everything else together.
    from skimage.feature import canny

    return canny(x, sigma=1.0).astype(float)


def fog(x: Pixels, rng: Generator) -> Pixels:
    """Fog three times as bright as the brightest pixel, in banks made by a plasma fractal of decay 1.4."""
    density = 3.0
    brightest = x.max()
    return (x + density * plasma(rng, 256, 1.4)[:SIDE, :SIDE]) * brightest / (brightest + density)


def frost(x: Pixels, rng: Generator) -> Pixels:
    """0.6 of the image under 0.75 of ice: forty needles of random place and direction on a cloudy film."""
    film = plasma(rng, 64, 1.4)[:SIDE, :SIDE]
    places = rng.uniform(-6, SIDE + 6, (40, 2))
    angles = rng.uniform(0, np.pi, len(places))
    rows, columns = (np.indices(x.shape)[..., None] - places.T[:, None, None]).astype(float)
    along = rows * np.cos(angles) + columns * np.sin(angles)
    across = columns * np.cos(angles) - rows * np.sin(angles)
    needles = np.exp(-((along / 7) ** 2) - (across / 0.7) ** 2).max(-1)
    return 0.6 * x + 0.75 * (0.45 * film + 0.55 * needles)


def plasma(rng: Generator, size: int, decay: float) -> Pixels:
    """Random clouds by the diamond-square algorithm on a torus.

    Args:
        size: Of a side, a power of two.
        decay: Ratio of the standard deviations is decay squared from one scale to the next finer one.
    Returns: (size, size), from 0 to 1.
    Source: Fournier, Fussell and Carpenter, Computer Rendering of Stochastic Models, 1982.
    """
    height = np.zeros((size, size))
    step, amplitude = size, 1.0

    def mean(*four: Pixels) -> Pixels:
        return sum(four) / 4 + amplitude * rng.uniform(-1, 1, four[0].shape)

    while step > 1:
        half = step // 2
        corners = height[::step, ::step].copy()
        right, below = np.roll(corners, -1, 1), np.roll(corners, -1, 0)
        centres = mean(corners, right, below, np.roll(below, -1, 1))
        height[half::step, half::step] = centres
        height[::step, half::step] = mean(corners, right, centres, np.roll(centres, 1, 0))
        height[half::step, ::step] = mean(corners, below, centres, np.roll(centres, 1, 1))
        step, amplitude = half, amplitude / decay**2
    return (height - height.min()) / np.ptp(height)


CORRUPTIONS: dict[str, Corruption] = {
    name: Corruption(name, about, apply)
    for name, about, apply in (
        ("Clean", "as it is", clean),
        ("Gaussian Noise", "noise on every pixel", gaussian_noise),
        ("Gaussian Blur", "blurred up and down", gaussian_blur),
        ("Line", "a straight stroke across it", line),
        ("Dotted Line", "a dotted stroke across it", dotted_line),
        ("Elastic Transform", "bent smoothly", elastic_transform),
        ("Saturate", "strokes white, ground grey", saturate),
        ("JPEG", "a strongly compressed file", jpeg),
        ("Quantize", "black and white alone", quantize),
        ("Sheer", "slanted", sheer),
        ("Spatter", "grey blots", spatter),
        ("Rotate", "turned by 23 degrees", rotate),
        ("Contrast", "a tenth of the contrast", contrast),
        ("Inverse", "black on white", inverse),
        ("Canny Edge", "outlines alone", canny_edge),
        ("Fog", "banks of fog", fog),
        ("Frost", "needles of ice", frost),
        ("Zigzag", "a zigzag across it", zigzag),
    )
}
"""The columns of qin2020's Table 2 in its order, the clean images among them, under the paper's names."""
