"""Attacks as pages use them: counted at any threshold, with their pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
import torch
from torch import Tensor

from app import state
from app.results.artifacts import load_artifact
from core.attacks import ATTACKS, attack_title
from core.data import Dataset
from core.images import LEVELS, from_uint8, to_uint8
from core.models import ReconstructingNet, title_of
from core.outcomes import Outcome, Verdict, outcomes
from precompute.steps import records
from precompute.steps.records import Clean, Reconstructed, Sweep, Walkthrough
from precompute.store import Bundle


@dataclass(frozen=True, eq=False, kw_only=True)
class Attacked(records.Attacked):
    """Attacked test images and what one model made of them.

    Attributes:
        model: The model's name.
        key: Of the artifact.
    """

    model: str
    key: str

    def pictured(self, rows: Sequence[int]) -> list[int]:
        """Those of some rows that pictures can be made of, in their order."""
        kept = set(self.kept_rows.tolist())
        return [row for row in rows if row in kept]

    @property
    def title(self) -> str:
        """The model's title."""
        return title_of(self.model)

    def verdict(self, row: int, threshold: float, classes: tuple[str, ...]) -> Verdict:
        """One attacked image before the network and the detector."""
        target = None if self.target is None else int(self.target[row])
        prediction, label = int(self.prediction[row]), int(self.label[row])
        return Verdict(prediction, label, target, float(self.score[row]), threshold, classes)

    def outcomes(self, threshold: float) -> list[Outcome]:
        """What became of every attack, as `Verdict.outcome` has it, (N,)."""
        return outcomes(self.prediction, self.label, self.target, self.score, threshold)


def epsilon_words(epsilon: float) -> str:
    """As papers write it: "0.3", but "8/255"."""
    levels = epsilon * LEVELS
    is_round = abs(1000 * epsilon - round(1000 * epsilon)) < 1e-9
    return f"{epsilon:g}" if is_round or abs(levels - round(levels)) > 1e-6 else f"{levels:.0f}/{LEVELS}"


def attack_words(facts: Mapping[str, Any], *, targeted: bool, with_beta: bool = True) -> str:
    """An attack in a few words: "targeted R-PGD, ε = 0.3, 200 steps of 0.01, β = 0.5"."""
    fields = facts.get("fields", {})
    words = [f"{'targeted' if targeted else 'untargeted'} {attack_title(facts['attack'])}"]
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
    return Clean.of(load_artifact(bundle, f"{model}/clean"))


def walkthrough(bundle: Bundle, model: str) -> Walkthrough | None:
    """One image before a model and its detector; None where the bundle has none. Raises CorruptArtifact."""
    name = f"{model}/walkthrough"
    return Walkthrough.of(load_artifact(bundle, name)) if name in bundle else None


def attacked(bundle: Bundle, model: str, name: str = "matrix") -> Attacked:
    """The attacked images of that name: "matrix" or, say, "attack/pgd-targeted".

    Raises: MissingArtifact, CorruptArtifact.
    """
    artifact = load_artifact(bundle, f"{model}/{name}")
    return Attacked.of(artifact, model=model, key=artifact.key)


def sweep(bundle: Bundle, model: str, targeted: bool) -> Sweep:
    """The beta sweep of R-PGD on a model. Raises MissingArtifact, CorruptArtifact."""
    return Sweep.of(load_artifact(bundle, f"{model}/{'beta' if targeted else 'beta-untargeted'}"))


def attack_names(bundle: Bundle, models: Sequence[str]) -> list[str]:
    """Names of the attacks that every one of the models was put through: "r-pgd-targeted"."""
    bounded = [name for name in reversed(ATTACKS) if not ATTACKS[name].minimises]
    minimising = [name for name in ATTACKS if ATTACKS[name].minimises]
    return [
        f"{attack}-{mode}"
        for mode in ("targeted", "untargeted")
        # The strongest with a bound first; what has none, last.
        for attack in (*bounded, *minimising)
        if all(f"{model}/attack/{attack}-{mode}" in bundle for model in models)
    ]


def x_adv(dataset: Dataset, attack: Attacked, rows: Sequence[int]) -> Tensor:
    """The attacked images of some rows, (B, C, H, W) uint8.

    Raises: ValueError: when a perturbation was not kept.
    """
    return attack.images(dataset.test.images, torch.tensor(list(rows), dtype=torch.long))


def reconstructions(bundle: Bundle, dataset: Dataset, attack: Attacked, rows: Sequence[int]) -> Tensor:
    """What the winning class makes of attacked images of the matrix, (B, C, H, W) uint8.

    Read from the bundle where it has them, else computed by the model, once.

    Raises: MissingArtifact, CorruptArtifact.
    """
    name = f"{attack.model}/reconstructions"
    if name in bundle:
        stored = Reconstructed.of(load_artifact(bundle, name)).reconstruction
        return stored[torch.tensor(list(rows), dtype=torch.long)]
    weights = bundle.names.get(f"{attack.model}/weights", "")
    return _reconstruct(weights, attack.key, tuple(rows), bundle, dataset, attack)


# Weights, attack and rows decide the result; the other arguments follow from them.
@st.cache_resource(max_entries=256, show_spinner="Reconstructing")
def _reconstruct(
    weights: str,  # noqa: ARG001
    key: str,  # noqa: ARG001
    rows: tuple[int, ...],
    _bundle: Bundle,
    _dataset: Dataset,
    _attack: Attacked,
) -> Tensor:
    network = state.model(_bundle, _attack.model)
    if not isinstance(network, ReconstructingNet):
        raise ValueError(f"expected a model that reconstructs, got {_attack.title}; choose another")
    x = from_uint8(x_adv(_dataset, _attack, rows)).to(state.device())
    with state.accelerator(), torch.no_grad():
        return to_uint8(network.reconstruct(x).clamp(0, 1).float().cpu())
