import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from app.ui.images import contact_sheet, data_uri, perturbation_png, png


def read(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_grey_and_colour_pictures_keep_every_level() -> None:
    grey = torch.arange(35, dtype=torch.uint8).view(1, 5, 7) * 7
    assert np.array_equal(read(png(grey)), grey[0].numpy())
    assert np.array_equal(read(png(grey.float() / 255)), grey[0].numpy())
    colour = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    assert np.array_equal(read(png(colour)), colour.permute(1, 2, 0).numpy())


def test_pixels_outside_the_range_are_cut() -> None:
    assert read(png(torch.tensor([[[-1.0, 2.0]]]))).tolist() == [[0, 255]]


def test_a_perturbation_is_white_at_zero_blue_below_and_red_above() -> None:
    red, green, blue = read(perturbation_png(torch.tensor([[[0.0, -0.3, 0.3, 0.15, 9.0]]]), 1 / 0.3))[
        0
    ].T.astype(int)
    assert (red[0], green[0], blue[0]) == (0xF7, 0xF7, 0xF7)
    assert blue[1] > red[1]
    assert red[2] > blue[2]
    assert red[3] > blue[3]
    assert green[3] > green[2]
    assert (red[4], green[4], blue[4]) == (red[2], green[2], blue[2]) == (0x67, 0x00, 0x1F)


def test_the_gain_magnifies() -> None:
    delta = torch.tensor([[[0.05]]])
    assert read(perturbation_png(delta, 1.0))[0, 0, 1] > read(perturbation_png(delta, 10.0))[0, 0, 1]


def test_whole_levels_are_the_same_as_pixel_units() -> None:
    levels = torch.tensor([[[-51, 0, 51]]], dtype=torch.int8)
    assert perturbation_png(levels, 3.0) == perturbation_png(levels.float() / 255, 3.0)


def test_a_contact_sheet_places_pictures_row_by_row() -> None:
    images = [torch.full((1, 2, 3), value, dtype=torch.uint8) for value in (10, 20, 30)]
    sheet = read(contact_sheet(images, columns=2, scale=2, gap=1))
    assert sheet.shape == (9, 13, 4)
    assert sheet[0, 0].tolist() == [10, 10, 10, 255]
    assert sheet[0, 7].tolist() == [20, 20, 20, 255]
    assert sheet[5, 0].tolist() == [30, 30, 30, 255]
    assert sheet[4, 0, 3] == sheet[0, 6, 3] == sheet[5, 7, 3] == 0


def test_an_empty_contact_sheet_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one picture, got none"):
        contact_sheet([], columns=3)


def test_a_data_uri_carries_the_bytes() -> None:
    assert base64.b64decode(data_uri(b"abc").removeprefix("data:image/png;base64,")) == b"abc"
