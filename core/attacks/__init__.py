"""Attacks: frozen dataclasses of hyperparameters, called on a model, images and labels."""

from core.attacks.base import Attack, AttackResult, AttackState, Progress, predict, untouched
from core.attacks.boundary import Boundary, starting_points
from core.attacks.deepfool import DeepFool
from core.attacks.gradient import (
    BIM,
    FGSM,
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
    "r-fgsm": ReconstructiveFGSM,
    "r-bim": ReconstructiveBIM,
    "r-pgd": ReconstructivePGD,
    "cw": CarliniWagner,
    "deepfool": DeepFool,
    "boundary": Boundary,
}
ATTACK_TITLES = {
    "fgsm": "FGSM",
    "bim": "BIM",
    "pgd": "PGD",
    "r-fgsm": "R-FGSM",
    "r-bim": "R-BIM",
    "r-pgd": "R-PGD",
    "cw": "CW-L2",
    "deepfool": "DeepFool",
    "boundary": "Boundary",
}
MINIMUM_NORM = ("cw", "deepfool", "boundary")
"""Attacks without a bound: they look for the smallest change."""
UNIVERSAL: dict[str, type[Universal]] = {"averaged": AveragedUniversal, "bounded": BoundedUniversal}
"""Those that make one perturbation for many images; they are called otherwise, see `Universal`."""

__all__ = [
    "ATTACKS",
    "ATTACK_TITLES",
    "BIM",
    "FGSM",
    "MINIMUM_NORM",
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
    "perturb",
    "predict",
    "starting_points",
    "untouched",
]
