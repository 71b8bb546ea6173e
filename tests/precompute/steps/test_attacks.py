from pathlib import Path

import pytest
import torch

from core import data
from core.attacks import ReconstructivePGD
from core.data.corruptions import corrupt
from core.detectors import ReconstructionDetector
from core.images import add_levels, eight_bit, from_uint8
from core.metrics import undetected_rate
from core.models import build
from core.models.packing import SCALE
from core.runtime import dtype_name, network_precision
from core.selection import select
from precompute.steps.attacks import attack_rows
from precompute.steps.job import Job, Stopped
from precompute.steps.loading import load_model
from precompute.steps.records import Clean, Sweep
from precompute.steps.table import STEPS
from precompute.store import Artifact
from precompute.store.files import Folder
from precompute.store.workspace import Workspace
from tests.precompute.stored import filled

pytestmark = pytest.mark.slow

COMMON = {"dataset": "digits", "model": "cnn_cr", "size": "compact"}
ROWS = {"first": 0, "per_class": 6, "targets": "random", "seed": 0}
FIELDS = {"epsilon": 0.3, "step_size": 0.1, "steps": 2}


def changed(images, levels):
    """Images with a change in levels, in [0, 1]."""
    return from_uint8(add_levels(images, levels))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(Workspace(Folder.open(tmp_path / "work")))


def artifact(tensors=None, facts=None) -> Artifact:
    return Artifact("key", {}, tensors or {}, {}, facts or {})


def on_cpu(params, weights):
    """The model to hold a step's answers against; the step itself takes the device that there is."""
    return load_model(params, weights).cpu()


@pytest.fixture(scope="module")
def weights() -> Artifact:
    model = build("cnn_cr", (1, 28, 28), 10, seed=0)
    return artifact({name: value.half() for name, value in model.state_dict().items()})


@pytest.mark.parametrize("epsilon", [0.3, 0.1, 0.05])
def test_eight_bit_perturbations_stay_in_the_ball_and_are_the_nearest(epsilon):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (5, 1, 4, 6), dtype=torch.uint8, generator=generator)
    x = images.float() / 255
    x_adv = (x + (torch.rand(x.shape, generator=generator) * 2 - 1) * epsilon).clamp(0, 1)
    rounded = changed(images, eight_bit(x, x_adv, epsilon))
    assert (rounded - x).abs().max() <= epsilon + 1e-6
    assert (rounded - x_adv).abs().max() <= 1 / 255
    assert (rounded * 255 - (rounded * 255).round()).abs().max() < 1e-4
    assert eight_bit(x, x, epsilon).abs().max() == 0


def test_attacked_keeps_what_the_eight_bit_image_gives(job, weights):
    params = {
        **COMMON,
        "attack": "r-pgd",
        "fields": FIELDS,
        "rows": ROWS,
        "seed": 0,
        "keep_perturbation": True,
    }
    sweep = artifact(filled(Sweep), facts={"best_beta": 0.7})
    outcome = STEPS["attacked"].load()(params, {"weights": weights, "sweep": sweep}, job)
    t = outcome.tensors
    assert outcome.facts["beta"] == 0.7
    assert t["perturbation"].dtype == torch.int8
    assert t["perturbation"].abs().max() > 0
    digits = data.load("digits")
    assert torch.equal(digits.test.labels[t["index"]], t["label"])
    model = on_cpu(COMMON, weights)
    x_adv = changed(digits.test.images[t["index"]], t["perturbation"])
    assert torch.equal(model(x_adv).argmax(1), t["prediction"])
    assert torch.allclose(ReconstructionDetector(model).score(x_adv), t["distance"], atol=1e-4)


def test_a_black_box_attack_sees_the_substitute_alone(job, weights, tmp_path):
    params = {
        **COMMON,
        "attack": "pgd",
        "fields": FIELDS,
        "rows": ROWS,
        "seed": 0,
        "keep_perturbation": True,
    }
    other = build("cnn_cr", (1, 28, 28), 10, seed=1)
    substitute = artifact({name: value.half() for name, value in other.state_dict().items()})
    attacked = STEPS["attacked"].load()
    outcome = attacked(params, {"weights": weights, "substitute": substitute}, job)
    alone = Job(Workspace(Folder.open(tmp_path / "alone")))
    on_substitute = attacked(params, {"weights": substitute}, alone)
    assert torch.equal(outcome.tensors["perturbation"], on_substitute.tensors["perturbation"])
    assert (outcome.facts["access"], on_substitute.facts["access"]) == ("black_box", "white_box")
    model = on_cpu(COMMON, weights)
    images = data.load("digits").test.images[outcome.tensors["index"]]
    x_adv = changed(images, outcome.tensors["perturbation"])
    assert torch.equal(model(x_adv).argmax(1), outcome.tensors["prediction"])
    assert not torch.equal(outcome.tensors["prediction"], on_substitute.tensors["prediction"])


