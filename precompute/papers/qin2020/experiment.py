"""The steps of qin2020: its models and detectors, attacks on both, judges of what is undetected.

For every data set and model, names of steps:
    {model}/weights, {model}/substitute: `precompute.steps.training`.
    {model}/clean, {model}/beta..., {model}/corrupted, {model}/reconstructions: `precompute.steps.detection`.
    {model}/matrix, {model}/attack/..., {model}/black-box/..., {model}/examples/...:
        `precompute.steps.attacks`.
    {model}/health, {model}/walkthrough: the steps of these names.
    similarity, judges/..., {model}/judged: `precompute.steps.judging`.
    results: `precompute.papers.qin2020.results`.
"""

from collections.abc import Mapping
from typing import Any

from core import data
from core.attacks import ATTACKS
from core.data.corruptions import CORRUPTIONS
from precompute.papers.experiment import step
from precompute.papers.qin2020.profiles import (
    BLACK_BOX,
    CORRUPTED,
    EXAMPLES,
    JUDGES,
    ROBUST,
    UNDEFENDED,
    WALKTHROUGH,
    Profile,
    profile_of,
)
from precompute.papers.zoo import MODELS, SCALES, recipe, scale_of, substitute_step, weights_step
from precompute.steps.job import StepFunction
from precompute.steps.step import Step

FUNCTIONS = {"results": StepFunction("precompute.papers.qin2020.results:results", 1)}
WHOLE = "matrix-whole"
"""Name of a matrix that stays where it was built, where only an excerpt of it ships."""


def attack_fields(dataset: str, attack: str, profile: Profile) -> dict[str, Any]:
    """Epsilon, step size and iterations of an attack on a data set. Source: qin2020, appendix C."""
    if attack == "cw":
        return dict(profile.cw)
    usual = ATTACKS[attack].defaults(data.spec(dataset))
    return {**usual, "steps": profile.steps} if profile.steps and "steps" in usual else usual


def model_steps(dataset: str, model: str, profile_name: str, digests: Mapping[str, str]) -> list[Step]:
    """All steps of one model: train, calibrate, sweep beta, attack, corrupt."""
    profile = profile_of(dataset, profile_name)
    common = {"dataset": dataset, "model": model, "size": scale_of(dataset, profile_name).size}

    def rows(first: int, per_class: int | None, targets: str) -> dict[str, Any]:
        return {"first": first, "per_class": per_class, "targets": targets, "seed": 0}

    weights = weights_step(dataset, model, profile_name, digests)
    substitute = substitute_step(dataset, model, profile_name, digests)
    by_class = {} if profile.by_class is None else {"by_class": profile.by_class}
    clean = step(f"{model}/clean", "clean", {**common, **by_class}, {"weights": weights}, digests)

    def attacked(
        name: str,
        attack: str,
        choice: dict[str, Any],
        source: Step | None,
        *,
        keep: bool = False,
        substitute: Step | None = None,
    ) -> Step:
        params = {
            **common,
            "attack": attack,
            "fields": attack_fields(dataset, attack, profile),
            "rows": choice,
            "seed": 0,
            "keep_perturbation": keep,
        }
        given = {"weights": weights, "sweep": source, "substitute": substitute}
        inputs = {name: made for name, made in given.items() if made}
        return step(f"{model}/{name}", "attacked", params, inputs, digests)

    def sweep(name: str, attack: str, targets: str) -> Step:
        params = {
            **common,
            "attack": attack,
            "fields": attack_fields(dataset, attack, profile),
            "rows": rows(profile.matrix, profile.sweep, targets),
            "betas": list(profile.betas),
            "seed": 0,
        }
        return step(f"{model}/{name}", "sweep", params, {"weights": weights, "clean": clean}, digests)

    beta = {
        "targeted": sweep("beta", "r-pgd", "random"),
        "untargeted": sweep("beta-untargeted", "r-pgd", "none"),
    }
    one_step = {
        "targeted": sweep("beta-r-fgsm", "r-fgsm", "random"),
        "untargeted": sweep("beta-r-fgsm-untargeted", "r-fgsm", "none"),
    }
    every = rows(0, profile.matrix, "all")
    whole = attacked("matrix" if profile.kept is None else WHOLE, "r-pgd", every, beta["targeted"], keep=True)
    found = [weights, clean, *beta.values(), *one_step.values(), whole]
    if profile.kept is not None:
        found.append(step(f"{model}/matrix", "excerpt", {"images": profile.kept}, {"whole": whole}, {}))
    looked_at = {"weights": weights, "matrix": whole}
    found.append(step(f"{model}/reconstructions", "reconstructions", common, looked_at, digests))
    if shown := WALKTHROUGH.get((dataset, model)):
        given = {"weights": weights, "sweep": beta["targeted"]}
        found.append(step(f"{model}/walkthrough", "walkthrough", {**common, **shown}, given, digests))
    defended, through = BLACK_BOX.get(dataset, ((), ()))
    through = through if model in defended else ()
    found += [substitute] if through else []
    if dataset in CORRUPTED:
        params = {
            **common,
            "corruptions": list(CORRUPTIONS),
            "rows": rows(0, profile.corrupted, "none"),
            "seed": 0,
        }
        found.append(
            step(f"{model}/corrupted", "corrupted", params, {"weights": weights, "clean": clean}, digests)
        )
    first = profile.matrix + profile.sweep
    for mode, targets in (("targeted", "random"), ("untargeted", "none")):
        choice = rows(first, profile.table, targets)
        betas = {"r-fgsm": one_step[mode], "r-bim": beta[mode], "r-pgd": beta[mode]}
        found += [
            attacked(f"attack/{attack}-{mode}", attack, choice, betas.get(attack))
            for attack in profile.attacks
        ]
        found += [
            attacked(f"black-box/{attack}-{mode}", attack, choice, betas.get(attack), substitute=substitute)
            for attack in through
        ]
    # Some of the images that a table reports, so that they can be looked at.
    found += [
        attacked(f"examples/{attack}-targeted", attack, rows(first, 1, "random"), None, keep=True)
        for attack in EXAMPLES.get(dataset, ())
    ]
    return found


