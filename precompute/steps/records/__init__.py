"""What is stored, with types: one record for each kind of artifact.

A record is the only place that knows how its artifact's tensors are called, and that a stored target of -1
means none. Steps write records; results, figures and pages read them. A field of type Tensor is stored under
its own name; what is no tensor comes from the artifact's facts.

N rows are attacked images; J classes; K betas, or perturbations that were kept; T models, S of them sources.
"Levels" are 8-bit: 1/255 in pixel units.
"""

from precompute.steps.records.base import Kept, Record, Stored, Targeted, joined
from precompute.steps.records.detection import (
    Attacked,
    Clean,
    Corrupted,
    Judged,
    Reconstructed,
    Similarity,
    Sweep,
    Walkthrough,
    Weights,
)
from precompute.steps.records.detectors import Fitted, Scored
from precompute.steps.records.perturbations import (
    Embedded,
    Minimal,
    Predicted,
    Transferred,
    Universal,
    UniversalTransferred,
    mean_count,
)

__all__ = [
    "Attacked",
    "Clean",
    "Corrupted",
    "Embedded",
    "Fitted",
    "Judged",
    "Kept",
    "Minimal",
    "Predicted",
    "Reconstructed",
    "Record",
    "Scored",
    "Similarity",
    "Stored",
    "Sweep",
    "Targeted",
    "Transferred",
    "Universal",
    "UniversalTransferred",
    "Walkthrough",
    "Weights",
    "joined",
    "mean_count",
]
