"""The step that makes the tables of qin2020: every rate, with n and Wilson interval, from stored attacks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from core.coherence import PairOutcomes, agreement, coherence_table, opinions, pair_outcomes
from core.data import SPECS
from core.health import Check, rows_of
from core.metrics import Rate, pair_counts, rate
from precompute.steps.job import Job, Outcome
from precompute.steps.records import Attacked, Clean, Corrupted, Judged, Similarity, Sweep
from precompute.store import Artifact

FPRS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
FPR = 0.05
ACCESS = {"attack": None, "black-box": "black_box"}
"""How attacks under these names saw the model: as it is, or through a substitute."""


def results(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """All rates of a bundle as tables, each with n and interval."""
    return Outcome(tables=tables(params, inputs))


def tables(params: dict[str, Any], inputs: dict[str, Artifact]) -> dict[str, pd.DataFrame]:
    """Tables `rates`, `matrix`, `fpr`, `beta`, `health`, `coherence` and `judges` of one bundle.

    Args:
        params: dataset, profile, models.
        inputs: Artifacts by their name in the bundle.
    """
    made: dict[str, list[dict[str, Any]]] = {"rates": [], "matrix": [], "fpr": [], "beta": [], "health": []}
    models: dict[str, dict[str, Artifact]] = {}
    n_classes = SPECS[params["dataset"]].n_classes
    for model in params["models"]:
        parts = models[model] = {
            name.removeprefix(f"{model}/"): a for name, a in inputs.items() if name.startswith(f"{model}/")
        }
        common = {"dataset": params["dataset"], "profile": params["profile"], "model": model}
        clean = Clean.of(parts["clean"])
        theta = clean.threshold(FPR)
        about = {"attack": None, "mode": None, "metric": "error_rate"}
        made["rates"].append({**common, **about, **clean.errors.record()})
        for name, artifact in parts.items():
            room, _, attacked = name.partition("/")
            if room in ACCESS:
                attack, mode = attacked.rsplit("-", 1)
                record = Attacked.of(artifact)
                row = {**common, "attack": attack, "mode": mode, "beta": record.beta, "access": ACCESS[room]}
                made["rates"] += rates_of(row, record, theta)
                made["fpr"] += curve_of(row, record, clean)
            elif name.startswith("beta"):
                made["beta"] += sweep_of(common, Sweep.of(artifact), theta)
            elif name == "health":
                checks = [Check.of(record) for record in artifact.facts["checks"]]
                made["health"] += rows_of(checks, common)
            elif name == "corrupted":
                made["rates"] += corrupted_of(common, Corrupted.of(artifact), theta)
        made["matrix"] += matrix_of(common, Attacked.of(parts["matrix"]), theta, n_classes)
    if "similarity" in inputs:
        made["coherence"] = coherence_rows(models, Similarity.of(inputs["similarity"]))
        made["judges"] = judge_rows(models, n_classes)
        for row in made["coherence"] + made["judges"]:
            row.update(dataset=params["dataset"], profile=params["profile"])
    return {name: pd.DataFrame(rows) for name, rows in made.items()}


def rates_of(row: dict[str, Any], attacked: Attacked, theta: float) -> list[dict[str, Any]]:
    """Success and undetected rate of one attack."""
    return [
        {**row, "metric": "success_rate", "fpr": FPR, **attacked.success_rate().record()},
        {**row, "metric": "undetected_rate", "fpr": FPR, **attacked.undetected_rate(theta).record()},
    ]


def corrupted_of(common: dict[str, Any], corrupted: Corrupted, theta: float) -> list[dict[str, Any]]:
    """Error and undetected rate of every corruption, whose name is the attack."""
    rows: list[dict[str, Any]] = []
    for name, attacked in corrupted.attacks.items():
        row = {**common, "attack": name, "mode": None}
        rows.append({**row, "metric": "error_rate", **attacked.success_rate().record()})
        missed = attacked.undetected_rate(theta)
        rows.append({**row, "metric": "undetected_rate", "fpr": FPR, **missed.record()})
    return rows


def curve_of(row: dict[str, Any], attacked: Attacked, clean: Clean) -> list[dict[str, Any]]:
    """Undetected rate of one attack at every false-positive rate of `FPRS`."""
    thetas = {fpr: clean.threshold(fpr) for fpr in FPRS}
    return [
        {**row, "fpr": fpr, "threshold": theta, **attacked.undetected_rate(theta).record()}
        for fpr, theta in thetas.items()
    ]


def sweep_of(common: dict[str, Any], sweep: Sweep, theta: float) -> list[dict[str, Any]]:
    """Success and undetected rate at every beta, and of the best beta for each image (beta is null)."""
    row = {**common, "attack": sweep.attack, "mode": sweep.mode}
    success = torch.stack([attacked.worked for attacked in sweep.attacks])
    undetected = success & (sweep.distance <= theta)
    rows: list[dict[str, Any]] = []
    for metric, hits in (("success_rate", success), ("undetected_rate", undetected)):
        for beta, at_beta in zip(sweep.beta.tolist(), hits, strict=True):
            about = {"metric": metric, "beta": round(beta, 6), "fpr": FPR}
            rows.append({**row, **about, **rate(at_beta).record()})
        best = rate(hits.any(0))
        rows.append({**row, "metric": metric, "beta": np.nan, "fpr": FPR, **best.record()})
    return rows


def matrix_of(common: dict[str, Any], matrix: Attacked, theta: float, n_classes: int) -> list[dict[str, Any]]:
    """Success and undetected counts of every source/target pair."""
    assert matrix.target is not None
    rows: list[dict[str, Any]] = []
    for metric, hits in (("success_rate", matrix.worked), ("undetected_rate", matrix.undetected(theta))):
        k, n = pair_counts(matrix.label, matrix.target, hits, n_classes)
        for source, target in torch.nonzero(n).tolist():
            of_pair = Rate(int(k[source, target]), int(n[source, target]))
            about = {"source": source, "target": target, "metric": metric, "fpr": FPR}
            rows.append({**common, **about, **of_pair.record()})
    return rows


def coherence_rows(
    parts: Mapping[str, Mapping[str, Artifact]], similarity: Similarity
) -> list[dict[str, Any]]:
    """Rows of `coherence`: rank correlations and dispersions of the success of targeted R-PGD.

    Args:
        parts: Artifacts of each model by their names in it.
        similarity: How far classes are apart.
    """
    matrices = {name: tensor.numpy() for name, tensor in similarity.distances.items()}
    n_classes = len(next(iter(matrices.values())))
    outcomes: dict[str, PairOutcomes] = {}
    for model, artifacts in parts.items():
        matrix = Attacked.of(artifacts["matrix"])
        assert matrix.target is not None
        outcomes[model] = pair_outcomes(matrix.index, matrix.label, matrix.target, matrix.worked, n_classes)
    return coherence_table(outcomes, matrices)


def judge_rows(parts: Mapping[str, Mapping[str, Artifact]], n_classes: int) -> list[dict[str, Any]]:
    """Rows of `judges`: what judges see in undetected images, how far they agree, how good they are.

    Verdicts have the metrics of `Opinions.records`; a model on which no attack went undetected has none.
    Agreement has neither k nor judge; accuracy and robust_accuracy, on clean images and under PGD, have no
    model.
    """
    rows: list[dict[str, Any]] = []
    for model, artifacts in parts.items():
        judged, matrix = Judged.of(artifacts["judged"]), Attacked.of(artifacts["matrix"])
        assert matrix.target is not None
        theta = Clean.of(artifacts["clean"]).threshold(FPR)
        missed = matrix.score[judged.row] <= theta
        row, predictions = judged.row[missed], judged.prediction[:, missed]
        common = {"model": model, "fpr": FPR}
        if len(row):
            names = [judge["judge"] for judge in judged.judges]
            by_name = dict(zip(names, predictions, strict=True))
            for opinion in opinions(by_name, matrix.label[row], matrix.target[row]):
                rows += [common | record for record in opinion.records()]
            agreed = agreement(predictions, matrix.index[row], n_classes)
            about = {"value": agreed.kappa, "low": agreed.low, "high": agreed.high, "n": agreed.n}
            rows.append({**common, "judge": None, "metric": "agreement", **about})
    for judge in Judged.of(next(iter(parts.values()))["judged"]).judges:
        for metric in ("accuracy", "robust_accuracy"):
            if metric in judge:
                rows.append({"model": None, "judge": judge["judge"], "metric": metric, **judge[metric]})
    return rows
