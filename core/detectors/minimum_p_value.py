"""Several detectors as one: flagged is what any of them finds too unlikely for a clean image."""

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from core.detectors.base import Detector, Draw, Need
from core.geometry import TINY
from core.objectives import Examples


class MinimumPValue(Detector):
    """Scores an image by the smallest of its p-values under several detectors, as -log p.

    The p-value of a score is the share of held-out clean images, this one among them, that score as high
    (`surprise` says what lies between and beyond their scores). One threshold on the score is then one on
    each detector, all for the same share of clean images, and together they are calibrated once to a
    false-positive rate. Two thresholds on two quantities of one model are two detectors here.

    Its `fit` needs detectors that are fitted already, and clean images that neither they nor the threshold
    have seen.

    Args:
        detectors: By name.
    Raises: ValueError: for none.
    Source: tippett1931, *The Methods of Statistics*; for p-values of scores, bates2023.
    """

    title: ClassVar[str] = "Smallest p-value"
    needs: ClassVar[frozenset[Need]] = frozenset({"fit"})

    def __init__(self, detectors: Mapping[str, Detector]) -> None:
        super().__init__()
        if not detectors:
            raise ValueError("expected one detector or more, got none")
        self.detectors = nn.ModuleDict(detectors)
        self.learnt(*(f"clean_{name}" for name in detectors))
        self.random = any(part.random for part in detectors.values())

    def members(self) -> dict[str, Detector]:
        """The detectors by name."""
        return {name: part for name, part in self.detectors.items() if isinstance(part, Detector)}

    def fit(self, split: Examples, attacked: Tensor | None = None, seed: int = 0) -> Self:  # noqa: ARG002
        """Keep each detector's scores of clean images, sorted."""
        x = split.x().to(next(self.buffers()).device)
        scores = {f"clean_{name}": part.score(x, seed=seed) for name, part in self.members().items()}
        self.learn(**{name: score.sort().values for name, score in scores.items()})
        return self

    def surprises(self, scores: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """-log p of each detector's scores (B,), by its name."""
        self.ready()
        return {name: surprise(score, getattr(self, f"clean_{name}")) for name, score in scores.items()}

    def evasion_loss(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        """The largest -log p of what the detectors give an attacker to lower, (B,)."""
        losses = {name: part.evasion_loss(x, label) for name, part in self.members().items()}
        return torch.stack(list(self.surprises(losses).values())).amax(0)

    def measure(self, x: Tensor, draw: Draw) -> Tensor:
        """The largest -log p of the detectors' scores, (B,)."""
        scores = {name: part.measure(x, draw) for name, part in self.members().items()}
        return torch.stack(list(self.surprises(scores).values())).amax(0)

    @torch.no_grad()
    def parts(
        self,
        x: Tensor,
        *,
        index: Tensor | None = None,
        seed: int = 0,
        draws: int = 1,
        batch_size: int = 256,
    ) -> dict[str, Tensor]:
        """-log p under each detector, by its title, (B,) each. Arguments are those of `score`."""
        members = self.members()
        scores = {
            name: part.score(x, index=index, seed=seed, draws=draws, batch_size=batch_size)
            for name, part in members.items()
        }
        return {members[name].title: value for name, value in self.surprises(scores).items()}


def surprise(score: Tensor, clean: Tensor) -> Tensor:
    """-log p of scores (B,) among sorted clean ones (N,), differentiable and rising in the score.

    The empirical p-value (1 + how many are as high) / (N + 1) is a staircase, which no gradient descends:
    -log p is exact at each clean score (of equal ones at the last) and straight in between. Beyond the ends
    it goes on as steeply as it runs on average between there and the median, so that scores which are higher
    or lower than all are still told apart.
    """
    n = len(clean)
    levels = torch.arange(n + 1, 0, -1, device=clean.device).to(clean).div(n + 1).log().neg()[:n]
    here = torch.searchsorted(clean, score.detach().to(clean), right=True) - 1
    low, high = here.clamp(0, n - 1), (here + 1).clamp(0, n - 1)
    slope = (levels[high] - levels[low]) / (clean[high] - clean[low]).clamp(min=TINY)
    middle = n // 2
    rises = [
        (levels[end] - levels[middle]).abs() / (clean[end] - clean[middle]).abs().clamp(min=TINY)
        for end in (0, n - 1)
    ]
    slope = torch.where(here < 0, rises[0], torch.where(here >= n - 1, rises[1], slope))
    return levels[low] + slope * (score - clean[low])