@pytest.mark.parametrize("epsilon", [0.3, 1.0])
def test_perturbations_of_any_size_come_back(epsilon):
    images = torch.tensor([0, 255, 3, 250], dtype=torch.uint8).view(1, 1, 2, 2)
    x_adv = torch.tensor([255, 0, 250, 3], dtype=torch.uint8).view(1, 1, 2, 2).float() / 255
    delta = eight_bit(images.float() / 255, x_adv, epsilon)
    assert delta.dtype == (torch.int8 if epsilon < 0.5 else torch.int16)
    moved = (changed(images, delta) - images.float() / 255).abs()
    assert float(moved.max()) == pytest.approx(int(epsilon * 255) / 255)


def test_smallest_changes_are_judged_as_they_are(job, weights):
    """Rounding to 8 bits takes most of them back over the border."""
    params = {
        **COMMON,
        "attack": "cw",
        "fields": {"steps": 15, "searches": 4, "initial_c": 0.1, "learning_rate": 0.05},
        "rows": {**ROWS, "per_class": 1, "targets": "none"},
        "seed": 0,
        "keep_perturbation": True,
    }
    t = STEPS["attacked"].load()(params, {"weights": weights}, job).tensors
    model, digits = on_cpu(COMMON, weights), data.load("digits")
    wrong = model(digits.test.x(t["index"])).argmax(1) != t["label"]
    assert torch.equal(t["size"] == 0, wrong)
    assert (t["prediction"] != t["label"]).all()
    rounded = changed(digits.test.images[t["index"]], t["perturbation"])
    length = (rounded - digits.test.x(t["index"])).flatten(1).norm(dim=1)
    assert torch.allclose(length, t["size"], atol=0.05)


@pytest.mark.parametrize(
    ("attack", "fields"),
    [("deepfool", {"steps": 300}), ("deepfool", {"steps": 300, "norm": "linf"}), ("boundary", {"steps": 60})],
)
@pytest.mark.parametrize("targets", ["none", "random"])
def test_attacks_without_a_bound_are_steps_too(attack, fields, targets, job, weights):
    params = {
        **COMMON,
        "attack": attack,
        "fields": fields,
        "rows": {**ROWS, "per_class": 1, "targets": targets},
        "seed": 0,
        "keep_perturbation": True,
    }
    t = STEPS["attacked"].load()(params, {"weights": weights}, job).tensors
    wanted = t["prediction"] == t["target"] if targets == "random" else t["prediction"] != t["label"]
    assert wanted.float().mean() > 0.6
    assert (t["size"][~wanted] == 0).all()
    assert (t["size"][wanted] > 0).any()
    assert ("queries" in t) == (attack == "boundary")
    if attack == "boundary":
        assert 0 < int(t["queries"].max()) <= 60


def test_attacks_resume_by_shard_after_a_stop(job, weights):
    model, digits = load_model(COMMON, weights), data.load("digits")
    rows = select(digits.test.labels, ROWS, 10)  # 60 rows: two shards
    attack = ReconstructivePGD(**FIELDS)
    calls = []

    def stop_in_second_shard(done: float, total: float, note: str) -> None:
        calls.append(note)
        if note.startswith("2/"):
            raise Stopped

    job.notify = stop_in_second_shard
    with pytest.raises(Stopped):
        attack_rows(attack, model, rows, digits, job, seed=0)
    again = []
    job.notify = lambda done, total, note: again.append(note)
    job._notified = float("-inf")
    resumed = attack_rows(attack, model, rows, digits, job, seed=0)
    assert set(again) == {"2/2 shards"}, "the first shard was computed again"
    fresh = attack_rows(attack, model, rows, digits, Job(Workspace(job.workspace._folder / "other")), seed=0)
    assert all(torch.equal(resumed[name], fresh[name]) for name in fresh)


