import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from core import data
from core.attacks import predict
from core.coherence import MEASURES, class_distances, neighbour_labels, pixels
from core.images import add_levels, from_uint8
from core.models import build
from precompute.papers.claims import evaluate
from precompute.papers.qin2020.claims import CLAIMS
from precompute.papers.qin2020.experiment import WHOLE, experiment
from precompute.papers.qin2020.paper import QIN2020
from precompute.papers.qin2020.profiles import JUDGES, ROBUST
from precompute.papers.qin2020.results import tables
from precompute.papers.zoo import DATASETS, MODELS, PROFILES
from precompute.steps.job import Job
from precompute.steps.records import Attacked, Clean
from precompute.steps.table import STEPS
from precompute.store import Artifact
from precompute.store.files import Folder
from precompute.store.workspace import Workspace
from tests.precompute.stored import filled

pytestmark = pytest.mark.slow

SHIPPED = Path(__file__).parents[3] / "assets" / "bundles"
RATE = {"k": 9, "n": 10, "value": 0.9, "low": 0.6, "high": 0.98}
CHOICE = {"first": 0, "per_class": 1, "targets": "none", "seed": 0}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(Workspace(Folder.open(tmp_path / "work")))


def judge(model: str, seed: int) -> Artifact:
    facts = {
        **{"model": model, "size": "compact", "adversary": None, "attack": {}},
        **{"accuracy": RATE, "robust_accuracy": RATE},
    }
    weights = {name: t.half() for name, t in build(model, (1, 28, 28), 10, seed=seed).state_dict().items()}
    return Artifact(f"{model}{seed}", {}, weights, {}, facts)


def test_a_judge_is_trained_against_its_adversary_and_measured(job):
    params = {
        **{"dataset": "digits", "model": "residual", "size": "compact"},
        "recipe": {"loss": "cross_entropy", "epochs": 1, "batch_size": 128, "warmup": 2, "seed": 100},
        "adversary": {"epsilon": 0.3, "step_size": 0.1, "steps": 1},
        "attack": {"epsilon": 0.3, "step_size": 0.1, "steps": 3},
        "rows": {**CHOICE, "per_class": 2},
    }
    outcome = STEPS["judge"].load()(params, {}, job)
    digits = data.load("digits")
    model = build("residual", (1, 28, 28), 10)
    model.load_state_dict({name: t.float() for name, t in outcome.tensors.items()})
    right = predict(model, digits.test.x()) == digits.test.labels
    accuracy, robust = outcome.facts["accuracy"], outcome.facts["robust_accuracy"]
    assert (accuracy["k"], accuracy["n"]) == (int(right.sum()), len(right))
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert robust["n"] == 20
    assert robust["value"] <= accuracy["value"]
    assert outcome.facts["adversary"] == params["adversary"]
    again = Job(Workspace(job.workspace._folder / "plain"))
    plain = STEPS["judge"].load()({k: v for k, v in params.items() if k != "adversary"}, {}, again)
    assert plain.facts["adversary"] is None
    assert not torch.equal(plain.tensors["head.weight"], outcome.tensors["head.weight"])


def test_similarity_is_measured_on_equally_many_training_images_a_class(job):
    outcome = STEPS["similarity"].load()({"dataset": "digits", "per_class": 40}, {}, job)
    training = data.load("digits").train
    chosen = torch.cat([(training.labels == j).nonzero().flatten()[:40] for j in range(10)])
    wanted = class_distances(training.images[chosen], training.labels[chosen], 10)
    assert outcome.facts == {"per_class": 40, "n": 400}
    assert set(outcome.tensors) == set(MEASURES)
    for name, distances in wanted.items():
        assert torch.allclose(outcome.tensors[name], torch.from_numpy(distances))


