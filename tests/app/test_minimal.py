import pytest

from app.results import minimum
from core.figures.style import in_words
from core.metrics import Rate
from precompute.store import Bundle
from tests.app.conftest import OpenPage, charts, html, written
from tests.app.michels2019 import MODELS

PAGE = "minimal"


def test_lengths_tell_moved_failed_and_misread_before_apart(bundle: Bundle) -> None:
    lengths = minimum.minimal(bundle, MODELS[1], "boundary").lengths("l2", 3.26)
    assert (lengths.already, lengths.failed) == (1, 1)
    assert lengths.moved == pytest.approx([1 + k / 10 for k in range(1, 9)])
    assert lengths.published == 3.26
    assert minimum.minimal(bundle, MODELS[1], "cw").lengths("linf").already == 0, "9 is not what it aims at"


def test_means_pictures_and_what_was_misread_before_are_shown(open_page: OpenPage, bundle: Bundle) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert not app.error
    assert not app.warning
    assert "Boundary on Michels ConvNet: mean 1.40" in charts(app)[0]
    table = app.dataframe[0].value
    assert list(table["wrong before"]) == [0, 0, 0, 1, 0, 1]
    assert list(table["failed"]) == [1] * 6
    assert "published mean" not in table, "the paper has no digits"
    drawn = html(app)
    assert drawn.count("The original image, 1") == 2 * 4, "three attacks and the universal one, on both"
    assert "12 predictions" in drawn
    assert "12 gradients" in drawn
    assert f"Boundary {in_words(Rate(1, 10))}" in written(app)
    assert "<b>0</b>" in drawn
    assert "reads 9" in drawn


def test_the_address_holds_the_whole_view(open_page: OpenPage, bundle: Bundle) -> None:
    image = int(minimum.minimal(bundle, MODELS[0], "cw").index[7])
    app = open_page(PAGE, norm="ℓ∞", drawn="Misread within a length", picture=f"7, image {image}")
    assert not app.warning
    assert "CW-L2: 7 → 8" in html(app)
    app = open_page(PAGE, norm="ℓ9", picture="everything")
    said = " ".join(warning.value for warning in app.warning)
    assert all(f"“{wrong}”" in said for wrong in ("ℓ9", "everything"))


@pytest.mark.usefixtures("no_copy")
def test_without_a_local_copy_perturbations_are_shown_and_a_download_is_offered(
    open_page: OpenPage, bundle: Bundle
) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "No local copy of Digits" in written(app)
    assert "The original image" not in html(app)
    assert "What was changed of this 1, magnified" in html(app)


def test_what_ships_of_mnist_is_beside_the_published_means(open_page: OpenPage) -> None:
    app = open_page(PAGE, dataset="MNIST")
    assert not app.exception
    assert "CW-L2 on Michels ConvNet: mean" in charts(app)[0]
    assert "published 1.4" in charts(app)[0]
    assert app.dataframe[0].value["published mean"].notna().all()
