"""Checks 5, 6 and 8 to 10: attacks beside each other, and the same attack on an undefended network.

Source: carlini2019, *On Evaluating Adversarial Robustness*, sections 3 and 4.
"""

import torch
from torch import Tensor

from core.geometry import TINY
from core.health.bench import TRACED, Bench, Run
from core.health.check import (
    NOT_APPLICABLE,
    SUCCESS,
    UNDETECTED,
    Check,
    Number,
    at_most,
    percent,
    touching,
    verdict,
)
from core.health.strength import CHANGE, SLACK
from core.metrics import rate

UNDEFENDED = 0.9
"""Success that the attack must have on an undefended network: "nearly always", with room for n = 50."""
ROUNDING = 1e-4
"""Relative error of a distance that is added up in float32."""


def _weaker(bench: Bench) -> dict[str, Run]:
    """What knows nothing of the model: noise, and images made on others."""
    return {"noise": bench.noise()} | {
        f"images made on {name}": bench.transferred(name) for name in bench.others
    }


def knowing_more_helps(bench: Bench) -> Check:
    """5: white box beats transfer and noise, and the adaptive attack beats all, example by example.

    Decision-based attacks are not among the attacks here; noise and transfer stand for them.
    """
    weaker = _weaker(bench)
    strong = bench.run("pgd").success
    found = [
        Number.share(f"fooled by {name}, not by PGD", run.success & ~strong) for name, run in weaker.items()
    ]
    touched = touching((SUCCESS, UNDETECTED), bench.white_box) if _any_above(found, SLACK) else ()
    if bench.detector is not None and "r-pgd" in bench.attacks:
        adaptive = bench.undetected(bench.run("r-pgd"))
        blind = [n for n in ("fgsm", "bim", "pgd") if n in bench.attacks]
        rivals = {name.upper(): bench.run(name) for name in blind} | weaker
        unseen = torch.stack([bench.undetected(run) for run in rivals.values()]).any(0)
        number = Number.share("unseen by another attack, not by R-PGD", unseen & ~adaptive)
        found.append(number)
        touched += touching((UNDETECTED,), bench.adaptive) if number.value > SLACK else ()
    found.sort(key=lambda number: -number.value)
    return Check(
        5,
        verdict(not touched),
        at_most(found[0]),
        tuple(found),
        touched,
        "No decision-based attack is among the attacks of this version; noise and images made on other "
        "networks stand for it.",
    )


def best_attack_for_each_image(bench: Bench) -> Check:
    """6: the mean over images of the best attack, beside the best mean of a single attack."""
    names = [name for name, kind in bench.attacks.items() if not kind.minimises]
    runs = [bench.run(name) for name in names]
    found: list[Number] = []
    touched: tuple[str, ...] = ()
    parts: list[str] = []
    measures: list[tuple[str, str, list[Tensor]]] = [("success", SUCCESS, [run.success for run in runs])]
    if bench.detector is not None:
        measures.append(("undetected", UNDETECTED, [bench.undetected(run) for run in runs]))
    for title, metric, hits in measures:
        each = rate(torch.stack(hits).any(0))
        single = max((rate(h) for h in hits), key=lambda r: r.k)
        parts.append(f"{title} {percent(each.value)} instead of {percent(single.value)}")
        found += [
            Number.share(f"{title}, best attack for each image", each),
            Number.share(f"{title}, best single attack", single),
        ]
        if each.value - single.value > CHANGE:
            touched += touching((metric,), names)
    words = ", ".join(parts)
    return Check(6, verdict(not touched), f"{words} (n = {len(bench.x)})", tuple(found), touched)


def targeted_and_untargeted(bench: Bench) -> Check:
    """8: both were run, and whatever a targeted attack moves, the untargeted one moves too."""
    free, aimed = bench.run("pgd"), bench.run("pgd", targeted=True)
    missed = rate(aimed.success & ~free.success)
    words = f"untargeted {percent(rate(free.success).value)}, targeted {percent(rate(aimed.success).value)}"
    return Check(
        8,
        verdict(missed.value <= SLACK),
        f"{words}, {percent(missed.value)} driven to a target but not away (n = {missed.n})",
        (
            Number.share("driven to a target but not away", missed),
            Number.share("untargeted success of PGD", free.success),
            Number.share("targeted success of PGD", aimed.success),
        ),
        touching((SUCCESS, UNDETECTED), [name for name in bench.attacks if name in TRACED]),
    )


def works_on_an_undefended_network(bench: Bench) -> Check:
    """9: the same attack succeeds on a network without detector.

    One of the other models stands for it, its detector left out: an ordinary convolutional classifier, whose
    decoder takes no part in the classification. So no network is trained for this check alone.
    """
    name = bench.undefended or next(iter(bench.others), None)
    if name is None:
        return Check(9, NOT_APPLICABLE, "no other network to attack")
    found = rate(bench.run("pgd", on=name).success)
    return Check(
        9,
        verdict(found.value >= UNDEFENDED),
        f"success {percent(found.value)} on {name} without detector (n = {found.n})",
        (Number.share(f"success of PGD on {name}", found),),
        touching((SUCCESS, UNDETECTED), bench.white_box),
    )


def smallest_changes_are_reported(bench: Bench) -> Check:
    """10: a minimum-norm attack says how far each success is, and returns the image where it fails."""
    names = [name for name, kind in bench.attacks.items() if kind.minimises]
    if not names:
        return Check(10, NOT_APPLICABLE, "no attack here minimises a norm")
    found: list[Number] = []
    wrong: list[str] = []
    for name in names:
        run = bench.run(name)
        delta = run.x_adv - bench.x
        true = bench.attack(name).size(delta)
        honest = run.size.isfinite() & ((run.size - true).abs() <= ROUNDING * true + TINY)
        honest &= run.success | (delta.flatten(1).abs().amax(1) == 0)
        if not bool(honest.all() & run.success.any()):
            wrong.append(name)
        if run.success.any():
            found.append(Number.median(f"median distance of {name.upper()}", run.size[run.success].cpu()))
        found.append(Number.share(f"success of {name.upper()}", run.success))
        found.append(Number.share(f"distances of {name.upper()} that are wrong", ~honest))
    words = ", ".join(f"{n.value:.2f} {n.name}" for n in found if n.name.startswith("median"))
    return Check(
        10,
        verdict(not wrong),
        f"{words or 'no success'} (n = {len(bench.x)})",
        tuple(found),
        touching((SUCCESS, UNDETECTED), wrong),
    )


def _any_above(numbers: list[Number], limit: float) -> bool:
    return any(number.value > limit for number in numbers)
