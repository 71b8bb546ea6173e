import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from app.embedder import EmbeddingFailed, embed
from app.results import universals
from core.figures.style import in_words
from core.metrics import Rate
from precompute.store import Bundle
from tests.app.conftest import OpenPage, charts, html, written
from tests.app.michels2019 import COUNT, MODELS, PARTS, PER_PART

PAGE = "universal"


def planes(app: AppTest) -> dict[str, Any]:
    """What the planes are drawn from."""
    (drawn,) = app.get("bidi_component")
    return json.loads(drawn.proto.json)


def words(app: AppTest) -> list[str]:
    """What each plane shows."""
    return [plane["words"] for plane in planes(app)["planes"]]


def test_a_collection_has_all_models_one_after_the_other(bundle: Bundle) -> None:
    every = universals.collect(bundle)
    assert len(every) == 2 * COUNT
    assert every.name(COUNT + PER_PART + 1) == "Michels CapsNet, part 2, number 2"
    assert every.rows_of(MODELS[1:]).tolist() == list(range(COUNT, 2 * COUNT))
    assert every.fooling(COUNT, MODELS[0]) == Rate(2, 10)
    assert every.fooling(COUNT, MODELS[1]) == Rate(4, 9), "of the images read rightly before"
    assert every.mean_fooling(torch.arange(2 * COUNT), MODELS[0]) == Rate(2, 10), "of 1 and 2, rounded"
    lengths = [float(every.norm_l2[part * PER_PART : (part + 1) * PER_PART].mean()) for part in range(PARTS)]
    assert every.mean_length(torch.arange(COUNT)).value == pytest.approx(np.mean(lengths))
    assert every.mean_length(torch.arange(COUNT)).n == PARTS, "parts are what varies"


def test_neighbours_are_those_of_the_same_part_and_all_alike_are_aligned(bundle: Bundle) -> None:
    every = universals.collect(bundle)
    near = every.neighbours(0, torch.arange(2 * COUNT), 2)
    assert {row for row, _ in near} == {1, 2}
    assert near[0][1] == pytest.approx(float(every.points[0] @ every.points[near[0][0]]))
    assert every.alignment(torch.tensor([4])) == pytest.approx(1)
    assert every.alignment(torch.tensor([0, 3])) < 0.9


def test_what_is_picked_out_fits_an_address() -> None:
    rows = [0, 7, 8, 499]
    text = universals.packed(rows, 500)
    assert len(text) <= 84
    assert universals.unpacked(text, 500) == rows
    assert universals.packed([], 500) == ""
    for wrong in ("%%", "AA", universals.packed([9], 16), universals.packed([11], 12)):
        assert universals.unpacked(wrong, 9) is None


def test_planes_groups_and_effects_are_shown(open_page: OpenPage, bundle: Bundle) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert not app.error
    assert not app.warning
    assert words(app) == [
        "t-SNE of 12 universal perturbations, perplexity 3, seed 0, coloured by model.",
        "UMAP of 12 universal perturbations, neighbours 4, seed 0, coloured by model.",
    ]
    shown = charts(app)
    assert shown[0].startswith("Silhouettes with their intervals. between networks, pixels: ")
    assert f"Michels CapsNet {in_words(Rate(3, 9))}" in shown[2], "one perturbation's fooling rates"
    saved = [button.proto.label for button in app.get("download_button")]
    assert saved == ["PNG", "SVG", "CSV"] * 4, "planes, silhouettes, both charts of fooling rates"
    assert "pixels 100 %" in written(app)
    assert "**Michels ConvNet** reads" in written(app)
    assert html(app).count('class="ct-tile"') == 10


def test_the_address_holds_the_whole_view(open_page: OpenPage, bundle: Bundle) -> None:
    picked = universals.packed([0, 1, COUNT], 2 * COUNT)
    query = {"tint": "Part", "perplexity": "2", "draw_seed": "1", "picked": picked, "isolate": "true"}
    query |= {"one": "Michels CapsNet, part 2, number 3", "eye": "Michels CapsNet", "strength": "0.0"}
    app = open_page(PAGE, **query)
    assert not app.exception
    assert not app.warning
    assert words(app)[0] == "t-SNE of 3 universal perturbations, perplexity 2, seed 1, coloured by part."
    drawn = planes(app)
    assert [point["id"] for point in drawn["points"]] == [0, 1, COUNT]
    assert [len(plane["places"]) for plane in drawn["planes"]] == [3, 3]
    meant = {title: [symbol["text"] for symbol in line] for title, line in drawn["symbols"].items()}
    assert meant == {"Network": ["Michels ConvNet", "Michels CapsNet"], "Part": ["1"]}
    assert drawn["chosen"] == COUNT + PER_PART + 2
    assert "3 picked out" in app.subheader[0].value
    assert "**Michels CapsNet, part 2, number 3**" in written(app)
    reading = next(
        block.value for block in app.markdown if block.value.startswith("**Michels CapsNet** reads")
    )
    before, after = reading.removeprefix("**Michels CapsNet** reads ").split(" rightly without it, ")
    assert after.startswith(before), "at strength 0 nothing changes"


