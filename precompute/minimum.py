"""Steps about attacks that minimise a norm, and about how their images transfer.

Artifacts. N attacked images, T models, S sources among them.

`{model}/adversarial/{attack}`: stays where it was built, as it holds pictures
    index, label, target (N,) int64: the test images; the target of untargeted rows is -1.
    x_adv (N, C, H, W) float32: the attacked images, those of failures as they were.
    success (N,) bool: target hit, or label left. already (N,) bool: so without any change, at distance 0.
    prediction, clean (N,) int64: what the model sees in the attacked image, and saw in the clean one.
    norm_l2, norm_linf (N,) float32: of the change, in pixel units; 0 for failures.
    steps, queries (N,) int64: iterations; gradients computed, or predictions asked for by "boundary".
    Facts: attack, fields, rows, seed, device, gradients.

`{model}/minimum/{attack}`: the same without x_adv; instead
    kept (K,) int64: rows whose perturbation is kept, one image of each class where one was moved.
    perturbation (K, C, H, W) int8, int16 where that does not hold them: theirs, in levels of 1/255. Rounding
    takes many back over the border: what the model sees in the exact image is `prediction`.

`transfer/{attack}`
    prediction (S, T, N) int8: what model t sees in the images attacked on source s.
    clean (T, N) int8: in the clean ones.
    success (S, N) bool: on the source itself.
    index, label, target (N,): the same for all sources.
    Facts: attack, models (T names, in order), sources (S names), device.
"""

from typing import Any

import torch
from torch import Tensor

from core import data
from core.attacks import ATTACKS, Progress, predict
from core.geometry import norms
from core.runtime import describe, device, dtype_name, network_precision
from core.selection import Rows, select
from precompute.artifact import Artifact
from precompute.loading import load_network
from precompute.universal import in_levels
from precompute.work import Job, Outcome

SHARD = 50
"""Rows a shard: what a kill costs at most."""


def adversarial(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Attack a selection of test images with an attack that minimises a norm."""
    model = load_network(params, inputs["weights"])
    test, where = data.load(params["dataset"]).test, device()
    rows = select(test.labels, params["rows"])
    attack = ATTACKS[params["attack"]](**params["fields"])
    starts = range(0, len(rows.index), SHARD)
    found: list[dict[str, Tensor]] = []
    for number, start in enumerate(starts):
        shard = job.workspace.shard(f"rows-{start}")
        part = shard.load()
        if part is None:

            def on_step(progress: Progress, number: int = number) -> None:
                done = number + progress.step / progress.total
                job.progress(done, len(starts), f"{number + 1}/{len(starts)} shards")

            chosen: Rows = rows[slice(start, start + SHARD)]
            x, label = test.x(chosen.index).to(where), chosen.label.to(where)
            target = None if chosen.target is None else chosen.target.to(where)
            result = attack(
                model, x, label, target=target, index=chosen.index, seed=params["seed"], on_step=on_step
            )
            part = {
                "x_adv": result.x_adv.cpu(),
                "success": result.success.cpu(),
                "already": (result.success & (result.distance == 0)).cpu(),
                "prediction": result.prediction.cpu(),
                "clean": predict(model, x).cpu(),
                "norm_l2": norms(result.x_adv - x, "l2").cpu(),
                "norm_linf": norms(result.x_adv - x, "linf").cpu(),
                "steps": result.steps,
                "queries": result.queries,
            }
            shard.save(part)
        found.append(part)
    tensors = {name: torch.cat([part[name] for part in found]) for name in found[0]}
    facts = {
        **{name: params[name] for name in ("attack", "fields", "rows", "seed")},
        "device": describe(where),
        "gradients": dtype_name(network_precision(where)),
    }
    return Outcome(tensors | rows.tensors(), facts=facts)


def minimum(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:  # noqa: ARG001
    """What ships of attacked images: all numbers, and some perturbations."""
    whole = inputs["adversarial"]
    tensors = {name: tensor for name, tensor in whole.tensors.items() if name != "x_adv"}
    label, moved = tensors["label"], tensors["success"] & ~tensors["already"]
    first = [torch.nonzero(moved & (label == c)).flatten()[: params["kept"]] for c in label.unique()]
    kept = torch.cat(first)
    images = data.load(params["dataset"]).test.x(tensors["index"][kept])
    delta = whole.tensors["x_adv"][kept] - images
    # A row of zeros holds the shape where no attack moved anything.
    levels = in_levels(delta) if len(kept) else torch.zeros_like(delta, dtype=torch.int8)
    return Outcome(tensors | {"kept": kept, "perturbation": levels}, facts=whole.facts)


def transfer(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """What every model sees in the images that were attacked on some of them."""
    names: list[str] = params["models"]
    sources = [name for name in names if f"adversarial-{name}" in inputs]
    where, given = device(), {name: inputs[f"adversarial-{name}"].tensors for name in sources}
    common = given[sources[0]]
    x = data.load(params["dataset"]).test.x(common["index"]).to(where)
    seen: dict[str, dict[str, Tensor]] = {}
    for number, name in enumerate(names):
        job.progress(number, len(names), name)
        about = {"dataset": params["dataset"], "model": name, "size": params["sizes"][name]}
        model = load_network(about, inputs[f"weights-{name}"])
        seen[name] = {
            "": predict(model, x).cpu(),
            **{source: predict(model, t["x_adv"].to(where)).cpu() for source, t in given.items()},
        }
    prediction = [torch.stack([seen[name][source] for name in names]) for source in sources]
    tensors = {
        "prediction": torch.stack(prediction).to(torch.int8),
        "clean": torch.stack([seen[name][""] for name in names]).to(torch.int8),
        "success": torch.stack([given[source]["success"] for source in sources]),
        **{name: common[name] for name in ("index", "label", "target")},
    }
    facts = {
        "attack": inputs[f"adversarial-{sources[0]}"].facts["attack"],
        "models": names,
        "sources": sources,
        "device": describe(where),
    }
    return Outcome(tensors, facts=facts)
