"""The step that embeds the universal perturbations of several models.

A perplexity that is not below the number of perturbations is left out. Beside their record, artifacts have
    Table `separation`: by ("model"; "part", within one model), model (None by "model"), space ("pixels",
    "tsne", "umap"), setting (perplexity or neighbours; None for pixels), seed, metric ("silhouette" with
    p_value and p_opposite, "purity" with k and chance), value, low, high, n.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch

from core.embedding import MIN_DIST, Umap, apart, directions, tsne
from precompute.steps.job import Job, Outcome
from precompute.steps.records import Embedded, Universal, joined
from precompute.store import Artifact


def embed(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Coordinates over a grid of settings, and how far models and parts are apart."""
    names: list[str] = params["models"]
    made = [Universal.of(inputs[name]) for name in names]
    points = directions(torch.cat([record.perturbation.float() for record in made]))
    part, number = joined(made, "part"), joined(made, "number")
    model = torch.cat([torch.full_like(record.part, k) for k, record in enumerate(made)])
    rows: list[dict[str, Any]] = []
    grids: dict[str, torch.Tensor] = {}
    perplexities = [value for value in params["perplexities"] if value < len(points)]
    neighbours = [value for value in params["neighbours"] if value < len(points)]
    total = (len(perplexities) + len(neighbours)) * len(params["seeds"])

    def measured(space: str, where: np.ndarray, setting: float | None, seed: int | None) -> None:
        common = {"space": space, "setting": setting, "seed": seed}
        found = apart(where, model.numpy(), part.numpy(), names)
        rows.extend({**row, **common} for row in found)

    measured("pixels", points, None, None)
    done = 0
    for space, settings in (("tsne", perplexities), ("umap", neighbours)):
        grid: list[np.ndarray] = []
        for setting in settings:
            for seed in params["seeds"]:
                job.progress(done, total, f"{space} {setting}")
                if space == "tsne":
                    placed = tsne(points, perplexity=setting, seed=seed)
                else:
                    placed = Umap.fit(points, neighbours=setting, min_dist=MIN_DIST, seed=seed).coordinates
                measured(space, placed, setting, seed)
                grid.append(placed)
                done += 1
        shape = (len(settings), len(params["seeds"]), len(points), 2)
        grids[space] = torch.from_numpy(np.array(grid, np.float32).reshape(shape)).half()
    facts = {
        "models": names,
        "perplexities": perplexities,
        "neighbours": neighbours,
        "seeds": params["seeds"],
        "min_dist": MIN_DIST,
    }
    record = Embedded(**grids, part=part, number=number, model=model, facts=facts)
    return Outcome.of(record, separation=pd.DataFrame(rows))
