"""Where perturbations lie among each other: embeddings in the plane, and how far groups are apart as numbers.

Everything is computed from perturbations of length 1: what they look like counts, not how strong they are.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits
from torch import Tensor

from core.geometry import TINY
from core.metrics import Rate

MIN_DIST = 0.1
"""How close UMAP lets points come."""
ROUNDS = 999
"""Of permutations and of resampling."""


def directions(perturbations: Tensor) -> np.ndarray:
    """Perturbations at length 1, flat.

    Args:
        perturbations: (N, C, H, W) in any unit.
    Returns: (N, C * H * W), float32; a perturbation of zero stays zero.
    Raises: ValueError: for fewer than 2, or for numbers that are not finite.
    """
    flat = perturbations.flatten(1).double()
    if len(flat) < 2 or not bool(torch.isfinite(flat).all()):
        raise ValueError(
            f"expected 2 or more perturbations of finite numbers, got {len(flat)}, "
            f"{int((~torch.isfinite(flat)).any(1).sum())} of them not finite"
        )
    length = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
    return (flat / length.clamp(min=TINY)).float().numpy()


def tsne(
    points: np.ndarray, *, perplexity: float = 30.0, seed: int = 0, threads: int = 1, verbose: bool = False
) -> np.ndarray:
    """t-SNE in the plane.

    Args:
        points: (N, D), from `directions`.
        perplexity: Below N: how many neighbours count, about.
        seed: Of what is random in it.
        threads: Of OpenMP. More than there are free cores make it many times slower.
        verbose: Whether to print how far it has got.
    Returns: (N, 2), float32.
    Raises: ValueError: for a perplexity that is not between 1 and N.
    Source: maaten2008; michels2019, section 4.3.
    """
    from sklearn.manifold import TSNE

    if not 1 <= perplexity < len(points):
        raise ValueError(
            f"expected a perplexity from 1 to below the number of points, {len(points)}, got {perplexity}"
        )
    with threadpool_limits(threads):
        embedding = TSNE(
            perplexity=perplexity,
            init="pca",
            learning_rate="auto",
            random_state=seed,
            n_jobs=threads,
            verbose=2 * verbose,
        )
        return np.asarray(embedding.fit_transform(points), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Umap:
    """A UMAP embedding, in which new points can be placed.

    Attributes:
        coordinates: Of the points that it was made from, (N, 2) float32.
    """

    coordinates: np.ndarray
    _fitted: Any

    @classmethod
    def fit(
        cls,
        points: np.ndarray,
        *,
        neighbours: int = 15,
        min_dist: float = MIN_DIST,
        seed: int = 0,
        verbose: bool = False,
    ) -> "Umap":
        """Embed points.

        Args:
            points: (N, D), from `directions`.
            neighbours: From 2 to below N: how many neighbours count.
            min_dist: How close points may come.
            seed: Of what is random in it.
            verbose: Whether to print how far it has got.
        Raises: ValueError: for a number of neighbours out of range.
        Source: mcinnes2018.
        """
        if not 2 <= neighbours < len(points):
            raise ValueError(
                f"expected 2 or more neighbours and fewer than the {len(points)} points, got {neighbours}"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)  # it misses TensorFlow, which is not needed
            from umap import UMAP  # compiles itself, which takes some seconds
        fitted = UMAP(n_neighbors=neighbours, min_dist=min_dist, random_state=seed, n_jobs=1, verbose=verbose)
        return cls(np.asarray(fitted.fit_transform(points), dtype=np.float32), fitted)

    def place(self, points: np.ndarray) -> np.ndarray:
        """Where new points (M, D) lie among the others, (M, 2) float32; the others stay where they are."""
        return np.asarray(self._fitted.transform(points), dtype=np.float32)


def silhouettes(distances: np.ndarray, group: np.ndarray) -> np.ndarray:
    """How much closer each point is to its own group than to the next, (N,) from -1 to 1.

    Args:
        distances: Between all points, (N, N).
        group: (N,), two or more different ones; a point that is alone in its group has 0.
    Source: rousseeuw1987.
    """
    _, code, count = np.unique(group, return_inverse=True, return_counts=True)
    if len(count) < 2:
        raise ValueError("expected two or more groups, got one; separation needs another")
    member = np.eye(len(count))[code]  # (N, G)
    sums = distances @ member
    own = np.take_along_axis(sums, code[:, None], 1)[:, 0]
    within = own / np.maximum(count[code] - 1, 1)
    others = np.where(member > 0, np.inf, sums / count).min(1)
    larger = np.maximum(within, others)
    value = np.divide(others - within, larger, out=np.zeros_like(larger), where=larger > 0)
    return np.where(count[code] > 1, value, 0.0)


@dataclass(frozen=True)
class Separation:
    """How far groups are apart.

    Attributes:
        silhouette: Mean over all points, from -1 to 1; about 0 where groups lie in each other.
        low, high: Its 95 % interval, over clusters drawn anew.
        p_value, p_opposite: Share of arrangements with shuffled groups that have as large a silhouette, or
            as small a one.
        purity: How many points have one of their own group as nearest neighbour.
        chance: What purity would be by chance.
        n: Points.
    """

    silhouette: float
    low: float
    high: float
    p_value: float
    p_opposite: float
    purity: Rate
    chance: float
    n: int

    def records(self) -> list[dict[str, Any]]:
        """As two rows of a table, by `metric`."""
        silhouette = {"value": self.silhouette, "low": self.low, "high": self.high, "n": self.n}
        purity = {"k": self.purity.k, "n": self.n, "value": self.purity.value}
        interval = {"low": self.purity.low, "high": self.purity.high, "chance": self.chance}
        tested = {"p_value": self.p_value, "p_opposite": self.p_opposite}
        return [
            {"metric": "silhouette", **silhouette, **tested},
            {"metric": "purity", **purity, **interval},
        ]


def separation(
    points: np.ndarray,
    group: Sequence[Any] | np.ndarray,
    cluster: Sequence[Any] | np.ndarray | None = None,
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
) -> Separation:
    """How far groups of points are apart, in any space.

    Args:
        points: (N, D).
        group: What is told apart, (N,).
        cluster: What was made from the same images, (N,): clusters are shuffled and drawn as wholes, as their
            members are not independent. Each lies within one group. None: every point by itself.
        seed: Of shuffling and drawing.
        rounds: Of each.
    Raises: ValueError: for fewer than two groups, or a cluster that lies in two.
    """
    groups = np.unique(np.asarray(group), return_inverse=True)[1]
    count = len(groups)
    clusters = np.arange(count) if cluster is None else np.unique(np.asarray(cluster), return_inverse=True)[1]
    of_cluster = np.empty(clusters.max() + 1, dtype=groups.dtype)
    of_cluster[clusters] = groups
    if not np.array_equal(of_cluster[clusters], groups):
        raise ValueError("expected every cluster within one group, got one in two; name clusters by both")
    distances = cdist(points, points)
    values = silhouettes(distances, groups)
    rng = np.random.Generator(np.random.Philox(key=[seed, count]))
    shuffled = np.array(
        [silhouettes(distances, rng.permutation(of_cluster)[clusters]).mean() for _ in range(rounds)]
    )
    sums = np.bincount(clusters, weights=values)
    sizes = np.bincount(clusters)
    drawn = rng.integers(0, len(sums), (rounds, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / sizes[drawn].sum(1), (0.025, 0.975))
    found = float(values.mean())
    np.fill_diagonal(distances, np.inf)
    pure = groups[distances.argmin(1)] == groups
    share = np.bincount(groups)[groups]
    return Separation(
        found,
        float(low),
        float(high),
        float((1 + (shuffled >= found - 1e-12).sum()) / (1 + rounds)),
        float((1 + (shuffled <= found + 1e-12).sum()) / (1 + rounds)),
        Rate(int(pure.sum()), count),
        float(((share - 1) / (count - 1)).mean()),
        count,
    )


def apart(
    where: np.ndarray, model: np.ndarray, part: np.ndarray, names: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """How far models are apart, and parts within every model.

    Perturbations from the same part are not independent: they are shuffled as one by `separation`.

    Args:
        where: Points in any space, (N, D).
        model: Of each, its place in `names`, (N,).
        part: Of the test set that each is from, (N,).
    Returns: Rows by ("model", or "part" within one model), model (None by "model"), and of
        `Separation.records`.
    """
    cluster = model * (1 + int(part.max())) + part
    if len(names) > 1:
        for row in separation(where, model, cluster).records():
            yield {"by": "model", "model": None, **row}
    if part.max() > 0:
        for number, name in enumerate(names):
            chosen = model == number
            for row in separation(where[chosen], part[chosen]).records():
                yield {"by": "part", "model": name, **row}
