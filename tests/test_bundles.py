"""What ships is whole, meets its targets, holds no picture it may not, and is what its weights give."""

import pandas as pd
import pytest
import torch

from core import data
from core.attacks import PGD, predict
from core.detectors import ReconstructionDetector
from core.images import from_uint8
from core.metrics import success_rate, undetected_rate
from core.walkthrough import walkthrough
from precompute.papers import PAPERS, step_functions
from precompute.papers.zoo import DATASETS, MODELS
from precompute.steps.job import Job
from precompute.steps.loading import load_model
from precompute.steps.records import Attacked
from precompute.store import Store
from precompute.store.files import Folder
from precompute.store.workspace import Workspace

pytestmark = pytest.mark.slow

# Largest error rate on the test set, and how far models may be apart, per data set. Those of SVHN and
# CIFAR-10 are of small networks on a part of the data.
ERROR = {"digits": 0.03, "mnist": 0.01, "fashion_mnist": 0.11, "svhn": 0.25, "cifar10": 0.38}
APART = {"digits": 0.015, "mnist": 0.015, "fashion_mnist": 0.015, "svhn": 0.03, "cifar10": 0.06}
BUILDS = [(paper.name, dataset) for paper in PAPERS.values() for dataset in paper.builds]
EVERY = [(dataset, model) for dataset in DATASETS for model in MODELS[dataset]]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def shipped(store, dataset, paper="qin2020"):
    found = store.bundle(dataset, paper, "demo")
    assert found is not None
    assert found.shipped
    return found


@pytest.fixture(params=DATASETS)
def bundle(request, store):
    return shipped(store, request.param)


def model_of(bundle, name):
    params = {"dataset": bundle.dataset, "model": name, "size": bundle.facts["size"]}
    return load_model(params, bundle[f"{name}/weights"]).cpu()


@pytest.mark.parametrize(("paper", "dataset"), BUILDS)
def test_every_shipped_step_is_current_and_whole(store, dataset, paper):
    bundle, steps = shipped(store, dataset, paper), PAPERS[paper].experiment(dataset, "demo")
    wanted = {step.name: step.key for step in steps}
    assert set(bundle.names) == set(PAPERS[paper].shipped_names(dataset, "demo"))
    for name, key in bundle.names.items():
        assert wanted[name] == key, f"{name} is stale"
        bundle.load(name)  # checks digests


@pytest.mark.parametrize(("paper", "dataset"), BUILDS)
def test_stored_tables_are_what_their_step_gives_now(store, tmp_path, dataset, paper):
    bundle, paper = shipped(store, dataset, paper), PAPERS[paper]
    (step,) = (step for step in paper.experiment(dataset, "demo") if step.name == paper.results)
    inputs = {name: store.load(source.key) for name, source in step.inputs.items()}
    job = Job(Workspace(Folder.open(tmp_path)))
    made = step_functions()[step.function].load()(dict(step.params), inputs, job).tables
    stored = bundle[paper.results].tables
    assert made.keys() == stored.keys()
    for name, table in stored.items():
        pd.testing.assert_frame_equal(made[name], table, check_dtype=False)


def test_models_reach_their_accuracy_and_are_close_to_each_other(bundle):
    models = MODELS[bundle.dataset]
    assert bundle.facts["models"] == list(models)
    errors = [bundle.load(f"{model}/clean", ()).facts["error_rate"] for model in models]
    assert max(errors) <= ERROR[bundle.dataset]
    assert max(errors) - min(errors) <= APART[bundle.dataset]


@pytest.mark.parametrize("model", MODELS["mnist"])
def test_targeted_pgd_at_the_papers_epsilon_is_detected_on_mnist(store, model):
    bundle = shipped(store, "mnist")
    found = bundle.load(f"{model}/attack/pgd-targeted")
    t = found.tensors
    assert found.facts["fields"]["epsilon"] == 0.3
    threshold = bundle.load(f"{model}/clean", ()).facts["threshold"]
    assert undetected_rate(t["prediction"], t["distance"], threshold, t["label"], t["target"]).value <= 0.02
    assert success_rate(t["prediction"], t["label"], t["target"]).value >= 0.8, (
        "an attack that fails hides nothing"
    )


