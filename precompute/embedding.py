"""The step that embeds the universal perturbations of several models.

Artifact `embedding`, N perturbations of all models one after the other, and `embedding/michels2019` of the
paper's two alone:
    tsne (P, R, N, 2) float16: coordinates for every perplexity and seed.
    umap (Q, R, N, 2) float16: for every number of neighbours and seed.
    model, part, number (N,) int64: model as its place in `facts["models"]`; the others as in the
    perturbations' artifacts, whose rows these are, in order.
    Table `separation`: by ("model"; "part", within one model), model (None by "model"), space ("pixels",
    "tsne", "umap"), setting (perplexity or neighbours; None for pixels), seed, metric ("silhouette" with
    p_value and p_opposite, "purity" with k and chance), value, low, high, n.
    Facts: models, perplexities, neighbours, seeds, min_dist. A perplexity that is not below N is left out.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch

from core.embedding import MIN_DIST, Umap, apart, directions, tsne
from precompute.artifact import Artifact
from precompute.work import Job, Outcome


def embed(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """Coordinates over a grid of settings, and how far models and parts are apart."""
    names: list[str] = params["models"]
    found = [inputs[name].tensors for name in names]
    points = directions(torch.cat([t["perturbation"].float() for t in found]))
    about = {name: torch.cat([t[name] for t in found]) for name in ("part", "number")}
    about["model"] = torch.cat([torch.full_like(t["part"], k) for k, t in enumerate(found)])
    rows: list[dict[str, Any]] = []
    tensors: dict[str, torch.Tensor] = {}
    perplexities = [value for value in params["perplexities"] if value < len(points)]
    neighbours = [value for value in params["neighbours"] if value < len(points)]
    total = (len(perplexities) + len(neighbours)) * len(params["seeds"])

    def measured(space: str, where: np.ndarray, setting: float | None, seed: int | None) -> None:
        common = {"space": space, "setting": setting, "seed": seed}
        found = apart(where, about["model"].numpy(), about["part"].numpy(), names)
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
        tensors[space] = torch.from_numpy(np.array(grid, np.float32).reshape(shape)).half()
    facts = {
        "models": names,
        "perplexities": perplexities,
        "neighbours": neighbours,
        "seeds": params["seeds"],
        "min_dist": MIN_DIST,
    }
    return Outcome(tensors | about, {"separation": pd.DataFrame(rows)}, facts)
