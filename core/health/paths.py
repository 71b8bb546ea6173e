"""Checks 13 and 14: what an attack passed on its way, and whether it had arrived.

Source: pintor2022, *Indicators of Attack Failure*: silent success and incomplete optimisation.
"""

import torch
from torch import Tensor

from core.health.bench import Bench, Run
from core.health.check import SUCCESS, UNDETECTED, Check, Number, at_most, touching, verdict
from core.health.strength import CHANGE, SLACK
from core.metrics import rate

TAIL = 0.1
"""The last steps: this share of the path."""
RISE = 0.05
"""Share of all that the loss gained on the path which may fall to its last steps. A path that rises evenly
gains twice as much there."""


def _traced(bench: Bench, targeted: bool) -> Run:
    return bench.run("pgd", targeted=targeted, traced=True)


def no_success_is_lost(bench: Bench) -> Check:
    """13: no attack passes a success and returns a failure; for R-PGD, an unseen success."""
    found: list[Number] = []
    touched: tuple[str, ...] = ()
    for targeted in (False, True):
        mode = "targeted" if targeted else "untargeted"
        run = _traced(bench, targeted)
        lost = rate(run.path_success.any(0) & ~run.success)
        found.append(Number.share(f"successes lost by {mode} PGD", lost))
        if lost.value > SLACK:
            touched += touching((SUCCESS,), ("bim", "pgd"))
        if bench.detector is not None and "r-pgd" in bench.attacks:
            run = bench.run("r-pgd", targeted=targeted, traced=True)
            unseen = run.path_success & ~bench.flagged(run.path_score)
            lost = rate(unseen.any(0) & ~bench.undetected(run))
            found.append(Number.share(f"undetected successes lost by {mode} R-PGD", lost))
            if lost.value > SLACK:
                touched += touching((UNDETECTED,), bench.adaptive)
    found.sort(key=lambda number: -number.value)
    return Check(
        13,
        verdict(not touched),
        at_most(found[0]),
        tuple(found),
        tuple(dict.fromkeys(touched)),
    )


def attacks_have_finished(bench: Bench) -> Check:
    """14: where PGD failed, its loss is flat in the last steps."""
    found = [
        Number.share(
            f"{'targeted' if targeted else 'untargeted'} failures of PGD still rising",
            _unfinished(_traced(bench, targeted)),
        )
        for targeted in (False, True)
    ]
    found.sort(key=lambda number: -number.value)
    return Check(
        14,
        verdict(found[0].value <= CHANGE),
        at_most(found[0]),
        tuple(found),
        touching((SUCCESS, UNDETECTED), bench.iterated),
    )


def _unfinished(run: Run) -> Tensor:
    """Which attacks failed while their best loss still rose, (N,) bool."""
    best = torch.cummax(run.path_loss, 0).values
    last = max(1, round(TAIL * (len(best) - 1)))
    gained, late = best[-1] - best[0], best[-1] - best[-1 - last]
    return ~run.success & (late > RISE * gained) & (gained > 0)
