import json

import numpy as np
import pytest
import torch

from core.data.corruptions import CORRUPTIONS
from core.health import Check, Number, checks_of
from core.metrics import wilson
from precompute.papers.health import COLUMNS, health
from precompute.papers.paper import PUBLISHED
from precompute.papers.qin2020.experiment import experiment
from precompute.papers.qin2020.paper import QIN2020
from precompute.papers.qin2020.results import ACCESS, tables
from precompute.papers.report import bundles_of, report
from precompute.papers.zoo import DATASETS, MODELS, PROFILES
from precompute.steps.records import Attacked, Clean, Corrupted, Sweep
from precompute.store import Artifact, Store
from tests.precompute.stored import filled

KEYS = {
    "paper", "table", "dataset", "model", "attack", "mode", "access", "metric",
    "published", "ours", "low", "high", "n", "profile", "reason", "warnings", "of", "source", "unit", "worst",
}  # fmt: skip


def rows(prediction, label, target, distance):
    names = {"prediction": prediction, "label": label, "target": target}
    return {name: torch.tensor(value) for name, value in names.items()} | {"distance": torch.tensor(distance)}


def made_inputs():
    """Four attacked images whose rates are counted by hand: theta is 2, three succeed, two of them unseen."""
    clean = {
        "validation_distance": torch.cat([torch.full((95,), 2.0), torch.full((5,), 9.0)]),
        "test_prediction": torch.tensor([0, 1, 2, 2]),
        "test_label": torch.tensor([0, 1, 2, 3]),
    }
    targeted = rows([1, 1, 3, 0], [0, 0, 2, 2], [1, 1, 3, 1], [1.0, 3.0, 2.0, 1.0])
    through = rows([1, 0, 2, 0], [0, 0, 2, 2], [1, 1, 3, 1], [3.0, 3.0, 2.0, 1.0])
    sweep = {
        "beta": torch.tensor([0.25, 0.5]),
        "prediction": torch.tensor([[1, 0, 3, 0], [1, 1, 2, 2]]),
        "distance": torch.tensor([[3.0, 1.0, 1.0, 1.0], [1.0, 3.0, 1.0, 1.0]]),
        "label": targeted["label"],
        "target": targeted["target"],
    }
    corrupted = {
        "prediction": torch.tensor([[0, 1, 2, 9], [5, 5, 5, 5]]),
        "distance": torch.tensor([[1.0, 1.0, 9.0, 3.0], [2.0, 1.0, 2.5, 1.5]]),
        "label": torch.tensor([0, 1, 2, 5]),
    }
    return {
        "capsnet/clean": Artifact("a", {}, filled(Clean, clean), {}, {}),
        "capsnet/attack/r-pgd-targeted": Artifact("b", {}, filled(Attacked, targeted), {}, {"beta": 0.5}),
        "capsnet/beta": Artifact("c", {}, filled(Sweep, sweep), {}, {"attack": "r-pgd"}),
        "capsnet/black-box/r-pgd-targeted": Artifact("e", {}, filled(Attacked, through), {}, {"beta": 0.5}),
        "capsnet/matrix": Artifact("d", {}, filled(Attacked, targeted), {}, {}),
        "capsnet/corrupted": Artifact(
            "e", {}, filled(Corrupted, corrupted), {}, {"corruptions": ["Clean", "Canny Edge"]}
        ),
    }


@pytest.fixture(scope="module")
def made():
    return tables({"dataset": "mnist", "profile": "demo", "models": ["capsnet"]}, made_inputs())


def test_attacks_through_a_substitute_are_told_apart(made):
    found = made["rates"][made["rates"]["access"] == "black_box"].set_index("metric")
    assert (found.loc["success_rate", "k"], found.loc["undetected_rate", "k"]) == (1, 0)


def test_mnist_is_attacked_through_substitutes_that_never_ship():
    steps = {s.name: s for s in experiment("mnist", "demo")}
    for model in MODELS["mnist"]:
        substitute = steps[f"{model}/substitute"]
        assert substitute.params["recipe"] == {**steps[f"{model}/weights"].params["recipe"], "seed": 1}
        for name in ("pgd-targeted", "pgd-untargeted", "r-pgd-targeted", "r-pgd-untargeted"):
            white, black = steps[f"{model}/attack/{name}"], steps[f"{model}/black-box/{name}"]
            assert black.inputs["substitute"].key == substitute.key
            assert (black.params, black.inputs["weights"].key) == (white.params, white.inputs["weights"].key)
    assert not [name for name in QIN2020.shipped_names("mnist", "demo") if "substitute" in name]


