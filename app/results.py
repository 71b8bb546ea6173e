"""What a bundle holds about attacks, as pages use it: read once, counted at any threshold."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
import torch
from torch import Tensor

from app import state
from core.attacks import ATTACK_TITLES, MINIMUM_NORM
from core.data import Dataset
from core.health import Check, checks_of
from core.images import LEVELS, from_uint8, to_uint8
from core.kept import attacked_images, kept_rows
from core.metrics import Rate, succeeded, success_rate, threshold_at, undetected_rate
from core.models import TITLES, ReconstructingNet
from core.outcomes import Outcome, Verdict, outcomes
from precompute.store import Artifact, Bundle, MissingArtifact


@dataclass(frozen=True, eq=False)
class Clean:
    """Distances of clean images to their reconstructions, by one model.

    Attributes:
        validation: Of the validation images, which set thresholds, (Nv,).
        test: Of the test images, (Nt,).
        label, prediction: Of the test images, (Nt,).
        by_class: Distance to the reconstruction from each class, (Nc, J), of the first Nc <= Nt test images;
            None for models without such.
    """

    validation: Tensor
    test: Tensor
    label: Tensor
    prediction: Tensor
    by_class: Tensor | None

    def threshold(self, fpr: float) -> float:
        """theta at a false-positive rate."""
        return threshold_at(self.validation, fpr)

    def flagged(self, threshold: float) -> Rate:
        """The share of clean *test* images that a threshold flags."""
        return Rate(int((self.test > threshold).sum()), len(self.test))


@dataclass(frozen=True, eq=False)
class Attacked:
    """Attacked test images and what one model made of them.

    Attributes:
        model: The model's name.
        key: Of the artifact.
        index: Into the test images, (N,).
        label: True classes, (N,).
        target: Classes aimed at, (N,); None for untargeted attacks.
        prediction, distance: Of the attacked images, (N,).
        perturbation: In units of 1/255, (K, C, H, W) int8, of the rows `kept`; None where none was kept.
        facts: The attack's name, fields, beta, seed and device.
        kept: Rows that pictures can be made of, (K,); None for all, where there are perturbations.
    """

    model: str
    key: str
    index: Tensor
    label: Tensor
    target: Tensor | None
    prediction: Tensor
    distance: Tensor
    perturbation: Tensor | None
    facts: dict[str, Any]
    kept: Tensor | None = None

    @property
    def tensors(self) -> dict[str, Tensor]:
        """What `core.kept` makes pictures from."""
        known = {"index": self.index, "perturbation": self.perturbation, "kept": self.kept}
        return {name: tensor for name, tensor in known.items() if tensor is not None}

    def pictured(self, rows: Sequence[int]) -> list[int]:
        """Those of some rows that pictures can be made of, in their order."""
        kept = set(kept_rows(self.tensors).tolist())
        return [row for row in rows if row in kept]

    @property
    def title(self) -> str:
        """The model's title."""
        return TITLES[self.model]

    @property
    def worked(self) -> Tensor:
        """Which attacks worked, (N,) bool."""
        return succeeded(self.prediction, self.label, self.target)

    def undetected(self, threshold: float) -> Tensor:
        """Which attacks worked and were missed, (N,) bool."""
        return self.worked & (self.distance <= threshold)

    def success_rate(self) -> Rate:
        """The share of attacks that worked."""
        return success_rate(self.prediction, self.label, self.target)

    def undetected_rate(self, threshold: float) -> Rate:
        """The share of attacks that worked and were missed."""
        return undetected_rate(self.prediction, self.distance, threshold, self.label, self.target)

    def verdict(self, row: int, threshold: float, classes: tuple[str, ...]) -> Verdict:
        """One attacked image before the network and the detector."""
        target = None if self.target is None else int(self.target[row])
        prediction, label = int(self.prediction[row]), int(self.label[row])
        return Verdict(prediction, label, target, float(self.distance[row]), threshold, classes)

    def outcomes(self, threshold: float) -> list[Outcome]:
        """What became of every attack, as `Verdict.outcome` has it, (N,)."""
        return outcomes(self.prediction, self.label, self.target, self.distance, threshold)


