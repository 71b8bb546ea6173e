"""Attack health: fifteen checks that say whether the attacks on a model can be believed.

A model looks robust when attacks on it fail for reasons of their own: vanishing gradients, too few steps, a
success that was passed and lost. Each check is a function of a `Bench` and returns a `Check`.

Sources: carlini2019, *On Evaluating Adversarial Robustness*; pintor2022, *Indicators of Attack Failure*;
croce2020 (AutoAttack).
"""

from collections.abc import Callable

from core.health.bench import Bench, Clean, Run
from core.health.check import EXPLANATIONS, FAILED, NOT_APPLICABLE, PASSED, Check, Number, Status
from core.health.comparison import (
    best_attack_for_each_image,
    knowing_more_helps,
    smallest_changes_are_reported,
    targeted_and_untargeted,
    works_on_an_undefended_network,
)
from core.health.detection import detector_shows_its_roc
from core.health.gradients import gradients_are_whole, loss_is_smooth, randomness_is_averaged
from core.health.paths import attacks_have_finished, no_success_is_lost
from core.health.strength import (
    grey_is_chance,
    iterative_beats_one_step,
    more_effort_adds_little,
    rises_with_epsilon,
)
from core.health.table import checks_of, failed, rows_of

CHECKS: dict[int, Callable[[Bench], Check]] = {
    1: rises_with_epsilon,
    2: grey_is_chance,
    3: iterative_beats_one_step,
    4: more_effort_adds_little,
    5: knowing_more_helps,
    6: best_attack_for_each_image,
    7: detector_shows_its_roc,
    8: targeted_and_untargeted,
    9: works_on_an_undefended_network,
    10: smallest_changes_are_reported,
    11: gradients_are_whole,
    12: loss_is_smooth,
    13: no_success_is_lost,
    14: attacks_have_finished,
    15: randomness_is_averaged,
}
"""In the order of the list."""


__all__ = [
    "CHECKS",
    "EXPLANATIONS",
    "FAILED",
    "NOT_APPLICABLE",
    "PASSED",
    "Bench",
    "Check",
    "Clean",
    "Number",
    "Run",
    "Status",
    "checks_of",
    "failed",
    "rows_of",
]
