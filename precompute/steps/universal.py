"""Steps about universal perturbations: one change that is added to many images."""

from typing import Any

import torch
from torch import Tensor

from core import data
from core.attacks import AveragedUniversal, predict
from core.images import LEVELS, in_levels, in_pixels
from core.runtime import describe, device, dtype_name, network_precision
from core.selection import select
from core.transfer import universal_effect
from precompute.steps.job import Job, Outcome
from precompute.steps.loading import load_network
from precompute.steps.records import Universal, UniversalTransferred
from precompute.store import Artifact


def parts_of(count: int, parts: int, seed: int) -> list[Tensor]:
    """Indices 0 to count - 1, shuffled and cut into parts that differ by one in length at most."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return list(order.tensor_split(parts))


def universal(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Universal perturbations from every part of the test set."""
    model = load_network(params, inputs["weights"])
    test = data.load(params["dataset"]).test
    attack = AveragedUniversal(**params["fields"])
    where, count = device(), params["per_part"]
    found: list[dict[str, Tensor]] = []
    for part, index in enumerate(parts_of(len(test), params["parts"], params["seed"])):
        shard = job.workspace.shard(f"part-{part}")
        tensors = shard.load()
        if tensors is None:
            index = index[: params["part_images"]]

            def on_step(progress: Any, part: int = part) -> None:
                job.progress(part + progress.step / progress.total, params["parts"], f"part {part + 1}")

            x, label = test.x(index).to(where), test.labels[index].to(where)
            everything = [torch.arange(len(index))] * count
            seeds = [params["seed"] + part * count + number for number in range(count)]
            result = attack(model, x, label, parts=everything, seeds=seeds, on_step=on_step)
            levels = (result.perturbation * LEVELS).round()
            right = [universal_effect(model, delta / LEVELS, x, label)[0] for delta in levels]
            tensors = {
                "perturbation": levels.to(torch.int16).cpu(),
                "part": torch.full((count,), part),
                "number": torch.arange(count),
                "iterations": result.iterations.cpu(),
                "reached": result.reached.cpu(),
                "accuracy": torch.stack([r.float().mean() for r in right]),
            }
            shard.save(tensors)
        found.append(tensors)
        job.progress(part + 1, params["parts"], f"part {part + 1}")
    parts = {name: torch.cat([part[name] for part in found]) for name in found[0]}
    delta = in_pixels(parts.pop("perturbation"))
    facts = {
        "attack": "averaged",
        **{name: params[name] for name in ("fields", "parts", "per_part", "seed")},
        "part_images": min(len(test) // params["parts"], params["part_images"] or len(test)),
        "device": describe(where),
        "gradients": dtype_name(network_precision(where)),
    }
    record = Universal(
        perturbation=in_levels(delta),
        norm_l2=delta.flatten(1).norm(dim=1),
        norm_linf=delta.flatten(1).abs().amax(1),
        **parts,
        facts=facts,
    )
    return Outcome.of(record)


def universal_transfer(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """What every universal perturbation of every model does to every model."""
    names: list[str] = params["models"]
    sources = [name for name in names if f"universal-{name}" in inputs]
    dataset, where = data.load(params["dataset"]), device()
    test = dataset.test
    rows = select(test.labels, params["rows"], dataset.spec.n_classes)
    x, label = test.x(rows.index).to(where), rows.label
    found: dict[str, list[Tensor]] = {"right": [], "left": [], "by_image": [], "clean": []}
    for number, name in enumerate(names):
        shard = job.workspace.shard(f"model-{number}")
        part = shard.load()
        if part is None:
            model = load_network(
                {"dataset": params["dataset"], "model": name, "size": params["sizes"][name]},
                inputs[f"weights-{name}"],
            )
            clean = predict(model, x).cpu()
            right: list[Tensor] = []
            for done, source in enumerate(sources):
                job.progress(number + done / len(sources), len(names), f"{source} on {name}")
                delta = Universal.of(inputs[f"universal-{source}"]).delta
                right.append(_under_each(model, delta, x, label))
            whole = torch.stack(right)  # (S, N, n)
            part = {
                "right": whole.sum(2).int(),
                "left": (~whole & (clean == label)).sum(2).int(),
                "by_image": whole.sum(1).short(),
                "clean": clean.to(torch.int8),
            }
            shard.save(part)
        for key, values in found.items():
            values.append(part[key])
    facts = {
        "models": names,
        "sources": sources,
        "n": len(label),
        "rows": params["rows"],
        "device": describe(where),
    }
    record = UniversalTransferred(
        right=torch.stack(found["right"], 2),
        left=torch.stack(found["left"], 2),
        by_image=torch.stack(found["by_image"], 1),
        clean=torch.stack(found["clean"]),
        index=rows.index,
        label=label,
        facts=facts,
    )
    return Outcome.of(record)


def _under_each(model: torch.nn.Module, deltas: Tensor, x: Tensor, label: Tensor) -> Tensor:
    """Whether images are read rightly under each perturbation, (N, n) bool."""
    return torch.stack([universal_effect(model, delta, x, label)[0] for delta in deltas.to(x.device)])
