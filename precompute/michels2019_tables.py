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
from torch import Tensor

from core.differences import Estimate, largest, mean, paired, unpaired, within
from core.metrics import Rate, rate
from core.transfer import fooling
from precompute.artifact import Artifact
from precompute.tables import numbers, targets
from precompute.work import Job, Outcome

POINT = 0.01
"""Largest difference of accuracies at which two models are called comparable."""
Rows = Iterator[dict[str, Any]]
Norms = dict[tuple[str, str, str | None], dict[int, float]]
"""By model, attack and mode: l2 norms of images by index; of universal perturbations by part, the mean."""


def michels2019_results(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:  # noqa: ARG001
    """All tables of the paper, from the artifacts of a bundle by their names."""
    common = {"dataset": params["dataset"], "profile": params["profile"]}
    norms = norms_of(inputs)
    rates = [*accuracies(inputs["readings"]), *norm_rows(norms, inputs), *transfer_rows(inputs)]
    differences = [*norm_differences(norms), *accuracy_differences(inputs["readings"], params["compared"])]
    found = {
        "rates": rates,
        "differences": differences,
        "separation": inputs["embedding/michels2019"].tables["separation"].to_dict("records"),
    }
    return Outcome(
        tables={name: pd.DataFrame([{**common, **row} for row in rows]) for name, rows in found.items()}
    )


def accuracies(readings: Artifact) -> Rows:
    """Accuracy of every model."""
    for name, seen in zip(readings.facts["models"], readings.tensors["prediction"], strict=True):
        right = rate(seen == readings.tensors["label"])
        yield {"model": name, "attack": None, "mode": None, "metric": "accuracy", **numbers(right)}


def norms_of(inputs: Mapping[str, Artifact]) -> Norms:
    """All norms but those of failures."""
    found: Norms = {}
    for name, artifact in inputs.items():
        model, _, what = name.partition("/")
        t = artifact.tensors
        if model == "transfer":
            continue
        if what == "universal":
            parts = {int(part): t["norm_l2"][t["part"] == part] for part in t["part"].unique()}
            found[model, "universal", None] = {part: float(of.mean()) for part, of in parts.items()}
        elif what.startswith("minimum/"):
            mode = "untargeted" if targets(t) is None else "targeted"
            values, index = t["norm_l2"][t["success"]].tolist(), t["index"][t["success"]].tolist()
            found[model, what.removeprefix("minimum/"), mode] = dict(zip(index, values, strict=True))
    return found


def norm_rows(norms: Norms, inputs: Mapping[str, Artifact]) -> Rows:
    """Mean, median and what is not in them, of every attack on every model."""
    for (model, attack, mode), values in norms.items():
        row = {"model": model, "attack": attack, "mode": mode}
        t = inputs[f"{model}/universal" if attack == "universal" else f"{model}/minimum/{attack}"].tensors
        if attack == "universal":
            yield {**row, "metric": "failed", **numbers(rate(~t["reached"]))}
            every: list[float] = t["norm_l2"].tolist()
        else:
            yield {**row, "metric": "failed", **numbers(rate(~t["success"]))}
            yield {**row, "metric": "already", **numbers(rate(t["already"]))}
            every = list(values.values())
        moved = [value for value in values.values() if value > 0]
        for metric, chosen in (("mean_norm", list(values.values())), ("mean_norm_moved", moved)):
            # Of one value alone there is no interval.
            if len(chosen) > 1 and not (attack == "universal" and metric != "mean_norm"):
                found = mean(chosen)
                n = len(t["norm_l2"]) if attack == "universal" else found.n
                interval = {"low": max(found.low, 0.0), "high": found.high}
                yield {**row, "metric": metric, "n": n, "value": found.value, **interval}
        if len(every):
            yield {**row, "metric": "median_norm", "n": len(every), "value": float(np.median(every))}


def transfer_rows(inputs: Mapping[str, Artifact]) -> Rows:
    """How often every model is fooled by what was made on another, or on itself."""
    for name, artifact in inputs.items():
        if name == "transfer/universal":
            yield from universal_rows(artifact)
        elif name.startswith("transfer/"):
            t, models = artifact.tensors, artifact.facts["models"]
            clean = dict(zip(models, t["clean"].long(), strict=True))
            target = targets(t)
            about = {"attack": artifact.facts["attack"], "metric": "fooling_rate"}
            about["mode"] = "untargeted" if target is None else "targeted"
            for source, seen in zip(artifact.facts["sources"], t["prediction"].long(), strict=True):
                for row in fooling(dict(zip(models, seen, strict=True)), clean, t["label"], target):
                    yield {**about, "source": source, **row}


def universal_rows(artifact: Artifact) -> Rows:
    """Fooling rates of universal perturbations, and accuracies under them."""
    t, n = artifact.tensors, artifact.facts["n"]
    row = {"attack": "universal", "mode": None}
    for s, source in enumerate(artifact.facts["sources"]):
        for m, model in enumerate(artifact.facts["models"]):
            about = {**row, "source": source, "model": model}
            right = _count(t["right"][s, :, m], n)
            yield {**about, "metric": "accuracy_under", **numbers(right)}
            wrong = Rate(n - right.k, n)
            yield {**about, "metric": "fooling_rate", "of": "all", **numbers(wrong)}
            known = int((t["clean"][m].long() == t["label"]).sum())
            if known:
                left = _count(t["left"][s, :, m], known)
                yield {**about, "metric": "fooling_rate", "of": "right", **numbers(left)}


def _count(counts: Tensor, n: int) -> Rate:
    """A mean count over perturbations as a rate over the images."""
    return Rate(round(float(counts.double().mean())), n)


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


def accuracy_differences(readings: Artifact, compared: list[str]) -> Rows:
    """Whether the accuracies of the paper's two models lie within a point of each other."""
    names: list[str] = readings.facts["models"]
    right = (readings.tensors["prediction"].long() == readings.tensors["label"]).to(torch.float64)
    one, two = (right[names.index(name)].numpy() for name in compared)
    about = {"attack": None, "mode": None, "model": compared[0], "other": compared[1]}
    yield {**about, "metric": "accuracy_within", **within(paired(one, two), POINT).record()}
