"""The corruptions against closed forms, slow references and other libraries, and what holds for all."""

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import color, transform
from torch import Tensor

import core.data
from core.data import corruptions
from core.data.corruptions import CORRUPTIONS, corrupt
from core.images import ImageError

NAMES = [name for name in CORRUPTIONS if name != "Clean"]
FIXED = {"Clean", "Gaussian Blur", "Saturate", "JPEG", "Quantize", "Contrast", "Inverse", "Canny Edge"}
INDEX = list(range(100, 120))


class Stub:
    """A generator whose draws are what one wants them to be."""

    def __init__(self, *draws: float) -> None:
        self.draws = list(draws)

    def _next(self, shape: tuple[int, ...] = ()) -> np.ndarray:
        return np.full(shape, self.draws.pop(0) if len(self.draws) > 1 else self.draws[0])

    def uniform(self, low: object, high: object, size: tuple[int, ...]) -> np.ndarray:
        return self._next(size)

    def normal(self, loc: object = 0, scale: object = 1, size: tuple[int, ...] = ()) -> np.ndarray:
        return self._next(size)

    def choice(self, values: object) -> np.ndarray:
        return self._next()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return core.data.load("digits").test.images[:20]


@pytest.fixture(scope="module")
def digit(images: Tensor) -> np.ndarray:
    return images[3, 0].numpy() / 255


