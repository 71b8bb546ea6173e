from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from core import data
from precompute.papers import PAPERS, NotDrawable, Results, findings, layout, report_rows, table_drawing
from precompute.papers.michels2019.figures import around_grey, gain_of
from precompute.steps.records import Embedded, Minimal, Universal
from tests.precompute.papers.conftest import FakeBundle
from tests.precompute.stored import filled

MICHELS2019 = PAPERS["michels2019"]
FIGURES = {figure.number: figure for figure in MICHELS2019.figures}
OWN = ("michels_convnet", "michels_capsnet")


def rate(model, attack, metric, value, n=200, **more):
    row = {"dataset": "mnist", "model": model, "attack": attack, "mode": None, "source": None, "of": None}
    interval = {"value": value, "low": value - 0.1, "high": value + 0.1}
    return {**row, "metric": metric, "k": round(value * n), "n": n, **interval, **more}


@pytest.fixture
def mnist() -> FakeBundle:
    rates = [
        rate("michels_convnet", "cw", "mean_norm", 1.25, mode="targeted"),
        rate("michels_capsnet", "universal", "fooling_rate", 0.4, source="michels_convnet", of="all"),
        rate("michels_capsnet", "universal", "fooling_rate", 0.2, source="michels_convnet", of="right"),
        rate("michels_convnet", "universal", "fooling_rate", 0.1, source="michels_capsnet", of="all"),
        rate("michels_convnet", None, "accuracy", 0.99, n=10_000),
    ]
    n = 12
    embedded = {
        "tsne": torch.rand(2, 1, 2 * n, 2, generator=torch.Generator().manual_seed(0)).half(),
        "model": torch.tensor([0, 1]).repeat_interleave(n),
        "part": torch.arange(4).repeat_interleave(3).repeat(2),
        "number": torch.arange(3).repeat(8),
    }
    common = {"by": "model", "space": "pixels", "low": 0.4, "high": 0.6, "n": 2 * n}
    separation = [
        {**common, "metric": "silhouette", "value": 0.5, "k": None},
        {**common, "metric": "purity", "value": 1.0, "k": 2 * n},
    ]
    artifacts = {
        "results-michels2019": SimpleNamespace(tables={"rates": pd.DataFrame(rates)}, tensors={}, facts={}),
        "embedding/michels2019": SimpleNamespace(
            tensors=filled(Embedded, embedded),
            tables={"separation": pd.DataFrame(separation)},
            facts={"models": list(OWN), "perplexities": [5, 28], "seeds": [0]},
        ),
    }
    for model in OWN:
        levels = torch.zeros(n, 1, 28, 28, dtype=torch.int8)
        tensors = {"norm_l2": torch.linspace(1, 2, n), "perturbation": levels}
        tensors = filled(Universal, tensors)
        artifacts[f"{model}/universal"] = SimpleNamespace(tensors=tensors, tables={}, facts={})
    return FakeBundle("mnist", artifacts)


@pytest.fixture
def results(mnist) -> Results:
    return MICHELS2019.over([mnist])


def test_numbers_come_in_their_own_unit(results):
    rows = {(r["table"], r["dataset"], r["model"], r["attack"]): r for r in report_rows(MICHELS2019, results)}
    assert len(rows) == 72
    norm = rows["1", "mnist", "michels_convnet", "cw"]
    assert (norm["published"], norm["ours"], norm["unit"]) == (1.4, 1.25, "l2")
    fooled = rows["2", "mnist", "michels_capsnet", "universal"]
    assert (fooled["published"], fooled["ours"], fooled["unit"]) == (38.2, 40.0, "%")
    assert rows["3", "mnist", "michels_convnet", None]["ours"] == 99.0
    assert rows["3", "mnist", "michels_capsnet", None]["reason"] == "the demo bundle of mnist has no such row"
    assert rows["3", "svhn", "michels_capsnet", None]["reason"].startswith("not built; run")