def epsilon_words(epsilon: float) -> str:
    """As papers write it: "0.3", but "8/255"."""
    levels = epsilon * LEVELS
    is_round = abs(1000 * epsilon - round(1000 * epsilon)) < 1e-9
    return f"{epsilon:g}" if is_round or abs(levels - round(levels)) > 1e-6 else f"{levels:.0f}/{LEVELS}"


def attack_words(facts: dict[str, Any], *, targeted: bool, with_beta: bool = True) -> str:
    """An attack in a few words: "targeted R-PGD, ε = 0.3, 200 steps of 0.01, β = 0.5"."""
    fields = facts.get("fields", {})
    words = [
        f"{'targeted' if targeted else 'untargeted'} {ATTACK_TITLES.get(facts['attack'], facts['attack'])}"
    ]
    if "epsilon" in fields:
        words.append(f"ε = {epsilon_words(fields['epsilon'])}")
    if "searches" in fields:
        words.append(f"{fields['searches']} searches of {fields.get('steps', 1000)} steps")
    elif "steps" in fields and "step_size" in fields:
        words.append(f"{fields['steps']} steps of {fields['step_size']:g}")
    elif "steps" in fields:
        words.append(f"at most {fields['steps']} steps")
    elif "step_size" in fields:
        words.append(f"one step of {fields['step_size']:g}")
    if with_beta and facts.get("beta") is not None:
        words.append(f"β = {facts['beta']:g}")
    return ", ".join(words)


def clean(bundle: Bundle, model: str) -> Clean:
    """The clean distances of a model. Raises MissingArtifact, CorruptArtifact."""
    t = load_artifact(bundle, f"{model}/clean").tensors
    return Clean(
        t["validation_distance"],
        t["test_distance"],
        t["test_label"],
        t["test_prediction"],
        t.get("test_class_distance"),
    )


def attacked(bundle: Bundle, model: str, name: str = "matrix") -> Attacked:
    """The attacked images of that name: "matrix" or, say, "attack/pgd-targeted".

    Raises: MissingArtifact, CorruptArtifact.
    """
    artifact = load_artifact(bundle, f"{model}/{name}")
    t = artifact.tensors
    target = None if bool((t["target"] < 0).all()) else t["target"]
    return Attacked(
        model,
        artifact.key,
        t["index"],
        t["label"],
        target,
        t["prediction"],
        t["distance"],
        t.get("perturbation"),
        artifact.facts,
        t.get("kept"),
    )


@dataclass(frozen=True, eq=False)
class Sweep:
    """The same images attacked at every beta.

    Attributes:
        beta: (K,).
        attacks: One for each beta.
        best: The beta with the highest undetected rate at a false-positive rate of 5 %.
    """

    beta: Tensor
    attacks: tuple[Attacked, ...]
    best: float | None


def sweep(bundle: Bundle, model: str, targeted: bool) -> Sweep:
    """The beta sweep of R-PGD on a model. Raises MissingArtifact, CorruptArtifact."""
    artifact = load_artifact(bundle, f"{model}/{'beta' if targeted else 'beta-untargeted'}")
    t = artifact.tensors
    target = t["target"] if targeted else None
    attacks = tuple(
        Attacked(
            model, artifact.key, t["index"], t["label"], target, prediction, distance, None, artifact.facts
        )
        for prediction, distance in zip(t["prediction"], t["distance"], strict=True)
    )
    return Sweep(t["beta"], attacks, artifact.facts.get("best_beta"))


def attack_names(bundle: Bundle, models: Sequence[str]) -> list[str]:
    """Names of the attacks that every one of the models was put through: "r-pgd-targeted"."""
    bounded = [name for name in reversed(ATTACK_TITLES) if name not in MINIMUM_NORM]
    return [
        f"{attack}-{mode}"
        for mode in ("targeted", "untargeted")
        # The strongest with a bound first; what has none, last.
        for attack in (*bounded, *MINIMUM_NORM)
        if all(f"{model}/attack/{attack}-{mode}" in bundle for model in models)
    ]


