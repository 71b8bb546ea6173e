"""Steps about attacks that minimise a norm, and about how their images transfer."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from core import data
from core.attacks import ATTACKS, Progress, predict
from core.geometry import norms
from core.images import in_levels
from core.runtime import describe, device, dtype_name, network_precision
from core.selection import Rows, select
from precompute.steps.job import Job, Outcome
from precompute.steps.loading import load_network
from precompute.steps.records import Minimal, Transferred
from precompute.store import Artifact

SHARD = 50
"""Rows a shard: what a kill costs at most."""


def adversarial(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Attack a selection of test images with an attack that minimises a norm."""
    model = load_network(params, inputs["weights"])
    dataset, where = data.load(params["dataset"]), device()
    test = dataset.test
    rows = select(test.labels, params["rows"], dataset.spec.n_classes)
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
    parts = {name: torch.cat([part[name] for part in found]) for name in found[0]}
    facts = {
        **{name: params[name] for name in ("attack", "fields", "rows", "seed")},
        "device": describe(where),
        "gradients": dtype_name(network_precision(where)),
    }
    return Outcome.of(Minimal(**parts, **Minimal.rows(rows), facts=facts))


def minimum(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """What ships of attacked images: all numbers, and some perturbations."""
    whole = Minimal.of(inputs["adversarial"])
    assert whole.x_adv is not None
    of_class = [torch.nonzero(whole.moved & (whole.label == c)).flatten() for c in whole.label.unique()]
    kept = torch.cat([rows[: params["kept"]] for rows in of_class])
    delta = whole.x_adv[kept] - data.load(params["dataset"]).test.x(whole.index[kept])
    # A row of zeros holds the shape where no attack moved anything.
    levels = in_levels(delta) if len(kept) else torch.zeros_like(delta, dtype=torch.int8)
    return Outcome.of(replace(whole, x_adv=None, kept=kept, perturbation=levels))


def transfer(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """What every model sees in the images that were attacked on some of them."""
    names: list[str] = params["models"]
    sources = [name for name in names if f"adversarial-{name}" in inputs]
    where, made = device(), {name: Minimal.of(inputs[f"adversarial-{name}"]) for name in sources}
    common = made[sources[0]]
    test, images = data.load(params["dataset"]).test, dict[str, Tensor]()
    for source, record in made.items():
        assert record.x_adv is not None
        images[source] = record.x_adv
    x = test.x(common.index).to(where)
    clean: list[Tensor] = []
    seen: dict[str, list[Tensor]] = {source: [] for source in sources}
    for number, name in enumerate(names):
        job.progress(number, len(names), name)
        about = {"dataset": params["dataset"], "model": name, "size": params["sizes"][name]}
        model = load_network(about, inputs[f"weights-{name}"])
        clean.append(predict(model, x).cpu())
        for source, x_adv in images.items():
            seen[source].append(predict(model, x_adv.to(where)).cpu())
    record = Transferred(
        prediction=torch.stack([torch.stack(by_model) for by_model in seen.values()]).to(torch.int8),
        clean=torch.stack(clean).to(torch.int8),
        success=torch.stack([made[source].success for source in sources]),
        index=common.index,
        label=common.label,
        target=common.target,
        facts={"attack": common.attack, "models": names, "sources": sources, "device": describe(where)},
    )
    return Outcome.of(record)