def test_points_are_coloured_by_length_from_the_shortest_to_the_longest(
    open_page: OpenPage, bundle: Bundle
) -> None:
    drawn = planes(open_page(PAGE, tint="Length"))
    lengths = universals.collect(bundle).norm_l2
    ramp, points = drawn["ramp"], drawn["points"]
    assert (ramp["low"], ramp["high"]) == (f"{lengths.min():.2f}", f"{lengths.max():.2f}")
    shortest, longest = points[int(lengths.argmin())], points[int(lengths.argmax())]
    assert f" 0%, {ramp['colours'][0]})" in shortest["colour"]
    assert longest["colour"].startswith(f"color-mix(in srgb, {ramp['colours'][-1]} 100%")
    assert f"Length ℓ₂ {lengths.max():.2f}" in longest["told"]
    assert all(point["picked"] for point in points)


def test_an_address_that_is_wrong_is_corrected_aloud(open_page: OpenPage, bundle: Bundle) -> None:
    app = open_page(PAGE, tint="Smell", one="Nobody", perplexity="77", picked="AA")
    assert not app.exception
    said = " ".join(warning.value for warning in app.warning)
    assert all(f"“{wrong}”" in said for wrong in ("Smell", "Nobody", "77"))
    assert "selection is not about these perturbations" in said
    assert "12 universal perturbations" in words(app)[0]


def test_groups_are_picked_out_by_name_and_a_thumbnail_is_looked_at(
    open_page: OpenPage, bundle: Bundle
) -> None:
    app = open_page(PAGE)
    app.selectbox("pick_network").select(MODELS[1])
    app.selectbox("pick_part").select("part 2").run()
    app.button("pick-out").click().run()
    assert app.subheader[0].value.startswith(f"{PER_PART} picked out")
    app.button(f"see-sheet-{COUNT + PER_PART}").click().run()
    assert "**Michels CapsNet, part 2, number 1**" in written(app)
    app.button("clear").click().run()
    assert app.subheader[0].value.startswith("All 12")


@pytest.mark.usefixtures("no_copy")
def test_without_a_local_copy_perturbations_are_shown_and_a_download_is_offered(
    open_page: OpenPage, bundle: Bundle
) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert len(words(app)) == 2
    assert len(charts(app)) == 3
    assert "Universal perturbation, Michels ConvNet, part 1, number 1" in html(app)
    assert "No local copy of Digits" in written(app)


def test_a_setting_that_is_not_stored_waits_when_stopped(open_page: OpenPage, bundle: Bundle) -> None:
    app = AppTest.from_file(str(Path(__file__).parents[2] / "app" / "main.py"), default_timeout=120).run()
    app.session_state["_hold_embedding"] = True
    app.query_params.update({"free": "true", "any_perplexity": "5", "any_neighbours": "4"})
    app.switch_page("views/universal.py").run()
    assert not app.exception
    assert [said.split()[0] for said in words(app)] == ["UMAP"], "that one is stored"
    assert "Stopped: these settings are not stored" in written(app)
    assert app.button("compute").label == "Compute"


def task(count: int = 12) -> dict[str, Any]:
    points = np.random.default_rng(0).normal(size=(count, 5)).astype(np.float32)
    points[count // 2 :] += 9
    group = (np.arange(count) >= count // 2).astype(int)
    return {"points": points, "model": group, "part": np.zeros(count, int), "names": ["a", "b"], "seed": 0}


def test_an_embedding_is_computed_elsewhere_and_says_how_far_it_is() -> None:
    told: list[tuple[float, str]] = []
    made = embed(**task(), space="tsne", setting=3.0, on_tick=lambda share, what: told.append((share, what)))
    assert made.places.shape == (12, 2)
    silhouette = next(row for row in made.rows if row["metric"] == "silhouette")
    assert silhouette["value"] > 0.3
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert "Placing the points" in {what for _, what in told}


def test_an_embedding_ends_at_once_when_it_is_interrupted() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime

    def interrupt(share: float, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(**task(), space="umap", setting=3, on_tick=interrupt)
    # Of the processor, however busy the machine is: what it takes to place the points comes on top.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 10


def test_a_setting_that_cannot_be_is_one_sentence() -> None:
    with pytest.raises(EmbeddingFailed, match="perplexity from 1 to below the number of points, 12, got 99"):
        embed(**task(), space="tsne", setting=99.0, on_tick=lambda share, what: None)
