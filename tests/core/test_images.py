import pytest
import torch

from core.images import ImageError, check_images, from_uint8, quantise, to_uint8


def batch(*shape: int) -> torch.Tensor:
    return torch.rand(shape or (3, 1, 4, 5), generator=torch.Generator().manual_seed(0))


def test_good_images_come_back_untouched() -> None:
    x = batch()
    x[0, 0, 0, 0], x[0, 0, 0, 1], x[0, 0, 0, 2] = 0.0, 1.0, -0.0
    before = x.clone()
    assert check_images(x, shape=(1, 4, 5)) is x
    assert torch.equal(x, before)


def test_images_with_gradient_and_strides_pass() -> None:
    x = batch(2, 3, 4, 4).transpose(2, 3).requires_grad_()
    assert check_images(x) is x


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([[0.5]], r"expected images as a torch\.Tensor, got list"),
        (batch().double(), r"expected images as torch\.float32, got torch\.float64"),
        (batch().half(), r"got torch\.float16"),
        (
            torch.zeros(1, 1, 2, 2, dtype=torch.uint8),
            r"expected images as torch\.float32, got torch\.uint8; use from",
        ),
        (batch(4, 5), r"expected images of shape \(B, C, H, W\), got \(4, 5\)"),
        (batch(1, 1, 1, 4, 5), r"got \(1, 1, 1, 4, 5\)"),
        (batch(3, 1, 5, 4), r"\(C, H, W\) = \(1, 4, 5\), got \(1, 5, 4\)"),
        (batch(0, 1, 4, 5), r"expected at least one image, got an empty batch"),
    ],
)
def test_layout_is_checked(bad: torch.Tensor, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        check_images(bad, shape=(1, 4, 5))


def test_images_without_pixels_are_refused() -> None:
    with pytest.raises(ImageError, match=r"at least one pixel, got shape \(2, 0, 4, 5\)"):
        check_images(torch.zeros(2, 0, 4, 5))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), r"expected pixels in \[0, 1\], got NaN"),
        (float("inf"), r"got values from .* to inf"),
        (-float("inf"), r"got values from -inf to"),
        (1.0000001192092896, r"got values from .* to 1"),
        (-1e-30, r"got values from -1e-30 to"),
        (255.0, r"to 255; divide by 255"),
        (-2.1, r"from -2\.1 to .*; clamp them or undo the normalisation"),
    ],
)
def test_one_bad_pixel_is_found_anywhere(value: float, message: str) -> None:
    for place in range(0, 60, 13):
        x = batch()
        x.view(-1)[place] = value
        for check in (check_images, to_uint8, quantise):
            with pytest.raises(ImageError, match=message):
                check(x)


def test_nan_is_named_even_beside_values_out_of_range() -> None:
    x = batch()
    x[0, 0, 0, 0], x[1, 0, 0, 0] = 7.0, float("nan")
    with pytest.raises(ImageError, match="NaN"):
        check_images(x)


def test_every_level_survives_the_round_trip() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    x = from_uint8(levels)
    assert x.dtype == torch.float32
    assert x.view(-1)[51].item() == pytest.approx(0.2, abs=1e-7)
    assert torch.equal(to_uint8(x), levels)
    assert torch.equal(quantise(x), x)


def test_to_uint8_rounds_to_the_nearest_level() -> None:
    x = torch.tensor([0.0, 0.4, 0.6, 1.4, 127.6, 254.6, 255.0]).view(1, 1, 1, 7) / 255
    assert to_uint8(x).view(-1).tolist() == [0, 0, 1, 1, 128, 255, 255]


def test_quantise_is_what_a_file_would_keep() -> None:
    x = batch(5, 3, 9, 9).requires_grad_()
    q = quantise(x)
    assert not q.requires_grad
    assert torch.equal(q, from_uint8(to_uint8(x)))
    assert not torch.equal(q, x)
    assert (q - x).abs().max().item() <= 1 / 510 + 1e-6
    assert torch.equal(quantise(q), q)


def test_conversions_pass_an_empty_batch() -> None:
    empty = torch.zeros(0, 1, 4, 5)
    assert to_uint8(empty).shape == quantise(empty).shape == (0, 1, 4, 5)
    assert from_uint8(to_uint8(empty)).dtype == torch.float32


def test_from_uint8_refuses_other_types() -> None:
    with pytest.raises(ImageError, match=r"expected images as torch\.uint8, got torch\.float32"):
        from_uint8(batch())