def test_sweep_picks_the_beta_that_is_seen_least(job, weights):
    params = {
        **COMMON,
        "attack": "r-pgd",
        "fields": {"epsilon": 0.3, "step_size": 0.1, "steps": 3},
        "rows": {"first": 2, "per_class": 2, "targets": "random", "seed": 0},
        "betas": [0.2, 0.5, 0.9],
        "seed": 0,
    }
    clean = artifact(filled(Clean), facts={"threshold": 11.0})
    outcome = STEPS["sweep"].load()(params, {"weights": weights, "clean": clean}, job)
    t = outcome.tensors
    assert t["prediction"].shape == t["distance"].shape == (3, 20)
    found = [
        undetected_rate(t["prediction"][k], t["distance"][k], 11.0, t["label"], t["target"]).k
        for k in range(3)
    ]
    assert outcome.facts["best_beta"] == params["betas"][found.index(max(found))] or len(set(found)) < 3
    assert not torch.equal(t["distance"][0], t["distance"][2])


def test_corrupted_measures_the_same_images_in_every_way(job, weights):
    params = {
        **COMMON,
        "corruptions": ["Clean", "Inverse", "Line"],
        "rows": {"first": 1, "per_class": 3, "targets": "none", "seed": 0},
        "seed": 4,
    }
    clean = artifact(filled(Clean), facts={"threshold": 7.5})
    outcome = STEPS["corrupted"].load()(params, {"weights": weights, "clean": clean}, job)
    t, digits, model = outcome.tensors, data.load("digits"), on_cpu(COMMON, weights)
    assert t["prediction"].shape == t["distance"].shape == (3, 30)
    assert t["distance"].dtype == torch.float32
    assert torch.equal(digits.test.labels[t["index"]], t["label"])
    assert set(t) == {"prediction", "distance", "index", "label", "target"}, "no pictures"
    images = digits.test.images[t["index"]]
    pictures = [images, 255 - images, corrupt(images, "Line", t["index"], 4)]
    for k, (name, picture) in enumerate(zip(params["corruptions"], pictures, strict=True)):
        x = picture / 255
        assert torch.equal(model(x).argmax(1), t["prediction"][k])
        assert torch.allclose(ReconstructionDetector(model).score(x), t["distance"][k], atol=1e-4)
        wrong = t["prediction"][k] != t["label"]
        rates = outcome.facts["rates"][name]
        assert rates["n"] == 30
        assert rates["error_rate"] == pytest.approx(wrong.double().mean().item())
        missed = (wrong & (t["distance"][k] <= 7.5)).double().mean().item()
        assert rates["undetected_rate"] == pytest.approx(missed)
    assert not torch.equal(t["distance"][0], t["distance"][2])


def test_corrupted_goes_on_after_a_stop(job, weights, monkeypatch):
    rows = {**ROWS, "targets": "none"}
    params = {**COMMON, "corruptions": ["Clean", "Fog", "Line"], "rows": rows, "seed": 0}
    inputs = {"weights": weights, "clean": artifact(filled(Clean), facts={"threshold": 7.5})}

    def stop(done: float, total: float, note: str) -> None:
        if note == "Line":
            raise Stopped

    job.notify = stop
    monkeypatch.setattr("precompute.steps.job.TELL_SECONDS", 0)
    with pytest.raises(Stopped):
        STEPS["corrupted"].load()(params, inputs, job)
    job.notify = lambda *_: None
    asked = []
    monkeypatch.setattr("precompute.steps.detection.corrupt", lambda *a: asked.append(a[1]) or corrupt(*a))
    resumed = STEPS["corrupted"].load()(params, inputs, job)
    assert asked == ["Line"]
    fresh = STEPS["corrupted"].load()(params, inputs, Job(Workspace(job.workspace._folder / "other")))
    assert all(torch.equal(resumed.tensors[name], fresh.tensors[name]) for name in fresh.tensors)


def test_clean_measures_validation_for_theta_and_test_for_the_error(job, weights):
    outcome = STEPS["clean"].load()(COMMON, {"weights": weights}, job)
    digits, t = data.load("digits"), outcome.tensors
    assert len(t["validation_distance"]) == len(digits.validation)
    assert len(t["test_distance"]) == len(t["test_prediction"]) == len(digits.test)
    flagged = (t["validation_distance"] > outcome.facts["threshold"]).double().mean()
    assert 0.04 < float(flagged) <= 0.05
    wrong = t["test_prediction"] != digits.test.labels
    assert outcome.facts["error_rate"] == pytest.approx(float(wrong.double().mean()))
    winner = t["test_class_distance"].gather(1, t["test_prediction"][:, None])[:, 0]
    assert torch.allclose(winner, t["test_distance"], atol=1e-4)