def grey(*levels: int) -> Tensor:
    return torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 28, 28)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_columns_of_the_table() -> None:
    assert list(CORRUPTIONS) == [
        *("Clean", "Gaussian Noise", "Gaussian Blur", "Line", "Dotted Line", "Elastic Transform"),
        *("Saturate", "JPEG", "Quantize", "Sheer", "Spatter", "Rotate"),
        *("Contrast", "Inverse", "Canny Edge", "Fog", "Frost", "Zigzag"),
    ]
    assert all(found.name == name and found.about for name, found in CORRUPTIONS.items())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_holds_for_all(images: Tensor, name: str) -> None:
    before = images.clone()
    found = corrupt(images, name, INDEX)
    assert found.dtype == torch.uint8
    assert found.shape == images.shape
    assert torch.equal(images, before), "written to its input"
    assert found.data_ptr() != images.data_ptr()
    assert torch.equal(corrupt(images, name, torch.tensor(INDEX)), found)
    changed = (found != images).flatten(1).any(1)
    assert not changed.any() if name == "Clean" else changed.all()
    # Alone, in another batch, and in another order.
    assert torch.equal(corrupt(images[7:8], name, [INDEX[7]]), found[7:8])
    assert torch.equal(corrupt(images.flip(0), name, INDEX[::-1]), found.flip(0))
    assert corrupt(images[:0], name, []).shape == (0, 1, 28, 28)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_is_random_differs_between_images_and_seeds(images: Tensor, name: str) -> None:
    same = images[3:4].expand(12, -1, -1, -1)
    by_index = corrupt(same, name, INDEX[:12])
    by_seed = torch.cat([corrupt(same[:1], name, [100], seed) for seed in range(12)])
    assert torch.equal(by_index[0], by_seed[0])
    for found in (by_index, by_seed):
        variants = len({row.numpy().tobytes() for row in found})
        ways = {"Sheer": {2}, "Rotate": {2}}.get(name, {1} if name in FIXED else set(range(7, 13)))
        assert variants in ways


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (torch.zeros(2, 1, 28, 28), ImageError, r"expected images as torch\.uint8, got torch\.float32"),
        (np.zeros((2, 1, 28, 28), np.uint8), ImageError, r"expected images as a torch\.Tensor, got ndarray"),
        (grey(0)[0], ImageError, r"expected images of shape \(B, C, H, W\), got \(1, 28, 28\)"),
        (grey(0, 0)[..., :27], ImageError, r"expected grey images of shape .*, got \(2, 1, 28, 27\)"),
        (grey(0, 0).expand(-1, 3, -1, -1), ImageError, r"got \(2, 3, 28, 28\); corruptions are made for"),
        (grey(0, 0, 0), ValueError, "expected one index for each of 3 images, got 2; pass their positions"),
    ],
)
def test_other_images_are_refused(batch: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        corrupt(batch, "Line", [0, 1])


@pytest.mark.parametrize("name", ["line", "Shear", ""])
def test_unknown_names_are_refused_with_the_known_ones(images: Tensor, name: str) -> None:
    with pytest.raises(ValueError, match=f"expected a corruption among Clean, .*, Zigzag, got '{name}'"):
        corrupt(images, name, INDEX)


def test_levels_in_closed_form() -> None:
    levels = torch.arange(256, dtype=torch.int64)
    images = grey(*levels.tolist())
    of = {name: corrupt(images, name, levels)[:, 0, 3, 5].long() for name in FIXED}
    assert torch.equal(of["Inverse"], 255 - levels)
    assert torch.equal(of["Quantize"], (levels > 127) * 255)
    assert torch.equal(of["Contrast"], levels), "an even image is its own mean"
    assert torch.equal(of["Gaussian Blur"], levels)
    assert (of["Canny Edge"] == 0).all()


def test_contrast_is_a_tenth(images: Tensor) -> None:
    found = corrupt(images, "Contrast", INDEX).double()
    before = images.double()
    mean = before.mean((1, 2, 3), keepdim=True)
    assert (found - (0.9 * mean + 0.1 * before)).abs().max() <= 0.5


def test_saturate_is_what_the_colours_give(digit: np.ndarray) -> None:
    hsv = color.rgb2hsv(color.gray2rgb(digit))
    theirs = color.rgb2gray(color.hsv2rgb(np.clip(hsv * 20 + 0.2, 0, 1)))
    assert corruptions.saturate(digit, rng()) == pytest.approx(theirs, abs=1e-6)


def test_blur_spreads_a_pixel_along_its_column() -> None:
    dot = np.zeros((28, 28))
    dot[14, 9] = 1
    found = corruptions.gaussian_blur(dot, rng())
    weights = np.exp(-(np.arange(-8, 9) ** 2) / 8)
    assert found[6:23, 9] == pytest.approx(weights / weights.sum())
    found[:, 9] = 0
    assert not found.any()


def test_noise_has_its_sigma_and_none_is_none(digit: np.ndarray) -> None:
    noise = np.stack([corruptions.gaussian_noise(digit, rng(seed)) - digit for seed in range(50)])
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(0.38, abs=0.01)
    assert np.array_equal(corruptions.gaussian_noise(digit, Stub(0)), digit)


def slow_stroke(c0: float, r0: float, c1: float, r1: float) -> np.ndarray:
    """Pixel by pixel."""
    ink = np.zeros((28, 28))
    for row in range(28):
        for column in range(math.floor(c0), min(28, math.ceil(c1))):
            distance = abs(row - (r0 + (r1 - r0) * (column - c0) / (c1 - c0)))
            if distance < 2.3:
                ink[row, column] = max(0, 1 + math.log(1 - distance / 2.3))
    return ink


@pytest.mark.parametrize("ends", [(0, 3, 27, 24), (4, 20, 22, 20), (2, 25, 26, 0), (2.5, 7.2, 4.4, 9.1)])
def test_strokes(ends: tuple[float, float, float, float]) -> None:
    found = corruptions.stroke(*ends)
    assert found == pytest.approx(slow_stroke(*ends), abs=1e-6)
    column, row, *_ = ends
    if column == int(column):
        assert found[int(row), int(column)] == 1


def test_lines_reach_across_and_only_add(images: Tensor) -> None:
    for name in ("Line", "Dotted Line", "Zigzag"):
        found = corrupt(images, name, INDEX)
        assert (found >= images).all()
        inked = corrupt(torch.zeros_like(images), name, INDEX)[:, 0].amax(1) > 0
        assert inked[:, 6:21].float().mean() > (0.45 if name == "Dotted Line" else 0.95)
        if name == "Dotted Line":
            blank = torch.arange(28) // 2 % 2 == 0
            assert not inked[:, blank].any()
            assert inked[:, ~blank][:, :-1].float().mean() > 0.95


def test_a_zigzag_turns_every_four_columns() -> None:
    class Flat(Stub):
        def integers(self, *bounds: int) -> np.ndarray:
            return self._next()

    found = corruptions.zigzag(np.zeros((28, 28)), Flat(14, 0))
    height = (found * np.arange(28)[:, None]).sum(0) / found.sum(0).clip(1e-9)
    assert height[[4, 12, 20]] == pytest.approx(16, abs=0.5)
    assert height[[8, 16, 24]] == pytest.approx(12, abs=0.5)
    assert height[[6, 10, 14, 18, 22]] == pytest.approx(14, abs=0.3)
    assert not found[:, :2].any()
    assert not found[:, 25:].any()


@pytest.mark.parametrize("way", [-1, 1])
def test_rotation_and_shear_are_those_of_the_reference_library(digit: np.ndarray, way: int) -> None:
    angle = 0.4 * way
    cos, sin = math.cos(angle), math.sin(angle)
    for apply, matrix in (
        (corruptions.rotate, [[cos, -sin], [sin, cos]]),
        (corruptions.sheer, [[1, -sin], [0, cos]]),  # of (x, y)
    ):
        to_origin = transform.AffineTransform(translation=(-13.5, -13.5)).params
        linear = np.eye(3)
        linear[:2, :2] = matrix
        back = np.linalg.inv(to_origin) @ linear @ to_origin
        theirs = transform.warp(digit, transform.AffineTransform(back), order=1)
        assert apply(digit, Stub(way)) == pytest.approx(theirs, abs=1e-6)
        assert np.abs(theirs - digit).max() > 0.5
        assert apply(digit, Stub(0)) == pytest.approx(digit), "no angle is no change"
    upside_down = corruptions.mapped(digit, -np.eye(2))
    assert upside_down == pytest.approx(digit[::-1, ::-1])


def test_elastic_transform_with_known_draws(digit: np.ndarray) -> None:
    assert corruptions.elastic_transform(digit, Stub(0)) == pytest.approx(digit, abs=1e-9)
    # Corners moved by (2, 2); then a field that is even, which smoothing leaves even, of 3 pixels.
    found = corruptions.elastic_transform(digit, Stub(2, 3 / 56))
    assert found[:24, :24] == pytest.approx(digit[1:25, 1:25], abs=1e-6)


def test_jpeg_is_pillows(images: Tensor) -> None:
    file = io.BytesIO()
    Image.fromarray(images[4, 0].numpy()).save(file, "JPEG", quality=7)
    assert np.array_equal(corrupt(images, "JPEG", INDEX)[4, 0].numpy(), np.asarray(Image.open(file)))


def test_canny_outlines_a_square() -> None:
    square = grey(0).clone()
    square[..., 8:20, 8:20] = 255
    found = corrupt(square, "Canny Edge", [0])[0, 0] > 0
    assert set(corrupt(square, "Canny Edge", [0]).unique().tolist()) == {0, 255}
    rows, columns = torch.nonzero(found, as_tuple=True)
    distance = torch.stack([(rows - 13.5).abs(), (columns - 13.5).abs()]).amax(0)
    assert ((distance >= 4.5) & (distance <= 7.5)).all()
    assert len(rows) > 36


def test_spatter_covers_with_one_grey() -> None:
    flat = {level: grey(level).expand(40, -1, -1, -1) for level in (0, 255)}
    black, white = (corrupt(images, "Spatter", range(40)) / 255 for images in flat.values())
    mask = black * 255 / 63
    covered = black > 0
    assert 0.02 < covered.float().mean() < 0.4
    assert mask[covered].min() >= 0.79
    assert torch.allclose(white, 1 - mask + black, atol=0.02)
    assert not corruptions.spatter(np.zeros((28, 28)), Stub(0.6)).any(), "0.65 is the threshold"


def test_fog_and_frost_in_bounds(images: Tensor) -> None:
    fogged = corrupt(grey(255).expand(20, -1, -1, -1), "Fog", INDEX) / 255
    assert fogged.min() >= 0.25 - 1 / 255, "a quarter is the image"
    between = fogged.flatten(1).mean(1)
    assert 0.3 < between.min() < between.max() < 0.95
    assert not corrupt(grey(0), "Fog", [0]).any(), "fog is as bright as the brightest pixel"
    frosted = corrupt(images, "Frost", INDEX) / 255
    iced = corrupt(torch.zeros_like(images), "Frost", INDEX) / 255
    assert torch.allclose(frosted, (iced + 0.6 * images / 255).clamp(max=1), atol=1.1 / 255)
    assert iced.max() <= 0.76
    assert 0.15 < iced.mean() < 0.4


def slow_plasma(draws: np.random.Generator, size: int, decay: float) -> np.ndarray:
    """Diamond-square, point by point, with coordinates that wrap around."""
    height = np.zeros((size, size))
    step, amplitude = size, 1.0
    while step > 1:
        half = step // 2
        for rows, columns, near in (
            (half, half, [(-half, -half), (-half, half), (half, -half), (half, half)]),
            (0, half, [(0, -half), (0, half), (-half, 0), (half, 0)]),
            (half, 0, [(0, -half), (0, half), (-half, 0), (half, 0)]),
        ):
            noise = draws.uniform(-1, 1, (size // step, size // step))
            for i, row in enumerate(range(rows, size, step)):
                for j, column in enumerate(range(columns, size, step)):
                    around = [height[(row + r) % size, (column + c) % size] for r, c in near]
                    height[row, column] = sum(around) / 4 + amplitude * noise[i, j]
        step, amplitude = half, amplitude / decay**2
    return (height - height.min()) / (height.max() - height.min())


def test_plasma_is_diamond_square() -> None:
    for size, decay in ((2, 1.4), (16, 1.4), (8, 3.0)):
        found = corruptions.plasma(rng(size), size, decay)
        assert found == pytest.approx(slow_plasma(rng(size), size, decay))
        assert (found.min(), found.max()) == (0, 1)
