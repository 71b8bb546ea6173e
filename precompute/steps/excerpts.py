"""The step that keeps some of what an attack's artifact holds, so that it can ship."""

from dataclasses import replace
from typing import Any

import torch

from precompute.steps.job import Job, Outcome
from precompute.steps.records import Attacked
from precompute.store import Artifact


def excerpt(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """An attack as it is, with the perturbations of a few images alone: the first of each class in turn."""
    whole = Attacked.of(inputs["whole"])
    by_class = [whole.index[whole.label == c].unique().tolist() for c in whole.label.unique()]
    in_turn = [image for images in zip(*by_class, strict=True) for image in images]
    kept = torch.isin(whole.index, torch.tensor(in_turn[: params["images"]])).nonzero().flatten()
    return Outcome.of(replace(whole, perturbation=whole.perturbations(kept), kept=kept))
