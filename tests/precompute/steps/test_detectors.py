"""The steps `fitted` and `scored`: any detector on any stored attack, and attacks where there is none."""

from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from core import data
from core.attacks import PGD, predict
from core.detectors import DETECTORS, Detector, PCADetector, ReconstructionDetector
from core.images import add_levels, from_uint8
from core.models import build
from core.models.packing import pack, unpack
from precompute.papers.experiment import detector_steps, step
from precompute.steps.job import Job
from precompute.steps.loading import load_network
from precompute.steps.records import Attacked, Fitted, Scored
from precompute.steps.table import STEPS
from precompute.store import Artifact, Store
from precompute.store.files import Folder
from precompute.store.workspace import Workspace

pytestmark = pytest.mark.slow

COMMON = {"dataset": "digits", "model": "cnn_cr", "size": "compact"}
PLAIN = {**COMMON, "model": "convnet"}
PGD_FIELDS = {"epsilon": 0.3, "step_size": 0.1, "steps": 2}
ROWS = {"first": 0, "per_class": 1, "targets": "random", "seed": 0}
WEIGHTS = step("weights", "weights", COMMON, {}, {})


class Noisy(Detector):
    """Draws each score around the mean pixel."""

    title: ClassVar[str] = "Noisy"
    random = True

    def evasion_loss(self, x, label=None):
        return x.flatten(1).mean(1)

    def measure(self, x, draw):
        return self.evasion_loss(x) + draw.normal(x[:, :1, :1, :1]).flatten()


class Halves(Detector):
    """Scores by the brighter half of an image, and tells both."""

    title: ClassVar[str] = "Halves"

    def halves(self, x):
        return {"left": x[..., :14].mean((1, 2, 3)), "right": x[..., 14:].mean((1, 2, 3))}

    def evasion_loss(self, x, label=None):
        return torch.stack(list(self.halves(x).values())).amax(0)

    def parts(self, x, **_):
        return self.halves(x)


class Pupil(Detector):
    """Learns how bright attacked images are."""

    title: ClassVar[str] = "Pupil"
    needs: ClassVar = frozenset({"fit", "attacked"})

    def __init__(self, model=None, factor=1.0):
        super().__init__(model)
        self.factor = factor
        self.learnt("mean")

    def fit(self, split, attacked=None, seed=0):
        self.learn(mean=self.factor * attacked.mean((1, 2, 3)))
        return self

    def evasion_loss(self, x, label=None):
        return -(x.flatten(1).mean(1) - self.mean.mean()).abs()


@pytest.fixture(autouse=True)
def more_detectors(monkeypatch):
    for name, kind in (("noisy", Noisy), ("halves", Halves), ("pupil", Pupil)):
        monkeypatch.setitem(DETECTORS, name, kind)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    found = Store(tmp_path_factory.mktemp("store")).bundle("digits", "qin2020", "demo")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def weights(bundle):
    return bundle["cnn_cr/weights"]


@pytest.fixture(scope="module")
def matrix(bundle):
    """An attack that ships, of few rows."""
    stored = bundle["cnn_cr/matrix"]
    record = Attacked.of(stored)
    few = record.kept_rows[::40].contiguous()
    fewer = replace(record, perturbation=record.perturbations(few), kept=few)
    return Artifact("matrix", {}, fewer.tensors(), {}, dict(record.facts))


@pytest.fixture(scope="module")
def plain_weights():
    return Artifact("plain", {}, pack(build("convnet", (1, 28, 28), 10, seed=0).state_dict()), {}, {})


@pytest.fixture
def run(tmp_path):
    """Run a step function and give back its artifact."""
    count = iter(range(100))

    def run(function, params, inputs):
        job = Job(Workspace(Folder.open(tmp_path / f"work{next(count)}")))
        made = STEPS[function].load()(params, inputs, job)
        return Artifact(function, {}, dict(made.tensors), {}, dict(made.facts))

    return run


