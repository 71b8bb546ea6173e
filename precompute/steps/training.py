"""The step that trains a model."""

from typing import Any

from core import data
from core.models import build
from core.models.packing import pack
from core.runtime import configure, describe, device
from core.training import Adversary, Recipe, train
from precompute.steps.job import Job, Outcome
from precompute.steps.records import Weights
from precompute.store import Artifact


def weights(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Train one model; its weights leave packed, and everything else is computed with exactly those."""
    configure()
    dataset = data.load(params["dataset"])
    recipe = Recipe.read(params["recipe"])
    adversary = Adversary(**params["adversary"]) if "adversary" in params else None
    spec = dataset.spec
    model = build(params["model"], spec.shape, spec.n_classes, params["size"], recipe.seed)
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
    return Outcome.of(Weights(packed=pack(model.cpu().state_dict(), params.get("bits")), facts=facts))
