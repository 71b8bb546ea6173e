"""Experiments: which steps make up a bundle, under which profile."""

from dataclasses import dataclass, field, replace
from typing import Any

from core import data
from core.data.corruptions import CORRUPTIONS
from core.models import CAPSULE_MODELS
from core.training import Recipe
from precompute.graph import Step
from precompute.steps import STEPS

DATASETS = ("digits", "mnist", "fashion_mnist")
MODELS = ("capsnet", "cnn_cr", "cnn_r")
BLACK_BOX = {"mnist": ("pgd", "r-pgd")}
"""Attacks that are also made on a substitute, by data set. Source: qin2020, Table 7."""
CORRUPTED = ("mnist",)
"""Data sets whose test images are corrupted too: that of Table 2."""
UNDEFENDED = ("cnn_cr", "cnn_r")
"""What stands for an undefended network when another model is checked: a plain classifier, its detector
left out."""
JUDGES = {
    "convnet": ("convnet", False),
    "residual": ("residual", False),
    "robust": ("residual", True),
}
"""Networks that judge attacked images, by name: architecture, and whether PGD changes what it is trained on.

They share no weights with what is attacked, as each has a seed of its own, and they never ship."""
BETAS = (0.1, 0.25, 0.4, 0.45, 0.5, 0.52, 0.55, 0.6, 0.75, 0.9)
"""Dense where success falls off: between 0.45 and 0.6 the two sign steps become equal."""


@dataclass(frozen=True)
class Profile:
    """How much is computed.

    Attributes:
        size: Of the models.
        epochs: Of training; None for the data set's own number.
        steps: Iterations of BIM, PGD and their reconstructive forms; None for the data set's.
        matrix, sweep, table: Test images of each class attacked for the source/target matrix (every target),
            for the choice of beta, and for the tables. The three sets are disjoint: beta is never chosen on
            the images that a table reports.
        betas: Of the sweep.
        corrupted: Test images of each class that are corrupted in every way; None for all.
        cw: Fields of CW; those left out are the authors'.
        health: Test images of each class, of the matrix, that attacks are checked on, and iterations at most.
    """

    size: str
    epochs: int | None
    steps: int | None
    matrix: int
    sweep: int
    table: int
    betas: tuple[float, ...] = BETAS
    corrupted: int | None = None
    cw: dict[str, Any] = field(default_factory=dict[str, Any])
    health: tuple[int, int] = (10, 200)


PROFILES = {
    "smoke": Profile(
        "compact",
        2,
        3,
        2,
        1,
        2,
        (0.25, 0.5, 0.75),
        corrupted=2,
        cw={"steps": 3, "searches": 2},
        health=(1, 3),
    ),
    # A tenth of CW's iterations, hence larger steps and a first c near where successes begin.
    "demo": Profile(
        "compact",
        None,
        200,
        10,
        5,
        20,
        corrupted=100,
        cw={"steps": 150, "searches": 6, "learning_rate": 0.05, "initial_c": 0.3},
        health=(5, 100),
    ),
    "paper": Profile("paper", None, None, 100, 100, 100),
}

# scikit-learn's digits have 35 or more test images a class, and their build is to take minutes.
DIGITS = {
    "demo": {"steps": 100, "table": 10},
    "paper": {"matrix": 10, "sweep": 10, "table": 16},
}


def profile_of(dataset: str, name: str) -> Profile:
    """How much is computed for a data set under a profile."""
    found = PROFILES[name]
    return replace(found, **DIGITS.get(name, {})) if dataset == "digits" else found


RECIPES = {
    "digits": {"epochs": 40, "batch_size": 32, "shift": 1, "warmup": 100},
    "mnist": {"epochs": 12},
    "fashion_mnist": {"epochs": 12},
}


def recipe(dataset: str, model: str, profile: Profile, seed: int = 0) -> dict[str, Any]:
    """Training recipe of a model, as JSON."""
    fields: dict[str, Any] = {**RECIPES[dataset], "seed": seed}
    if profile.epochs is not None:
        fields["epochs"] = profile.epochs
    return Recipe(loss="margin" if model in CAPSULE_MODELS else "cross_entropy", **fields).record()


def step(
    name: str, function: str, params: dict[str, Any], inputs: dict[str, Step], digests: dict[str, str]
) -> Step:
    """A step with its function's version."""
    entry = STEPS[function]
    return Step(name, function, entry.version, params, inputs, digests, entry.gpu)


def attack_fields(dataset: str, attack: str, profile: Profile) -> dict[str, Any]:
    """Epsilon, step size and iterations of an attack on a data set. Source: qin2020, appendix C."""
    spec = data.spec(dataset)
    if attack == "cw":
        return dict(profile.cw)
    if attack.endswith("fgsm"):
        return {"epsilon": spec.epsilon, "step_size": spec.fgsm_step}
    return {"epsilon": spec.epsilon, "step_size": spec.step_size, "steps": profile.steps or spec.steps}