def test_the_stored_walkthrough_is_what_its_attacks_give_here(store):
    """To rounding, which may turn a step where the gradient vanishes: a page shows one, then the other."""
    bundle = shipped(store, "digits")
    stored, model, test = bundle["capsnet/walkthrough"], model_of(bundle, "capsnet"), data.load("digits").test
    facts, here = stored.facts, walkthrough(model, test, stored.facts)
    assert int(test.labels[facts["index"]]) == facts["source"]
    index, images = torch.tensor([facts["index"]]), from_uint8(here["image"])
    pgd = PGD(**facts["fields"])(
        model, test.x(index), test.labels[index], target=facts["target"], index=index
    )
    assert torch.equal(images[:1], test.x(index))
    assert float((pgd.x_adv - images[1:2]).abs().mean()) < 0.01, "R-PGD with beta 1 is PGD"
    assert float((from_uint8(stored.tensors["image"]) - images).abs().mean()) < 0.01
    assert stored.tensors["prediction"].tolist() == predict(model, images).tolist() == [3, 8, 8]
    distance = ReconstructionDetector(model).score(images)
    assert torch.allclose(here["distance"], distance)
    assert torch.allclose(stored.tensors["distance"], distance, rtol=0.05)
    threshold = bundle.load("capsnet/clean", ()).facts["threshold"]
    assert (distance > threshold).tolist() == [False, True, False]
    rebuilt = model.reconstruct(images)
    assert float((from_uint8(stored.tensors["reconstruction"]) - rebuilt).abs().mean()) < 0.01


def test_only_digits_ship_pictures(bundle):
    stored = [name for name in bundle.names if "reconstruction" in name or "walkthrough" in name]
    assert bool(stored) == data.spec(bundle.dataset).pictures_ship
    sides = data.spec(bundle.dataset).shape[-2:]
    for name in bundle.names:
        for tensor, value in bundle[name].tensors.items():
            if value.ndim == 4 and tuple(value.shape[-2:]) == sides and bundle.dataset != "digits":
                assert tensor == "perturbation"
                assert value.dtype in (torch.int8, torch.int16)


@pytest.mark.parametrize(("dataset", "model"), EVERY)
def test_stored_results_are_those_of_the_shipped_weights(store, dataset, model):
    if not data.is_available(dataset):
        pytest.skip(f"no local copy of {dataset}")
    bundle, test = shipped(store, dataset), data.load(dataset).test
    if bundle.facts["digest"] != data.fingerprint(dataset):
        pytest.skip(f"another copy of {dataset}")
    matrix, network = Attacked.of(bundle[f"{model}/matrix"]), model_of(bundle, model)
    assert torch.equal(test.labels[matrix.index], matrix.label)
    rows = matrix.kept_rows
    rows = rows[:: max(1, len(rows) // 45)]
    x_adv = from_uint8(matrix.images(test.images, rows))
    distance = ReconstructionDetector(network).score(x_adv)
    assert (predict(network, x_adv) == matrix.prediction[rows]).float().mean() > 0.95, "ties aside"
    assert torch.allclose(distance, matrix.distance[rows], atol=0.02)
    limit = data.spec(dataset).epsilon
    assert matrix.perturbation.abs().max() <= limit * 255
    clean = test.x(slice(0, 500))
    wrong = predict(network, clean) != test.labels[:500]
    assert wrong.float().mean() <= 2 * ERROR[dataset]
    result = PGD(epsilon=limit, steps=20)(network, clean[:20], test.labels[:20])
    assert result.success.float().mean() > 0.5, "the model can be attacked"


@pytest.mark.parametrize(("dataset", "model"), EVERY)
def test_a_matrix_has_every_pair_and_pictures_of_some(store, dataset, model):
    matrix = Attacked.of(shipped(store, dataset)[f"{model}/matrix"])
    pairs = torch.stack([matrix.label, matrix.target], 1)
    assert len(pairs.unique(dim=0)) == 90
    kept = matrix.kept_rows
    assert len(matrix.perturbation) == len(kept) >= 70
    images, targets = matrix.index[kept].unique(return_counts=True)
    assert len(images) >= 8
    assert (targets == 9).all(), "an image is there with every target"


@pytest.mark.parametrize(("dataset", "attack"), [("mnist", "pgd"), ("svhn", "cw")])
def test_examples_are_rows_of_a_table(store, dataset, attack):
    bundle = shipped(store, dataset)
    for model in MODELS[dataset]:
        some = bundle[f"{model}/examples/{attack}-targeted"].tensors
        every = bundle[f"{model}/attack/{attack}-targeted"].tensors
        places = [int((every["index"] == image).nonzero()[0]) for image in some["index"]]
        assert len(some["perturbation"]) == len(places) == 10
        for name in ("label", "target", "prediction"):
            assert torch.equal(some[name], every[name][places]), name


@pytest.mark.parametrize("dataset", ["svhn", "cifar10"])
def test_results_name_the_copy_that_they_are_about(store, dataset):
    facts = shipped(store, dataset).facts
    assert facts["data_copy"] == data.spec(dataset).copy != "official files"
    assert facts["digest"] == data.spec(dataset).digest