def test_rates_are_counted_over_all_inputs(made):
    rates = made["rates"]
    standard = rates["attack"].isna() | (rates["attack"] == "r-pgd")
    found = rates[standard & rates["access"].isna()].set_index("metric")
    assert (found.loc["error_rate", "k"], found.loc["error_rate", "n"]) == (1, 4)
    assert (found.loc["success_rate", "k"], found.loc["success_rate", "n"]) == (3, 4)
    assert found.loc["undetected_rate", "k"] == 2
    assert (found.loc["undetected_rate", "low"], found.loc["undetected_rate", "high"]) == pytest.approx(
        wilson(2, 4)
    )


def test_corruptions_are_rows_without_a_mode(made):
    rates = made["rates"]
    found = rates[rates["attack"].isin(["Clean", "Canny Edge"])]
    assert found["mode"].isna().all()
    assert found["n"].tolist() == [4] * 4
    counts = dict(zip(zip(found["attack"], found["metric"], strict=True), found["k"], strict=True))
    assert counts == {
        ("Clean", "error_rate"): 1,
        ("Clean", "undetected_rate"): 0,  # the one that is misread lies above theta
        ("Canny Edge", "error_rate"): 3,
        ("Canny Edge", "undetected_rate"): 2,
    }


def test_matrix_counts_pairs(made):
    found = made["matrix"].set_index(["metric", "source", "target"])
    assert (found.loc[("success_rate", 0, 1), "k"], found.loc[("success_rate", 0, 1), "n"]) == (2, 2)
    assert found.loc[("undetected_rate", 0, 1), "k"] == 1
    assert found.loc[("success_rate", 2, 1), "k"] == 0


def test_sweep_has_every_beta_and_the_best_per_image(made):
    found = made["beta"]
    undetected = found[found["metric"] == "undetected_rate"]
    assert undetected["beta"].tolist()[:2] == [0.25, 0.5]
    assert undetected["k"].tolist() == [1, 1, 2]
    assert np.isnan(undetected["beta"].iloc[2])


def test_curve_falls_to_what_lies_below_all_clean_images(made):
    curve = made["fpr"][made["fpr"]["access"].isna()].set_index("fpr")
    assert curve.loc[1.0, "k"] == 1, "theta lies just below the nearest clean image"
    assert curve.loc[0.0, "k"] == 3
    assert curve.loc[0.05, "k"] == 2


def test_report_has_every_published_number_and_a_reason_where_ours_is_missing(tmp_path):
    store = Store(tmp_path, bundles=[])
    found = report(store, QIN2020)
    assert len(found) == 48 + 108 + 36 + 9 + 144 + 108 + 24
    assert all(set(row) == KEYS for row in found)
    assert all(row["ours"] is None and row["reason"] for row in found)
    reasons = {row["dataset"]: row["reason"] for row in found if row["attack"] == "pgd"}
    assert "python -m precompute build mnist" in reasons["mnist"]
    assert "python -m precompute build svhn" in reasons["svhn"]
    assert {row["table"] for row in found} == {"1", "2", "3", "4", "5", "6", "7"}


def test_report_takes_ours_from_a_bundle(tmp_path, made):
    store = Store(tmp_path, bundles=[])
    store.publish("results-key", {"function": "results"}, tables=made)
    store.set_bundle("mnist", "qin2020", "demo", {"results": "results-key"}, {})
    told = report(store, QIN2020)
    row = next(
        r
        for r in told
        if (r["table"], r["dataset"], r["model"], r["attack"], r["mode"], r["metric"])
        == ("3", "mnist", "capsnet", "r-pgd", "targeted", "undetected_rate")
    )
    assert (row["ours"], row["n"], row["profile"], row["reason"]) == (50.0, 4, "demo", None)
    assert row["published"] == 33.7
    assert row["low"] < 50 < row["high"]
    assert row["access"] is None
    through = [row for row in told if (row["table"], row["model"], row["ours"]) == ("7", "capsnet", 25.0)]
    assert [(r["access"], r["attack"], r["metric"]) for r in through] == [
        ("black_box", "r-pgd", "success_rate")
    ]
    wanting = {row["reason"] for row in told if (row["dataset"], row["attack"]) == ("mnist", "cw")}
    assert wanting == {"the demo bundle of mnist has no such row"}
    canny = [row for row in told if (row["attack"], row["model"]) == ("Canny Edge", "capsnet")]
    assert [(row["metric"], row["published"], row["ours"], row["n"]) for row in canny] == [
        ("error_rate", 21.5, 75.0, 4),
        ("undetected_rate", 0.0, 50.0, 4),
    ]


