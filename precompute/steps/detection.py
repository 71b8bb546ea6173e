"""The steps about detection by reconstruction: clean and corrupted images, the best beta, reconstructions."""

from typing import Any

import torch
from torch import Tensor

from core import data
from core.attacks import predict
from core.data.corruptions import corrupt
from core.detectors import ReconstructionDetector
from core.images import from_uint8, to_uint8
from core.metrics import rate, succeeded, success_rate, threshold_at, undetected_rate
from core.runtime import describe, device, dtype_name, network_precision
from core.selection import select
from precompute.steps.attacks import attack_rows, make_attack
from precompute.steps.job import Job, Outcome
from precompute.steps.loading import load_model
from precompute.steps.records import Attacked, Clean, Corrupted, Reconstructed, Sweep
from precompute.store import Artifact

FPR = 0.05


def clean(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Distances and predictions on clean images, and theta from the validation ones."""
    model = load_model(params, inputs["weights"])
    detector = ReconstructionDetector(model)
    dataset = data.load(params["dataset"])
    validation, test = dataset.validation.x().to(device()), dataset.test.x().to(device())
    prediction = predict(model, test).cpu()
    job.progress(1, 3, "distances")
    validation_distance, test_distance = detector.score(validation).cpu(), detector.score(test).cpu()
    job.progress(2, 3, "distances by class")
    by_class = detector.class_scores(test[: params.get("by_class")]).cpu() if model.conditional else None
    wrong = rate(prediction != dataset.test.labels)
    record = Clean(
        validation_distance=validation_distance,
        test_distance=test_distance,
        test_prediction=prediction,
        test_label=dataset.test.labels,
        test_class_distance=by_class,
        facts={
            "threshold": threshold_at(validation_distance, FPR),
            "fpr": FPR,
            "error_rate": wrong.value,
            "errors": wrong.k,
            "n": wrong.n,
        },
    )
    return Outcome.of(record)


def corrupted(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Predictions and distances on corrupted test images, which are made anew wherever they are shown."""
    model = load_model(params, inputs["weights"])
    detector = ReconstructionDetector(model)
    dataset = data.load(params["dataset"])
    test = dataset.test
    rows = select(test.labels, params["rows"], dataset.spec.n_classes)
    threshold = Clean.of(inputs["clean"]).stored_threshold
    names: list[str] = params["corruptions"]
    found: list[dict[str, Tensor]] = []
    rates: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(names):
        job.progress(number, len(names), name)
        shard = job.workspace.shard(f"corruption-{number}")
        part = shard.load()
        if part is None:
            images = corrupt(test.images[rows.index], name, rows.index, params["seed"])
            x = from_uint8(images).to(device())
            part = {"prediction": predict(model, x).cpu(), "distance": detector.score(x).cpu()}
            shard.save(part)
        found.append(part)
        wrong = success_rate(part["prediction"], rows.label)
        missed = undetected_rate(part["prediction"], part["distance"], threshold, rows.label)
        rates[name] = {"error_rate": wrong.value, "undetected_rate": missed.value, "n": wrong.n}
    facts = {
        "corruptions": names,
        "rates": rates,
        "threshold": threshold,
        "fpr": FPR,
        "rows": params["rows"],
        "seed": params["seed"],
        "device": describe(device()),
    }
    return Outcome.of(Corrupted(**stacked(found), **Corrupted.rows(rows), facts=facts))


def sweep(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Attack the same images at every beta; the best one has the highest undetected rate at a 5 % FPR."""
    model = load_model(params, inputs["weights"])
    dataset = data.load(params["dataset"])
    rows = select(dataset.test.labels, params["rows"], dataset.spec.n_classes)
    threshold = Clean.of(inputs["clean"]).stored_threshold
    betas: list[float] = params["betas"]
    found: list[dict[str, Tensor]] = []
    scores: list[tuple[int, int]] = []
    for number, beta in enumerate(betas):
        attack = make_attack(params, beta)
        part = attack_rows(
            attack,
            model,
            rows,
            dataset,
            job,
            seed=params["seed"],
            name=f"beta-{beta}",
            span=(number, len(betas)),
        )
        found.append(part)
        undetected = undetected_rate(
            part["prediction"], part["distance"], threshold, rows.label, rows.target
        ).k
        scores.append((undetected, int(succeeded(part["prediction"], rows.label, rows.target).sum())))
    facts = {
        "attack": params["attack"],
        "fields": params["fields"],
        "best_beta": betas[max(range(len(betas)), key=lambda k: scores[k])],
        "threshold": threshold,
        "rows": params["rows"],
        "seed": params["seed"],
        "device": describe(device()),
        "gradients": dtype_name(network_precision(device())),
    }
    return Outcome.of(Sweep(beta=torch.tensor(betas), **stacked(found), **Sweep.rows(rows), facts=facts))


def reconstructions(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """What the winning class makes of every attacked image of a matrix, as 8-bit images."""
    model = load_model(params, inputs["weights"])
    matrix = Attacked.of(inputs["matrix"])
    test, parts = data.load(params["dataset"]).test, list[Tensor]()
    with torch.no_grad():
        for rows in matrix.kept_rows.split(256):
            x_adv = from_uint8(matrix.images(test.images, rows)).to(device())
            parts.append(to_uint8(model.reconstruct(x_adv).cpu()))
    return Outcome.of(Reconstructed(reconstruction=torch.cat(parts)))


def stacked(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Answers and distances of several attacks on the same rows, (K, N) each."""
    return {name: torch.stack([part[name] for part in parts]) for name in ("prediction", "distance")}
