"""Attacks: frozen dataclasses of hyperparameters, called on a model, images and labels."""

from core.attacks.base import Attack, AttackResult, AttackState, Progress, predict
from core.attacks.boundary import Boundary, starting_points
from core.attacks.deepfool import DeepFool
from core.attacks.gradient import (
    BIM,
    FGSM,
    MIM,
    PGD,
    GradientAttack,
    ReconstructiveBIM,
    ReconstructiveFGSM,
    ReconstructivePGD,
)
from core.attacks.minimum_norm import CarliniWagner
from core.attacks.universal import AveragedUniversal, BoundedUniversal, Universal, UniversalResult, perturb

ATTACKS: dict[str, type[Attack]] = {
    "fgsm": FGSM,
    "bim": BIM,
    "pgd": PGD,
    "mi-fgsm": MIM,
    "r-fgsm": ReconstructiveFGSM,
    "r-bim": ReconstructiveBIM,
    "r-pgd": ReconstructivePGD,
    "cw": CarliniWagner,
    "deepfool": DeepFool,
    "boundary": Boundary,
}


def attack_title(name: str) -> str:
    """The title of an attack by its name in `ATTACKS`; the name itself where it is none of them."""
    return ATTACKS[name].title if name in ATTACKS else name


UNIVERSAL: dict[str, type[Universal]] = {"averaged": AveragedUniversal, "bounded": BoundedUniversal}
"""Those that make one perturbation for many images; they are called otherwise, see `Universal`."""

__all__ = [
    "ATTACKS",
    "BIM",
    "FGSM",
    "MIM",
    "PGD",
    "UNIVERSAL",
    "Attack",
    "AttackResult",
    "AttackState",
    "AveragedUniversal",
    "Boundary",
    "BoundedUniversal",
    "CarliniWagner",
    "DeepFool",
    "GradientAttack",
    "Progress",
    "ReconstructiveBIM",
    "ReconstructiveFGSM",
    "ReconstructivePGD",
    "Universal",
    "UniversalResult",
    "attack_title",
    "perturb",
    "predict",
    "starting_points",
]
