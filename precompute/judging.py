"""Judges of adversarial images: trained on their own, never attacked for a result, and what they say."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core import data
from core.attacks import PGD, predict
from core.coherence import class_distances, neighbour_labels, pixels
from core.metrics import Rate, rate, succeeded
from core.models import build
from core.models.packing import unpack
from core.runtime import configure, describe, device
from core.selection import select
from precompute.artifact import Artifact
from precompute.steps import perturbed, weights
from precompute.tables import numbers
from precompute.work import Job, Outcome

NEIGHBOURS = "neighbours"
"""The judge without a network."""


def load_judge(params: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    """A judge with the weights that a step stored, on the device."""
    configure()
    spec = data.spec(params["dataset"])
    model = build(params["model"], spec.shape, spec.n_classes, params["size"])
    model.load_state_dict(unpack(tensors))
    return model.to(device()).eval().requires_grad_(False)


def train_judge(params: dict[str, Any], job: Job) -> Outcome:
    """Train a judge; measure its accuracy on test images, and on some of them under PGD."""
    outcome = weights(params, {}, job)
    model = load_judge(params, outcome.tensors)
    test = data.load(params["dataset"]).test
    right = predict(model, test.x().to(device())).cpu() == test.labels
    rows = select(test.labels, params["rows"])
    x, label = test.x(rows.index).to(device()), rows.label.to(device())
    attacked = PGD(**params["attack"])(model, x, label, index=rows.index, precision=torch.float32)
    facts = {
        "adversary": params.get("adversary"),
        "accuracy": numbers(rate(right)),
        "robust_accuracy": numbers(rate(~attacked.success)),
        "attack": params["attack"],
    }
    return Outcome(outcome.tensors, facts={**outcome.facts, **facts})


def class_similarity(params: dict[str, Any]) -> Outcome:
    """Distances between the classes of a data set, by every measure, on clean training images."""
    training = data.load(params["dataset"]).train
    per_class = min(int(training.labels.bincount().min()), params["per_class"])
    rows = select(training.labels, {"first": 0, "per_class": per_class, "targets": "none", "seed": 0})
    found = class_distances(training.images[rows.index], rows.label)
    tensors = {name: torch.from_numpy(distances) for name, distances in found.items()}
    return Outcome(tensors, facts={"per_class": per_class, "n": len(rows.index)})


def ask_judges(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """What every judge sees in the attacked images of a matrix that were read as the target."""
    dataset, matrix = data.load(params["dataset"]), inputs["matrix"].tensors
    judges = {name: artifact for name, artifact in inputs.items() if name != "matrix"}
    row = succeeded(matrix["prediction"], matrix["label"], matrix["target"]).nonzero().flatten()
    x_adv = perturbed(dataset.test.images[matrix["index"][row]], matrix["perturbation"][row])
    said: list[Tensor] = []
    facts: list[dict[str, Any]] = []
    for number, (name, judge) in enumerate(judges.items()):
        job.progress(number, len(judges) + 1, name)
        model = load_judge(judge.facts | {"dataset": params["dataset"]}, judge.tensors)
        said.append(predict(model, x_adv.to(device())).cpu() if len(row) else row)
        known = ("model", "adversary", "accuracy", "robust_accuracy", "attack")
        facts.append({"judge": name, **{fact: judge.facts[fact] for fact in known}})
    job.progress(len(judges), len(judges) + 1, NEIGHBOURS)
    neighbours, accuracy = ask_neighbours(dataset, x_adv, params["rows"])
    facts.append({"judge": NEIGHBOURS, "accuracy": numbers(accuracy), "reference": len(dataset.train)})
    tensors = {"row": row, "prediction": torch.stack([*said, neighbours])}
    return Outcome(tensors, facts={"judges": facts, "device": describe(device())})


def ask_neighbours(dataset: data.Dataset, x_adv: Tensor, choice: Mapping[str, Any]) -> tuple[Tensor, Rate]:
    """What the nearest training images say of attacked ones, (N,), and how right they are on clean ones."""
    clean = select(dataset.test.labels, choice)
    known, labels = pixels(dataset.train.images), dataset.train.labels
    asked = torch.cat([x_adv, dataset.test.x(clean.index)])
    found = neighbour_labels(known, labels, pixels(asked))
    return found[: len(x_adv)], rate(found[len(x_adv) :] == clean.label)
