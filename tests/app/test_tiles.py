import re

import pytest

from app.results import attacks as results
from app.ui import tiles
from app.ui.outcomes import COLOURS
from app.ui.tiles import ATTACKED, KINDS, ORIGINAL, PERTURBATION, REBUILT, Tile
from core import data
from core.data import SPECS
from core.outcomes import Outcome, Verdict
from precompute.store import Store

CLASSES = ("T-shirt & top", "Shoe")
PICTURES = {kind: f"data:{kind}" for kind in KINDS}


def tile(prediction: int = 1, distance: float = 1.0, pictures: dict[str, str] = PICTURES) -> Tile:
    return Tile("CNN+CR", 7, Verdict(prediction, 0, 1, distance, 2.0, CLASSES), pictures, 1 / 0.3)


def test_a_tile_tells_everything_without_its_pictures() -> None:
    html = tiles.grid([tile()], (ATTACKED, REBUILT), name_models=True)
    assert "T-shirt &amp; top → Shoe" in html
    assert "CNN+CR reads Shoe" in html
    assert "d 1.00 ≤ θ 2.00" in html
    assert "Undetected" in html
    assert f"--c:{COLOURS[Outcome.UNDETECTED]}" in html
    assert "T-shirt & top" not in html
    assert re.findall(r'src="data:(\w+)"', html) == [ATTACKED, REBUILT]
    alts = re.findall(r'alt="([^"]+)"', html)
    assert alts[0].startswith("A T-shirt &amp; top attacked to be read as Shoe; CNN+CR reads Shoe.")
    assert alts[1] == "What CNN+CR rebuilds of it, as Shoe"


def test_the_meter_is_half_full_at_the_threshold() -> None:
    widths = [
        int(re.findall(r"width:(\d+)%", tiles.grid([tile(distance=d)], (ATTACKED,), name_models=False))[0])
        for d in (0.0, 1.0, 2.0, 4.0, 9.0)
    ]
    assert widths == [0, 25, 50, 100, 100]


def test_a_flagged_attack_says_so() -> None:
    html = tiles.grid([tile(distance=2.5)], (ATTACKED,), name_models=False)
    assert "d 2.50 &gt; θ 2.00" in html
    assert "Flagged" in html
    assert "<span>reads Shoe</span>" in html  # whose it is was not asked for


def test_pictures_come_in_their_order_and_only_where_there_are_any() -> None:
    html = tiles.grid([tile()], (REBUILT, ORIGINAL), name_models=False)
    assert re.findall(r'src="data:(\w+)"', html) == [ORIGINAL, REBUILT]
    html = tiles.grid([tile(pictures={PERTURBATION: "data:p"})], KINDS, name_models=False)
    assert html.count("<img") == 1
    assert "change ×3.33" in html


def test_columns_are_fixed_on_request() -> None:
    assert "ct-fixed" in tiles.grid([tile()], KINDS, name_models=True, columns=3)
    assert "--ct-columns:3" in tiles.grid([tile()], KINDS, name_models=True, columns=3)
    assert "ct-fixed" not in tiles.grid([tile()], KINDS, name_models=True)


def test_a_comparison_shows_each_original_once() -> None:
    columns = {"CapsNet": [tile(), tile(0)], "CNN+CR": [tile(), tile()]}
    html = tiles.comparison(columns, dict.fromkeys(columns, "1 of 2 worked"))
    assert html.count("data:Original") == 2
    assert html.count('class="ct-tile"') == 4
    assert html.count("1 of 2 worked") == 2
    assert html.count("--c:#7B61C9") == 1
    assert "image 7" in html


def test_columns_of_different_length_are_refused() -> None:
    columns = {"CapsNet": [tile()], "CNN+CR": [tile(), tile()]}
    with pytest.raises(ValueError, match="longer"):
        tiles.comparison(columns, dict.fromkeys(columns, ""))


def test_without_a_copy_of_the_data_set_there_is_the_perturbation_alone(tmp_path) -> None:
    bundle = Store(tmp_path).bundle("digits", "qin2020")
    assert bundle is not None
    attack = results.attacked(bundle, "capsnet")
    (alone,) = tiles.make_tiles(bundle, SPECS["digits"], None, attack, [3], 2.0)
    assert list(alone.pictures) == [PERTURBATION]
    (whole,) = tiles.make_tiles(bundle, SPECS["digits"], data.load("digits"), attack, [3], 2.0)
    assert set(whole.pictures) == set(KINDS)
    assert whole.pictures[PERTURBATION] == alone.pictures[PERTURBATION]
    assert whole.verdict.distance == float(attack.distance[3])
    assert whole.gain == pytest.approx(1 / 0.3)


def test_the_key_explains_every_outcome() -> None:
    key = tiles.colour_key()
    assert all(colour in key for colour in COLOURS.values())
