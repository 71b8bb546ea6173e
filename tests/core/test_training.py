import json

import pytest
import torch
from safetensors import safe_open

from core import data
from core.models import build
from core.objectives import margin_loss, squared_error
from core.training import CheckpointError, Recipe, train, translate

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
