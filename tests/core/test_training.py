import json

import pytest
import torch
from safetensors import safe_open
from torch import nn

from core import data
from core.attacks import PGD, predict
from core.models import build
from core.objectives import margin_loss, squared_error
from core.training import Adversary, CheckpointError, Recipe, train, translate

RECIPE = Recipe(epochs=3, batch_size=32, warmup=5, shift=1, precision="float32", seed=1)


@pytest.fixture(scope="module")
def splits():
    digits = data.load("digits")
    few = torch.arange(96)
    training = data.Split(digits.train.images[few], digits.train.labels[few])
    return training, data.Split(digits.validation.images[:40], digits.validation.labels[:40])


def fresh():
    return build("cnn_cr", (1, 28, 28), seed=1)


def test_margin_loss_by_hand():
    length = torch.tensor([[0.95, 0.3, 0.05]])
    loss = margin_loss(torch.logit(length), torch.tensor([1]))
    assert loss.item() == pytest.approx(0.6**2 + 0.5 * 0.85**2, abs=1e-5)


def test_squared_error_is_summed_over_pixels():
    assert squared_error(torch.ones(2, 1, 2, 3), torch.zeros(2, 1, 2, 3)).tolist() == [6.0, 6.0]


@pytest.mark.parametrize("loss", ["margin", "cross_entropy"])
def test_training_learns_and_lowers_the_reconstruction_error(splits, loss):
    model = build("capsnet" if loss == "margin" else "cnn_r", (1, 28, 28), seed=0)
    recipe = Recipe(loss=loss, epochs=12, batch_size=16, warmup=10, precision="float32")
    history = train(model, *splits, recipe).epochs
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
        assert len(json.loads(file.metadata()["history"])) == 2
    resumed = fresh()
    steps = []
    history = train(resumed, *splits, RECIPE, checkpoint=path, on_progress=lambda d, t, n: steps.append(d))
    assert [row["epoch"] for row in history.epochs] == [1, 2, 3]
    assert steps == [9], "only the third epoch ran"
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert list(tmp_path.iterdir()) == [path], "no half-written file is left"


def test_refuses_a_checkpoint_of_another_recipe(splits, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    short = Recipe(epochs=1, batch_size=32, precision="float32")
    train(fresh(), *splits, short, checkpoint=path)
    with pytest.raises(CheckpointError, match="expected a checkpoint of recipe .* got one of .*; delete it"):
        train(fresh(), *splits, RECIPE, checkpoint=path)


def test_seed_decides_the_result(splits):
    results = []
    for seed in (1, 1, 2):
        model = build("cnn_cr", (1, 28, 28), seed=seed)
        train(model, *splits, Recipe(epochs=1, batch_size=32, precision="float32", seed=seed))
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
    recipe = Recipe(
        loss="cross_entropy", epochs=20, batch_size=50, warmup=0, learning_rate=0.05, precision="float32"
    )
    found = {}
    for name, adversary in (("plain", None), ("robust", Adversary(0.1, 0.05, steps=3, ramp=0.2))):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(41, 2))
        train(model, training, test, recipe, adversary=adversary)
        attack = PGD(epsilon=0.1, step_size=0.05, steps=5)
        attacked = attack(model, test.x(), test.labels, precision=torch.float32)
        clean = float((predict(model, test.x()) == test.labels).double().mean())
        found[name] = clean, 1 - float(attacked.success.double().mean())
    assert found["plain"][0] > 0.95
    assert found["plain"][1] < 0.5
    assert found["robust"][1] > 0.8, found


def test_adversarial_examples_grow_from_the_images_to_the_whole_ball(splits):
    model = build("residual", (1, 28, 28), seed=0)
    x, y, index = splits[0].x()[:8], splits[0].labels[:8], torch.arange(8)
    adversary = Adversary(0.3, 0.1, steps=4, ramp=0.5)

    def grown(done: float, seed: int = 0) -> torch.Tensor:
        made = adversary.examples(model, x, y, index, done=done, seed=seed, recipe=RECIPE)
        assert not made.requires_grad
        return (made - x).abs().amax((1, 2, 3))

    assert torch.equal(grown(0), torch.zeros(8))
    assert torch.allclose(grown(0.25), torch.full((8,), 0.15), atol=1e-6)
    assert torch.allclose(grown(0.5), torch.full((8,), 0.3), atol=1e-6)
    assert torch.equal(grown(0.5), grown(1.0))
    assert all(p.requires_grad for p in model.parameters())


def test_adversarial_training_resumes_and_knows_its_adversary(splits, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    recipe = Recipe(loss="cross_entropy", epochs=2, batch_size=32, warmup=2, precision="float32", seed=1)
    adversary = Adversary(0.2, 0.1, steps=2)
    whole, cut = build("residual", (1, 28, 28), seed=1), build("residual", (1, 28, 28), seed=1)
    train(whole, *splits, recipe, adversary=adversary)

    def kill(done: int, total: int, note: str):
        raise Killed

    with pytest.raises(Killed):
        train(cut, *splits, recipe, adversary=adversary, checkpoint=path, on_progress=kill)
    train(cut, *splits, recipe, adversary=adversary, checkpoint=path)
    assert all(torch.equal(v, cut.state_dict()[name]) for name, v in whole.state_dict().items())
    for other in (None, Adversary(0.2, 0.1, steps=3)):
        with pytest.raises(CheckpointError, match="expected a checkpoint of recipe"):
            train(cut, *splits, recipe, adversary=other, checkpoint=path)