def test_report_names_a_copy_that_is_not_the_official_one(tmp_path, made):
    store = Store(tmp_path, bundles=[])
    store.publish("results-key", {"function": "results"}, tables=made)
    for copy, profile in (("official files", "demo"), ("subset of 9 + 3", "demo, subset of 9 + 3")):
        store.set_bundle("mnist", "qin2020", "demo", {"results": "results-key"}, {"data_copy": copy})
        found = {row["profile"] for row in report(store, QIN2020) if row["ours"] is not None}
        assert found == {profile}


def test_published_numbers_are_the_papers():
    numbers = json.loads((PUBLISHED / "qin2020.json").read_text())["numbers"]
    by = {
        (n["table"], n["dataset"], n["model"], n["attack"], n["mode"], n["metric"]): n["published"]
        for n in numbers
    }
    assert len(by) == len(numbers)
    assert by["1", "mnist", "cnn_r", "cw", "untargeted", "undetected_rate"] == 63
    names = list(CORRUPTIONS)
    assert [n["attack"] for n in numbers if n["table"] == "2"] == [n for n in names * 3 for _ in range(2)]
    assert by["2", "mnist", "capsnet", "Clean", None, "undetected_rate"] == 0.2
    assert by["2", "mnist", "capsnet", "Zigzag", None, "error_rate"] == 16.9
    assert by["2", "mnist", "cnn_cr", "Contrast", None, "undetected_rate"] == 32.6
    assert by["2", "mnist", "cnn_r", "Rotate", None, "undetected_rate"] == 3.4
    assert by["3", "fashion_mnist", "capsnet", "r-pgd", "targeted", "success_rate"] == 53.7
    assert by["4", "svhn", "capsnet", None, None, "error_rate"] == 10.7
    assert by["5", "fashion_mnist", "cnn_cr", "bim", "untargeted", "undetected_rate"] == 25
    assert by["6", "mnist", "cnn_cr", "r-pgd", "untargeted", "undetected_rate"] == 87.7
    assert by["7", "mnist", "cnn_cr", "r-pgd", "untargeted", "undetected_rate"] == 24.9
    assert by["7", "mnist", "cnn_r", "pgd", "targeted", "success_rate"] == 7.4
    assert {n.get("access") for n in numbers if n["table"] == "7"} == {"black_box"}
    assert not [n for n in numbers if n["table"] != "7" and "access" in n]


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("profile", PROFILES)
def test_experiments_choose_beta_on_other_images_than_they_report(dataset, profile):
    steps = experiment(dataset, profile)
    for model in MODELS[dataset]:
        spans = {}
        for step in steps:
            if step.name.startswith(f"{model}/") and step.function in ("attacked", "sweep"):
                row = step.params["rows"]
                kind = "table" if step.name.split("/")[1] in ACCESS else step.name.split("/")[1].split("-")[0]
                spans.setdefault(kind, set()).add((row["first"], row["first"] + row["per_class"]))
        examples = spans.pop("examples", set())
        assert set(spans) == {"matrix", "beta", "table"}
        (matrix,), (sweep,), (table,) = spans["matrix"], spans["beta"], spans["table"]
        assert matrix[1] <= sweep[0] < sweep[1] <= table[0]
        assert examples <= {(table[0], table[0] + 1)}, "of the images that the table reports"
    assert len({s.name for s in steps}) == len(steps)


def test_demo_keeps_the_papers_epsilons_and_enough_iterations():
    for dataset, epsilon in (("mnist", 0.3), ("fashion_mnist", 0.1)):
        steps = {s.name: s for s in experiment(dataset, "demo")}
        matrix = steps["capsnet/matrix"].params
        assert matrix["fields"] == {"epsilon": epsilon, "step_size": 0.01, "steps": 200}
        assert matrix["rows"]["per_class"] >= 10
        assert len(steps["capsnet/beta"].params["betas"]) >= 9
    paper = {s.name: s for s in experiment("mnist", "paper")}
    assert paper["capsnet/matrix"].params["fields"]["steps"] == 1000
    assert paper["capsnet/weights"].params["size"] == "paper"


