"""The steps of michels2019: its two networks, smallest and universal perturbations, transfer.

For every data set, names of steps and where their artifacts are described:
    michels_convnet/weights, michels_capsnet/weights: as of any model.
    readings: `precompute.steps.predictions`.
    {model}/universal, transfer/universal: `precompute.steps.universal`.
    {model}/adversarial/{attack}, {model}/minimum/{attack}, transfer/{attack}: `precompute.steps.minimum`.
    embedding, embedding/michels2019: `precompute.steps.embedding`.
    results-michels2019: `precompute.papers.michels2019.results`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core import data
from core.models import spec
from core.training import Recipe
from precompute.papers.experiment import step
from precompute.papers.zoo import MODELS, RECIPES, scale_of, weights_step
from precompute.steps.job import StepFunction
from precompute.steps.step import Step

FUNCTIONS = {"michels2019": StepFunction("precompute.papers.michels2019.results:michels2019_results", 1)}
OWN = ("michels_convnet", "michels_capsnet")
MINIMUM = ("cw", "boundary", "deepfool")
"""Attacks that minimise a norm, in the order of the paper's tables."""
RESULTS = "results-michels2019"


@dataclass(frozen=True)
class HowMuch:
    """What a profile means here.

    Attributes:
        epochs: Of training; None for the data set's own number.
        bits: Of the stored weights of the paper's two models; None for float16.
        parts, per_part: The test set is cut into so many parts, and so many universal perturbations are made
            from each.
        part_images: Of a part, at most; None for all.
        universal: Fields of the universal perturbation; those left out are the paper's.
        transfer: Test images of each class on which universal perturbations are tried; None for all.
        attacked: Test images of each class for CW, and for the other attacks.
        fields: Of the attacks; those left out are the paper's.
        perplexities, neighbours, seeds: The grid of embeddings.
        others: Whether universal perturbations are made for the data set's other models as well.
        conv_epochs: Of the ConvNet's training, where it would be better than the CapsNet; None for `epochs`.
    """

    epochs: int | None
    bits: int | None
    parts: int
    per_part: int
    part_images: int | None
    universal: dict[str, Any]
    transfer: int | None
    attacked: tuple[int, int]
    fields: Mapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    perplexities: tuple[float, ...] = (5, 15, 30)
    neighbours: tuple[int, ...] = (5, 15, 30)
    seeds: tuple[int, ...] = (0, 1, 2)
    others: bool = True
    conv_epochs: int | None = None


PROFILES = {
    "smoke": HowMuch(
        epochs=1,
        bits=6,
        parts=2,
        per_part=2,
        part_images=20,
        universal={"steps": 3},
        transfer=2,
        attacked=(1, 1),
        fields={
            "cw": {"kappa": 1.0, "steps": 3, "searches": 2},
            "boundary": {"steps": 20},
            "deepfool": {"steps": 20, "max_step": 0.1},
        },
        perplexities=(2, 3),
        neighbours=(2, 3),
        seeds=(0,),
    ),
    "demo": HowMuch(
        epochs=6,
        bits=6,
        parts=10,
        per_part=10,
        part_images=64,
        universal={"images": 32, "every": 5},
        transfer=20,
        attacked=(10, 10),
        # A tenth of CW's iterations, hence larger steps and a first c near where successes begin.
        fields={
            "cw": {"kappa": 1.0, "steps": 150, "searches": 5, "learning_rate": 0.05, "initial_c": 0.3},
            "boundary": {"steps": 1000},
            "deepfool": {"steps": 500, "max_step": 0.02},
        },
    ),
    # kappa, Adam's rate and the numbers of images are the paper's; the other fields are by default.
    "paper": HowMuch(
        epochs=50,
        bits=None,
        parts=10,
        per_part=10,
        part_images=None,
        universal={},
        transfer=None,
        attacked=(50, 100),
        fields={"cw": {"kappa": 1.0, "steps": 10_000, "searches": 5, "learning_rate": 0.001}},
    ),
}
# Few images, so that they take more epochs; what ships of colour images shares what is left of the budget.
OVERRIDES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "digits": {"demo": {"epochs": None}},
    "svhn": {"demo": {"epochs": None, "others": False}},
    # The paper's networks are about equally accurate: after 5 epochs their validation errors are nearest.
    "cifar10": {"demo": {"epochs": None, "conv_epochs": 5, "others": False}},
}
"""Fields of a profile that are others on some data sets."""
# The paper's equal weight of absent classes, and its decay of weights.
LOSSES: Mapping[str, Mapping[str, Any]] = {
    "michels_convnet": {"weight_decay": 1e-4},
    "michels_capsnet": {"absent": 1.0},
}
RECONSTRUCTION = {"svhn": 0.0006, "cifar10": 0.0005}
"""Weight of the squared error where it is not that of MNIST and Fashion-MNIST, 0.001."""