def test_weights_leave_as_float16_and_reload_to_the_same_model(job):
    recipe = {"loss": "cross_entropy", "epochs": 1}
    outcome = STEPS["weights"].load()({**COMMON, "recipe": recipe}, {}, job)
    assert all(value.dtype == torch.float16 for value in outcome.tensors.values())
    assert outcome.facts["parameters"] == sum(value.numel() for value in outcome.tensors.values())
    assert len(outcome.facts["history"]) == 1
    assert outcome.facts["precision"] == dtype_name(network_precision(torch.device("cpu")))
    model = on_cpu(COMMON, artifact(dict(outcome.tensors)))
    assert torch.equal(model.state_dict()["head.weight"], outcome.tensors["head.weight"].float())
    assert not any(p.requires_grad for p in model.parameters())


def test_packed_weights_are_those_that_everything_is_computed_with(job):
    recipe = {"loss": "cross_entropy", "epochs": 1, "batch_size": 256, "warmup": 2}
    found = STEPS["weights"].load()({**COMMON, "recipe": recipe, "bits": 6}, {}, job).tensors
    assert found["head.weight"].dtype == torch.int8
    model = on_cpu(COMMON, artifact(found))
    assert torch.equal(model.state_dict()["head.weight"], found["head.weight"] * found["head.weight" + SCALE])
    images = data.load("digits").test.x(slice(0, 20))
    clean = STEPS["clean"].load()({**COMMON, "by_class": 20}, {"weights": artifact(found)}, job).tensors
    assert torch.equal(clean["test_prediction"][:20], model(images).argmax(1))
    assert torch.allclose(
        clean["test_class_distance"], ReconstructionDetector(model).class_scores(images), atol=1e-4
    )
    assert len(clean["test_distance"]) == len(data.load("digits").test)


def test_an_excerpt_keeps_the_first_image_of_each_class_in_turn_and_every_verdict(job):
    whole = {
        "index": torch.tensor([4, 4, 9, 9, 2, 2, 5, 5]),
        "label": torch.tensor([0, 1]).repeat_interleave(4),
        "target": torch.tensor([1, 2, 1, 2, 0, 2, 0, 2]),
        "prediction": torch.arange(8),
        "distance": torch.arange(8.0),
        "perturbation": torch.arange(8, dtype=torch.int8).reshape(8, 1, 1, 1),
    }
    given = {"whole": artifact(whole, {"beta": 0.5})}
    found = STEPS["excerpt"].load()({"images": 2}, given, job)
    assert found.facts == {"beta": 0.5}
    assert found.tensors["kept"].tolist() == [0, 1, 4, 5]
    assert found.tensors["perturbation"].flatten().tolist() == [0, 1, 4, 5]
    for name in ("index", "label", "target", "prediction", "distance"):
        assert torch.equal(found.tensors[name], whole[name])
    both = STEPS["excerpt"].load()({"images": 9}, given, job).tensors
    assert both["kept"].tolist() == list(range(8))


def test_health_runs_every_check_and_goes_on_where_it_was(job, weights):
    params = {
        **COMMON,
        "fields": {"epsilon": 0.3, "step_size": 0.1, "steps": 2, "fgsm_step": 0.1},
        "changed": {"cw": {"steps": 2, "searches": 1}},
        "rows": {"first": 0, "per_class": 1, "targets": "random", "seed": 0},
        "others": ["cnn_r"],
        "undefended": "cnn_r",
        "seed": 0,
    }
    clean = STEPS["clean"].load()(COMMON, {"weights": weights}, job)
    beta = artifact(filled(Sweep), facts={"best_beta": 0.5})
    inputs = {
        "weights": weights,
        "clean": artifact(dict(clean.tensors), dict(clean.facts)),
        "other-cnn_r": weights,
        **dict.fromkeys(("targeted", "untargeted", "one_step"), beta),
    }
    ran = []
    job.notify = lambda done, total, note: ran.append(note)
    fresh = STEPS["health"].load()(params, inputs, job).facts
    assert [check["number"] for check in fresh["checks"]] == list(range(1, 16))
    assert {check["verdict"] for check in fresh["checks"]} <= {"passed", "failed", "not applicable"}
    # The same classifier twice: what is made on one is as good on the other, and both fail alike.
    by = {check["number"]: check for check in fresh["checks"]}
    assert by[5]["details"][-1]["value"] == 0
    assert by[15]["verdict"] == "not applicable"
    assert (fresh["n"], fresh["gradients"]) == (10, fresh["gradients"])
    assert any(note.startswith("pgd_") for note in ran)
    again = []
    job.notify = lambda done, total, note: again.append(note)
    job._notified = float("-inf")
    assert STEPS["health"].load()(params, inputs, job).facts == fresh
    assert not [note for note in again if note.startswith(("pgd", "r-pgd", "cw"))], "ran an attack again"
