"""The models that several papers look at: which there are for each data set, and how they are trained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.models import spec
from core.training import Recipe
from precompute.papers.experiment import step
from precompute.steps.step import Step

THREE = ("capsnet", "cnn_cr", "cnn_r")
MODELS: Mapping[str, tuple[str, ...]] = {
    "digits": THREE,
    "mnist": THREE,
    "fashion_mnist": THREE,
    "svhn": THREE,
    "cifar10": ("capsnet_deeper", "capsnet_all", "deepcaps"),
}
"""Models that are trained and attacked, by data set. Source: qin2020, sections 4.4 and 5.4."""
DATASETS = tuple(MODELS)
RECIPES: Mapping[str, Mapping[str, Any]] = {
    "digits": {"epochs": 40, "batch_size": 32, "shift": 1, "warmup": 100},
    "mnist": {"epochs": 12},
    "fashion_mnist": {"epochs": 12},
    # Few images: small batches, so that there are enough steps. Both chosen by the validation images.
    "svhn": {
        "epochs": 30,
        "batch_size": 32,
        "learning_rate": 2e-3,
        "shift": 2,
        "reconstruction_weight": 0.005,
    },
    "cifar10": {"epochs": 10, "shift": 2, "reconstruction_weight": 0.001},
}
"""Fields of the recipe of a data set's models."""


@dataclass(frozen=True)
class Scale:
    """What a profile means for models.

    Attributes:
        size: Of the models.
        epochs: Of training; None for the data set's own number.
        bits: Of the stored weights, see `core.models.packing`; None for float16.
    """

    size: str
    epochs: int | None = None
    bits: int | None = None


SCALES = {"smoke": Scale("compact", epochs=2), "demo": Scale("compact"), "paper": Scale("paper")}
PROFILES = tuple(SCALES)
# What shares what is left of the repository's budget.
PACKED: Mapping[str, tuple[str, ...]] = {
    "digits": ("demo",),
    "svhn": ("smoke", "demo"),
    "cifar10": ("smoke", "demo"),
}
"""Profiles under which a data set's weights are stored in 6 bits."""


def scale_of(dataset: str, profile: str) -> Scale:
    """What a profile means for the models of a data set."""
    scale = SCALES[profile]
    return replace(scale, bits=6) if profile in PACKED.get(dataset, ()) else scale


def recipe(dataset: str, model: str, profile: str, seed: int = 0) -> dict[str, Any]:
    """Training recipe of a model, as JSON."""
    fields: dict[str, Any] = {**RECIPES[dataset], "seed": seed}
    epochs = SCALES[profile].epochs
    if epochs is not None:
        fields["epochs"] = epochs
    return Recipe(loss=spec(model).loss, **fields).record()


def weights_step(dataset: str, model: str, profile: str, digests: Mapping[str, str]) -> Step:
    """The step that trains one of a data set's models."""
    scale = scale_of(dataset, profile)
    packed = {} if scale.bits is None else {"bits": scale.bits}
    params = {
        "dataset": dataset,
        "model": model,
        "size": scale.size,
        "recipe": recipe(dataset, model, profile),
        **packed,
    }
    return step(f"{model}/weights", "weights", params, {}, digests)


def substitute_step(dataset: str, model: str, profile: str, digests: Mapping[str, str]) -> Step:
    """The step that trains what an attacker trains who lacks a model's weights: the same from another seed.

    It is never attacked itself and never ships.
    """
    params = {
        "dataset": dataset,
        "model": model,
        "size": scale_of(dataset, profile).size,
        "recipe": recipe(dataset, model, profile, seed=1),
    }
    return step(f"{model}/substitute", "weights", params, {}, digests)
