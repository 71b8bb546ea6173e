"""The step that keeps some of what an attack's artifact holds, so that it can ship."""

from typing import Any

import torch

from precompute.artifact import Artifact
from precompute.work import Job, Outcome


def excerpt(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:  # noqa: ARG001
    """An attack as it is, with the perturbations of a few images alone: the first of each class in turn.

    `kept` (K,) are the rows whose perturbations (K, C, H, W) these are.
    """
    whole = inputs["whole"]
    index, label = whole.tensors["index"], whole.tensors["label"]
    by_class = [index[label == c].unique().tolist() for c in label.unique()]
    in_turn = [image for images in zip(*by_class, strict=True) for image in images]
    kept = torch.isin(index, torch.tensor(in_turn[: params["images"]])).nonzero().flatten()
    some = {"perturbation": whole.tensors["perturbation"][kept], "kept": kept}
    return Outcome(whole.tensors | some, facts=whole.facts)
