import pytest
import torch

from core.models.decoders import Decoder, DeconvDecoder

SHAPES = [(1, 28, 28), (3, 32, 32), (2, 8, 12)]


@pytest.mark.parametrize("shape", SHAPES)
def test_decoders_fill_the_image_with_values_in_the_box(shape):
    torch.manual_seed(0)
    channels, height, width = shape
    for decoder in (Decoder(7, shape, (6, 5)), DeconvDecoder(7, shape, (2, 3, 4, 5)).eval()):
        pixels = decoder(5 * torch.randn(3, 7)).view(-1, *shape)
        assert pixels.shape == (3, *shape)
        assert (pixels > 0).all()
        assert (pixels < 1).all()
        assert pixels.std(0).min() > 0, "every pixel depends on what the decoder is given"


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_in_closed_form(shape):
    channels, height, width = shape
    dense = sum(p.numel() for p in Decoder(7, shape, (6, 5)).parameters())
    assert dense == 8 * 6 + 7 * 5 + 6 * channels * height * width
    deconv = sum(p.numel() for p in DeconvDecoder(7, shape, (2, 3, 4, 5)).parameters())
    layers = (9 * 2 + 1) * 3 + (9 * 3 + 1) * 4 + (9 * 4 + 1) * 5 + (9 * 5 + 1) * channels
    assert deconv == 8 * 2 * (height // 4) * (width // 4) + 2 * 2 + layers


def test_sides_that_do_not_halve_twice_are_told():
    with pytest.raises(ValueError, match="expected an image whose sides are multiples of 4, got 30x32"):
        DeconvDecoder(7, (3, 30, 32), (2, 3, 4, 5))