@pytest.fixture
def both(run, weights):
    """Fit a detector and score with it, as an experiment declares it."""

    def both(detector, attacks, given=None, **more):
        declared = {name: replace(WEIGHTS, name=name, params={"attack": name}) for name in attacks}
        fit, score = detector_steps(detector, COMMON, WEIGHTS, declared, {}, **more)
        learnt = run(fit.function, fit.params, {"weights": weights, **(given or {})})
        inputs = {f"attack-{name}": attack for name, attack in attacks.items()}
        assert set(score.inputs) == {"weights", "fitted", *inputs}
        return learnt, Scored.of(
            run(score.function, score.params, {"weights": weights, "fitted": learnt, **inputs})
        )

    return both


def attack_params(common, attack="pgd", **more):
    fields = PGD_FIELDS
    return {
        **common,
        "attack": attack,
        "fields": fields,
        "rows": ROWS,
        "seed": 0,
        "keep_perturbation": True,
        **more,
    }


@pytest.mark.parametrize(("name", "fields"), [("reconstruction", {}), ("pca", {}), ("pca", {"first": 0.8})])
def test_a_detector_scores_in_steps_as_it_does_when_it_is_called(both, weights, matrix, name, fields):
    learnt, scored = both(name, {"pgd": matrix}, fields=fields)
    model, digits = load_network(COMMON, weights).cpu(), data.load("digits")
    kind = {"reconstruction": ReconstructionDetector, "pca": PCADetector}[name]
    exact = kind(model, **fields).fit(digits.train)
    stored = kind(model, **fields)
    stored.load_state_dict(unpack(pack(exact.state_dict())))
    record = Attacked.of(matrix)
    x_adv = from_uint8(add_levels(digits.test.images[record.index[record.kept]], record.perturbation))
    for x, score in (
        (digits.validation.x(), scored.validation_score),
        (digits.test.x(), scored.test_score),
        (x_adv, scored.attacks["pgd"].score),
    ):
        assert score.dtype == torch.float32
        assert torch.allclose(stored.score(x), score, rtol=1e-4, atol=1e-4)
        assert torch.allclose(exact.score(x), score, rtol=0.1), "float16"
    assert torch.equal(predict(model, x_adv), scored.attacks["pgd"].prediction)
    assert torch.equal(predict(model, digits.test.x()), scored.test_prediction)
    assert Fitted.of(learnt).fields == fields
    assert learnt.facts["n"] == (len(digits.train) if name == "pca" else 0)
    assert scored.facts["detector"]["detector"] == name
    assert scored.parts("test") == {}


@pytest.mark.parametrize("model", ["cnn_cr", "capsnet"])
def test_the_reconstruction_detector_gives_a_shipped_attack_its_stored_distances(run, bundle, model):
    common, matrix = {**COMMON, "model": model}, bundle[f"{model}/matrix"]
    given = {"weights": bundle[f"{model}/weights"]}
    params = {**common, "detector": "reconstruction", "fields": {}, "seed": 0}
    given["fitted"] = run("fitted", params, given)
    scored = Scored.of(run("scored", {**common, "seed": 0, "draws": 1}, {**given, "attack-r-pgd": matrix}))
    stored, attack = Attacked.of(matrix), scored.attacks["r-pgd"]
    rows = stored.kept_rows
    assert len(rows) == len(attack.score) > 0
    assert torch.allclose(attack.score, stored.distance[rows], atol=0.02)
    assert (attack.prediction == stored.prediction[rows]).float().mean() > 0.99
    for name in ("index", "label", "target"):
        assert torch.equal(getattr(attack, name), getattr(stored, name)[rows])
    theta = bundle[f"{model}/clean"].facts["threshold"]
    assert scored.threshold(0.05) == pytest.approx(theta, abs=0.02)
    assert attack.facts["beta"] == stored.beta


