"""Attacks: frozen dataclasses of hyperparameters, called on a model, images and labels."""

from core.attacks.base import Attack, AttackResult, AttackState, Progress, predict, untouched
from core.attacks.boundary import Boundary
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

__all__ = [
    "ATTACKS",
    "ATTACK_TITLES",
    "BIM",
    "FGSM",
    "PGD",
    "Attack",
    "AttackResult",
    "AttackState",
    "Boundary",
    "CarliniWagner",
    "DeepFool",
    "GradientAttack",
    "Progress",
    "ReconstructiveBIM",
    "ReconstructiveFGSM",
    "ReconstructivePGD",
    "predict",
    "untouched",
]
