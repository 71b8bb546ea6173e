"""The steps of any detector of `core.detectors.DETECTORS`: to be fitted, and to score images."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core import data
from core.attacks import predict
from core.detectors import DETECTORS, Detector
from core.images import from_uint8
from core.models.packing import pack, unpack
from core.runtime import describe, device
from precompute.steps.job import Job, Outcome
from precompute.steps.loading import load_network
from precompute.steps.records import Attacked, Fitted, Kept, Scored
from precompute.store import Artifact

ATTACK = "attack-"
"""Begins the names of inputs that are attacks to be scored; what follows is the attack's name."""
PART = "part "
"""Begins what shards call a part of the score."""
LEARNT_FROM = "train"
"""The split that detectors learn from: thresholds are set on the validation images."""


def make_detector(model: nn.Module, name: str, fields: Mapping[str, Any]) -> Detector:
    """A detector that watches a model, where that is."""
    return DETECTORS[name](model, **fields).to(device())


def load_detector(model: nn.Module, artifact: Artifact) -> Detector:
    """A detector that watches a model, with what it learnt."""
    record = Fitted.of(artifact)
    detector = make_detector(model, record.detector, record.fields)
    detector.load_state_dict(unpack(record.packed))
    return detector.eval().requires_grad_(False)


def fitted(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Fit a detector on the training images, and on attacked ones of them where it needs some.

    What it learnt leaves packed, and all scores are computed with exactly that.
    """
    model = load_network(params, inputs["weights"])
    detector = make_detector(model, params["detector"], params["fields"])
    split = data.load(params["dataset"]).splits[LEARNT_FROM]
    record = Attacked.of(inputs["attacked"]) if "attacked" in inputs else None
    if record is None and "attacked" in detector.needs:
        raise ValueError(
            f"expected attacked images for {detector.title} to learn from, got none; give the step an attack "
            f'on the split "{LEARNT_FROM}" as its input "attacked"'
        )
    learnt_from = None if record is None else images_to_learn_from(record, split)
    detector.fit(split, attacked=learnt_from, seed=params["seed"])
    packed = pack({name: tensor.cpu() for name, tensor in detector.state_dict().items()})
    for name, tensor in packed.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(
                f"expected what {detector.title} learnt to fit into float16, got {name} beyond it; let the "
                "detector keep it on another scale"
            )
    facts = {
        "detector": params["detector"],
        "fields": params["fields"],
        "seed": params["seed"],
        "split": LEARNT_FROM,
        "n": len(split) if "fit" in detector.needs else 0,
        "attacked": None if record is None else {"n": len(record.kept_rows), **record.facts},
        "device": describe(device()),
    }
    return Outcome.of(Fitted(packed=packed, facts=facts))


def images_to_learn_from(record: Attacked, split: data.Split) -> Tensor:
    """Attacked images (M, C, H, W) of the training split.

    Raises: ValueError: when they are of another split, or not stored.
    """
    if record.split != LEARNT_FROM or not len(record.kept_rows):
        raise ValueError(
            f'expected attacked images of the split "{LEARNT_FROM}" to learn from, got '
            f"{len(record.kept_rows)} of {record.split}; attack that split and keep the perturbations"
        )
    return from_uint8(record.images(split.images, record.kept_rows)).to(device())


def scored(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Score clean validation and test images, and the kept images of every attack among the inputs.

    An attack's input is called `ATTACK` and its name. Whether it worked is asked of the model anew, as it
    counts on the 8-bit image. Scores that are random are means over params' draws.
    """
    model = load_network(params, inputs["weights"])
    detector, dataset = load_detector(model, inputs["fitted"]), data.load(params["dataset"])
    records = {
        name.removeprefix(ATTACK): Kept.of(artifact)
        for name, artifact in sorted(inputs.items())
        if name.startswith(ATTACK)
    }
    for name, record in records.items():
        if record.split != "test" or not len(record.kept_rows):
            raise ValueError(
                f"expected an attack on test images whose perturbations are kept, got {name} with "
                f"{len(record.kept_rows)} of {record.split}; declare it with keep_perturbation on test images"
            )

    def part(number: int, note: str, images: Tensor, index: Tensor) -> dict[str, Tensor]:
        job.progress(number, 2 + len(records), note)
        shard = job.workspace.shard(f"scores-{number}")
        found = shard.load()
        if found is None:
            x = from_uint8(images).to(device())
            found = verdicts(model, detector, x, index, seed=params["seed"], draws=params["draws"])
            shard.save(found)
        return found

    clean = [
        part(number, "clean images", split.images, torch.arange(len(split)))
        for number, split in enumerate((dataset.validation, dataset.test))
    ]
    attacked: list[dict[str, Tensor]] = []
    for number, (name, record) in enumerate(records.items()):
        kept = record.kept_rows
        about = {
            "attack": torch.full_like(kept, number),
            "index": record.index[kept],
            "label": record.label[kept],
            "target": record.encoded("target")[kept],
        }
        images = record.images(dataset.test.images, kept)
        attacked.append(about | part(2 + number, name, images, about["index"]))
    facts = {
        "detector": Fitted.of(inputs["fitted"]).facts,
        "attacks": [{"name": name, "facts": record.facts} for name, record in records.items()],
        "seed": params["seed"],
        "draws": params["draws"] if detector.random else 1,
        "device": describe(device()),
    }
    return Outcome.of(gathered(clean[0], clean[1], attacked, dataset.test.labels, facts))


def gathered(
    validation: Mapping[str, Tensor],
    test: Mapping[str, Tensor],
    attacked: Sequence[Mapping[str, Tensor]],
    test_label: Tensor,
    facts: Mapping[str, Any],
) -> Scored:
    """The record of what `verdicts` found, on attacked images with the rows that they are."""
    none = {**test, **dict.fromkeys(("attack", "index", "label", "target"), test_label)}
    rows = {
        name: torch.cat([tensor[:0], *(found[name] for found in attacked)]) for name, tensor in none.items()
    }
    parts = [name for name in test if name.startswith(PART)]

    def stacked(found: Mapping[str, Tensor]) -> Tensor | None:
        return torch.stack([found[name] for name in parts]) if parts else None

    return Scored(
        validation_score=validation["score"],
        test_score=test["score"],
        test_prediction=test["prediction"],
        test_label=test_label,
        **{name: tensor for name, tensor in rows.items() if name not in parts},
        validation_parts=stacked(validation),
        test_parts=stacked(test),
        attacked_parts=stacked(rows),
        facts={**facts, "parts": [name.removeprefix(PART) for name in parts]},
    )


def verdicts(
    model: nn.Module, detector: Detector, x: Tensor, index: Tensor, *, seed: int, draws: int
) -> dict[str, Tensor]:
    """Predictions and scores of images (B, C, H, W), (B,), and parts of the scores where they have several.

    Args:
        index: Of each image in its data set, (B,).
        seed, draws: Of scores that are random.
    """
    found = {
        "prediction": predict(model, x).cpu(),
        "score": detector.score(x, index=index, seed=seed, draws=draws).float().cpu(),
    }
    if type(detector).parts is not Detector.parts:
        parts = detector.parts(x, index=index, seed=seed, draws=draws)
        found |= {PART + name: part.float().cpu() for name, part in parts.items()}
    return found
