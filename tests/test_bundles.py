"""What ships is whole, meets its targets, holds no picture it may not, and is what its weights give."""

import pytest
import torch

from core import data
from core.attacks import PGD, predict
from core.detectors import ReconstructionDetector
from core.metrics import success_rate, undetected_rate
from precompute.loading import load_model
from precompute.pipeline import DATASETS, MODELS, experiment, shipped_names
from precompute.steps import perturbed
from precompute.store import Store

# Largest error rate on the test set, per data set.
ERROR = {"digits": 0.03, "mnist": 0.01, "fashion_mnist": 0.11}


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(params=DATASETS)
def bundle(request, store):
    found = store.bundle(request.param, "demo")
    assert found is not None
    assert found.shipped
    return found


def model_of(bundle, name):
    params = {"dataset": bundle.dataset, "model": name, "size": bundle.facts["size"]}
    return load_model(params, bundle[f"{name}/weights"])


def test_every_shipped_step_is_current_and_whole(bundle):
    wanted = {step.name: step.key for step in experiment(bundle.dataset, "demo")}
    assert set(bundle.names) == set(shipped_names(bundle.dataset, "demo"))
    for name, key in bundle.names.items():
        assert wanted[name] == key, f"{name} is stale"
        bundle.load(name)  # checks digests


def test_models_reach_their_accuracy_and_are_close_to_each_other(bundle):
    errors = [bundle.load(f"{model}/clean", ()).facts["error_rate"] for model in MODELS]
    assert max(errors) <= ERROR[bundle.dataset]
    assert max(errors) - min(errors) <= 0.015


@pytest.mark.parametrize("model", MODELS)
def test_targeted_pgd_at_the_papers_epsilon_is_detected_on_mnist(store, model):
    bundle = store.bundle("mnist", "demo")
    found = bundle.load(f"{model}/attack/pgd-targeted")
    t = found.tensors
    assert found.facts["fields"]["epsilon"] == 0.3
    threshold = bundle.load(f"{model}/clean", ()).facts["threshold"]
    assert undetected_rate(t["prediction"], t["distance"], threshold, t["label"], t["target"]).value <= 0.02
    assert success_rate(t["prediction"], t["label"], t["target"]).value >= 0.8, (
        "an attack that fails hides nothing"
    )


def test_only_digits_ship_pictures(bundle):
    stored = [name for name in bundle.names if "reconstruction" in name]
    assert bool(stored) == data.spec(bundle.dataset).pictures_ship
    for name in bundle.names:
        for tensor, value in bundle[name].tensors.items():
            if value.ndim == 4 and value.shape[-2:] == (28, 28) and bundle.dataset != "digits":
                assert tensor == "perturbation"
                assert value.dtype == torch.int8


@pytest.mark.parametrize("model", MODELS)
def test_stored_results_are_those_of_the_shipped_weights(bundle, model):
    if not data.is_available(bundle.dataset):
        pytest.skip(f"no local copy of {bundle.dataset}")
    rows, t = slice(0, 900, 20), bundle[f"{model}/matrix"].tensors
    network, test = model_of(bundle, model), data.load(bundle.dataset).test
    assert torch.equal(test.labels[t["index"]], t["label"])
    x_adv = perturbed(test.images[t["index"][rows]], t["perturbation"][rows])
    distance = ReconstructionDetector(network).score(x_adv)
    assert (predict(network, x_adv) == t["prediction"][rows]).float().mean() > 0.95, "ties aside"
    assert torch.allclose(distance, t["distance"][rows], atol=0.02)
    limit = data.spec(bundle.dataset).epsilon
    assert t["perturbation"].abs().max() <= limit * 255
    clean = test.x(slice(0, 500))
    wrong = predict(network, clean) != test.labels[:500]
    assert wrong.float().mean() <= 2 * ERROR[bundle.dataset]
    result = PGD(epsilon=limit, steps=20)(network, clean[:20], test.labels[:20])
    assert result.success.float().mean() > 0.5, "the model can be attacked"
