"""The steps that attack test images, and what they share: 8-bit perturbations, shards that outlive a kill."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from core import data
from core.attacks import ATTACKS, Attack, Progress, predict, starting_points
from core.detectors import Detector, ReconstructionDetector
from core.images import add_levels, eight_bit, from_uint8
from core.models import ReconstructingNet
from core.runtime import describe, device, dtype_name, network_precision
from core.selection import Rows, select
from precompute.steps.job import Job, Outcome
from precompute.steps.loading import load_network
from precompute.steps.records import Attacked, Sweep
from precompute.store import Artifact

SHARD = 50
"""Rows a shard: what a kill costs at most."""


def make_attack(params: Mapping[str, Any], beta: Any = None) -> Attack:
    """The attack that a step's params name."""
    fields = dict(params["fields"])
    if beta is not None:
        fields["beta"] = beta
    return ATTACKS[params["attack"]](**fields)


def attack_rows(
    attack: Attack,
    model: nn.Module,
    rows: Rows,
    dataset: data.Dataset,
    job: Job,
    *,
    seed: int,
    split: str = "test",
    through: nn.Module | None = None,
    name: str = "rows",
    span: tuple[int, int] = (0, 1),
) -> dict[str, Tensor]:
    """Attack the rows shard by shard; finished shards are kept, so a killed step goes on where it was.

    Args:
        attack: Fields may hold one value per row.
        rows: Which images, labels and targets.
        split: Of which split of the data set they are, by its name.
        through: A substitute that the attack sees in place of the model; the model's own verdicts count.
        span: Which part of the step's progress this is: (number, of how many).
    Returns: perturbation (N, C, H, W), prediction and distance (N,) of the *8-bit* adversarial images; of a
        model that reconstructs nothing, no distance.
        Attacks that minimise a norm end just past the border, from where rounding takes many back: their
        prediction and distance are those of the float32 images, and `size`, in that norm, is there too; of
        the boundary attack `queries` as well.
    """
    detector = own_detector(model)
    parts: list[dict[str, Tensor]] = []
    count = len(rows.index)
    shards = range(0, count, SHARD)
    for number, start in enumerate(shards):
        cut = slice(start, min(start + SHARD, count))
        shard = job.workspace.shard(f"{name}-{start}")
        part = shard.load()
        if part is None:
            part = attack_shard(
                attack.rows(cut, count),
                model,
                model if through is None else through,
                detector,
                rows[cut],
                dataset.splits[split],
                dataset.validation,
                job,
                seed,
                (number, len(shards)),
                span,
            )
            shard.save(part)
        parts.append(part)
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


def attack_shard(
    attack: Attack,
    model: nn.Module,
    seen: nn.Module,
    detector: Detector | None,
    rows: Rows,
    attacked: data.Split,
    known: data.Split,
    job: Job,
    seed: int,
    place: tuple[int, int],
    span: tuple[int, int],
) -> dict[str, Tensor]:
    """One shard of `attack_rows`; the attack sees the model `seen`, and a detector that watches that one.

    An attack that starts from images of its targets takes them from the split `known`.
    """

    def on_step(progress: Progress) -> None:
        within = (place[0] + progress.step / progress.total) / place[1]
        job.progress((span[0] + within) / span[1], 1, f"{place[0] + 1}/{place[1]} shards")

    where = device()
    images = attacked.images[rows.index]
    x = attacked.x(rows.index).to(where)
    target = None if rows.target is None else rows.target.to(where)
    if "starts" in attack.needs and rows.target is not None:
        starts = starting_points(known.images, known.labels, rows.target, rows.index)
        attack = replace(attack, starts=from_uint8(starts).to(where))
    result = attack(
        seen,
        x,
        rows.label.to(where),
        detector=own_detector(seen),
        target=target,
        index=rows.index,
        seed=seed,
        on_step=on_step,
    )
    bound = attack.bound(x)
    if bound is None:
        perturbation, x_adv = eight_bit(x, result.x_adv).cpu(), result.x_adv
    else:
        perturbation = eight_bit(x, result.x_adv, float(bound.max())).cpu()
        x_adv = from_uint8(add_levels(images, perturbation)).to(where)
    found = {
        "perturbation": perturbation,
        "prediction": predict(model, x_adv).cpu(),
    }
    if detector is not None:
        found["distance"] = detector.score(x_adv).cpu()
    if bound is None:
        found["size"] = result.distance.cpu()
    if attack.unit == "answers":
        found["queries"] = result.queries
    return found


def own_detector(model: nn.Module) -> Detector | None:
    """What watches a model by what it reconstructs; None where it reconstructs nothing."""
    return ReconstructionDetector(model) if isinstance(model, ReconstructingNet) else None


def attacked(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Attack a selection of test images once; beta may come from a sweep on *other* images.

    Images of another split, which a detector learns from, are attacked where params have its name as "split".

    With the weights of a substitute this is a black-box attack: images are made on the substitute, and the
    model is only asked what it sees in them. Source: qin2020, section 3 and appendix G.
    """
    model = load_network(params, inputs["weights"])
    through = load_network(params, inputs["substitute"]) if "substitute" in inputs else None
    dataset = data.load(params["dataset"])
    split = params.get("split", "test")
    rows = select(dataset.splits[split].labels, params["rows"], dataset.spec.n_classes)
    beta = Sweep.of(inputs["sweep"]).best_beta if "sweep" in inputs else None
    attack = make_attack(params, beta)
    parts = attack_rows(attack, model, rows, dataset, job, seed=params["seed"], split=split, through=through)
    if not params["keep_perturbation"]:
        del parts["perturbation"]
    facts = {
        "attack": params["attack"],
        "fields": params["fields"],
        "beta": beta,
        "access": "white_box" if through is None else "black_box",
        "rows": params["rows"],
        "seed": params["seed"],
        "device": describe(device()),
        "gradients": dtype_name(network_precision(device())),
        **({"split": split} if "split" in params else {}),
    }
    return Outcome.of(Attacked(**parts, **Attacked.rows(rows), facts=facts))