def test_all_corruptions_of_mnist_alone():
    for profile, per_class in (("smoke", 2), ("demo", 100), ("paper", None)):
        steps = {s.name: s for s in experiment("mnist", profile)}
        for model in MODELS["mnist"]:
            step = steps[f"{model}/corrupted"]
            assert step.params["corruptions"] == list(CORRUPTIONS)
            assert step.params["rows"] == {"first": 0, "per_class": per_class, "targets": "none", "seed": 0}
            assert set(step.inputs) == {"weights", "clean"}
            assert step.inputs["clean"] is steps[f"{model}/clean"]
            assert step.name in steps["results"].inputs
            assert step.name in QIN2020.shipped_names("mnist", profile), "numbers, no pictures"
    others = [step for name in ("digits", "fashion_mnist") for step in experiment(name, "demo")]
    assert not any(step.function == "corrupted" for step in others)


def test_pictures_ship_for_digits_alone():
    assert "capsnet/reconstructions" in QIN2020.shipped_names("digits", "demo")
    assert "capsnet/reconstructions" not in QIN2020.shipped_names("mnist", "demo")
    assert "capsnet/matrix" in QIN2020.shipped_names("mnist", "demo")


def checks():
    share = Number("share", 0.12, 50, 0.06, 0.24)
    touched = ("error_rate", "success_rate/r-pgd")
    failed = Check(4, "failed", "12 %", (share, Number("other", 2.0, 50)), touched)
    return [failed, Check(15, "not applicable", "deterministic")]


@pytest.fixture(scope="module")
def examined():
    health = Artifact("e", {}, {}, {}, {"checks": [check.record() for check in checks()]})
    params = {"dataset": "mnist", "profile": "demo", "models": ["capsnet"]}
    return tables(params, {**made_inputs(), "capsnet/health": health})


def test_health_has_a_row_for_every_check(examined):
    found = examined["health"].set_index("check")
    assert found.loc[4, ["model", "verdict", "figure", "value", "n", "low", "high"]].tolist() == [
        *("capsnet", "failed", "12 %"),
        *(0.12, 50, 0.06, 0.24),
    ]
    assert found.loc[15, "verdict"] == "not applicable"
    assert np.isnan(found.loc[15, "value"])
    assert checks_of(examined["health"]) == {"capsnet": checks()}


def test_health_and_the_warnings_of_the_report_come_from_a_bundle(tmp_path, examined, made):
    store = Store(tmp_path, bundles=[])
    store.publish("examined-key", {"function": "results"}, tables=examined)
    store.set_bundle("mnist", "qin2020", "demo", {"results": "examined-key"}, {})
    first, second = health((bundle, "results") for bundle in bundles_of(store, QIN2020))
    assert {name: first[name] for name in COLUMNS} == first
    assert (first["dataset"], first["model"], first["check"], first["n"]) == ("mnist", "capsnet", 4, 50)
    assert (second["value"], second["n"], second["low"]) == (None, None, None)
    for row in report(store, QIN2020):
        touched = row["metric"] == "error_rate" or (row["attack"], row["metric"]) == ("r-pgd", "success_rate")
        expected = touched and (row["dataset"], row["model"]) == ("mnist", "capsnet")
        assert row["warnings"] == (["4 More effort adds little: 12 %"] if expected else []), row
    store.publish("older-key", {"function": "results"}, tables={"rates": made["rates"]})
    store.set_bundle("mnist", "qin2020", "demo", {"results": "older-key"}, {})
    assert health((bundle, "results") for bundle in bundles_of(store, QIN2020)) == []
    assert not any(row["warnings"] for row in report(store, QIN2020))


@pytest.mark.parametrize("dataset", ["mnist", "cifar10"])
def test_a_check_of_health_reads_all_models_and_none_of_the_images_that_choose_beta(dataset):
    steps = {s.name: s for s in experiment(dataset, "demo")}
    for model in MODELS[dataset]:
        step = steps[f"{model}/health"]
        assert set(step.params["others"]) == set(MODELS[dataset]) - {model}
        assert step.inputs["weights"] is steps[f"{model}/weights"]
        assert step.params["undefended"] != model
        rows, sweep = step.params["rows"], steps[f"{model}/beta"].params["rows"]
        assert rows["first"] + rows["per_class"] <= sweep["first"]
        assert rows["per_class"] * 10 >= 50
        assert step.name in steps["results"].inputs
        assert step.name in QIN2020.shipped_names(dataset, "demo")
