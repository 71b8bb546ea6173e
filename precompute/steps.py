"""The steps of an experiment: thin calls to core, each with a version, raised when its results change."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from core import data
from core.attacks import ATTACKS, Attack, Progress, predict, starting_points
from core.data.corruptions import corrupt
from core.detectors import Detector, ReconstructionDetector
from core.images import LEVELS, from_uint8, to_uint8
from core.metrics import rate, succeeded, success_rate, threshold_at, undetected_rate
from core.models import ReconstructingNet, build
from core.models.packing import pack
from core.runtime import configure, describe, device, dtype_name, network_precision
from core.selection import Rows, select
from core.training import Adversary, Recipe, train
from precompute.artifact import Artifact
from precompute.embedding import embed
from precompute.excerpts import excerpt
from precompute.loading import load_model
from precompute.michels2019_tables import michels2019_results
from precompute.minimum import adversarial, minimum, transfer
from precompute.readings import readings
from precompute.universal import universal, universal_transfer
from precompute.walkthrough import walkthrough
from precompute.work import Job, Outcome, StepFunction

SHARD = 50
"""Rows a shard: what a kill costs at most."""

FPR = 0.05


def weights(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Train one model; its weights leave packed, and everything else is computed with exactly those."""
    configure()
    dataset = data.load(params["dataset"])
    recipe = Recipe.read(params["recipe"])
    adversary = Adversary(**params["adversary"]) if "adversary" in params else None
    model = build(params["model"], dataset.spec.shape, size=params["size"], seed=recipe.seed)
    history = train(
        model,
        dataset.train,
        dataset.validation,
        recipe,
        adversary=adversary,
        checkpoint=job.workspace.path / "checkpoint.safetensors",
        device=device(),
        on_progress=job.progress,
    )
    facts = {
        "model": params["model"],
        "size": params["size"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "recipe": params["recipe"],
        "history": history.epochs,
        "seconds": sum(epoch["seconds"] for epoch in history.epochs),
        "device": describe(device()),
        "precision": ", ".join(history.precisions),
    }
    return Outcome(pack(model.cpu().state_dict(), params.get("bits")), facts=facts)


def clean(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Distances and predictions on clean images, and theta from the validation ones."""
    model = load_model(params, inputs["weights"])
    detector = ReconstructionDetector(model)
    dataset = data.load(params["dataset"])
    validation, test = dataset.validation.x().to(device()), dataset.test.x().to(device())
    prediction = predict(model, test).cpu()
    job.progress(1, 3, "distances")
    tensors = {
        "validation_distance": detector.score(validation).cpu(),
        "test_distance": detector.score(test).cpu(),
        "test_prediction": prediction,
        "test_label": dataset.test.labels,
    }
    job.progress(2, 3, "distances by class")
    if model.conditional:
        tensors["test_class_distance"] = detector.class_scores(test[: params.get("by_class")]).cpu()
    threshold = threshold_at(tensors["validation_distance"], FPR)
    wrong = rate(prediction != dataset.test.labels)
    facts = {"threshold": threshold, "fpr": FPR, "error_rate": wrong.value, "errors": wrong.k, "n": wrong.n}
    return Outcome(tensors, facts=facts)


def make_attack(params: Mapping[str, Any], beta: Any = None) -> Attack:
    """The attack that a step's params name."""
    fields = dict(params["fields"])
    if beta is not None:
        fields["beta"] = beta
    return ATTACKS[params["attack"]](**fields)


def eight_bit(x: Tensor, x_adv: Tensor, epsilon: float = 1.0) -> Tensor:
    """The perturbation in 8-bit levels, (B, C, H, W), rounded so that it stays in the ball.

    Args:
        x: Images that are 8-bit, float32 in [0, 1].
        x_adv: Attacked images.
        epsilon: linf radius.
    Returns: int8 where that holds epsilon, else int16.
    """
    levels = int(epsilon * LEVELS + 1e-6)
    delta = to_uint8(x_adv).short() - to_uint8(x).short()
    return delta.clamp(-levels, levels).to(torch.int8 if levels <= 127 else torch.int16)


def perturbed(images: Tensor, perturbation: Tensor) -> Tensor:
    """Adversarial images, float32 in [0, 1], from 8-bit images and `eight_bit` perturbations."""
    return (images.short() + perturbation.short()).clamp(0, LEVELS).float() / LEVELS


def attack_rows(
    attack: Attack,
    model: ReconstructingNet,
    rows: Rows,
    dataset: data.Dataset,
    job: Job,
    *,
    seed: int,
    through: ReconstructingNet | None = None,
    name: str = "rows",
    span: tuple[int, int] = (0, 1),
) -> dict[str, Tensor]:
    """Attack the rows shard by shard; finished shards are kept, so a killed step goes on where it was.

    Args:
        attack: Fields may hold one value per row.
        rows: Which test images, labels and targets.
        through: A substitute that the attack sees in place of the model; the model's own verdicts count.
        span: Which part of the step's progress this is: (number, of how many).
    Returns: perturbation (N, C, H, W), prediction and distance (N,) of the *8-bit* adversarial images.
        Attacks that minimise a norm end just past the border, from where rounding takes many back: their
        prediction and distance are those of the float32 images, and `size`, in that norm, is there too; of
        the boundary attack `queries` as well.
    """
    detector = ReconstructionDetector(model)
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
                dataset,
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
    model: ReconstructingNet,
    seen: ReconstructingNet,
    detector: Detector,
    rows: Rows,
    dataset: data.Dataset,
    job: Job,
    seed: int,
    place: tuple[int, int],
    span: tuple[int, int],
) -> dict[str, Tensor]:
    """One shard of `attack_rows`; the attack sees the model `seen`, and a detector that watches that one."""

    def on_step(progress: Progress) -> None:
        within = (place[0] + progress.step / progress.total) / place[1]
        job.progress((span[0] + within) / span[1], 1, f"{place[0] + 1}/{place[1]} shards")

    where = device()
    images = dataset.test.images[rows.index]
    x = dataset.test.x(rows.index).to(where)
    target = None if rows.target is None else rows.target.to(where)
    if "starts" in attack.needs and rows.target is not None:
        known = dataset.validation
        starts = starting_points(known.images, known.labels, rows.target, rows.index)
        attack = replace(attack, starts=from_uint8(starts).to(where))
    result = attack(
        seen,
        x,
        rows.label.to(where),
        detector=ReconstructionDetector(seen),
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
        x_adv = perturbed(images, perturbation).to(where)
    found = {
        "perturbation": perturbation,
        "prediction": predict(model, x_adv).cpu(),
        "distance": detector.score(x_adv).cpu(),
    }
    if bound is None:
        found["size"] = result.distance.cpu()
    if attack.unit == "answers":
        found["queries"] = result.queries
    return found


def attacked(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Attack a selection of test images once; beta may come from a sweep on *other* images.

    With the weights of a substitute this is a black-box attack: images are made on the substitute, and the
    model is only asked what it sees in them. Source: qin2020, section 3 and appendix G.
    """
    model = load_model(params, inputs["weights"])
    through = load_model(params, inputs["substitute"]) if "substitute" in inputs else None
    dataset = data.load(params["dataset"])
    rows = select(dataset.test.labels, params["rows"])
    beta = inputs["sweep"].facts["best_beta"] if "sweep" in inputs else None
    attack = make_attack(params, beta)
    tensors = attack_rows(attack, model, rows, dataset, job, seed=params["seed"], through=through)
    if not params["keep_perturbation"]:
        del tensors["perturbation"]
    facts = {
        "attack": params["attack"],
        "fields": params["fields"],
        "beta": beta,
        "access": "white_box" if through is None else "black_box",
        "rows": params["rows"],
        "seed": params["seed"],
        "device": describe(device()),
        "gradients": dtype_name(network_precision(device())),
    }
    return Outcome(tensors | rows.tensors(), facts=facts)


def corrupted(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Predictions and distances on corrupted test images, which are made anew wherever they are shown."""
    model = load_model(params, inputs["weights"])
    detector = ReconstructionDetector(model)
    test = data.load(params["dataset"]).test
    rows = select(test.labels, params["rows"])
    threshold = inputs["clean"].facts["threshold"]
    names: list[str] = params["corruptions"]
    found: list[dict[str, Tensor]] = []
    rates: dict[str, dict[str, Any]] = {}
    for number, name in enumerate(names):
        job.progress(number, len(names), name)
        shard = job.workspace.shard(f"corruption-{number}")
        part = shard.load()
        if part is None:
            images = corrupt(test.images[rows.index], name, rows.index, params["seed"])
            x = from_uint8(images).to(device())
            part = {"prediction": predict(model, x).cpu(), "distance": detector.score(x).cpu()}
            shard.save(part)
        found.append(part)
        wrong = success_rate(part["prediction"], rows.label)
        missed = undetected_rate(part["prediction"], part["distance"], threshold, rows.label)
        rates[name] = {"error_rate": wrong.value, "undetected_rate": missed.value, "n": wrong.n}
    tensors = {key: torch.stack([part[key] for part in found]) for key in ("prediction", "distance")}
    facts = {
        "corruptions": names,
        "rates": rates,
        "threshold": threshold,
        "fpr": FPR,
        "rows": params["rows"],
        "seed": params["seed"],
        "device": describe(device()),
    }
    return Outcome(tensors | rows.tensors(), facts=facts)


def sweep(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Attack the same images at every beta; the best one has the highest undetected rate at a 5 % FPR."""
    model = load_model(params, inputs["weights"])
    dataset = data.load(params["dataset"])
    rows = select(dataset.test.labels, params["rows"])
    threshold = inputs["clean"].facts["threshold"]
    betas: list[float] = params["betas"]
    found: list[dict[str, Tensor]] = []
    scores: list[tuple[int, int]] = []
    for number, beta in enumerate(betas):
        attack = make_attack(params, beta)
        part = attack_rows(
            attack,
            model,
            rows,
            dataset,
            job,
            seed=params["seed"],
            name=f"beta-{beta}",
            span=(number, len(betas)),
        )
        found.append(part)
        undetected = undetected_rate(
            part["prediction"], part["distance"], threshold, rows.label, rows.target
        ).k
        scores.append((undetected, int(succeeded(part["prediction"], rows.label, rows.target).sum())))
    tensors = {
        "beta": torch.tensor(betas),
        "prediction": torch.stack([part["prediction"] for part in found]),
        "distance": torch.stack([part["distance"] for part in found]),
    }
    facts = {
        "attack": params["attack"],
        "fields": params["fields"],
        "best_beta": betas[max(range(len(betas)), key=lambda k: scores[k])],
        "threshold": threshold,
        "rows": params["rows"],
        "seed": params["seed"],
        "device": describe(device()),
        "gradients": dtype_name(network_precision(device())),
    }
    return Outcome(tensors | rows.tensors(), facts=facts)


def reconstructions(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """What the winning class makes of every attacked image of a matrix, as 8-bit images."""
    model = load_model(params, inputs["weights"])
    matrix = inputs["matrix"].tensors
    images = data.load(params["dataset"]).test.images[matrix["index"]]
    with torch.no_grad():
        parts = [
            to_uint8(model.reconstruct(perturbed(image, delta).to(device())).cpu())
            for image, delta in zip(images.split(256), matrix["perturbation"].split(256), strict=True)
        ]
    return Outcome({"reconstruction": torch.cat(parts)})


def health(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """The fifteen checks of attack health on one model."""
    from precompute.examining import examine

    return examine(params, inputs, job)


def judge(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Train a classifier that is to judge attacked images."""
    from precompute.judging import train_judge

    return train_judge(params, job)


def similarity(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """How far the classes of a data set are apart."""
    from precompute.judging import class_similarity

    return class_similarity(params)


def judged(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """What judges see in the attacked images of a matrix that worked."""
    from precompute.judging import ask_judges

    return ask_judges(params, inputs, job)


def results(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """All rates of a bundle as tables, each with n and interval."""
    from precompute.tables import tables

    return Outcome(tables=tables(params, inputs))


STEPS = {
    "weights": StepFunction(weights, 1, gpu=True),
    "clean": StepFunction(clean, 1, gpu=True),
    "attacked": StepFunction(attacked, 1, gpu=True),
    "excerpt": StepFunction(excerpt, 1),
    "sweep": StepFunction(sweep, 1, gpu=True),
    "corrupted": StepFunction(corrupted, 1, gpu=True),
    "health": StepFunction(health, 1, gpu=True),
    "reconstructions": StepFunction(reconstructions, 1),
    "walkthrough": StepFunction(walkthrough, 1, gpu=True),
    "judge": StepFunction(judge, 1, gpu=True),
    "similarity": StepFunction(similarity, 1),
    "judged": StepFunction(judged, 1),
    "results": StepFunction(results, 1),
    "readings": StepFunction(readings, 1, gpu=True),
    "universal": StepFunction(universal, 2, gpu=True),
    "universal_transfer": StepFunction(universal_transfer, 1, gpu=True),
    "adversarial": StepFunction(adversarial, 1, gpu=True),
    "minimum": StepFunction(minimum, 1),
    "transfer": StepFunction(transfer, 1, gpu=True),
    "embedding": StepFunction(embed, 1),
    "michels2019": StepFunction(michels2019_results, 1),
}
