"""Visual coherence as pages use it: what a bundle holds about similarity, success and judges."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import streamlit as st
from torch import Tensor

from app.results.artifacts import load_artifact
from app.results.attacks import Attacked
from core.coherence import (
    Agreement,
    Correlation,
    Difference,
    Dispersion,
    Fit,
    Opinions,
    PairOutcomes,
    agreement,
    monotone_fit,
    opinions,
    pair_outcomes,
)
from core.coherence.similarity import Matrix
from core.metrics import Rate
from core.models import title_of
from precompute.steps import records
from precompute.store import Bundle


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged(records.Judged):
    """What judges see in the attacked images of a matrix that were read as the target.

    Attributes:
        key: Of the artifact.
    """

    key: str

    @property
    def titles(self) -> dict[str, str]:
        """Of the judges, by name."""
        return {judge["judge"]: judge_title(judge) for judge in self.judges}

    def undetected(self, attack: Attacked, threshold: float) -> "Judged":
        """Those of its images that the detector lets pass."""
        kept = attack.score[self.row] <= threshold
        return replace(self, row=self.row[kept], prediction=self.prediction[:, kept])

    def votes(self, attack: Attacked) -> Tensor:
        """How many judges see the target in each image, (S,)."""
        assert attack.target is not None
        return (self.prediction == attack.target[self.row]).sum(0)


def judge_title(judge: dict[str, Any]) -> str:
    """A judge as people read it, short enough for the axis of a narrow chart."""
    if "model" not in judge:
        return "nearest images"
    return title_of(judge["model"]) + (", PGD" if judge["adversary"] else "")


def accuracies(judges: Sequence[dict[str, Any]]) -> list[tuple[str, Rate, Rate | None]]:
    """Title, accuracy on clean images and, of networks, under PGD."""
    found: list[tuple[str, Rate, Rate | None]] = []
    for judge in judges:
        clean, robust = (
            Rate(judge[name]["k"], judge[name]["n"]) if name in judge else None
            for name in ("accuracy", "robust_accuracy")
        )
        assert clean is not None
        found.append((judge_title(judge), clean, robust))
    return found


def is_complete(bundle: Bundle, models: Sequence[str]) -> bool:
    """Whether a bundle has what this is about; those that were built before it have not."""
    wanted = ("similarity", "results", *(f"{model}/judged" for model in models))
    return all(name in bundle for name in wanted)


def judged(bundle: Bundle, model: str) -> Judged:
    """What judges say about a model's matrix. Raises MissingArtifact, CorruptArtifact."""
    artifact = load_artifact(bundle, f"{model}/judged")
    return Judged.of(artifact, key=artifact.key)


def distances(bundle: Bundle, measure: str) -> Matrix:
    """Between classes, (J, J), by one of `MEASURES`. Raises MissingArtifact, CorruptArtifact."""
    return records.Similarity.of(load_artifact(bundle, "similarity")).distances[measure].numpy()


def outcomes(attack: Attacked, n_classes: int) -> PairOutcomes:
    """The success of a matrix's attacks, by image and target."""
    assert attack.target is not None
    return pair_outcomes(attack.index, attack.label, attack.target, attack.worked, n_classes)


def correlation(bundle: Bundle, model: str, measure: str) -> Correlation:
    """How far the success on a model follows similarity."""
    row = _row(bundle, model, None, "rank_correlation", measure)
    return Correlation(**{f.name: row[f.name] for f in fields(Correlation)})


def dispersion(bundle: Bundle, model: str) -> Dispersion:
    """How unequal the pairs of classes are under attacks on a model."""
    row = _row(bundle, model, None, "dispersion", None)
    return Dispersion(**{f.name: row[f.name] for f in fields(Dispersion)})


def difference(bundle: Bundle, model: str, other: str, metric: str, measure: str | None) -> Difference:
    """A model's figure less another's."""
    row = _row(bundle, model, other, metric, measure)
    return Difference(**{f.name: row[f.name] for f in fields(Difference)})


def _row(bundle: Bundle, model: str, other: str | None, metric: str, measure: str | None) -> dict[str, Any]:
    """The row of the table `coherence` that fits."""
    table = load_artifact(bundle, "results").tables["coherence"]
    fitting = (table["model"] == model) & (table["metric"] == metric)
    for column, value in (("other", other), ("measure", measure)):
        fitting &= table[column].isna() if value is None else table[column] == value
    return dict(table[fitting].iloc[0])


# The attack's key and the measure decide the line; the distances follow from the attack's data set.
@st.cache_resource(max_entries=64, show_spinner="Fitting")
def fit(key: str, measure: str, _outcomes: PairOutcomes, _distances: Matrix) -> Fit:  # noqa: ARG001
    """The best falling line of success over distance, with its interval."""
    return monotone_fit(_outcomes, _distances)


@st.cache_resource(max_entries=128, show_spinner="Asking the judges")
def judges_opinions(
    key: str,  # noqa: ARG001
    threshold: float,  # noqa: ARG001
    _undetected: Judged,
    _attack: Attacked,
    n_classes: int,
) -> tuple[list[Opinions], Agreement]:
    """Opinions and agreement of judges on undetected images, one at least; key and threshold decide them."""
    assert _attack.target is not None
    row = _undetected.row
    named = dict(zip(_undetected.titles, _undetected.prediction, strict=True))
    shares = opinions(named, _attack.label[row], _attack.target[row])
    return shares, agreement(_undetected.prediction, _attack.index[row], n_classes)
