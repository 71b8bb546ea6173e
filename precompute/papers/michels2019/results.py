"""The step that makes the tables of michels2019: norms, transfer and accuracy, with n and interval.

Artifact `results-michels2019`:
    Table `rates`: model, source, attack, mode, metric, of, k, n, value, low, high.
        metric "accuracy": of `model` on the test set.
        metric "mean_norm", "median_norm", "mean_norm_moved": l2 of the perturbations made on `model`, in
            pixel units. The mean counts images that were misread as they stand with 0; "moved" leaves them
            out. Failures are in none of them. Universal perturbations from one part are not independent:
            their interval is that of the parts' means. The median has no interval.
        metric "already", "failed": share of images that needed no change, or were not moved; of universal
            perturbations "failed" are those that did not reach the threshold.
        metric "fooling_rate": of images made on `source` and read by `model`, over `of`, "all" images or
            those that `model` reads "right" when clean. Targeted attacks count the target alone. Under
            universal perturbations n is that of the images, k the mean count over the perturbations.
        attack "cw", "deepfool", "boundary" or "universal"; mode "targeted", "untargeted", or None.
    Table `differences`: metric, attack, model, other, value, low, high, n, p_value, p_opposite.
        metric "norm_difference": how much shorter perturbations are on `model` than on `other`, on average,
            on the same images (universal ones: from the same parts).
        metric "shorter_somewhere": the largest of these over all attacks, in shares of `other`'s mean.
        metric "norm_over": how much longer the universal perturbations of `model` are than those of `other`,
            here an attack on the same model.
        metric "accuracy_within": one point less the difference of the two models' accuracies.
    Table `separation`: of the step `embedding/michels2019`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

from core.estimates import Estimate, largest, mean, paired, unpaired, within
from core.metrics import rate
from core.transfer import fooling
from precompute.steps.job import Job, Outcome
from precompute.steps.records import (
    Minimal,
    Predicted,
    Transferred,
    Universal,
    UniversalTransferred,
    mean_count,
)
from precompute.store import Artifact

POINT = 0.01
"""Largest difference of accuracies at which two models are called comparable."""
Rows = Iterator[dict[str, Any]]
Norms = dict[tuple[str, str, str | None], dict[int, float]]
"""By model, attack and mode: l2 norms of images by index; of universal perturbations by part, the mean."""


def michels2019_results(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """All tables of the paper, from the artifacts of a bundle by their names."""
    common = {"dataset": params["dataset"], "profile": params["profile"]}
    norms, seen = norms_of(inputs), Predicted.of(inputs["readings"])
    made = {
        "rates": [*accuracies(seen), *norm_rows(norms, inputs), *transfer_rows(inputs)],
        "differences": [*norm_differences(norms), *accuracy_differences(seen, params["compared"])],
        "separation": inputs["embedding/michels2019"].tables["separation"].to_dict("records"),
    }
    return Outcome(
        tables={name: pd.DataFrame([{**common, **row} for row in rows]) for name, rows in made.items()}
    )


def accuracies(seen: Predicted) -> Rows:
    """Accuracy of every model."""
    for name in seen.models:
        right = rate(seen.right(name))
        yield {"model": name, "attack": None, "mode": None, "metric": "accuracy", **right.record()}


def norms_of(inputs: Mapping[str, Artifact]) -> Norms:
    """All norms but those of failures."""
    norms: Norms = {}
    for name, artifact in inputs.items():
        model, _, what = name.partition("/")
        if model == "transfer":
            continue
        if what == "universal":
            universal = Universal.of(artifact)
            parts = {int(part): universal.norm_l2[universal.part == part] for part in universal.part.unique()}
            norms[model, "universal", None] = {part: float(of.mean()) for part, of in parts.items()}
        elif what.startswith("minimum/"):
            minimal = Minimal.of(artifact)
            values, index = minimal.norm_l2[minimal.success].tolist(), minimal.index[minimal.success].tolist()
            norms[model, minimal.attack, minimal.mode] = dict(zip(index, values, strict=True))
    return norms


def norm_rows(norms: Norms, inputs: Mapping[str, Artifact]) -> Rows:
    """Mean, median and what is not in them, of every attack on every model."""
    for (model, attack, mode), values in norms.items():
        row = {"model": model, "attack": attack, "mode": mode}
        if attack == "universal":
            universal = Universal.of(inputs[f"{model}/universal"])
            yield {**row, "metric": "failed", **rate(~universal.reached).record()}
            every: list[float] = universal.norm_l2.tolist()
        else:
            minimal = Minimal.of(inputs[f"{model}/minimum/{attack}"])
            yield {**row, "metric": "failed", **rate(~minimal.success).record()}
            yield {**row, "metric": "already", **rate(minimal.already).record()}
            every = list(values.values())
        moved = [value for value in values.values() if value > 0]
        for metric, chosen in (("mean_norm", list(values.values())), ("mean_norm_moved", moved)):
            # Of one value alone there is no interval.
            if len(chosen) > 1 and not (attack == "universal" and metric != "mean_norm"):
                found = mean(chosen)
                n = len(every) if attack == "universal" else found.n
                interval = {"low": max(found.low, 0.0), "high": found.high}
                yield {**row, "metric": metric, "n": n, "value": found.value, **interval}
        if len(every):
            yield {**row, "metric": "median_norm", "n": len(every), "value": float(np.median(every))}


def transfer_rows(inputs: Mapping[str, Artifact]) -> Rows:
    """How often every model is fooled by what was made on another, or on itself."""
    for name, artifact in inputs.items():
        if name == "transfer/universal":
            yield from universal_rows(UniversalTransferred.of(artifact))
        elif name.startswith("transfer/"):
            transferred = Transferred.of(artifact)
            about = {"attack": transferred.attack, "metric": "fooling_rate", "mode": transferred.mode}
            clean, label, target = transferred.seen_clean, transferred.label, transferred.target
            for source in transferred.sources:
                for row in fooling(transferred.seen(source), clean, label, target):
                    yield {**about, "source": source, **row}


def universal_rows(transferred: UniversalTransferred) -> Rows:
    """Fooling rates of universal perturbations, and accuracies under them."""
    n = len(transferred.label)
    for s, source in enumerate(transferred.sources):
        for t, model in enumerate(transferred.models):
            about = {"attack": "universal", "mode": None, "source": source, "model": model}
            right = mean_count(transferred.right[s, :, t], n)
            yield {**about, "metric": "accuracy_under", **right.record()}
            for of in ("all", "right"):
                if found := transferred.fooling(source, model, of):
                    yield {**about, "metric": "fooling_rate", "of": of, **found.record()}


def norm_differences(norms: Norms) -> Rows:
    """How much shorter perturbations are on one model than on another, by attack and over all attacks."""
    models = list(dict.fromkeys(model for model, _, _ in norms))
    attacks = list(dict.fromkeys((attack, mode) for _, attack, mode in norms))
    for model in models:
        for other in models:
            shares: list[Estimate] = []
            for attack, mode in attacks:
                one, two = norms.get((model, attack, mode)), norms.get((other, attack, mode))
                if model == other or one is None or two is None:
                    continue
                both = [key for key in one if key in two]
                if len(both) < 2:
                    continue
                a, b = (np.array([norm[key] for key in both]) for norm in (two, one))
                found = {"attack": attack, "mode": mode, "model": model, "other": other}
                yield {**found, "metric": "norm_difference", **paired(a, b).record()}
                if a.mean() > 0:
                    shares.append(paired(a / a.mean(), b / a.mean()))
            if shares:
                about = {"attack": None, "mode": None, "model": model, "other": other}
                yield {**about, "metric": "shorter_somewhere", **largest(shares).record()}
        universal = norms.get((model, "universal", None))
        for attack, mode in attacks:
            single = norms.get((model, attack, mode))
            if attack != "universal" and universal is not None and single is not None:
                if min(len(universal), len(single)) < 2:
                    continue
                about = {"attack": "universal", "mode": mode, "model": model, "other": attack}
                longer = unpaired(list(universal.values()), list(single.values()))
                yield {**about, "metric": "norm_over", **longer.record()}


def accuracy_differences(seen: Predicted, compared: list[str]) -> Rows:
    """Whether the accuracies of the paper's two models lie within a point of each other."""
    one, two = (seen.right(name).to(torch.float64).numpy() for name in compared)
    about = {"attack": None, "mode": None, "model": compared[0], "other": compared[1]}
    yield {**about, "metric": "accuracy_within", **within(paired(one, two), POINT).record()}