@pytest.mark.parametrize("table", [table.number for table in MICHELS2019.tables])
def test_tables_have_networks_as_columns_and_are_drawn(results, table):
    rows = report_rows(MICHELS2019, results)
    sections = layout(rows, table)
    assert sum(len(line.numbers) for section in sections for line in section.lines) == {"3": 8}.get(table, 32)
    for section in sections:
        for line in section.lines:
            assert list(line.numbers) == ["Michels ConvNet", "Michels CapsNet"]
    drawing = table_drawing(rows, table)
    axis = drawing.panels[0].drawn.to_dict()["layer"][2]["encoding"]["x"]
    assert axis["title"] == ("l2" if table == "1" else "%")
    assert axis["scale"]["domain"][1] == (100 if table != "1" else pytest.approx(1.05 * 11.45))


def test_words_have_the_unit(results):
    rows = report_rows(MICHELS2019, results)
    (mnist, *_) = layout(rows, "1")
    number = mnist.lines[0].numbers["Michels ConvNet"]
    assert number.words == (
        "Michels ConvNet, targeted CW-L2: published 1.4, ours 1.25 (1.15–1.35, n = 200), difference -0.15"
    )


def test_claims_are_tested_on_what_there_is(results):
    found = {(f.claim.key, f.dataset): f.verdict for f in findings(MICHELS2019, results)}
    assert found["universal-asymmetric", "mnist"] == "holds"
    assert found["models-apart", "mnist"] == "not measured"


def test_figure_2_has_every_perturbation_with_its_part_and_model(results):
    drawing = FIGURES["2"].draw(results)
    assert len(drawing.rows) == 24
    assert {row["model"] for row in drawing.rows} == {"Michels ConvNet", "Michels CapsNet"}
    assert {row["part"] for row in drawing.rows} == {0, 1, 2, 3}
    chart = drawing.panels[0].drawn.to_dict()
    assert chart["title"]["text"] == "MNIST, perplexity 28"
    encoding = chart["layer"][0]["encoding"]
    assert (encoding["color"]["field"], encoding["shape"]["field"]) == ("told", "model")
    assert "silhouette is 0.50 (0.40 to 0.60), and 24 of 24 have" in drawing.panels[0].words
    assert len(drawing.missing) == 3


def test_figure_1_says_what_it_lacks(results):
    with pytest.raises(NotDrawable, match="has no michels_capsnet/minimum/cw"):
        FIGURES["1"].draw(results)


def test_figure_1_shows_the_same_image_under_every_attack(mnist):
    if not data.is_available("mnist"):
        pytest.skip("no local copy of mnist")
    for number, attack in enumerate(("cw", "boundary", "deepfool")):
        tensors = {
            "index": torch.tensor([3, 5, 8]),
            "kept": torch.tensor([1, 2]) if attack != "cw" else torch.tensor([0, 2]),
            "perturbation": torch.full((2, 1, 28, 28), 10 * (number + 1), dtype=torch.int8),
        }
        mnist.artifacts[f"michels_capsnet/minimum/{attack}"] = SimpleNamespace(
            tensors=filled(Minimal, tensors), tables={}, facts={}
        )
    drawing = FIGURES["1"].draw(Results([mnist]))
    assert {row["image"] for row in drawing.rows} == {8}, "the only one that all three moved"
    assert [row["attack"] for row in drawing.rows] == ["CW-L2", "Boundary", "DeepFool", "Universal"]
    assert "9 pictures in 2 rows" in drawing.panels[0].words


def test_perturbations_are_enlarged_as_far_as_they_fit():
    assert gain_of(torch.tensor([3, -12])) == 10
    assert gain_of(torch.tensor([200])) == 1
    picture = around_grey(torch.tensor([0, 3, -12, 100], dtype=torch.int16), 10)
    assert picture.tolist() == [128, 158, 8, 255]
