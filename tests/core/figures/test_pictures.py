import numpy as np
import pytest
import torch
from PIL import ImageColor

from core.figures.pictures import FRAME_COLOURS, GAP, WIDTH, Picture, frames, grid_words, picture_grid

BLACK = Picture(torch.zeros(1, 5, 7))


def pixels(rows, **options):
    return np.asarray(picture_grid(rows, **options)).astype(int)


def count(array, colour):
    return int((array == ImageColor.getrgb(colour)).all(-1).sum())


def test_frames_are_red_where_flagged_and_green_where_misread_and_missed():
    prediction, label = torch.tensor([1, 1, 2, 2]), torch.tensor([1, 1, 1, 1])
    distance = torch.tensor([1.0, 3.0, 2.0, 3.0])
    assert frames(prediction, label, distance, 2.0) == [None, "flagged", "missed", "flagged"]


def test_pictures_are_enlarged_whole_and_unchanged():
    image = torch.arange(35, dtype=torch.uint8).view(1, 5, 7) * 7
    array = pixels([[Picture(image)]], scale=3)
    edge = GAP + (GAP + WIDTH)
    found = array[edge : edge + 15, edge : edge + 21]
    np.testing.assert_array_equal(found[::3, ::3, 0], image[0])
    np.testing.assert_array_equal(found[2::3, 2::3, 2], image[0])
    assert (array[:edge] == 255).all()
    assert (array[:, :edge] == 255).all()


def test_floats_colours_and_8_bit_images_are_drawn_alike():
    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    array = pixels([[Picture(image), Picture(image.float() / 255)]], scale=1)
    edge, pitch = GAP + GAP + WIDTH, 7 + 2 * (GAP + WIDTH)
    first, second = (array[edge : edge + 5, edge + x : edge + x + 7] for x in (0, pitch))
    np.testing.assert_array_equal(first, image.permute(1, 2, 0))
    np.testing.assert_array_equal(second, first)


@pytest.mark.parametrize("frame", ["flagged", "missed"])
def test_a_frame_lies_around_its_picture_and_not_over_it(frame):
    plain, framed = pixels([[BLACK]], scale=8), pixels([[Picture(BLACK.image, frame)]], scale=8)
    colour = FRAME_COLOURS[frame]
    assert count(plain, colour) == 0
    assert count(framed, "#000000") == count(plain, "#000000") == 40 * 56
    ring = (40 + 2 * WIDTH) * (56 + 2 * WIDTH) - 40 * 56
    top = framed[GAP + GAP : GAP + GAP + 40 + 2 * WIDTH, GAP + GAP : GAP + GAP + 56 + 2 * WIDTH]
    drawn = count(top, colour)
    assert drawn == ring if frame == "flagged" else 0.4 * ring < drawn < 0.75 * ring
    for corner in (top[0, 0], top[0, -1], top[-1, 0], top[-1, -1]):
        assert tuple(corner) == ImageColor.getrgb(colour)


def test_both_frames_are_explained_below_where_there_is_any():
    none = pixels([[BLACK]])
    one = pixels([[Picture(BLACK.image, "flagged")]])
    both = pixels([[Picture(BLACK.image, "flagged")], [Picture(BLACK.image, "missed")]])
    assert none.shape[0] < one.shape[0]
    assert one.shape[1] == both.shape[1]
    assert count(one, FRAME_COLOURS["missed"]) > 0


def test_titles_and_captions_take_room_and_are_drawn():
    plain = pixels([[BLACK, BLACK]], scale=8)
    assert pixels([[BLACK, BLACK]], scale=8, row_titles=["Original"]).shape[1] > plain.shape[1] + 40
    one_line = pixels([[BLACK, BLACK]], scale=8, column_titles=["Fog", "Line"])
    two_lines = pixels([[BLACK, BLACK]], scale=8, column_titles=["Fog", "Gaussian noise"])
    assert plain.shape[0] < one_line.shape[0] < two_lines.shape[0]
    captioned = pixels([[BLACK, Picture(BLACK.image, caption="3 → 8")]], scale=8)
    assert captioned.shape[0] > plain.shape[0]
    assert (captioned != 255).any(-1).sum() > (plain != 255).any(-1).sum()
    arrow = picture_grid([[Picture(BLACK.image, caption="3 > 8")]], scale=8)
    assert np.array_equal(np.asarray(picture_grid([[Picture(BLACK.image, caption="3 → 8")]], scale=8)), arrow)


def test_empty_places_stay_white():
    array = pixels([[BLACK, None], [None, BLACK]], scale=1)
    assert count(array, "#000000") == 2 * 35


def test_what_does_not_fit_is_refused():
    with pytest.raises(
        ValueError, match=r"expected pictures of one size .* got sizes \[\(5, 7\), \(7, 5\)\]"
    ):
        picture_grid([[BLACK, Picture(torch.zeros(1, 7, 5))]])
    with pytest.raises(ValueError, match=r"lengths \[1, 2\]; fill short rows with None"):
        picture_grid([[BLACK], [BLACK, BLACK]])
    with pytest.raises(ValueError, match="expected pictures of one size"):
        picture_grid([[None]])
    with pytest.raises(ValueError, match="expected a title for each of 1 rows, got 2; give all or none"):
        picture_grid([[BLACK]], row_titles=["a", "b"])
    with pytest.raises(ValueError, match="expected a title for each of 1 columns, got 2"):
        picture_grid([[BLACK]], column_titles=["a", "b"])


def test_a_grid_in_words():
    rows = [[Picture(BLACK.image, "flagged"), Picture(BLACK.image, "missed")], [BLACK, None]]
    words = "Digits: 3 pictures in 2 rows. 1 flagged and 1 misread and not flagged."
    assert grid_words(rows, "Digits") == words
    assert grid_words([[BLACK]], "Digits") == "Digits: 1 picture in 1 row."


def test_a_title_takes_a_line():
    rows = [[Picture(torch.zeros(1, 8, 8), "flagged")]]
    plain, titled = picture_grid(rows), picture_grid(rows, title="PGD on MNIST")
    assert titled.height == plain.height + 16
