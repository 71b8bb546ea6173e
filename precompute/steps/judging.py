"""Judges of adversarial images: trained on their own, never attacked for a result, and what they say."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from core import data
from core.attacks import PGD, predict
from core.coherence import class_distances, neighbour_labels, pixels
from core.images import from_uint8
from core.metrics import Rate, rate
from core.runtime import configure, describe, device
from core.selection import select
from precompute.steps.job import Job, Outcome
from precompute.steps.loading import stored_network
from precompute.steps.records import Attacked, Judged, Similarity, Weights
from precompute.steps.training import weights
from precompute.store import Artifact

NEIGHBOURS = "neighbours"
"""The judge without a network."""


def load_judge(params: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    """A judge with the weights that a step stored, on the device."""
    configure()
    return stored_network(params["dataset"], params["model"], params["size"], tensors).to(device())


def judge(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Train a judge; measure its accuracy on test images, and on some of them under PGD."""
    outcome = weights(params, inputs, job)
    model = load_judge(params, outcome.tensors)
    dataset = data.load(params["dataset"])
    test = dataset.test
    right = predict(model, test.x().to(device())).cpu() == test.labels
    rows = select(test.labels, params["rows"], dataset.spec.n_classes)
    x, label = test.x(rows.index).to(device()), rows.label.to(device())
    attacked = PGD(**params["attack"])(model, x, label, index=rows.index, precision=torch.float32)
    facts = {
        "adversary": params.get("adversary"),
        "accuracy": rate(right).record(),
        "robust_accuracy": rate(~attacked.success).record(),
        "attack": params["attack"],
    }
    return Outcome.of(Weights(packed=outcome.tensors, facts={**outcome.facts, **facts}))


def similarity(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Distances between the classes of a data set, by every measure, on clean training images."""
    dataset = data.load(params["dataset"])
    training, n_classes = dataset.train, dataset.spec.n_classes
    per_class = min(int(training.labels.bincount(minlength=n_classes).min()), params["per_class"])
    choice = {"first": 0, "per_class": per_class, "targets": "none", "seed": 0}
    rows = select(training.labels, choice, n_classes)
    found = class_distances(training.images[rows.index], rows.label, n_classes)
    tensors = {name: torch.from_numpy(distances) for name, distances in found.items()}
    return Outcome.of(Similarity(distances=tensors, facts={"per_class": per_class, "n": len(rows.index)}))


def judged(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """What every judge sees in the attacked images of a matrix that were read as the target."""
    dataset, matrix = data.load(params["dataset"]), Attacked.of(inputs["matrix"])
    judges = {name: artifact for name, artifact in inputs.items() if name != "matrix"}
    row = matrix.worked.nonzero().flatten()
    x_adv = from_uint8(matrix.images(dataset.test.images, row))
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
    facts.append({"judge": NEIGHBOURS, "accuracy": accuracy.record(), "reference": len(dataset.train)})
    about = {"judges": facts, "device": describe(device())}
    return Outcome.of(Judged(row=row, prediction=torch.stack([*said, neighbours]), facts=about))


def ask_neighbours(dataset: data.Dataset, x_adv: Tensor, choice: Mapping[str, Any]) -> tuple[Tensor, Rate]:
    """What the nearest training images say of attacked ones, (N,), and how right they are on clean ones."""
    clean = select(dataset.test.labels, choice, dataset.spec.n_classes)
    known, labels = pixels(dataset.train.images), dataset.train.labels
    asked = torch.cat([x_adv, dataset.test.x(clean.index)])
    found = neighbour_labels(known, labels, pixels(asked))
    return found[: len(x_adv)], rate(found[len(x_adv) :] == clean.label)
