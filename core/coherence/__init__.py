"""Visual coherence as numbers: do attacks succeed where classes look alike, and do their images?"""

from core.coherence.judges import (
    MAJORITY,
    Agreement,
    Opinions,
    agreement,
    majority,
    neighbour_labels,
    opinions,
)
from core.coherence.pairs import Difference, PairOutcomes, pair_outcomes
from core.coherence.ranking import Correlation, Fit, compare_correlations, correlation, monotone_fit
from core.coherence.similarity import (
    MEASURES,
    class_distances,
    discriminant_features,
    mean_distances,
    neighbour_distances,
    pixels,
)
from core.coherence.spread import Dispersion, compare_dispersions, dispersion
from core.coherence.table import coherence_table

__all__ = [
    "MAJORITY",
    "MEASURES",
    "Agreement",
    "Correlation",
    "Difference",
    "Dispersion",
    "Fit",
    "Opinions",
    "PairOutcomes",
    "agreement",
    "class_distances",
    "coherence_table",
    "compare_correlations",
    "compare_dispersions",
    "correlation",
    "discriminant_features",
    "dispersion",
    "majority",
    "mean_distances",
    "monotone_fit",
    "neighbour_distances",
    "neighbour_labels",
    "opinions",
    "pair_outcomes",
    "pixels",
]
