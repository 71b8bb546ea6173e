"""How much is computed for each data set: its models, their training, its attacks, under every profile."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.models import spec
from core.training import Recipe

THREE = ("capsnet", "cnn_cr", "cnn_r")
MODELS = {
    "digits": THREE,
    "mnist": THREE,
    "fashion_mnist": THREE,
    "svhn": THREE,
    "cifar10": ("capsnet_deeper", "capsnet_all", "deepcaps"),
}
"""Models that are trained and attacked, by data set. Source: qin2020, sections 4.4 and 5.4."""
DATASETS = tuple(MODELS)
UNDEFENDED = ("cnn_cr", "cnn_r", "capsnet_all", "deepcaps")
"""What stands for an undefended network when another model is checked, the first that is there: its
detector is left out."""
BLACK_BOX: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "mnist": (THREE, ("pgd", "r-pgd")),
    "cifar10": (("capsnet_deeper",), ("pgd", "r-pgd")),
}
"""Models and attacks that go through a substitute, by data set. Source: qin2020, Table 7 and Fig. 3."""
CORRUPTED = ("mnist",)
"""Data sets whose test images are corrupted too: that of Table 2."""
EXAMPLES = {"mnist": ("pgd",), "svhn": ("cw",)}
"""Attacks of which one image of each class is kept to be looked at, by data set. Source: qin2020, Fig. 10."""
WALKTHROUGH: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("digits", "capsnet"): {
        "source": 3,
        "target": 8,
        "attack": "r-pgd",
        "fields": {"epsilon": 0.3, "step_size": 0.02, "steps": 40},
        "betas": [1.0],  # with which R-PGD is PGD; the sweep's best comes after it
        "seed": 0,
    }
}
"""What the first page shows, by data set and model; few iterations, as it attacks again in the same way."""
JUDGES = {
    "convnet": ("convnet", False),
    "residual": ("residual", False),
    "robust": ("residual", True),
}
"""Networks that judge attacked images, by name: architecture, and whether PGD changes what it is trained on.

They share no weights with what is attacked, as each has a seed of its own, and they never ship."""
ROBUST: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "svhn": {
        "adversary": {"epsilon": 8 / 255, "step_size": 2 / 255, "ramp": 1.0},
        "recipe": {"epochs": 20, "learning_rate": 5e-4},
    }
}
"""What is different in the training of the robust judge. At 0.1, or at the models' learning rate, a small
network with a few thousand images of SVHN learns to answer one class whatever it sees."""
ATTACKS = ("fgsm", "bim", "pgd", "cw", "r-fgsm", "r-bim", "r-pgd")
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
        attacks: Of the tables.
        corrupted: Test images of each class that are corrupted in every way; None for all.
        cw: Fields of CW; those left out are the authors'.
        health: Test images of each class, of the matrix, that attacks are checked on, and iterations at most.
        bits: Of the stored weights, see `core.models.packing`; None for float16.
        kept: Images whose perturbations stay in the matrix, the first of each class in turn; None for all.
        by_class: Test images whose distance to the reconstruction from every class is stored; None for all.
    """

    size: str
    epochs: int | None
    steps: int | None
    matrix: int
    sweep: int
    table: int
    betas: tuple[float, ...] = BETAS
    attacks: tuple[str, ...] = ATTACKS
    corrupted: int | None = None
    cw: dict[str, Any] = field(default_factory=dict[str, Any])
    health: tuple[int, int] = (10, 200)
    bits: int | None = None
    kept: int | None = None
    by_class: int | None = None


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

# Two more bundles share what is left of the repository's budget, so that they ship less of everything.
SMALL = {"bits": 6, "kept": 8, "by_class": 1000}
FEW_BETAS = (0.25, 0.45, 0.5, 0.55, 0.75)
CW = {"steps": 60, "searches": 4, "learning_rate": 0.05, "initial_c": 0.3}
OVERRIDES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    # scikit-learn's digits have 35 or more test images a class, and their build is to take minutes.
    "digits": {
        "demo": {"steps": 100, "table": 10, "bits": 6},
        "paper": {"matrix": 10, "sweep": 10, "table": 15},
    },
    # The subset has 123 or more test images a class. A gradient costs several times one on MNIST; fifty
    # steps of 0.01 cross the ball of 0.1 two and a half times.
    "svhn": {
        "smoke": SMALL,
        "demo": {**SMALL, "steps": 50, "betas": FEW_BETAS, "cw": CW, "health": (5, 50)},
        "paper": {"matrix": 10, "sweep": 13},
    },
    # Thirty steps of 0.01 cross the ball of 8/255 nearly five times. The paper reports R-PGD alone.
    "cifar10": {
        "smoke": SMALL,
        "demo": {
            **SMALL,
            "steps": 30,
            "matrix": 5,
            "betas": FEW_BETAS,
            "attacks": ("fgsm", "pgd", "r-fgsm", "r-pgd"),
            "cw": CW,
            "health": (5, 30),
        },
    },
}
"""Fields of a profile that are others on some data sets."""


def profile_of(dataset: str, name: str) -> Profile:
    """How much is computed for a data set under a profile."""
    return replace(PROFILES[name], **OVERRIDES.get(dataset, {}).get(name, {}))


RECIPES: Mapping[str, Mapping[str, Any]] = {
    "digits": {"epochs": 40, "batch_size": 32, "shift": 1, "warmup": 100},
    "mnist": {"epochs": 12},
    "fashion_mnist": {"epochs": 12},
    # Few images: small batches, so that there are enough steps. Both chosen by the validation images.
    "svhn": {
        "epochs": 30,
        "batch_size": 32,
        "learning_rate": 2e-3,
        "shift": 2,
        "reconstruction_weight": 0.005,
    },
    "cifar10": {"epochs": 10, "shift": 2, "reconstruction_weight": 0.001},
}


def recipe(dataset: str, model: str, profile: Profile, seed: int = 0) -> dict[str, Any]:
    """Training recipe of a model, as JSON."""
    fields: dict[str, Any] = {**RECIPES[dataset], "seed": seed}
    if profile.epochs is not None:
        fields["epochs"] = profile.epochs
    return Recipe(loss=spec(model).loss, **fields).record()
