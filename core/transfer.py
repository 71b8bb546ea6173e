"""What adversarial examples of one model do to others: fooling rates and what they are counted over."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from core.attacks import perturb, predict
from core.metrics import Rate, rate, succeeded
from core.objectives import Classifier

DENOMINATORS = {"all": "all attacked images", "right": "images that the network read rightly before"}


def readings(models: Mapping[str, Classifier], x: Tensor) -> dict[str, Tensor]:
    """What every model sees in images (N, C, H, W): classes (N,) by model, on the CPU."""
    return {name: predict(model, x).cpu() for name, model in models.items()}


def fooling(
    seen: Mapping[str, Tensor], clean: Mapping[str, Tensor], label: Tensor, target: Tensor | None = None
) -> Iterator[dict[str, Any]]:
    """How often each model was fooled by the same adversarial images.

    A model is fooled where it sees the target; without targets, where it does not see the true class.

    Args:
        seen: Classes of the adversarial images by model, (N,).
        clean: Classes of the images as they were, likewise.
        label: True classes (N,).
        target: Classes aimed at, (N,); None for untargeted attacks.
    Returns: For each model and each of `DENOMINATORS` a row: model, of, k, n, value, low, high. A model that
        read none of the images rightly has no row "right".
    Source: michels2019, section 4.2, whose public code counts over all attacked images.
    """
    for model, prediction in seen.items():
        fooled, right = succeeded(prediction, label, target), clean[model] == label
        yield {"model": model, "of": "all", **rate(fooled).record()}
        if bool(right.any()):
            yield {"model": model, "of": "right", **rate(fooled[right]).record()}


@torch.no_grad()
def universal_effect(
    model: Classifier, perturbation: Tensor, x: Tensor, label: Tensor, batch_size: int = 1000
) -> tuple[Tensor, Tensor]:
    """What one perturbation does to a model on many images, clipped to [0, 1] as images are.

    Args:
        perturbation: (C, H, W), added to images in [0, 1].
        x: (N, C, H, W).
        label: True classes, (N,).
    Returns: Whether each image is read rightly with the perturbation, (N,) bool on the CPU; and the classes.
    """
    parts = [predict(model, perturb(part, perturbation), batch_size) for part in x.split(batch_size)]
    seen = torch.cat(parts).cpu()
    return seen == label.cpu(), seen


def effect_rates(right: Tensor, clean_right: Tensor) -> tuple[Rate, Rate | None]:
    """Accuracy under a perturbation, and the fooling rate over the images that were read rightly before.

    Args:
        right: Whether each image is read rightly with the perturbation, (N,) bool.
        clean_right: Whether it is without, (N,) bool.
    """
    return rate(right), rate(~right[clean_right]) if bool(clean_right.any()) else None
