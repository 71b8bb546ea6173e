"""What papers claim of their results, as tests of hypothesis over ours."""

from core.claims.claim import Claim, Compared, Finding, Verdict, evaluate, holm
from core.claims.comparisons import Below, Positive, Side, Under, rate_below
from core.claims.michels2019 import MICHELS2019
from core.claims.qin2020 import QIN2020

__all__ = [
    "MICHELS2019",
    "QIN2020",
    "Below",
    "Claim",
    "Compared",
    "Finding",
    "Positive",
    "Side",
    "Under",
    "Verdict",
    "evaluate",
    "holm",
    "rate_below",
]