def test_judges_see_the_attacked_images_that_worked_and_no_others(job):
    digits = data.load("digits")
    index = torch.arange(12)
    label = digits.test.labels[index]
    generator = torch.Generator().manual_seed(0)
    matrix = {
        "index": index,
        "label": label,
        "target": (label + 1) % 10,
        "prediction": torch.where(index % 3 == 0, label, (label + 1) % 10),
        "perturbation": torch.randint(-76, 77, (12, 1, 28, 28), generator=generator).to(torch.int8),
    }
    judges = {"one": judge("convnet", 1), "two": judge("residual", 2), "three": judge("residual", 3)}
    inputs = {**judges, "matrix": Artifact("m", {}, filled(Attacked, matrix), {}, {})}
    outcome = STEPS["judged"].load()({"dataset": "digits", "rows": CHOICE}, inputs, job)
    row = torch.tensor([n for n in range(12) if n % 3])
    assert torch.equal(outcome.tensors["row"], row)
    x_adv = from_uint8(add_levels(digits.test.images[row], matrix["perturbation"][row]))
    for said, (name, found) in zip(outcome.tensors["prediction"], judges.items(), strict=False):
        model = build(found.facts["model"], (1, 28, 28), 10)
        model.load_state_dict({key: t.float() for key, t in found.tensors.items()})
        assert torch.equal(said, predict(model, x_adv)), name
    reference = pixels(digits.train.images)
    nearest = neighbour_labels(reference, digits.train.labels, pixels(x_adv))
    assert torch.equal(outcome.tensors["prediction"][3], nearest)
    assert [found["judge"] for found in outcome.facts["judges"]] == [*judges, "neighbours"]
    assert outcome.facts["judges"][3]["accuracy"]["n"] == 10
    assert outcome.facts["judges"][0]["accuracy"] == RATE


def made_inputs() -> dict[str, Artifact]:
    """Two images a class towards every class; capsnet fails on the upper half, the others on other cells.

    Every attack that worked on an even row is undetected. Three of the judges see the target, one the source.
    """
    pairs = [(s, i, t) for s in range(10) for i in range(2) for t in range(10) if s != t]
    source, image, target = torch.tensor(pairs).unbind(1)
    places = torch.linspace(0, 1, 10) ** 2
    distances = (places[:, None] - places[None]).abs().double()
    found = {"similarity": Artifact("s", {}, dict.fromkeys(MEASURES, distances), {}, {})}
    for number, model in enumerate(MODELS["digits"]):
        worked = (distances[source, target] < 0.3) if number == 0 else (source + number * target) % 3 == 0
        row = worked.nonzero().flatten()
        matrix = {
            "index": source * 2 + image,
            "label": source,
            "target": target,
            "prediction": torch.where(worked, target, source),
            "distance": torch.where(torch.arange(len(pairs)) % 2 == 0, 1.0, 5.0),
        }
        said = torch.stack([target[row]] * 3 + [source[row]])
        judges = [{"judge": name, "accuracy": RATE} for name in ("a", "b", "c", "neighbours")]
        judges[0]["robust_accuracy"] = RATE
        clean = {
            "validation_distance": torch.full((100,), 2.0),
            "test_prediction": torch.tensor([0]),
            "test_label": torch.tensor([0]),
        }
        found |= {
            f"{model}/clean": Artifact("c", {}, filled(Clean, clean), {}, {}),
            f"{model}/matrix": Artifact("m", {}, filled(Attacked, matrix), {}, {}),
            f"{model}/judged": Artifact("j", {}, {"row": row, "prediction": said}, {}, {"judges": judges}),
        }
    return found


@pytest.fixture(scope="module")
def made() -> dict[str, pd.DataFrame]:
    return tables({"dataset": "digits", "profile": "demo", "models": list(MODELS["digits"])}, made_inputs())


def test_the_claims_find_their_rows(made):
    rows = {name: made[name].to_dict("records") for name in ("coherence", "judges")}
    claims = [claim for claim in CLAIMS if claim.table in rows]
    findings = evaluate(claims, rows, ("digits",))
    assert len(findings) == 4
    assert all(finding.missing == () for finding in findings)
    verdicts = {finding.claim.key: finding.verdict for finding in findings}
    assert verdicts["success-follows-similarity"] == "holds"
    assert verdicts["adversarials-look-like-target"] == "undecided", "all judges say the same of all models"


