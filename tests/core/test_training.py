import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from torch import nn

from core import data
from core.attacks import PGD, predict
from core.models import build
from core.objectives import margin_loss, squared_error
from core.training import Adversary, CheckpointError, Recipe, train, translate

pytestmark = pytest.mark.slow

RECIPE = Recipe(epochs=3, batch_size=32, warmup=5, shift=1, seed=1)


@pytest.fixture(scope="module")
def splits():
    digits = data.load("digits")
    few = torch.arange(96)
    training = data.Split(digits.train.images[few], digits.train.labels[few])
    return training, data.Split(digits.validation.images[:40], digits.validation.labels[:40])


def fresh():
    return build("cnn_cr", (1, 28, 28), 10, seed=1)


def test_margin_loss_by_hand():
    length = torch.tensor([[0.95, 0.3, 0.05]])
    loss = margin_loss(torch.logit(length), torch.tensor([1]))
    assert loss.item() == pytest.approx(0.6**2 + 0.5 * 0.85**2, abs=1e-5)


def test_squared_error_is_summed_over_pixels():
    assert squared_error(torch.ones(2, 1, 2, 3), torch.zeros(2, 1, 2, 3)).tolist() == [6.0, 6.0]


@pytest.mark.parametrize("loss", ["margin", "cross_entropy"])
def test_training_learns_and_lowers_the_reconstruction_error(splits, loss):
    model = build("capsnet" if loss == "margin" else "cnn_r", (1, 28, 28), 10, seed=0)
    recipe = Recipe(loss=loss, epochs=12, batch_size=16, warmup=10)
    history = train(model, *splits, recipe, precision=torch.float32).epochs
    assert history[-1]["squared_error"] < 0.8 * history[0]["squared_error"]
    assert history[-1]["validation_error"] < 0.6
    assert not model.training


class Killed(Exception):
    pass


def test_resumes_after_a_kill_and_ends_with_the_same_weights(splits, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    whole, cut = fresh(), fresh()
    train(whole, *splits, RECIPE)

    def kill(done: int, total: int, note: str):
        if done == total:
            raise Killed

    with pytest.raises(Killed):
        train(cut, *splits, RECIPE, checkpoint=path, on_progress=kill)
    with safe_open(path, framework="pt") as file:
        assert len(json.loads(file.metadata()["course"])["epochs"]) == 2
    resumed = fresh()
    steps = []
    history = train(resumed, *splits, RECIPE, checkpoint=path, on_progress=lambda d, t, n: steps.append(d))
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3]
    assert steps == [7, 8, 9], "only the third epoch ran"
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert list(tmp_path.iterdir()) == [path], "no half-written file is left"


@pytest.mark.parametrize("kind", ["cnn_cr", "michels_convnet"])
def test_a_kill_within_an_epoch_costs_no_more_than_the_time_between_checkpoints(
    kind, splits, tmp_path, monkeypatch
):
    """Order, shifts, dropout, Adam's moments and the sums of the history all go on where they were."""
    clock = iter(range(0, 10**6, 25))  # seconds that a step seems to take
    monkeypatch.setattr("core.training.time.monotonic", lambda: next(clock))
    path, recipe = tmp_path / "checkpoint.safetensors", replace(RECIPE, epochs=2, batch_size=8)
    whole, cut = (build(kind, (1, 28, 28), 10, seed=1) for _ in range(2))
    expected = train(whole, *splits, recipe, precision=torch.float32)

    def kill(done: int, total: int, note: str):
        if done == 20:
            raise Killed

    with pytest.raises(Killed):
        train(cut, *splits, recipe, checkpoint=path, on_progress=kill, precision=torch.float32)
    steps = []
    resumed = build(kind, (1, 28, 28), 10, seed=1)
    options = {"checkpoint": path, "on_progress": lambda d, t, n: steps.append(d)}
    history = train(resumed, *splits, recipe, precision=torch.float32, **options)
    assert 12 < 20 - 120 / 25 <= steps[0] <= 21, "it went on within the second epoch of twelve steps"
    assert steps[-1] == 24
    for found, wanted in zip(history.epochs, expected.epochs, strict=True):
        assert {**found, "seconds": 0} == {**wanted, "seconds": 0}
        assert found["seconds"] > 12 * 25
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert list(tmp_path.iterdir()) == [path], "no half-written file is left"


def test_records_say_in_what_it_was_computed(splits, tmp_path):
    path = tmp_path / "checkpoint.safetensors"

    def kill(done: int, total: int, note: str):
        if done == 4:
            raise Killed

    with pytest.raises(Killed):
        train(fresh(), *splits, RECIPE, checkpoint=path, on_progress=kill, precision=torch.bfloat16)
    for _ in range(2):  # what is over computes nothing more
        history = train(fresh(), *splits, RECIPE, checkpoint=path, precision=torch.float32)
        assert history.precisions == ["bfloat16", "float32"]


def test_training_is_in_what_is_fastest_here_and_leaves_random_numbers_alone(splits, monkeypatch):
    monkeypatch.setattr("core.training.network_precision", lambda where: torch.bfloat16)
    state = torch.random.get_rng_state()
    weights = []
    for precision in (None, torch.bfloat16, torch.float32):
        model = fresh()
        train(model, *splits, replace(RECIPE, epochs=1), precision=precision)
        weights.append(model.state_dict()["head.weight"])
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_recipe_is_read_from_its_record_and_knows_no_precision():
    recipe = Recipe(loss="cross_entropy", epochs=7, absent=1.0, seed=3)
    assert Recipe.read(recipe.record()) == recipe
    assert Recipe.read({"epochs": 2}) == Recipe(epochs=2)
    # The keys of weights that ship were made from records that name one.
    assert recipe.record()["precision"] == "bfloat16"


