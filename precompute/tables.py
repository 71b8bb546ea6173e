"""The tables of a bundle: every rate with its n and its Wilson interval, from the stored attack rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from core.coherence import PairOutcomes, agreement, coherence_table, opinions, pair_outcomes
from core.health import Check, rows_of
from core.metrics import Rate, pair_counts, rate, succeeded, success_rate, threshold_at, undetected_rate
from precompute.artifact import Artifact

FPRS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
FPR = 0.05
ACCESS = {"attack": None, "black-box": "black_box"}
"""How attacks under these names saw the model: as it is, or through a substitute."""


def numbers(value: Rate) -> dict[str, float]:
    """k, n, value, low, high."""
    return {"k": value.k, "n": value.n, "value": value.value, "low": value.low, "high": value.high}


def targets(tensors: dict[str, Tensor]) -> Tensor | None:
    """Targets of stored rows, None when they are untargeted."""
    return None if int(tensors["target"][0]) < 0 else tensors["target"]


def tables(params: dict[str, Any], inputs: dict[str, Artifact]) -> dict[str, pd.DataFrame]:
    """Tables `rates`, `matrix`, `fpr`, `beta`, `health`, `coherence` and `judges` of one bundle.

    Args:
        params: dataset, profile, models.
        inputs: Artifacts by their name in the bundle.
    """
    found: dict[str, list[dict[str, Any]]] = {"rates": [], "matrix": [], "fpr": [], "beta": [], "health": []}
    models: dict[str, dict[str, Artifact]] = {}
    for model in params["models"]:
        parts = models[model] = {
            name.removeprefix(f"{model}/"): a for name, a in inputs.items() if name.startswith(f"{model}/")
        }
        common = {"dataset": params["dataset"], "profile": params["profile"], "model": model}
        clean = parts["clean"]
        validation = clean.tensors["validation_distance"]
        theta = threshold_at(validation, FPR)
        errors = rate(clean.tensors["test_prediction"] != clean.tensors["test_label"])
        found["rates"].append(
            {**common, "attack": None, "mode": None, "metric": "error_rate", **numbers(errors)}
        )
        for name, artifact in parts.items():
            room, _, attacked = name.partition("/")
            if room in ACCESS:
                attack, mode = attacked.rsplit("-", 1)
                row = {**common, "attack": attack, "mode": mode, "beta": artifact.facts["beta"]}
                row["access"] = ACCESS[room]
                found["rates"] += rates_of(row, artifact.tensors, theta)
                found["fpr"] += curve_of(row, artifact.tensors, validation)
            elif name.startswith("beta"):
                found["beta"] += sweep_of(common, artifact, theta)
            elif name == "health":
                checks = [Check.of(record) for record in artifact.facts["checks"]]
                found["health"] += rows_of(checks, common)
            elif name == "corrupted":
                found["rates"] += corrupted_of(common, artifact, theta)
        found["matrix"] += matrix_of(common, parts["matrix"].tensors, theta)
    if "similarity" in inputs:
        found["coherence"] = coherence_rows(models, inputs["similarity"])
        found["judges"] = judge_rows(models)
        for row in found["coherence"] + found["judges"]:
            row.update(dataset=params["dataset"], profile=params["profile"])
    return {name: pd.DataFrame(rows) for name, rows in found.items()}


def rates_of(row: dict[str, Any], tensors: dict[str, Tensor], theta: float) -> list[dict[str, Any]]:
    """Success and undetected rate of one attack."""
    prediction, label, target = tensors["prediction"], tensors["label"], targets(tensors)
    success = success_rate(prediction, label, target)
    undetected = undetected_rate(prediction, tensors["distance"], theta, label, target)
    return [
        {**row, "metric": "success_rate", "fpr": FPR, **numbers(success)},
        {**row, "metric": "undetected_rate", "fpr": FPR, **numbers(undetected)},
    ]


def corrupted_of(common: dict[str, Any], artifact: Artifact, theta: float) -> list[dict[str, Any]]:
    """Error and undetected rate of every corruption, whose name is the attack."""
    tensors, rows = artifact.tensors, []
    names: list[str] = artifact.facts["corruptions"]
    for name, prediction, distance in zip(names, tensors["prediction"], tensors["distance"], strict=True):
        row = {**common, "attack": name, "mode": None}
        wrong = success_rate(prediction, tensors["label"])
        missed = undetected_rate(prediction, distance, theta, tensors["label"])
        rows.append({**row, "metric": "error_rate", **numbers(wrong)})
        rows.append({**row, "metric": "undetected_rate", "fpr": FPR, **numbers(missed)})
    return rows


def curve_of(row: dict[str, Any], tensors: dict[str, Tensor], validation: Tensor) -> list[dict[str, Any]]:
    """Undetected rate of one attack at every false-positive rate of `FPRS`."""
    prediction, label, target = tensors["prediction"], tensors["label"], targets(tensors)
    rows: list[dict[str, Any]] = []
    for fpr in FPRS:
        theta = threshold_at(validation, fpr)
        found = undetected_rate(prediction, tensors["distance"], theta, label, target)
        rows.append({**row, "fpr": fpr, "threshold": theta, **numbers(found)})
    return rows


def sweep_of(common: dict[str, Any], artifact: Artifact, theta: float) -> list[dict[str, Any]]:
    """Success and undetected rate at every beta, and of the best beta for each image (beta is null)."""
    tensors, target = artifact.tensors, targets(artifact.tensors)
    mode = "untargeted" if target is None else "targeted"
    row = {**common, "attack": artifact.facts["attack"], "mode": mode}
    label = tensors["label"]
    success = torch.stack([succeeded(p, label, target) for p in tensors["prediction"]])
    undetected = success & (tensors["distance"] <= theta)
    rows: list[dict[str, Any]] = []
    for metric, hits in (("success_rate", success), ("undetected_rate", undetected)):
        for beta, at_beta in zip(tensors["beta"].tolist(), hits, strict=True):
            rows.append(
                {**row, "metric": metric, "beta": round(beta, 6), "fpr": FPR, **numbers(rate(at_beta))}
            )
        best = rate(hits.any(0))
        rows.append({**row, "metric": metric, "beta": np.nan, "fpr": FPR, **numbers(best)})
    return rows


def matrix_of(common: dict[str, Any], tensors: dict[str, Tensor], theta: float) -> list[dict[str, Any]]:
    """Success and undetected counts of every source/target pair."""
    hits = succeeded(tensors["prediction"], tensors["label"], tensors["target"])
    rows: list[dict[str, Any]] = []
    for metric, counted in (
        ("success_rate", hits),
        ("undetected_rate", hits & (tensors["distance"] <= theta)),
    ):
        k, n = pair_counts(tensors["label"], tensors["target"], counted)
        for source, target in torch.nonzero(n).tolist():
            found = Rate(int(k[source, target]), int(n[source, target]))
            rows.append(
                {**common, "source": source, "target": target, "metric": metric, "fpr": FPR, **numbers(found)}
            )
    return rows


def coherence_rows(parts: Mapping[str, Mapping[str, Artifact]], distances: Artifact) -> list[dict[str, Any]]:
    """Rows of `coherence`: rank correlations and dispersions of the success of targeted R-PGD.

    Args:
        parts: Artifacts of each model by their names in it.
        distances: Of `class_similarity`.
    """
    outcomes: dict[str, PairOutcomes] = {}
    for model, artifacts in parts.items():
        t = artifacts["matrix"].tensors
        hits = succeeded(t["prediction"], t["label"], t["target"])
        outcomes[model] = pair_outcomes(t["index"], t["label"], t["target"], hits)
    matrices = {name: tensor.numpy() for name, tensor in distances.tensors.items()}
    return coherence_table(outcomes, matrices)


def judge_rows(parts: Mapping[str, Mapping[str, Artifact]]) -> list[dict[str, Any]]:
    """Rows of `judges`: what judges see in undetected images, how far they agree, how good they are.

    Opinions have the metrics of `Opinions.records`; a model on which no attack went undetected has none.
    Agreement has neither k nor judge; accuracy and robust_accuracy, on clean images and under PGD, have no
    model.
    """
    rows: list[dict[str, Any]] = []
    for model, artifacts in parts.items():
        said, matrix = artifacts["judged"], artifacts["matrix"].tensors
        theta = threshold_at(artifacts["clean"].tensors["validation_distance"], FPR)
        row = said.tensors["row"]
        kept = matrix["distance"][row] <= theta
        row, predictions = row[kept], said.tensors["prediction"][:, kept]
        common = {"model": model, "fpr": FPR}
        if len(row):
            names = [judge["judge"] for judge in said.facts["judges"]]
            by_name = dict(zip(names, predictions, strict=True))
            for opinion in opinions(by_name, matrix["label"][row], matrix["target"][row]):
                rows += [common | record for record in opinion.records()]
            found = agreement(predictions, matrix["index"][row])
            about = {"value": found.kappa, "low": found.low, "high": found.high, "n": found.n}
            rows.append({**common, "judge": None, "metric": "agreement", **about})
    for judge in next(iter(parts.values()))["judged"].facts["judges"]:
        for metric in ("accuracy", "robust_accuracy"):
            if metric in judge:
                rows.append({"model": None, "judge": judge["judge"], "metric": metric, **judge[metric]})
    return rows
