"""Outcomes as pages show them: a colour, a title, and a sign for those who do not see the colour."""

from core.figures.colours import OUTCOME_COLOURS
from core.outcomes import Outcome

COLOURS = {outcome: OUTCOME_COLOURS[outcome.value] for outcome in Outcome}
TITLES = {
    Outcome.UNDETECTED: "Undetected",
    Outcome.FLAGGED: "Flagged",
    Outcome.OTHER: "Other class",
    Outcome.FAILED: "Failed",
}
MARKS = {Outcome.UNDETECTED: "●", Outcome.FLAGGED: "⚑", Outcome.OTHER: "◐", Outcome.FAILED: "○"}