def test_verdicts_are_counted_over_undetected_images(made):
    inputs, table = made_inputs(), made["judges"]
    for model in MODELS["digits"]:
        matrix = inputs[f"{model}/matrix"].tensors
        undetected = (matrix["prediction"] == matrix["target"]) & (matrix["distance"] <= 2)
        of_model = table[table["model"] == model].set_index(["judge", "metric"])
        n = int(undetected.sum())
        assert of_model.loc[("a", "called_target"), ["k", "n"]].tolist() == [n, n]
        assert of_model.loc[("neighbours", "called_source"), "k"] == n
        assert of_model.loc[("majority", "called_target"), "k"] == n
        agreed = table[(table["model"] == model) & (table["metric"] == "agreement")].iloc[0]
        assert agreed["n"] == n
        # Three of four judges name the target of every image, and one its source.
        named = torch.cat([matrix["target"][undetected]] * 3 + [matrix["label"][undetected]])
        chance = float((named.bincount(minlength=10) / len(named)).square().sum())
        assert agreed["value"] == pytest.approx((0.5 - chance) / (1 - chance))
    accuracies = table[table["model"].isna()]
    assert accuracies["metric"].tolist().count("accuracy") == 4
    assert accuracies["metric"].tolist().count("robust_accuracy") == 1
    assert set(table["dataset"]) == {"digits"}


def test_a_model_on_which_nothing_went_undetected_has_no_verdicts():
    inputs = made_inputs()
    inputs["cnn_r/matrix"].tensors["distance"].fill_(5.0)
    table = tables({"dataset": "digits", "profile": "demo", "models": list(MODELS["digits"])}, inputs)[
        "judges"
    ]
    assert set(table["model"].dropna()) == {"capsnet", "cnn_cr"}


@pytest.mark.parametrize("dataset", DATASETS)
def test_judges_share_no_seed_with_what_is_attacked_and_never_ship(dataset):
    found = {profile: {s.name: s for s in experiment(dataset, profile)} for profile in PROFILES}
    demo = found["demo"]
    judges = {name: demo[f"judges/{name}"] for name in JUDGES}
    assert len(judges) >= 3
    seeds = [step.params["recipe"]["seed"] for step in judges.values()]
    seeds += [demo[f"{model}/weights"].params["recipe"]["seed"] for model in MODELS[dataset]]
    assert len(set(seeds)) == len(judges) + 1
    robust = [step for step in judges.values() if "adversary" in step.params]
    (epsilon,) = [step.params["adversary"]["epsilon"] for step in robust]
    other = ROBUST.get(dataset, {}).get("adversary", {})
    assert epsilon == other.get("epsilon", data.spec(dataset).epsilon) <= data.spec(dataset).epsilon
    assert len({step.params["model"] for step in judges.values()}) >= 2
    for name, step in judges.items():
        assert step.key == found["paper"][f"judges/{name}"].key
    for model in MODELS[dataset]:
        asked = demo[f"{model}/judged"]
        # All of it, also where only an excerpt ships.
        assert asked.inputs["matrix"] is demo.get(f"{model}/{WHOLE}", demo[f"{model}/matrix"])
        assert set(asked.inputs) == {"matrix", *JUDGES}
        assert asked.name in demo["results"].inputs
        assert asked.name in QIN2020.shipped_names(dataset, "demo")
    assert "similarity" in QIN2020.shipped_names(dataset, "demo")
    assert not [name for name in QIN2020.shipped_names(dataset, "demo") if name.startswith("judges/")]


def test_the_models_that_shipped_before_the_judges_are_still_those_of_the_experiment():
    names = json.loads((SHIPPED / "digits" / "qin2020-demo.json").read_text(encoding="utf-8"))["names"]
    steps = {s.name: s for s in experiment("digits", "demo")}
    for model in MODELS["digits"]:
        assert steps[f"{model}/weights"].key == names[f"{model}/weights"]
        assert steps[f"{model}/matrix"].key == names[f"{model}/matrix"]
