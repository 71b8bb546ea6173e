"""A bundle of the digits that has results of michels2019: two small networks' worth, made up by rule."""

from typing import Any

import pandas as pd
import torch

from core import data
from core.embedding import apart, directions
from core.models import MODELS as KNOWN
from core.models import build
from precompute.store import Bundle, Store

MODELS = ("michels_convnet", "michels_capsnet")
PARTS, PER_PART = 2, 3
COUNT = PARTS * PER_PART
PERPLEXITIES, NEIGHBOURS, SEEDS = (2.0, 3.0), (2, 4), (0, 1)
IMAGES = 10
SHAPE = (1, 28, 28)


def levels(seed: int) -> torch.Tensor:
    """Perturbations of one network: each of the parts has a pattern of its own."""
    made = torch.Generator().manual_seed(seed)
    pattern = torch.randint(-60, 60, (PARTS, 1, *SHAPE), generator=made)
    noise = torch.randint(-9, 9, (PARTS, PER_PART, *SHAPE), generator=made)
    return (pattern + noise).flatten(0, 1).to(torch.int8)


def publish(store: Store) -> Bundle:
    """Store everything that the pages read, as a bundle of profile "paper", which is shown first."""
    shipped = store.bundle("digits", "michels2019")
    assert shipped is not None
    names = dict(shipped.names)

    def add(
        name: str, facts: dict[str, Any], tensors: dict[str, torch.Tensor], **tables: pd.DataFrame
    ) -> None:
        key = f"{name.replace('/', '-')}-key"
        store.publish(key, {"function": name}, tensors=tensors, tables=tables, facts=facts)
        names[name] = key

    about = {
        "part": torch.arange(PARTS).repeat_interleave(PER_PART),
        "number": torch.arange(PER_PART).repeat(PARTS),
    }
    every: list[torch.Tensor] = []
    for number, model in enumerate(MODELS):
        size = KNOWN[model].size_for("digits", "compact")
        weights = build(model, data.spec("digits").shape, 10, size).state_dict()
        add(f"{model}/weights", {"size": size}, {k: v.contiguous() for k, v in weights.items()})
        made = levels(number)
        every.append(made)
        add(
            f"{model}/universal",
            {"parts": PARTS, "per_part": PER_PART, "part_images": 20, "attack": "averaged", "fields": {}},
            {
                "perturbation": made,
                **about,
                "iterations": torch.full((COUNT,), 7),
                "reached": torch.arange(COUNT) > 0,
                "accuracy": torch.full((COUNT,), 0.4),
                "norm_l2": (made.float() / 255).flatten(1).norm(dim=1),
                "norm_linf": (made.float() / 255).flatten(1).abs().amax(1),
            },
        )
    test = data.load("digits").test
    index = torch.tensor([int(torch.nonzero(test.labels == c)[0]) for c in range(IMAGES)])
    label = test.labels[index]
    clean = torch.stack([label, label.clone()])
    clean[1, 0] = 9  # the second network misreads the 0 as it stands
    right = torch.zeros(2, COUNT, 2, dtype=torch.int32)
    left = torch.zeros(2, COUNT, 2, dtype=torch.int32)
    for s in range(2):
        for t in range(2):
            left[s, :, t] = 1 + s + 2 * t
            right[s, :, t] = IMAGES - left[s, :, t] - t
    add(
        "transfer/universal",
        {"models": list(MODELS), "sources": list(MODELS), "n": IMAGES},
        {
            "right": right,
            "left": left,
            "by_image": torch.zeros(2, 2, IMAGES, dtype=torch.int16),
            "clean": clean.to(torch.int8),
            "index": index,
            "label": label,
        },
    )
    _add_minimal(add, index, label, clean)
    _add_embeddings(add, every, about)
    store.set_bundle("digits", "michels2019", "paper", names, {})
    found = store.bundle("digits", "michels2019")
    assert found is not None
    assert found.profile == "paper"
    return found


def _add_minimal(add: Any, index: torch.Tensor, label: torch.Tensor, clean: torch.Tensor) -> None:
    for attack in ("cw", "boundary", "deepfool"):
        target = (label + 1) % 10 if attack == "cw" else torch.full_like(label, -1)
        seen: list[torch.Tensor] = []
        for number, model in enumerate(MODELS):
            already = clean[number] != label if attack != "cw" else clean[number] == target
            success = torch.ones(IMAGES, dtype=torch.bool)
            success[9] = False
            prediction = torch.where(success & ~already, (label + 1) % 10, clean[number])
            norm = torch.where(success & ~already, 1.0 + torch.arange(IMAGES) / 10, 0.0)
            kept = torch.nonzero(success & ~already).flatten()
            add(
                f"{model}/minimum/{attack}",
                {"attack": attack, "fields": {"steps": 5}, "device": "CPU"},
                {
                    "index": index,
                    "label": label,
                    "target": target,
                    "success": success,
                    "already": already,
                    "prediction": prediction,
                    "clean": clean[number],
                    "norm_l2": norm,
                    "norm_linf": norm / 5,
                    "steps": torch.full((IMAGES,), 5),
                    "queries": torch.full((IMAGES,), 12),
                    "kept": kept,
                    "perturbation": levels(7)[:1].repeat(len(kept), 1, 1, 1),
                },
            )
            seen.append(prediction)
        # What was made on a network moves that network, and the other reads it as before.
        both = [torch.stack([seen[0], clean[1]]), torch.stack([clean[0], seen[1]])]
        add(
            f"transfer/{attack}",
            {"attack": attack, "models": list(MODELS), "sources": list(MODELS)},
            {
                "prediction": torch.stack(both).to(torch.int8),
                "clean": clean.to(torch.int8),
                "success": torch.ones(2, IMAGES, dtype=torch.bool),
                "index": index,
                "label": label,
                "target": target,
            },
        )


def _add_embeddings(add: Any, every: list[torch.Tensor], about: dict[str, torch.Tensor]) -> None:
    n = COUNT * len(MODELS)
    model = torch.arange(len(MODELS)).repeat_interleave(COUNT)
    part = about["part"].repeat(len(MODELS))
    points = directions(torch.cat([made.float() for made in every]))
    found = list(apart(points, model.numpy(), part.numpy(), list(MODELS)))
    rows = [{**row, "space": "pixels", "setting": None, "seed": None} for row in found]
    for space, settings in (("tsne", PERPLEXITIES), ("umap", NEIGHBOURS)):
        rows += [
            {**r, "space": space, "setting": s, "seed": seed}
            for r in found
            for s in settings
            for seed in SEEDS
        ]
    made = torch.Generator().manual_seed(3)
    facts = {
        "models": list(MODELS),
        "perplexities": list(PERPLEXITIES),
        "neighbours": list(NEIGHBOURS),
        "seeds": list(SEEDS),
        "min_dist": 0.1,
    }
    tensors = {
        "tsne": torch.randn(len(PERPLEXITIES), len(SEEDS), n, 2, generator=made).half(),
        "umap": torch.randn(len(NEIGHBOURS), len(SEEDS), n, 2, generator=made).half(),
        "model": model,
        "part": part,
        "number": about["number"].repeat(len(MODELS)),
    }
    for name in ("embedding", "embedding/michels2019"):
        add(name, facts, tensors, separation=pd.DataFrame(rows))
