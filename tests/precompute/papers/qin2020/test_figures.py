import pytest
import torch

from core.data import SPECS
from core.models import build
from core.models.groups import GROUP_SIZES
from precompute.papers import PAPERS, Drawing, NotDrawable, Panel, Results
from precompute.papers.drawing import gather
from precompute.papers.qin2020.pictures import _draw

FIGURES = {figure.number: figure for figure in PAPERS["qin2020"].figures}


def test_there_are_eleven():
    assert list(FIGURES) == [str(number) for number in range(1, 12)]


def test_figure_1_counts_every_image(results):
    drawing = FIGURES["1"].draw(results)
    counts = {}
    for row in drawing.rows:
        key = row["panel"], row["model"], row["group"]
        counts[key] = counts.get(key, 0) + row["count"]
    assert counts["a", "CapsNet", "its own class"] == 30
    assert counts["a", "CapsNet", "another class"] == 270
    assert counts["b", "CNN+R", "PGD"] == 30
    assert "median 1.00 from its own class, 3.00 from another class" in drawing.panels[0].words
    assert not drawing.missing


def test_figure_2_draws_what_is_there_and_says_what_is_not(results):
    drawing = FIGURES["2"].draw(results)
    assert len(drawing.panels) == 1
    assert [row["k"] for row in drawing.rows] == [30] * 3 + [60] * 3 + [70] * 3  # R-PGD alone
    assert drawing.missing == (
        "Fashion-MNIST: not built; run `python -m precompute build fashion_mnist --profile demo`",
        "SVHN: not built; run `python -m precompute build svhn --profile demo`",
    )


def test_figure_3_compares_access_and_capsules(mnist):
    curve = mnist.artifacts["results"].tables["fpr"]
    through = curve[curve["model"] == "capsnet"].assign(access="black_box", k=5)
    mnist.artifacts["results"].tables["fpr"] = type(curve)(
        curve.to_dict("records") + through.to_dict("records")
    ).replace({"model": {"capsnet": "capsnet_deeper", "cnn_cr": "deepcaps", "cnn_r": "capsnet_all"}})
    mnist.dataset = "cifar10"
    left, right = FIGURES["3"].draw(Results([mnist])).panels
    assert "white box 30 %" in left.words
    assert "black box 5 %" in left.words
    assert "Deeper CapsNet 30 %" in right.words
    assert "DeepCaps 60 %" in right.words
    assert "CapsNet All 70 %" in right.words
    assert "black" not in right.words


def test_figure_9_has_every_beta_but_not_the_best_of_all(results):
    drawing = FIGURES["9"].draw(results)
    assert len(drawing.panels) == 2
    assert {row["beta"] for row in drawing.rows} == {0.25, 0.5}
    assert len(drawing.rows) == 3 * 2 * 2


@pytest.mark.parametrize("number", ["3", "4", "5", "10", "11"])
def test_figures_without_results_say_why(results, number):
    with pytest.raises(
        NotDrawable, match=r"not built; run `python -m precompute build (cifar10|svhn|fashion_mnist)|has no"
    ):
        FIGURES[number].draw(results)


def test_a_reason_that_all_parts_share_is_said_once():
    def nothing():
        raise NotDrawable("not built")

    with pytest.raises(NotDrawable, match="^not built$"):
        gather([("left", nothing), ("right", nothing)])


def test_figure_6_tells_the_models_sizes():
    drawing = FIGURES["6"].draw(Results([]))
    for model, title in (("capsnet", "CapsNet"), ("cnn_r", "CNN+R")):
        network = build(model, SPECS["mnist"].shape, 10, "paper")
        told = [row for row in drawing.rows if row["model"] == title]
        assert sum(row["parameters"] for row in told) == sum(p.numel() for p in network.parameters())
        assert [row["shape"] for row in told][:3] == [
            "1x28x28",
            "256x20x20",
            f"{8 * GROUP_SIZES['paper'].types}x6x6",
        ]
    masks = {row["model"]: row["layer"] for row in drawing.rows if row["shape"] in ("1x16", "10x16")}
    assert masks == {"CapsNet": "winning group alone", "CNN+CR": "winning group alone", "CNN+R": "all groups"}


def test_pictures_need_a_copy(results, mnist, monkeypatch, tmp_path):
    monkeypatch.setenv("CAPSIGHT_DATA", str(tmp_path))
    with pytest.raises(NotDrawable, match="its pictures need a copy of MNIST of your own"):
        FIGURES["7"].draw(results)


def test_figure_5_shows_undetected_attacks_on_0_that_are_stored(svhn):
    drawing = FIGURES["5"].draw(Results([svhn]))
    # Row 5 aims at 1, row 18 is flagged, the others are not stored.
    assert [(row["model"], row["index"]) for row in drawing.rows] == [
        (title, index) for title in ("CapsNet", "CNN+CR", "CNN+R") for index in (2, 4)
    ]


def test_figure_5_says_when_nothing_went_undetected(svhn):
    for model in ("capsnet", "cnn_cr", "cnn_r"):
        svhn.artifacts[f"{model}/matrix"].tensors["distance"] += 9
    with pytest.raises(NotDrawable, match="no attack went undetected"):
        FIGURES["5"].draw(Results([svhn]))


def test_what_is_drawn_at_random_is_always_the_same():
    numbers = torch.arange(100, 200)
    drawn = _draw(numbers, 8)
    assert drawn.tolist() == _draw(numbers, 8).tolist() == sorted(drawn.tolist())
    assert len(set(drawn.tolist())) == 8
    assert drawn.tolist() != list(range(100, 108))
    assert len(_draw(numbers[:3], 8)) == 3


def test_drawings_have_panels(results):
    drawing = FIGURES["1"].draw(results)
    assert isinstance(drawing, Drawing)
    assert all(isinstance(panel, Panel) and panel.words for panel in drawing.panels)
