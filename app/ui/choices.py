"""What pages let people choose: model, attack, target; classes to filter by."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import streamlit as st

from app import state
from app.ui.choose import choose, choose_number
from app.ui.controls import attack_controls
from app.ui.scene import ANY
from core.attacks import ATTACKS, Attack, attack_title
from core.data import DatasetSpec
from core.models import spec, title_of
from precompute.steps.records import Sweep
from precompute.store import Bundle

MAIN = ("epsilon", "beta", "step_size", "steps", "searches", "max_step")
MORE = (
    *("one_stage", "kappa", "learning_rate", "initial_c", "abort_early"),
    *("overshoot", "candidates", "aside", "direct", "converged", "tries", "halvings"),
)

LIVE: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("fgsm", "bim", "pgd", "r-fgsm", "r-bim", "r-pgd")},
    # Within a few percent of its authors' settings, over while one watches, and with a first c that leads to
    # a success at once, because before the first there is nothing to see.
    "cw": {"steps": 100, "searches": 5, "initial_c": 10.0},
    # Steps five times as long as those of michels2019, and as many as it then takes to go 5 in l2.
    "deepfool": {"steps": 100, "max_step": 0.05},
    "boundary": {"steps": 2000},
}
"""Attacks on offer, and where those of their papers take too long the settings that can be watched."""
ANY_CLASS = "Any"
FEW = 20
"""Classes up to which each is a button, and all are attacked at once."""


def choose_model(bundle: Bundle) -> str:
    """One of the bundle's models."""
    names = state.model_names(bundle)
    return choose(
        "segmented_control",
        "Model",
        "model",
        names,
        title=title_of,
        help=rebuilding_words(names),
    )


def rebuilding_words(models: Sequence[str]) -> str:
    """Which models rebuild from what: "CapsNet and CNN+CR from the winning class alone, ..."."""
    groups = {
        "the winning class alone": [title_of(m) for m in models if spec(m).conditional],
        "all classes": [title_of(m) for m in models if spec(m).conditional is False],
    }
    parts = [f"from {what}: {' and '.join(titles)}" for what, titles in groups.items() if titles]
    return f"The image is rebuilt {'; '.join(parts)}."


def choose_attack(about: DatasetSpec, bundle: Bundle, model: str) -> tuple[Attack, int]:
    """An attack and its seed; settings start from what its paper used on the data set."""
    name = choose(
        "segmented_control",
        "Attack",
        "attack",
        list(LIVE),
        title=attack_title,
        default="r-pgd",
        help="All fool the network. Those with R- also keep the reconstruction close, to fool the detector. "
        "CW-L2, DeepFool and Boundary have no epsilon: they look for the smallest change. Boundary needs no "
        "gradients: it asks for answers alone.",
    )
    kind = ATTACKS[name]
    defaults = {**kind.defaults(about), **LIVE[name]}
    if beta := best_beta(bundle, model, kind.one_step):
        defaults["beta"] = beta
    chosen = attack_controls(kind, defaults, MAIN)
    with st.expander("More settings", icon=":material/tune:"):
        # Of the others epsilon has one meaning on all pages, that of linf.
        chosen |= attack_controls(kind, defaults, (*MORE, "norm") if kind.minimises else MORE)
        seed = choose_seed()
    names = {f.name for f in fields(kind)}
    return kind(**{key: value for key, value in (defaults | chosen).items() if key in names}), seed


def best_beta(bundle: Bundle, model: str, one_step: bool = False) -> float | None:
    """The beta with which most attacks of the bundle went undetected, or None where nobody looked."""
    sweep = bundle.get(f"{model}/beta-r-fgsm" if one_step else f"{model}/beta")
    return Sweep.of(sweep).best_beta if sweep else None


def choose_seed() -> int:
    """Of whatever an attack draws."""
    return choose_number(
        "number_input",
        "Seed",
        "seed",
        0,
        9999,
        default=0,
        help="Of the random point from which PGD and R-PGD start, and of Boundary's walk. The same seed "
        "gives the same attack.",
    )


def usual_pair(classes: tuple[str, ...]) -> tuple[int, int]:
    """Source and target to begin with: 3 and 8, which look alike among digits, or the last two of fewer."""
    return min(3, len(classes) - 2), min(8, len(classes) - 1)


def every(classes: tuple[str, ...]) -> str:
    """The title of all targets at once."""
    return f"All {len(classes) - 1}"


def choose_targets(classes: tuple[str, ...], label: int) -> tuple[int | None, ...]:
    """The classes aimed at, attacked together; a single None is any other class.

    Of more than `FEW` classes one is picked from a list, and all of them at once are not on offer.
    """
    few = len(classes) <= FEW
    others = [name for name in classes if name != classes[label]]
    first, second = usual_pair(classes)
    target = choose(
        "pills" if few else "selectbox",
        f"Make the network see this **{classes[label]}** as",
        "target",
        [*others, ANY, every(classes)] if few else [*others, ANY],
        default=classes[first if label == second else second],
        follow=True,
        what="Target",
    )
    if target == every(classes):
        return tuple(number for number in range(len(classes)) if number != label)
    return (None,) if target == ANY else (classes.index(target),)


def choose_class(
    label: str, key: str, classes: tuple[str, ...], on_change: Callable[[], None] | None = None
) -> int | None:
    """A class to filter by, or None for any."""
    options = [ANY_CLASS, *classes]
    chosen = choose("selectbox", label, key, options, on_change=on_change, width=150)
    return None if chosen == ANY_CLASS else classes.index(chosen)