def test_the_threshold_is_set_by_validation_images_alone(both, weights, matrix):
    _, scored = both("pca", {"pgd": matrix})
    _, alone = both("pca", {})
    assert alone.attacks == {}
    for fpr in (0.01, 0.05):
        theta = scored.threshold(fpr)
        assert theta == alone.threshold(fpr)
        above = sorted(scored.validation_score.tolist(), reverse=True)
        assert theta == above[int(fpr * len(above))]
    theta = scored.threshold(0.05)
    flagged, missed = scored.flagged(theta), scored.undetected_rate("pgd", theta)
    assert (flagged.k, flagged.n) == (
        sum(s > theta for s in scored.test_score.tolist()),
        len(scored.test_score),
    )
    attack = scored.attacks["pgd"]
    count = sum(
        p == t and s <= theta
        for p, t, s in zip(
            *(v.tolist() for v in (attack.prediction, attack.target, attack.score)), strict=True
        )
    )
    assert (missed.k, missed.n) == (count, len(attack.score))
    wrong = (scored.test_prediction != scored.test_label).tolist()
    passed = [w and s <= theta for w, s in zip(wrong, scored.test_score.tolist(), strict=True)]
    assert scored.errors_accepted(theta).k == sum(passed)
    again = Scored.of(Artifact("key", {}, scored.tensors(), {}, dict(scored.facts)))
    assert torch.equal(again.attacks["pgd"].score, attack.score)


def test_random_scores_are_those_of_seed_and_image_whatever_else_is_scored(both, matrix):
    _, one = both("noisy", {"pgd": matrix}, seed=3)
    _, two = both("noisy", {"again": matrix, "pgd": matrix}, seed=3)
    assert torch.equal(one.attacks["pgd"].score, two.attacks["pgd"].score)
    assert torch.equal(two.attacks["again"].score, two.attacks["pgd"].score)
    assert torch.equal(one.test_score, two.test_score)
    _, other = both("noisy", {"pgd": matrix}, seed=4)
    assert not torch.equal(one.test_score, other.test_score)
    brightness = data.load("digits").test.x().mean((1, 2, 3))
    assert float((one.test_score - brightness).std()) == pytest.approx(20**-0.5, rel=0.15), "20 draws"
    assert one.facts["draws"] == 20


def test_parts_of_a_score_are_kept(both, matrix):
    _, scored = both("halves", {"again": matrix, "pgd": matrix})
    x = data.load("digits").test.x()
    assert torch.allclose(scored.parts("test")["left"], x[..., :14].mean((1, 2, 3)))
    for of, score in (("validation", scored.validation_score), ("pgd", scored.attacks["pgd"].score)):
        parts = scored.parts(of)
        assert list(parts) == ["left", "right"]
        assert torch.allclose(torch.maximum(parts["left"], parts["right"]), score)


def test_a_detector_learns_from_attacked_training_images(run, both, weights, matrix):
    made = run("attacked", attack_params(COMMON, split="train"), {"weights": weights})
    record = Attacked.of(made)
    digits = data.load("digits")
    assert torch.equal(digits.train.labels[record.index], record.label)
    x_adv = from_uint8(add_levels(digits.train.images[record.index], record.perturbation))
    learnt, _ = both("pupil", {"pgd": matrix}, {"attacked": made}, fields={"factor": 2.0}, attacked=WEIGHTS)
    assert torch.allclose(learnt.tensors["mean"].float(), 2 * x_adv.mean((1, 2, 3)), atol=1e-3)
    assert learnt.facts["attacked"]["n"] == 10
    with pytest.raises(ValueError, match="expected attacked images for Pupil to learn from, got none; give"):
        both("pupil", {})
    with pytest.raises(ValueError, match='expected attacked images of the split "train" to learn from, got'):
        both("pupil", {}, {"attacked": matrix})
    with pytest.raises(ValueError, match="got pgd with 10 of train; declare it with keep_perturbation"):
        both("halves", {"pgd": made})
    with pytest.raises(ValueError, match="expected what Pupil learnt to fit into float16, got mean beyond"):
        both("pupil", {}, {"attacked": made}, fields={"factor": 1e6})