def test_refuses_a_checkpoint_of_another_recipe(splits, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    short = Recipe(epochs=1, batch_size=32)
    train(fresh(), *splits, short, checkpoint=path)
    with pytest.raises(CheckpointError, match="expected a checkpoint of recipe .* got one of .*; delete it"):
        train(fresh(), *splits, RECIPE, checkpoint=path)


def test_seed_decides_the_result(splits):
    results = []
    for seed in (1, 1, 2):
        model = build("cnn_cr", (1, 28, 28), 10, seed=seed)
        train(model, *splits, Recipe(epochs=1, batch_size=32, seed=seed))
        results.append(model.head.weight)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_translation_moves_each_image_by_itself():
    x = torch.zeros(64, 1, 9, 9)
    x[:, :, 4, 4] = 1
    moved = translate(x, 2, torch.Generator().manual_seed(0))
    assert torch.equal(moved.sum((1, 2, 3)), torch.ones(64))
    places = {tuple(torch.nonzero(image[0])[0].tolist()) for image in moved}
    assert len(places) > 15
    assert all(2 <= row <= 6 and 2 <= column <= 6 for row, column in places)
    assert torch.equal(translate(x, 0, torch.Generator()), x)


def test_bad_recipes_are_told(splits):
    with pytest.raises(ValueError, match="expected loss margin or cross_entropy, got 'mse'"):
        train(fresh(), *splits, Recipe(loss="mse"))
    with pytest.raises(ValueError, match="expected a batch of at most 96 images, got 128"):
        train(fresh(), *splits, Recipe())


def two_kinds_of_evidence(count: int, seed: int) -> data.Split:
    """Two classes; one pixel tells them apart widely but errs in 1 of 10, forty others narrowly but surely.

    An adversary of 0.1 turns all the narrow ones around, and leaves the wide one (tsipras2018).
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (count,), generator=generator)
    errs = torch.rand(count, generator=generator) < 0.1
    wide = 0.2 + 0.6 * (labels.bool() ^ errs)
    narrow = 0.1 * labels[:, None] * torch.ones(40)
    images = (torch.cat([wide[:, None], narrow], 1) * 255).round().to(torch.uint8)
    return data.Split(images.view(count, 1, 1, 41), labels)


def test_an_adversary_makes_a_model_rely_on_what_it_cannot_turn_around():
    training, test = two_kinds_of_evidence(300, 0), two_kinds_of_evidence(300, 1)
    recipe = Recipe(loss="cross_entropy", epochs=20, batch_size=50, warmup=0, learning_rate=0.05)
    found = {}
    for name, adversary in (("plain", None), ("robust", Adversary(0.1, 0.05, steps=3, ramp=0.2))):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(41, 2))
        train(model, training, test, recipe, adversary=adversary, precision=torch.float32)
        attack = PGD(epsilon=0.1, step_size=0.05, steps=5)
        attacked = attack(model, test.x(), test.labels, precision=torch.float32)
        clean = float((predict(model, test.x()) == test.labels).double().mean())
        found[name] = clean, 1 - float(attacked.success.double().mean())
    assert found["plain"][0] > 0.95
    assert found["plain"][1] < 0.5
    assert found["robust"][1] > 0.8, found


def test_adversarial_examples_grow_from_the_images_to_the_whole_ball(splits):
    model = build("residual", (1, 28, 28), 10, seed=0)
    x, y, index = splits[0].x()[:8], splits[0].labels[:8], torch.arange(8)
    adversary = Adversary(0.3, 0.1, steps=4, ramp=0.5)

    def grown(done: float, seed: int = 0) -> torch.Tensor:
        made = adversary.examples(model, x, y, index, done=done, seed=seed)
        assert not made.requires_grad
        return (made - x).abs().amax((1, 2, 3))

    assert torch.equal(grown(0), torch.zeros(8))
    assert torch.allclose(grown(0.25), torch.full((8,), 0.15), atol=1e-6)
    assert torch.allclose(grown(0.5), torch.full((8,), 0.3), atol=1e-6)
    assert torch.equal(grown(0.5), grown(1.0))
    assert all(p.requires_grad for p in model.parameters())


def test_adversarial_training_resumes_and_knows_its_adversary(splits, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    recipe = Recipe(loss="cross_entropy", epochs=2, batch_size=32, warmup=2, seed=1)
    adversary = Adversary(0.2, 0.1, steps=2)
    whole, cut = build("residual", (1, 28, 28), 10, seed=1), build("residual", (1, 28, 28), 10, seed=1)
    train(whole, *splits, recipe, adversary=adversary)

    def kill(done: int, total: int, note: str):
        if done == total:
            raise Killed

    with pytest.raises(Killed):
        train(cut, *splits, recipe, adversary=adversary, checkpoint=path, on_progress=kill)
    train(cut, *splits, recipe, adversary=adversary, checkpoint=path)
    assert all(torch.equal(v, cut.state_dict()[name]) for name, v in whole.state_dict().items())
    for other in (None, Adversary(0.2, 0.1, steps=3)):
        with pytest.raises(CheckpointError, match="expected a checkpoint of recipe"):
            train(cut, *splits, recipe, adversary=other, checkpoint=path)