def health(bundle: Bundle) -> dict[str, list[Check]] | None:
    """The checks of the attacks on each model; None for a bundle built before there were checks.

    Raises: CorruptArtifact.
    """
    table = bundle.load("results").tables.get("health") if "results" in bundle else None
    return None if table is None or table.empty else checks_of(table)


def health_facts(bundle: Bundle, model: str) -> dict[str, Any]:
    """How the attacks on a model were checked: fields, n, device. Raises MissingArtifact, CorruptArtifact."""
    return bundle.load(f"{model}/health", only=()).facts


def x_adv(dataset: Dataset, attack: Attacked, rows: Sequence[int]) -> Tensor:
    """The attacked images of some rows, (B, C, H, W) uint8.

    Raises: ValueError: when a perturbation was not kept.
    """
    return attacked_images(dataset.test.images, attack.tensors, torch.tensor(list(rows), dtype=torch.long))


def reconstructions(bundle: Bundle, dataset: Dataset, attack: Attacked, rows: Sequence[int]) -> Tensor:
    """What the winning class makes of attacked images of the matrix, (B, C, H, W) uint8.

    Read from the bundle where it has them, else computed by the model, once.

    Raises: MissingArtifact, CorruptArtifact.
    """
    name = f"{attack.model}/reconstructions"
    if name in bundle:
        return load_artifact(bundle, name).tensors["reconstruction"][
            torch.tensor(list(rows), dtype=torch.long)
        ]
    return _reconstruct(bundle.names[f"{attack.model}/weights"], attack.key, tuple(rows), dataset, attack)


# Weights, attack and rows decide the result; the other arguments follow from them.
@st.cache_resource(max_entries=256, show_spinner="Reconstructing")
def _reconstruct(
    weights: str,  # noqa: ARG001
    key: str,  # noqa: ARG001
    rows: tuple[int, ...],
    _dataset: Dataset,
    _attack: Attacked,
) -> Tensor:
    network = state.model(_dataset.spec.name, _attack.model)
    if not isinstance(network, ReconstructingNet):
        raise ValueError(f"expected a model that reconstructs, got {_attack.title}; choose another")
    x = from_uint8(x_adv(_dataset, _attack, rows)).to(state.device())
    with state.accelerator(), torch.no_grad():
        return to_uint8(network.reconstruct(x).clamp(0, 1).float().cpu())


@dataclass(frozen=True)
class Cached:
    """A bundle for `core.papers`, whose artifacts are read once."""

    bundle: Bundle

    @property
    def dataset(self) -> str:
        """Its data set."""
        return self.bundle.dataset

    @property
    def profile(self) -> str:
        """Its profile."""
        return self.bundle.profile

    @property
    def facts(self) -> Mapping[str, Any]:
        """About the bundle as a whole."""
        return self.bundle.facts

    # Read whole, whatever is asked for: the next figure wants the rest.
    def get(self, name: str, only: Collection[str] | None = None) -> Artifact | None:  # noqa: ARG002
        """The artifact of that name, or None. Raises CorruptArtifact."""
        try:
            return load_artifact(self.bundle, name)
        except MissingArtifact:
            return None


def load_artifact(bundle: Bundle, name: str) -> Artifact:
    """An artifact of a bundle, read once. Raises MissingArtifact, CorruptArtifact."""
    if name not in bundle:
        bundle.load(name)  # says what is missing and how to build it
    return _artifact(bundle.names[name], bundle, name)


# Keys are hashes of what an artifact was made from, so that they identify it for good.
@st.cache_resource(max_entries=128, show_spinner=False)
def _artifact(key: str, _bundle: Bundle, _name: str) -> Artifact:  # noqa: ARG001
    return _bundle.load(_name)
