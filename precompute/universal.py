"""Steps about universal perturbations: one change that is added to many images.

Artifacts. N perturbations, T models, S sources among them, n test images; "levels" are 1/255.

`{model}/universal`
    perturbation (N, C, H, W) int8, int16 where that does not hold them; levels, from -255 to 255.
    part, number (N,) int64: which part of the test set it is from, which of that part's it is.
    iterations (N,) int64; reached (N,) bool: whether accuracy fell below the threshold within the budget.
    accuracy (N,) float32: with the stored perturbation, on the images that it is from.
    norm_l2, norm_linf (N,) float32: in pixel units, where an image reaches from 0 to 1.
    Facts: attack, fields, parts, per_part, part_images (of a part, at most), seed, device, gradients.

`transfer/universal`
    right (S, N, T) int32: how many of the n images model t reads rightly with perturbation i of source s.
    left (S, N, T) int32: how many it read rightly without it and does not with it.
    by_image (S, T, n) int16: under how many of the perturbations an image is read rightly.
    clean (T, n) int8: classes without a perturbation.
    index, label (n,): the test images.
    Facts: models (T names, in order), sources (S names), n, rows, device.
    Accuracy is right / n. Fooling is 1 - right / n over all images, or left / (clean == label).sum(1) over
    those that were read rightly.
"""

from typing import Any

import torch
from torch import Tensor

from core import data
from core.attacks import AveragedUniversal, predict
from core.images import LEVELS
from core.runtime import describe, device, dtype_name, network_precision
from core.selection import select
from core.transfer import universal_effect
from precompute.artifact import Artifact
from precompute.loading import load_network
from precompute.work import Job, Outcome


def parts_of(count: int, parts: int, seed: int) -> list[Tensor]:
    """Indices 0 to count - 1, shuffled and cut into parts that differ by one in length at most."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return list(order.tensor_split(parts))


def in_levels(delta: Tensor) -> Tensor:
    """Perturbations in 8-bit levels, (..., C, H, W): int8 where that holds all of them, else int16."""
    levels = (delta * LEVELS).round()
    return levels.to(torch.int8 if float(levels.abs().max()) <= 127 else torch.int16)


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
    tensors = {name: torch.cat([part[name] for part in found]) for name in found[0]}
    delta = tensors["perturbation"].float() / LEVELS
    tensors["perturbation"] = in_levels(delta)
    tensors["norm_l2"] = delta.flatten(1).norm(dim=1)
    tensors["norm_linf"] = delta.flatten(1).abs().amax(1)
    facts = {
        "attack": "averaged",
        **{name: params[name] for name in ("fields", "parts", "per_part", "seed")},
        "part_images": min(len(test) // params["parts"], params["part_images"] or len(test)),
        "device": describe(where),
        "gradients": dtype_name(network_precision(where)),
    }
    return Outcome(tensors, facts=facts)


def universal_transfer(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """What every universal perturbation of every model does to every model."""
    names: list[str] = params["models"]
    sources = [name for name in names if f"universal-{name}" in inputs]
    test, where = data.load(params["dataset"]).test, device()
    rows = select(test.labels, params["rows"])
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
                levels = inputs[f"universal-{source}"].tensors["perturbation"]
                right.append(_under_each(model, levels, x, label))
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
    tensors = {
        "right": torch.stack(found["right"], 2),
        "left": torch.stack(found["left"], 2),
        "by_image": torch.stack(found["by_image"], 1),
        "clean": torch.stack(found["clean"]),
        "index": rows.index,
        "label": label,
    }
    facts = {
        "models": names,
        "sources": sources,
        "n": len(label),
        "rows": params["rows"],
        "device": describe(where),
    }
    return Outcome(tensors, facts=facts)


def _under_each(model: torch.nn.Module, levels: Tensor, x: Tensor, label: Tensor) -> Tensor:
    """Whether images are read rightly under each perturbation, (N, n) bool."""
    deltas = (levels.float() / LEVELS).to(x.device)
    return torch.stack([universal_effect(model, delta, x, label)[0] for delta in deltas])
