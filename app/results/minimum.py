"""Attacks that minimise a norm, and how what they made fools other models: as pages use them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from app.results import MICHELS2019
from app.results.artifacts import Cached, load_artifact
from core.attacks import attack_title
from core.figures.norms import Lengths
from core.figures.transfer import Transfer
from core.metrics import Rate, rate, succeeded
from core.models import MODELS, title_of
from precompute.papers import PAPERS, report_rows
from precompute.steps import records
from precompute.store import Bundle

ATTACKS = ("cw", "boundary", "deepfool")
UNIVERSAL = "universal"
NAMES = {**{name: attack_title(name) for name in ATTACKS}, UNIVERSAL: "Universal"}
"""Titles of attacks."""
NORMS = {"l2": "ℓ₂", "linf": "ℓ∞"}


@dataclass(frozen=True, eq=False, kw_only=True)
class Minimal(records.Minimal):
    """What an attack that minimises a norm did on one model.

    Attributes:
        model: The model's name.
    """

    model: str

    def row_of(self, image: int) -> int | None:
        """The row of a test image; None where it was not attacked."""
        rows = torch.nonzero(self.index == image).flatten()
        return int(rows[0]) if len(rows) else None

    def levels(self, row: int) -> Tensor | None:
        """The perturbation of a row, (C, H, W) int16, in levels of 1/255; None where it was not kept."""
        return self.perturbations(torch.tensor([row]))[0].short() if row in self.kept_rows else None

    def lengths(self, norm: str, published: float | None = None) -> Lengths:
        """As the figures take them."""
        moved = self.norm(norm)[self.moved].tolist()
        already, failed = int(self.already.sum()), int((~self.success).sum())
        return Lengths(NAMES[self.attack], title_of(self.model), tuple(moved), already, failed, published)


def attack_models(bundle: Bundle) -> tuple[str, ...]:
    """Names of the models on which all these attacks were run."""
    return tuple(m for m in MODELS if all(f"{m}/minimum/{attack}" in bundle for attack in ATTACKS))


def minimal(bundle: Bundle, model: str, attack: str) -> Minimal:
    """What an attack did on a model. Raises MissingArtifact, CorruptArtifact."""
    return Minimal.of(load_artifact(bundle, f"{model}/minimum/{attack}"), model=model)


def published(bundle: Bundle, table: str) -> list[dict[str, Any]]:
    """The paper's numbers on a bundle's data set, each with ours; none where the paper has none."""
    paper = PAPERS[MICHELS2019]
    rows = report_rows(paper, paper.over([Cached(bundle)]))
    return [row for row in rows if row["table"] == table and row["dataset"] == bundle.dataset]


def published_means(bundle: Bundle) -> dict[tuple[str, str], float]:
    """The paper's mean lengths by attack and model."""
    return {(row["attack"], row["model"]): float(row["published"]) for row in published(bundle, "1")}


@dataclass(frozen=True, eq=False)
class Transferred:
    """What every model sees in what an attack made on some of them.

    Attributes:
        attack: Its name.
        stored: What there is of it.
    """

    attack: str
    stored: records.Transferred | records.UniversalTransferred

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the models that it was made on."""
        return tuple(self.stored.sources)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that read it."""
        return tuple(self.stored.models)

    @property
    def label(self) -> Tensor:
        """True classes of the test images, (n,)."""
        return self.stored.label

    @property
    def index(self) -> Tensor:
        """Of the test images, (n,)."""
        return self.stored.index

    @property
    def target(self) -> Tensor | None:
        """Classes aimed at, (n,); None where any other will do."""
        return self.stored.target if isinstance(self.stored, records.Transferred) else None

    def prediction(self, source: str, model: str) -> Tensor:
        """Classes that a model sees in what was made on another, (n,); not of universal perturbations."""
        assert isinstance(self.stored, records.Transferred)
        return self.stored.seen(source)[model]

    def clean(self, model: str) -> Tensor:
        """Classes that a model sees in the clean images, (n,)."""
        return self.stored.clean[self.models.index(model)].long()

    def fooled(self, source: str, model: str) -> Tensor:
        """Which images fool a model, (n,) bool."""
        return succeeded(self.prediction(source, model), self.label, self.target)

    def right(self, model: str) -> Tensor:
        """Which clean images a model reads rightly, (n,) bool."""
        return self.clean(model) == self.label

    def fooling(self, source: str, model: str, of: str) -> Rate | None:
        """The fooling rate over "all" images or those read "right" before; None over no images.

        Of universal perturbations: the mean count over them, as a rate over the images.
        """
        if isinstance(self.stored, records.UniversalTransferred):
            return self.stored.fooling(source, model, of)
        fooled, right = self.fooled(source, model), self.right(model)
        counted = fooled if of == "all" else fooled[right]
        return rate(counted) if len(counted) else None

    def cells(self, of: str) -> list[Transfer]:
        """The whole matrix."""
        pairs = ((source, model) for source in self.sources for model in self.models)
        rates = ((source, model, self.fooling(source, model, of)) for source, model in pairs)
        return [Transfer(s, m, title_of(s), title_of(m), rated) for s, m, rated in rates if rated]


def transferred(bundle: Bundle, attack: str) -> Transferred:
    """How an attack transfers. Raises MissingArtifact, CorruptArtifact."""
    kind = records.UniversalTransferred if attack == UNIVERSAL else records.Transferred
    return Transferred(attack, kind.of(load_artifact(bundle, f"transfer/{attack}")))


def attacks_of(bundle: Bundle) -> tuple[str, ...]:
    """Names of the attacks whose transfer a bundle knows."""
    return tuple(attack for attack in NAMES if f"transfer/{attack}" in bundle)