def how_much(dataset: str, profile: str) -> HowMuch:
    """What a profile means on a data set."""
    return replace(PROFILES[profile], **OVERRIDES.get(dataset, {}).get(profile, {}))


def own_recipe(dataset: str, model: str, how: HowMuch) -> dict[str, Any]:
    """Training recipe of one of the paper's two models, as JSON."""
    loss, capsules = spec(model).loss, spec(model).capsules
    epochs = how.epochs if capsules else how.conv_epochs or how.epochs
    fields: dict[str, Any] = {**RECIPES[dataset], **LOSSES[model], "loss": loss, "seed": 0}
    if capsules:
        fields["reconstruction_weight"] = RECONSTRUCTION.get(dataset, 0.001)
    if epochs is not None:
        fields["epochs"] = epochs
    return Recipe(**fields).record()


def experiment(dataset: str, profile: str) -> list[Step]:
    """All named steps of a bundle; in it are models of qin2020, too, as perturbations are tried on them."""
    digests = {dataset: data.fingerprint(dataset)}
    how, size = how_much(dataset, profile), scale_of(dataset, profile).size
    models = [*OWN, *MODELS[dataset]]
    sizes = {model: spec(model).size_for(dataset, size) for model in models}
    packed = {} if how.bits is None else {"bits": how.bits}
    weights = {model: weights_step(dataset, model, profile, digests) for model in MODELS[dataset]}
    for model in OWN:
        params = {
            "dataset": dataset,
            "model": model,
            "size": sizes[model],
            "recipe": own_recipe(dataset, model, how),
            **packed,
        }
        weights[model] = step(f"{model}/weights", "weights", params, {}, digests)
    every = {"dataset": dataset, "models": models, "sizes": sizes}
    given = {f"weights-{model}": weights[model] for model in models}
    found = [weights[model] for model in models]
    found.append(step("readings", "readings", every, given, digests))

    universal: dict[str, Step] = {}
    makers = models if how.others else list(OWN)
    for model in makers:
        params = {
            "dataset": dataset,
            "model": model,
            "size": sizes[model],
            "parts": how.parts,
            "per_part": how.per_part,
            "part_images": how.part_images,
            "fields": how.universal,
            "seed": 0,
        }
        universal[model] = step(
            f"{model}/universal", "universal", params, {"weights": weights[model]}, digests
        )
    found += universal.values()
    rows = {"first": 0, "per_class": how.transfer, "targets": "none", "seed": 0}
    tried = {**given, **{f"universal-{model}": made for model, made in universal.items()}}
    found.append(step("transfer/universal", "universal_transfer", {**every, "rows": rows}, tried, digests))

    for attack in MINIMUM:
        adversarial = {
            model: _adversarial(dataset, model, sizes[model], attack, how, weights[model]) for model in OWN
        }
        for model, made in adversarial.items():
            name = f"{model}/minimum/{attack}"
            params = {"dataset": dataset, "kept": 1}
            found += [made, step(name, "minimum", params, {"adversarial": made}, digests)]
        moved = {f"adversarial-{model}": made for model, made in adversarial.items()}
        found.append(step(f"transfer/{attack}", "transfer", every, {**given, **moved}, digests))

    for name, shown in (("embedding", makers), ("embedding/michels2019", list(OWN))):
        params = {
            "models": shown,
            "perplexities": list(how.perplexities),
            "neighbours": list(how.neighbours),
            "seeds": list(how.seeds),
        }
        found.append(step(name, "embedding", params, {model: universal[model] for model in shown}, {}))

    read = {s.name: s for s in found if s.function not in ("weights", "adversarial")}
    params = {"dataset": dataset, "profile": profile, "compared": list(OWN)}
    return [*found, step(RESULTS, "michels2019", params, read, {}, FUNCTIONS)]


def _adversarial(dataset: str, model: str, size: str, attack: str, how: HowMuch, weights: Step) -> Step:
    """Attacked images of one model, and all that is known of them."""
    targeted = attack == "cw"
    params = {
        "dataset": dataset,
        "model": model,
        "size": size,
        "attack": attack,
        "fields": how.fields.get(attack, {}),
        "rows": {
            "first": 0,
            "per_class": how.attacked[0 if targeted else 1],
            "targets": "random" if targeted else "none",
            "seed": 0,
        },
        "seed": 0,
    }
    return step(
        f"{model}/adversarial/{attack}", "adversarial", params, {"weights": weights}, dict(weights.data)
    )


def ships(step: Step) -> bool:
    """Whether an artifact ships: all but attacked images, which hold pictures."""
    return step.function != "adversarial"
