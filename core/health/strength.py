"""Checks 1 to 4: an attack grows stronger with what it is allowed.

Source: carlini2019, *On Evaluating Adversarial Robustness*, section 4; croce2020, the checks of AutoAttack.
"""

from itertools import pairwise

from torch import Tensor

from core.health.bench import Bench
from core.health.check import SUCCESS, UNDETECTED, Check, Number, at_most, percent, touching, verdict
from core.metrics import rate

FACTORS = (0.25, 0.5, 1.0, 2.0)
"""Of epsilon, beside no limit at all, which is 1: the distance of black and white."""
REACH = 2.5
"""Steps together reach so many times epsilon, as in madry2017, so that a wide ball can be crossed."""
SLACK = 0.02
"""Share of examples that may go the wrong way: one of fifty, where rounding decides on the border."""
CHANGE = 0.05
"""Change of a rate that still counts as little: that of two or three examples in fifty."""
GREY = 0.5
ALIKE = {"bim": ("bim", "r-bim"), "pgd": ("pgd", "r-pgd")}
"""Attacks of many steps, and all that take such steps."""


def _step(bench: Bench, epsilon: float) -> float:
    return max(bench.step_size, REACH * epsilon / bench.steps)


def rises_with_epsilon(bench: Bench) -> Check:
    """1: success rises with epsilon and reaches 100 % when unbounded."""
    wanted = sorted({min(1.0, round(factor * bench.epsilon, 6)) for factor in FACTORS} | {1.0})
    hits = [bench.run("pgd", epsilon=e, step_size=_step(bench, e)).success for e in wanted]
    rates = [rate(h) for h in hits]
    fall = max((a.value - b.value for a, b in pairwise(rates)), default=0.0)
    last = rates[-1]
    words = ", ".join(f"{percent(r.value)} at {e:g}" for e, r in zip(wanted, rates, strict=True))
    details = [Number.share(f"success at epsilon {e:g}", r) for e, r in zip(wanted, rates, strict=True)]
    return Check(
        1,
        verdict(fall <= SLACK and last.k == last.n),
        f"{words} (n = {last.n})",
        tuple(reversed(details)),
        touching((SUCCESS, UNDETECTED), bench.white_box),
    )


def grey_is_chance(bench: Bench) -> Check:
    """2: accuracy is at most chance at linf 0.5."""
    survived = rate(~bench.run("pgd", epsilon=GREY, step_size=_step(bench, GREY)).success)
    chance = 1 / bench.n_classes
    return Check(
        2,
        verdict(survived.value <= chance),
        f"accuracy {percent(survived.value)}, chance {percent(chance)} (n = {survived.n})",
        (Number.share("accuracy at epsilon 0.5", survived),),
        touching((SUCCESS, UNDETECTED), bench.white_box),
    )


def iterative_beats_one_step(bench: Bench) -> Check:
    """3: what one step of epsilon fools, many small ones fool too, example by example."""
    one = bench.run("fgsm", step_size=bench.epsilon).success
    missed = {name: one & ~bench.run(name).success for name in ALIKE}
    found = [Number.share(f"fooled by FGSM, not by {name.upper()}", hits) for name, hits in missed.items()]
    failed = [name for name, number in zip(missed, found, strict=True) if number.value > SLACK]
    touched = touching((SUCCESS, UNDETECTED), [alike for name in failed for alike in ALIKE[name]])
    found.sort(key=lambda number: -number.value)
    return Check(3, verdict(not failed), at_most(found[0]), tuple(found), touched)


def more_effort_adds_little(bench: Bench) -> Check:
    """4: doubling steps or restarts changes little: success of PGD, unseen success of R-PGD."""
    found: list[Number] = []
    touched: tuple[str, ...] = ()

    def compare(title: str, once: Tensor, steps: Tensor, again: Tensor, touches: tuple[str, ...]) -> None:
        nonlocal touched
        before, n = rate(once), once.numel()
        added = rate(steps).value - before.value
        restart = rate(~once & again)
        found.append(Number(f"{title} with twice the steps", added, n))
        found.append(Number.share(f"{title} with a second start", restart))
        if abs(added) > CHANGE or restart.value > CHANGE:
            touched += touches

    second = bench.seed + 1
    compare(
        "more success of PGD",
        bench.run("pgd").success,
        bench.run("pgd", steps=2 * bench.steps).success,
        bench.run("pgd", seed=second).success,
        touching((SUCCESS,), ("bim", "pgd")),
    )
    if bench.detector is not None and "r-pgd" in bench.attacks:
        compare(
            "more unseen success of R-PGD",
            bench.undetected(bench.run("r-pgd")),
            bench.undetected(bench.run("r-pgd", steps=2 * bench.steps)),
            bench.undetected(bench.run("r-pgd", seed=second)),
            touching((UNDETECTED,), bench.adaptive),
        )
    found.sort(key=lambda number: -abs(number.value))
    return Check(4, verdict(not touched), at_most(found[0]), tuple(found), touched)
