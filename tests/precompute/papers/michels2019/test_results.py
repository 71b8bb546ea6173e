"""The steps of michels2019 on a small scale: what they store is what the attacks and models give."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from core import data
from core.attacks import predict
from core.images import in_levels
from core.models import build
from core.models.packing import pack
from precompute.papers.michels2019.experiment import MINIMUM, OWN, RESULTS, experiment
from precompute.papers.michels2019.paper import MICHELS2019
from precompute.papers.michels2019.results import norm_differences, norms_of, transfer_rows, universal_rows
from precompute.steps.job import Job
from precompute.steps.loading import load_network
from precompute.steps.records import Minimal, Universal, UniversalTransferred
from precompute.steps.step import keys_by_name
from precompute.steps.table import STEPS
from precompute.steps.universal import parts_of
from precompute.store import Artifact
from precompute.store.files import Folder
from precompute.store.workspace import Workspace
from tests.precompute.stored import filled

pytestmark = pytest.mark.slow

MODELS = ["michels_convnet", "cnn_cr"]
SIZES = dict.fromkeys(MODELS, "compact")
EVERY = {"dataset": "digits", "models": MODELS, "sizes": SIZES}
ROWS = {"first": 0, "per_class": 1, "targets": "none", "seed": 0}


def artifact(tensors=None, facts=None, tables=None) -> Artifact:
    return Artifact("key", {}, dict(tensors or {}), dict(tables or {}), dict(facts or {}))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(Workspace(Folder.open(tmp_path / "work")))


@pytest.fixture(scope="module")
def weights() -> dict[str, Artifact]:
    return {name: artifact(pack(build(name, (1, 28, 28), 10).state_dict(), 6)) for name in MODELS}


def network(name: str, weights: dict[str, Artifact]):
    return load_network({"dataset": "digits", "model": name, "size": "compact"}, weights[name]).cpu()


def universal(name: str, weights: dict[str, Artifact], job: Job) -> Artifact:
    params = {
        "dataset": "digits", "model": name, "size": "compact", "parts": 2, "per_part": 2, "part_images": 12,
        "fields": {"steps": 2, "images": 8}, "seed": 0,
    }  # fmt: skip
    made = STEPS["universal"].load()(params, {"weights": weights[name]}, job)
    return artifact(made.tensors, made.facts)


def test_a_network_without_a_reconstruction_can_be_loaded(weights):
    model = network("michels_convnet", weights)
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_parts_are_disjoint_and_cover_everything():
    parts = parts_of(103, 10, seed=4)
    assert sorted(torch.cat(parts).tolist()) == list(range(103))
    assert {len(part) for part in parts} == {10, 11}
    assert not torch.equal(parts[0], parts_of(103, 10, seed=5)[0])


def test_levels_are_stored_as_small_as_they_can_be():
    assert in_levels(torch.tensor([127.4, -3.0]) / 255).tolist() == [127, -3]
    assert in_levels(torch.tensor([0.4])).dtype == torch.int8
    assert in_levels(torch.tensor([0.6])).dtype == torch.int16


def test_universal_perturbations_come_with_what_they_do(weights, job):
    t = universal("michels_convnet", weights, job).tensors
    assert t["perturbation"].shape == (4, 1, 28, 28)
    assert t["part"].tolist() == [0, 0, 1, 1]
    assert t["number"].tolist() == [0, 1, 0, 1]
    model, test = network("michels_convnet", weights), data.load("digits").test
    for row, part in enumerate(t["part"].tolist()):
        index = parts_of(len(test), 2, 0)[part][:12]
        x = (test.x(index) + t["perturbation"][row].float() / 255).clamp(0, 1)
        right = (predict(model, x) == test.labels[index]).float().mean()
        assert t["accuracy"][row] == pytest.approx(float(right))
    delta = t["perturbation"].double() / 255
    assert np.allclose(t["norm_l2"], delta.flatten(1).norm(dim=1), atol=1e-5)
    assert np.allclose(t["norm_linf"], delta.flatten(1).abs().amax(1), atol=1e-5)


def test_transfer_of_universal_perturbations_counts_over_test_images(weights, job, tmp_path):
    source = universal("cnn_cr", weights, job)
    inputs = {f"weights-{name}": weights[name] for name in MODELS} | {"universal-cnn_cr": source}
    params = {**EVERY, "rows": {**ROWS, "per_class": 2}}
    other = Job(Workspace(Folder.open(tmp_path / "transfer")))
    made = STEPS["universal_transfer"].load()(params, inputs, other)
    t = made.tensors
    assert made.facts["sources"] == ["cnn_cr"]
    assert t["right"].shape == t["left"].shape == (1, 4, 2)
    assert t["by_image"].shape == (1, 2, 20)
    test = data.load("digits").test
    for m, name in enumerate(MODELS):
        model = network(name, weights)
        clean = predict(model, test.x(t["index"]))
        assert torch.equal(clean, t["clean"][m].long())
        for k in range(4):
            x = (test.x(t["index"]) + source.tensors["perturbation"][k].float() / 255).clamp(0, 1)
            seen = predict(model, x)
            assert int(t["right"][0, k, m]) == int((seen == t["label"]).sum())
            left = (clean == t["label"]) & (seen != t["label"])
            assert int(t["left"][0, k, m]) == int(left.sum())
        assert int(t["by_image"][0, m].sum()) == int(t["right"][0, :, m].sum())


@pytest.fixture
def attacked(weights, job) -> Artifact:
    params = {
        "dataset": "digits", "model": "cnn_cr", "size": "compact", "attack": "deepfool",
        "fields": {"steps": 40, "max_step": 0.5}, "rows": ROWS, "seed": 0,
    }  # fmt: skip
    made = STEPS["adversarial"].load()(params, {"weights": weights["cnn_cr"]}, job)
    return artifact(made.tensors, made.facts)


def test_attacked_images_are_kept_whole_and_ship_as_numbers_and_examples(attacked, weights, job):
    t = attacked.tensors
    test, model = data.load("digits").test, network("cnn_cr", weights)
    x = test.x(t["index"])
    assert torch.equal(t["clean"], predict(model, x))
    assert torch.equal(t["prediction"], predict(model, t["x_adv"]))
    assert torch.allclose(t["norm_l2"], (t["x_adv"] - x).flatten(1).norm(dim=1), atol=1e-5)
    assert torch.equal(t["already"], t["clean"] != t["label"])
    made = STEPS["minimum"].load()({"dataset": "digits", "kept": 1}, {"adversarial": attacked}, job)
    assert "x_adv" not in made.tensors
    kept = made.tensors["kept"]
    assert (made.tensors["success"][kept] & ~made.tensors["already"][kept]).all()
    assert len(made.tensors["label"][kept].unique()) == len(kept)
    levels = made.tensors["perturbation"].float() / 255
    assert (levels - (t["x_adv"] - x)[kept]).abs().max() <= 0.5 / 255 + 1e-6


def test_every_model_is_asked_about_the_images_of_every_source(attacked, weights, job):
    inputs = {f"weights-{name}": weights[name] for name in MODELS} | {"adversarial-cnn_cr": attacked}
    made = STEPS["transfer"].load()(EVERY, inputs, job)
    t = made.tensors
    assert t["prediction"].shape == (1, 2, 10)
    own = t["prediction"][0, MODELS.index("cnn_cr")].long()
    assert torch.equal(own, attacked.tensors["prediction"])
    rows = list(transfer_rows({"transfer/deepfool": artifact(t, made.facts)}))
    (row,) = [r for r in rows if (r["model"], r["of"]) == ("michels_convnet", "all")]
    seen = t["prediction"][0, 0].long()
    assert (row["source"], row["k"], row["n"]) == ("cnn_cr", int((seen != t["label"]).sum()), 10)
    assert row["mode"] == "untargeted"


def test_embeddings_have_a_cell_for_every_setting_and_a_table_of_separation(job):
    generator = torch.Generator().manual_seed(0)

    def made(direction: int) -> Artifact:
        delta = torch.randint(-9, 10, (12, 1, 4, 4), generator=generator)
        delta[:, 0, direction] += 80
        part = torch.arange(3).repeat_interleave(4)
        tensors = {"perturbation": delta.short(), "part": part, "number": torch.arange(4).repeat(3)}
        return artifact(filled(Universal, tensors))

    params = {"models": MODELS, "perplexities": [3, 5, 500], "neighbours": [4], "seeds": [0, 1]}
    inputs = dict(zip(MODELS, (made(0), made(2)), strict=True))
    outcome = STEPS["embedding"].load()(params, inputs, job)
    assert outcome.tensors["tsne"].shape == (2, 2, 24, 2)
    assert outcome.tensors["umap"].shape == (1, 2, 24, 2)
    assert outcome.facts["perplexities"] == [3, 5], "500 is not below the number of points"
    table = outcome.tables["separation"]
    by_model = table[(table["by"] == "model") & (table["space"] == "pixels")].set_index("metric")
    assert by_model.loc["silhouette", "value"] > 0.5
    assert by_model.loc["purity", "k"] == 24
    assert set(table["space"]) == {"pixels", "tsne", "umap"}
    assert set(table[table["by"] == "part"]["model"]) == set(MODELS)


def minimum_of(norms: list[float], success: list[bool]) -> Artifact:
    n = len(norms)
    tensors = {
        "index": torch.arange(n), "target": torch.full((n,), -1), "norm_l2": torch.tensor(norms),
        "success": torch.tensor(success),
    }  # fmt: skip
    return artifact(filled(Minimal, tensors), {"attack": "deepfool"})


def test_norms_are_compared_on_the_images_that_both_have():
    inputs = {
        "a/minimum/deepfool": minimum_of([1.0, 2.0, 3.0, 9.0], [True, True, True, False]),
        "b/minimum/deepfool": minimum_of([2.0, 3.5, 4.0, 1.0], [True, True, True, True]),
    }
    norms = norms_of(inputs)
    assert norms["a", "deepfool", "untargeted"] == {0: 1.0, 1: 2.0, 2: 3.0}
    rows = pd.DataFrame(norm_differences(norms)).set_index(["metric", "model", "other"])
    shorter = rows.loc[("norm_difference", "a", "b")]
    assert shorter["value"] == pytest.approx((1 + 1.5 + 1) / 3)
    assert shorter["n"] == 3
    assert shorter["p_value"] < 0.05
    assert rows.loc[("norm_difference", "b", "a")]["p_opposite"] < 0.05


def test_rates_of_universal_perturbations_are_means_over_the_images():
    t = {
        "right": torch.tensor([[[10], [20]]]), "left": torch.tensor([[[25], [15]]]),
        "clean": torch.zeros(1, 40, dtype=torch.int8), "label": torch.tensor([0] * 36 + [1] * 4),
    }  # fmt: skip
    stored = artifact(filled(UniversalTransferred, t), {"sources": ["s"], "models": ["m"], "n": 40})
    rows = list(universal_rows(UniversalTransferred.of(stored)))
    found = {(row["metric"], row.get("of")): (row["k"], row["n"]) for row in rows}
    assert found["accuracy_under", None] == (15, 40)
    assert found["fooling_rate", "all"] == (25, 40)
    assert found["fooling_rate", "right"] == (20, 36)


@pytest.mark.parametrize("dataset", data.SPECS)
def test_the_experiment_names_all_steps_and_ships_no_pictures(dataset):
    if not data.is_available(dataset):
        pytest.skip(f"no local copy of {dataset}")
    names = keys_by_name(experiment(dataset, "demo"))
    wanted = {f"{model}/minimum/{attack}" for model in OWN for attack in MINIMUM}
    wanted |= {f"transfer/{attack}" for attack in (*MINIMUM, "universal")} | {f"{m}/universal" for m in OWN}
    assert wanted | {"readings", "embedding", "embedding/michels2019", RESULTS} <= names.keys()
    shipped = MICHELS2019.shipped_names(dataset, "demo")
    assert not [name for name in shipped if "/adversarial/" in name]
    assert wanted <= set(shipped)