def test_a_model_that_reconstructs_nothing_is_attacked_without_a_detector(run, plain_weights):
    given = {"weights": plain_weights}
    made = run("attacked", attack_params(PLAIN), given)
    assert set(made.tensors) == {"index", "label", "target", "prediction", "perturbation"}
    record, digits = Attacked.of(made), data.load("digits")
    model = load_network(PLAIN, plain_weights).cpu()
    x = digits.test.x(record.index)
    alone = PGD(**PGD_FIELDS)(model, x, record.label, target=record.target, index=record.index, seed=0)
    x_adv = from_uint8(record.images(digits.test.images, record.kept_rows))
    assert (x_adv - alone.x_adv).abs().max() <= 1 / 255
    assert torch.equal(model(x_adv).argmax(1), record.prediction)
    assert record.success_rate().n == 10
    with pytest.raises(ValueError, match="expected an attack before a detector, got one on a model that"):
        record.undetected(1.0)
    with pytest.raises(ValueError, match="expected an attack before a detector"):
        record.undetected_rate(1.0)
    with pytest.raises(ValueError, match="expected a detector that R-PGD evades"):
        run("attacked", attack_params(PLAIN, "r-pgd"), given)
    params = {**PLAIN, "detector": "reconstruction", "fields": {}, "seed": 0}
    with pytest.raises(ValueError, match="expected a model that reconstructs, got ConvNet"):
        run("fitted", params, given)
    learnt = run("fitted", {**params, "detector": "pca"}, given)
    inputs = {**given, "fitted": learnt, "attack-pgd": made}
    scored = Scored.of(run("scored", {**PLAIN, "seed": 0, "draws": 1}, inputs))
    assert torch.equal(scored.attacks["pgd"].prediction, record.prediction)
    assert scored.undetected_rate("pgd", float("inf")).k == record.success_rate().k


def test_attacks_that_minimise_a_norm_are_scored_as_the_eight_bit_images(run, plain_weights):
    given = {"weights": plain_weights}
    rows = {"first": 0, "per_class": 2, "targets": "none", "seed": 0}
    params = {**PLAIN, "attack": "deepfool", "fields": {"steps": 30}, "rows": rows, "seed": 0}
    whole = run("adversarial", params, given)
    given["fitted"] = run("fitted", {**PLAIN, "detector": "halves", "fields": {}, "seed": 0}, given)
    shipped = run("minimum", {**PLAIN, "kept": 1}, {"adversarial": whole})
    inputs = {**given, "attack-whole": whole, "attack-kept": shipped}
    attacks = Scored.of(run("scored", {**PLAIN, "seed": 0, "draws": 1}, inputs)).attacks
    rounded = (whole.tensors["x_adv"] * 255).round() / 255
    expected = torch.maximum(rounded[..., :14].mean((1, 2, 3)), rounded[..., 14:].mean((1, 2, 3)))
    assert torch.allclose(attacks["whole"].score, expected, atol=1e-6)
    model = load_network(PLAIN, plain_weights).cpu()
    assert torch.equal(attacks["whole"].prediction, model(rounded).argmax(1))
    assert torch.allclose(attacks["kept"].score, expected[shipped.tensors["kept"]], atol=1e-6)
    assert attacks["whole"].mode == "untargeted"


def test_two_steps_declare_a_detector():
    attack = step("cnn_cr/pgd", "attacked", attack_params(COMMON), {"weights": WEIGHTS}, {"digits": "d"})
    fit, score = detector_steps(
        "pca", COMMON, WEIGHTS, {"pgd": attack}, {"digits": "d"}, name="pca-80", fields={"first": 0.8}
    )
    assert (fit.name, score.name) == ("cnn_cr/fitted/pca-80", "cnn_cr/scored/pca-80")
    assert dict(fit.inputs) == {"weights": WEIGHTS}
    assert dict(score.inputs) == {"weights": WEIGHTS, "fitted": fit, "attack-pgd": attack}
    other, after = detector_steps("pca", COMMON, WEIGHTS, {"pgd": attack}, {"digits": "d"})
    assert fit.key != other.key
    assert score.key != after.key