def health_step(dataset: str, model: str, profile_name: str, named: Mapping[str, Step]) -> Step:
    """The checks of the attacks on one model, beside the other models of the bundle."""
    spec, others = data.spec(dataset), [name for name in MODELS[dataset] if name != model]
    profile = profile_of(dataset, profile_name)
    per_class, steps = profile.health
    params = {
        "dataset": dataset,
        "model": model,
        "size": scale_of(dataset, profile_name).size,
        "fields": {
            "epsilon": spec.epsilon,
            "step_size": spec.step_size,
            "steps": min(steps, profile.steps or spec.steps),
            "fgsm_step": spec.fgsm_step,
        },
        "changed": {"cw": dict(profile.cw)},
        "rows": {"first": 0, "per_class": per_class, "targets": "random", "seed": 0},
        "others": others,
        "undefended": next(name for name in UNDEFENDED if name in others),
        "seed": 0,
    }
    inputs = {
        "weights": named[f"{model}/weights"],
        "clean": named[f"{model}/clean"],
        "targeted": named[f"{model}/beta"],
        "untargeted": named[f"{model}/beta-untargeted"],
        "one_step": named[f"{model}/beta-r-fgsm-untargeted"],
        **{f"other-{name}": named[f"{name}/weights"] for name in others},
    }
    return step(f"{model}/health", "health", params, inputs, dict(named[f"{model}/weights"].data))


def judge_steps(dataset: str, profile: str, digests: Mapping[str, str]) -> dict[str, Step]:
    """The judges of a data set by name, equal under the profiles demo and paper.

    They train for half the epochs of the models: they need to be good, not best.
    """
    spec = data.spec(dataset)
    attack = {"epsilon": spec.epsilon, "step_size": spec.epsilon / 10, "steps": 40}
    found: dict[str, Step] = {}
    for number, (name, (model, robust)) in enumerate(JUDGES.items()):
        whole = recipe(dataset, model, profile)
        params: dict[str, Any] = {
            "dataset": dataset,
            "model": model,
            "size": "compact",
            "recipe": {**whole, "epochs": max(1, whole["epochs"] // 2), "seed": 100 + number},
            "attack": attack,
            "rows": {"first": 0, "per_class": 30, "targets": "none", "seed": 0},
        }
        if robust:
            other = ROBUST.get(dataset, {})
            usual = {"epsilon": spec.epsilon, "step_size": spec.epsilon / 4, "steps": 5}
            params["adversary"] = {**usual, **other.get("adversary", {})}
            params["recipe"] |= other.get("recipe", {}) if SCALES[profile].epochs is None else {}
        found[name] = step(f"judges/{name}", "judge", params, {}, digests)
    return found


def coherence_steps(
    dataset: str, profile: str, named: Mapping[str, Step], digests: Mapping[str, str]
) -> list[Step]:
    """How alike classes are, the judges, and what they say about every model's matrix, all of it."""
    judges = judge_steps(dataset, profile, digests)
    matrices = {m: named.get(f"{m}/{WHOLE}", named[f"{m}/matrix"]) for m in MODELS[dataset]}
    choice = {"first": 0, "per_class": 30, "targets": "none", "seed": 0}
    return [
        step("similarity", "similarity", {"dataset": dataset, "per_class": 1000}, {}, digests),
        *judges.values(),
        *(
            step(
                f"{model}/judged",
                "judged",
                {"dataset": dataset, "rows": choice},
                {**judges, "matrix": matrix},
                digests,
            )
            for model, matrix in matrices.items()
        ),
    ]


READ = ("clean", "attacked", "excerpt", "sweep", "corrupted", "health", "similarity", "judged")
"""Functions whose artifacts the tables are made of."""


def is_read(step: Step) -> bool:
    """Whether tables are made of a step: of no attack twice."""
    return step.function in READ and "/examples/" not in step.name and not step.name.endswith(f"/{WHOLE}")


def experiment(dataset: str, profile: str) -> list[Step]:
    """All named steps of a bundle.

    Args:
        dataset: One of `MODELS`.
        profile: One of `precompute.papers.zoo.PROFILES`.
    """
    digests, models = {dataset: data.fingerprint(dataset)}, MODELS[dataset]
    steps = [s for model in models for s in model_steps(dataset, model, profile, digests)]
    named = {s.name: s for s in steps}
    steps += [health_step(dataset, model, profile, named) for model in models]
    steps += coherence_steps(dataset, profile, named, digests)
    params = {"dataset": dataset, "profile": profile, "models": list(models)}
    read = {s.name: s for s in steps if is_read(s)}
    return [*steps, step("results", "results", params, read, {}, FUNCTIONS)]


def ships(step: Step) -> bool:
    """Whether an artifact ships: no substitutes, judges, wholes of excerpts, or pictures of others."""
    if step.function == "judge" or step.name.endswith(("/substitute", f"/{WHOLE}")):
        return False
    pictures = step.function in ("reconstructions", "walkthrough")
    return not pictures or data.spec(step.params["dataset"]).pictures_ship
