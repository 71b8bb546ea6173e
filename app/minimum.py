"""Attacks that minimise a norm, and how what they made fools other models: as pages use them."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from app.results import Cached, load_artifact
from core.attacks import title_of
from core.figures.norms import Lengths
from core.figures.transfer import Transfer
from core.kept import kept_rows
from core.metrics import Rate, rate, succeeded
from core.models import TITLES
from core.papers import Results, report_rows
from precompute.store import Bundle

PAPER = "michels2019"
ATTACKS = ("cw", "boundary", "deepfool")
UNIVERSAL = "universal"
NAMES = {**{name: title_of(name) for name in ATTACKS}, UNIVERSAL: "Universal"}
"""Titles of attacks."""
NORMS = {"l2": "ℓ₂", "linf": "ℓ∞"}


@dataclass(frozen=True, eq=False)
class Minimal:
    """What an attack that minimises a norm did on one model.

    Attributes:
        model, attack: Names.
        index, label: Of the test images, (N,).
        target: Classes aimed at, (N,); None for an untargeted attack.
        prediction, clean: What the model sees in the attacked image and in the clean one, (N,).
        success, already: Whether it ended where it should; so without any change, (N,).
        norm: Lengths by "l2" and "linf", (N,); 0 for failures.
        steps, queries: (N,).
        kept: Rows whose perturbation is stored, (K,).
        perturbation: Theirs, (K, C, H, W) int16, in levels of 1/255.
        facts: Attack, fields, device.
    """

    model: str
    attack: str
    index: Tensor
    label: Tensor
    target: Tensor | None
    prediction: Tensor
    clean: Tensor
    success: Tensor
    already: Tensor
    norm: dict[str, Tensor]
    steps: Tensor
    queries: Tensor
    kept: Tensor
    perturbation: Tensor
    facts: dict[str, Any]

    def row_of(self, image: int) -> int | None:
        """The row of a test image; None where it was not attacked."""
        found = torch.nonzero(self.index == image).flatten()
        return int(found[0]) if len(found) else None

    def levels(self, row: int) -> Tensor | None:
        """The perturbation of a row, (C, H, W) int16; None where it was not kept."""
        found = torch.nonzero(self.kept == row).flatten()
        return self.perturbation[int(found[0])] if len(found) else None

    def lengths(self, norm: str, published: float | None = None) -> Lengths:
        """As the figures take them."""
        moved = self.norm[norm][self.success & ~self.already].tolist()
        already, failed = int(self.already.sum()), int((~self.success).sum())
        return Lengths(NAMES[self.attack], TITLES[self.model], tuple(moved), already, failed, published)


def attack_models(bundle: Bundle) -> tuple[str, ...]:
    """Names of the models on which all these attacks were run."""
    return tuple(m for m in TITLES if all(f"{m}/minimum/{attack}" in bundle for attack in ATTACKS))


def minimal(bundle: Bundle, model: str, attack: str) -> Minimal:
    """What an attack did on a model. Raises MissingArtifact, CorruptArtifact."""
    artifact = load_artifact(bundle, f"{model}/minimum/{attack}")
    t = artifact.tensors
    return Minimal(
        model,
        attack,
        t["index"],
        t["label"],
        None if bool((t["target"] < 0).all()) else t["target"],
        t["prediction"],
        t["clean"],
        t["success"],
        t["already"],
        {norm: t[f"norm_{norm}"] for norm in NORMS},
        t["steps"],
        t["queries"],
        kept_rows(t),
        t["perturbation"].short(),
        artifact.facts,
    )


def published(bundle: Bundle, table: str) -> list[dict[str, Any]]:
    """The paper's numbers on a bundle's data set, each with ours; none where the paper has none."""
    rows = report_rows(PAPER, Results([Cached(bundle)]))
    return [row for row in rows if row["table"] == table and row["dataset"] == bundle.dataset]


def published_means(bundle: Bundle) -> dict[tuple[str, str], float]:
    """The paper's mean lengths by attack and model."""
    return {(row["attack"], row["model"]): float(row["published"]) for row in published(bundle, "1")}


@dataclass(frozen=True, eq=False)
class Transferred:
    """What every model sees in what an attack made on some of them.

    Attributes:
        attack: Its name.
        sources, models: Names of those that it was made on, and of those that read it.
        index, label: Of the test images, (n,).
        target: Classes aimed at, (n,); None for an untargeted attack.
        clean: Classes of the clean images by every model, (T, n).
        prediction: Of the attacked ones by source and model, (S, T, n); None for universal perturbations.
        counts: Of universal perturbations: how many images model t misreads with perturbation i of source s,
            and how many of these it read rightly before, (S, N, T) each; None for the others.
    """

    attack: str
    sources: tuple[str, ...]
    models: tuple[str, ...]
    index: Tensor
    label: Tensor
    target: Tensor | None
    clean: Tensor
    prediction: Tensor | None
    counts: tuple[Tensor, Tensor] | None

    def fooled(self, source: str, model: str) -> Tensor:
        """Which images fool a model, (n,) bool."""
        assert self.prediction is not None
        seen = self.prediction[self.sources.index(source), self.models.index(model)].long()
        return succeeded(seen, self.label, self.target)

    def right(self, model: str) -> Tensor:
        """Which clean images a model reads rightly, (n,) bool."""
        return self.clean[self.models.index(model)].long() == self.label

    def fooling(self, source: str, model: str, of: str) -> Rate | None:
        """The fooling rate over "all" images or those read "right" before; None over no images.

        Of universal perturbations: the mean count over them, as a rate over the images.
        """
        right = self.right(model)
        n = len(right) if of == "all" else int(right.sum())
        if n == 0:
            return None
        if self.counts is not None:
            wrong = self.counts[of == "right"][self.sources.index(source), :, self.models.index(model)]
            return Rate(round(float(wrong.double().mean())), n)
        fooled = self.fooled(source, model)
        return rate(fooled if of == "all" else fooled[right])

    def cells(self, of: str) -> list[Transfer]:
        """The whole matrix."""
        pairs = ((source, model) for source in self.sources for model in self.models)
        rates = ((source, model, self.fooling(source, model, of)) for source, model in pairs)
        return [Transfer(s, m, TITLES[s], TITLES[m], rated) for s, m, rated in rates if rated]


def transferred(bundle: Bundle, attack: str) -> Transferred:
    """How an attack transfers. Raises MissingArtifact, CorruptArtifact."""
    artifact = load_artifact(bundle, f"transfer/{attack}")
    t = artifact.tensors
    sources, models = tuple(artifact.facts["sources"]), tuple(artifact.facts["models"])
    if attack == UNIVERSAL:
        counts = (artifact.facts["n"] - t["right"], t["left"])
        return Transferred(attack, sources, models, t["index"], t["label"], None, t["clean"], None, counts)
    target = None if bool((t["target"] < 0).all()) else t["target"]
    return Transferred(
        attack, sources, models, t["index"], t["label"], target, t["clean"], t["prediction"], None
    )


def attacks_of(bundle: Bundle) -> tuple[str, ...]:
    """Names of the attacks whose transfer a bundle knows."""
    return tuple(attack for attack in NAMES if f"transfer/{attack}" in bundle)
