"""What is computed for which data set."""

import json

import pytest

from core import data
from core.models import MODELS as KNOWN
from precompute.papers.qin2020.experiment import WHOLE, experiment
from precompute.papers.qin2020.paper import QIN2020
from precompute.papers.qin2020.profiles import BLACK_BOX, profile_of
from precompute.papers.zoo import DATASETS, MODELS, PROFILES
from precompute.store.store import SHIPPED

pytestmark = pytest.mark.slow

COLOUR = ("svhn", "cifar10")


def steps_of(dataset, profile="demo"):
    return {step.name: step for step in experiment(dataset, profile)}


def test_every_data_set_has_models():
    assert list(DATASETS) == list(data.SPECS)
    assert all(model in KNOWN for models in MODELS.values() for model in models)
    assert all(KNOWN[model].capsules for model in MODELS["cifar10"])
    for dataset in DATASETS:
        assert steps_of(dataset)["results"].params["models"] == list(MODELS[dataset])


@pytest.mark.parametrize("dataset", DATASETS)
def test_what_ships_has_the_keys_of_its_steps(dataset):
    names = json.loads((SHIPPED / dataset / "qin2020-demo.json").read_text(encoding="utf-8"))["names"]
    steps = steps_of(dataset)
    assert {name: steps[name].key for name in names} == names


@pytest.mark.parametrize("dataset", COLOUR)
@pytest.mark.parametrize("profile", ["smoke", "demo"])
def test_colour_ships_small(dataset, profile):
    steps, shipped = steps_of(dataset, profile), QIN2020.shipped_names(dataset, profile)
    for model in MODELS[dataset]:
        assert steps[f"{model}/weights"].params["bits"] <= 8
        assert steps[f"{model}/matrix"].inputs == {"whole": steps[f"{model}/{WHOLE}"]}
        assert f"{model}/matrix" in shipped
        assert f"{model}/{WHOLE}" not in shipped
        assert f"{model}/reconstructions" not in shipped
        assert steps[f"{model}/reconstructions"].inputs["matrix"] is steps[f"{model}/{WHOLE}"]
    read = steps["results"].inputs
    assert not [name for name in read if name.endswith(WHOLE) or "/examples/" in name]


def test_epsilons_are_the_papers_and_cells_have_two_hundred_images():
    for dataset, epsilon in (("svhn", 0.1), ("cifar10", 8 / 255)):
        profile = profile_of(dataset, "demo")
        assert profile.table * len(data.spec(dataset).classes) >= 200
        for step in experiment(dataset, "demo"):
            fields = step.params.get("fields", {})
            assert fields.get("epsilon", epsilon) == epsilon
            if step.name.endswith("/r-pgd-targeted"):
                assert fields["steps"] * fields["step_size"] > 2 * epsilon, "the ball can be crossed"


def test_substitutes_are_those_of_table_7_and_figure_3():
    assert set(BLACK_BOX) == {"mnist", "cifar10"}
    steps = steps_of("cifar10")
    through = [name for name in steps if "/black-box/" in name]
    assert {name.split("/")[0] for name in through} == {"capsnet_deeper"}
    assert "capsnet_deeper/black-box/r-pgd-targeted" in through
    assert [name for name in steps if name.endswith("/substitute")] == ["capsnet_deeper/substitute"]
    ours, other = (steps[f"capsnet_deeper/{name}"].params for name in ("weights", "substitute"))
    assert other["recipe"] == {**ours["recipe"], "seed": 1}


def test_examples_are_images_that_a_table_reports():
    for dataset, attack in (("mnist", "pgd"), ("svhn", "cw")):
        steps = steps_of(dataset)
        for model in MODELS[dataset]:
            some = steps[f"{model}/examples/{attack}-targeted"]
            every = steps[f"{model}/attack/{attack}-targeted"]
            assert some.params["keep_perturbation"] is True
            differ = {name for name in some.params if some.params[name] != every.params[name]}
            assert differ == {"rows", "keep_perturbation"}
            assert some.params["rows"] == {**every.params["rows"], "per_class": 1}
            assert some.name in QIN2020.shipped_names(dataset, "demo")


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("profile", PROFILES)
def test_the_local_copy_has_enough_images(dataset, profile):
    if not data.is_available(dataset):
        pytest.skip(f"no local copy of {dataset}")
    how_much, test = profile_of(dataset, profile), data.load(dataset).test
    assert how_much.matrix + how_much.sweep + how_much.table <= int(test.labels.bincount().min())