def model_steps(dataset: str, model: str, profile: Profile, digests: dict[str, str]) -> list[Step]:
    """All steps of one model: train, calibrate, sweep beta, attack, corrupt."""
    common = {"dataset": dataset, "model": model, "size": profile.size}

    def rows(first: int, per_class: int | None, targets: str) -> dict[str, Any]:
        return {"first": first, "per_class": per_class, "targets": targets, "seed": 0}

    weights = step(
        f"{model}/weights", "weights", {**common, "recipe": recipe(dataset, model, profile)}, {}, digests
    )
    # Never attacked itself and never shipped: it stands for what an attacker trains who lacks the weights.
    other = {**common, "recipe": recipe(dataset, model, profile, seed=1)}
    substitute = step(f"{model}/substitute", "weights", other, {}, digests)
    clean = step(f"{model}/clean", "clean", common, {"weights": weights}, digests)

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
    matrix = attacked("matrix", "r-pgd", rows(0, profile.matrix, "all"), beta["targeted"], keep=True)
    found = [weights, clean, *beta.values(), *one_step.values(), matrix]
    found += [substitute] if dataset in BLACK_BOX else []
    found.append(
        step(
            f"{model}/reconstructions",
            "reconstructions",
            common,
            {"weights": weights, "matrix": matrix},
            digests,
        )
    )
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
            for attack in ("fgsm", "bim", "pgd", "cw", *betas)
        ]
        found += [
            attacked(f"black-box/{attack}-{mode}", attack, choice, betas.get(attack), substitute=substitute)
            for attack in BLACK_BOX.get(dataset, ())
        ]
    return found


def health_step(dataset: str, model: str, profile: Profile, named: dict[str, Step]) -> Step:
    """The checks of the attacks on one model, beside the other models of the bundle."""
    spec, others = data.spec(dataset), [name for name in MODELS if name != model]
    per_class, steps = profile.health
    params = {
        "dataset": dataset,
        "model": model,
        "size": profile.size,
        "fields": {
            "epsilon": spec.epsilon,
            "step_size": spec.step_size,
            "steps": min(steps, profile.steps or spec.steps),
            "fgsm_step": spec.fgsm_step,
        },
        "changed": {"cw": dict(profile.cw)},
        "rows": {"first": 0, "per_class": per_class, "targets": "random", "seed": 0},
        "others": others,
        "undefended": next(name for name in UNDEFENDED if name != model),
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


def judge_steps(dataset: str, profile: Profile, digests: dict[str, str]) -> dict[str, Step]:
    """The judges of a data set by name, equal under the profiles demo and paper.

    They train for half the epochs of the models: they need to be good, not best.
    """
    spec = data.spec(dataset)
    attack = {"epsilon": spec.epsilon, "step_size": spec.epsilon / 10, "steps": 40}
    whole = recipe(dataset, "judge", profile)
    found: dict[str, Step] = {}
    for number, (name, (model, robust)) in enumerate(JUDGES.items()):
        params = {
            "dataset": dataset,
            "model": model,
            "size": "compact",
            "recipe": {**whole, "epochs": max(1, whole["epochs"] // 2), "seed": 100 + number},
            "attack": attack,
            "rows": {"first": 0, "per_class": 30, "targets": "none", "seed": 0},
        }
        if robust:
            params["adversary"] = {"epsilon": spec.epsilon, "step_size": spec.epsilon / 4, "steps": 5}
        found[name] = step(f"judges/{name}", "judge", params, {}, digests)
    return found


def coherence_steps(dataset: str, profile: Profile, steps: list[Step], digests: dict[str, str]) -> list[Step]:
    """How alike classes are, the judges, and what they say about every model's matrix."""
    judges = judge_steps(dataset, profile, digests)
    choice = {"first": 0, "per_class": 30, "targets": "none", "seed": 0}
    return [
        step("similarity", "similarity", {"dataset": dataset, "per_class": 1000}, {}, digests),
        *judges.values(),
        *(
            step(
                made.name.replace("/matrix", "/judged"),
                "judged",
                {"dataset": dataset, "rows": choice},
                {**judges, "matrix": made},
                digests,
            )
            for made in steps
            if made.name.endswith("/matrix")
        ),
    ]


READ = ("clean", "attacked", "sweep", "corrupted", "health", "similarity", "judged")
"""Functions whose artifacts the tables are made of."""


def experiment(dataset: str, profile: str) -> list[Step]:
    """All named steps of a bundle.

    Args:
        dataset: One of `DATASETS`.
        profile: One of `PROFILES`.
    """
    digests = {dataset: data.fingerprint(dataset)}
    steps = [
        s for model in MODELS for s in model_steps(dataset, model, profile_of(dataset, profile), digests)
    ]
    named = {s.name: s for s in steps}
    steps += [health_step(dataset, model, profile_of(dataset, profile), named) for model in MODELS]
    steps += coherence_steps(dataset, profile_of(dataset, profile), steps, digests)
    named = {s.name: s for s in steps if s.function in READ}
    params = {"dataset": dataset, "profile": profile, "models": list(MODELS)}
    return [*steps, step("results", "results", params, named, {})]


def shipped_names(dataset: str, profile: str) -> list[str]:
    """Names of what may ship: all but substitutes, judges and pictures that are not ours to pass on."""
    pictures = data.spec(dataset).pictures_ship
    found = [
        s
        for s in experiment(dataset, profile)
        if s.function != "judge" and not s.name.endswith("/substitute")
    ]
    return [s.name for s in found if pictures or s.function != "reconstructions"]


def bundle_facts(dataset: str, profile: str) -> dict[str, Any]:
    """What a page says about a bundle as a whole."""
    from core.runtime import describe, device

    local = data.load(dataset)
    return {
        "dataset": dataset,
        "profile": profile,
        "models": list(MODELS),
        "size": profile_of(dataset, profile).size,
        "device": describe(device()),
        "data_copy": local.copy,
        "digest": local.digest,
    }
