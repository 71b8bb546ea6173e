"""What pages let people choose: model, attack, target; classes to filter by."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import streamlit as st

from app import state, url
from app.ui.controls import attack_controls, follow_default
from app.ui.scene import ANY
from core.attacks import ATTACKS, Attack
from core.data import DatasetSpec
from core.models import MODELS, title_of
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


def choose_model(found: Bundle) -> str:
    """One of the bundle's models."""
    names = state.model_names(found)
    url.check_choice("model", [title_of(name) for name in names], "Model")
    url.keep_possible("model", names)
    return st.segmented_control(
        "Model",
        names,
        default=names[0],
        required=True,
        format_func=title_of,
        key="model",
        bind="query-params",
        help=rebuilding_words(names),
    )


def rebuilding_words(models: Sequence[str]) -> str:
    """Which models rebuild from what: "CapsNet and CNN+CR from the winning class alone, ..."."""
    groups = {
        "the winning class alone": [title_of(m) for m in models if MODELS[m].conditional],
        "all classes": [title_of(m) for m in models if MODELS[m].conditional is False],
    }
    parts = [f"from {what}: {' and '.join(titles)}" for what, titles in groups.items() if titles]
    return f"The image is rebuilt {'; '.join(parts)}."


def choose_attack(spec: DatasetSpec, found: Bundle, model: str) -> tuple[Attack, int]:
    """An attack and its seed; settings start from what its paper used on the data set."""
    url.check_choice("attack", [ATTACKS[name].title for name in LIVE], "Attack")
    name = st.segmented_control(
        "Attack",
        list(LIVE),
        default="r-pgd",
        required=True,
        format_func=lambda name: ATTACKS[name].title,
        key="attack",
        bind="query-params",
        help="All fool the network. Those with R- also keep the reconstruction close, to fool the detector. "
        "CW-L2, DeepFool and Boundary have no epsilon: they look for the smallest change. Boundary needs no "
        "gradients: it asks for answers alone.",
    )
    kind = ATTACKS[name]
    defaults = {**kind.defaults(spec), **LIVE[name]}
    if beta := best_beta(found, model, kind.one_step):
        defaults["beta"] = beta
    chosen = attack_controls(kind, defaults, MAIN)
    with st.expander("More settings", icon=":material/tune:"):
        # Of the others epsilon has one meaning on all pages, that of linf.
        chosen |= attack_controls(kind, defaults, (*MORE, "norm") if kind.minimises else MORE)
        seed = choose_seed()
    known = {f.name for f in fields(kind)}
    return kind(**{key: value for key, value in (defaults | chosen).items() if key in known}), seed


def best_beta(found: Bundle, model: str, one_step: bool = False) -> float | None:
    """The beta with which most attacks of the bundle went undetected, or None where nobody looked."""
    sweep = found.get(f"{model}/beta-r-fgsm" if one_step else f"{model}/beta")
    return Sweep.of(sweep).best_beta if sweep else None


def choose_seed() -> int:
    """Of whatever an attack draws."""
    url.check_number("seed", 0, 9999, "Seed")
    return int(
        st.number_input(
            "Seed",
            0,
            9999,
            0,
            key="seed",
            bind="query-params",
            help="Of the random point from which PGD and R-PGD start, and of Boundary's walk. The same seed "
            "gives the same attack.",
        )
    )


def every(classes: tuple[str, ...]) -> str:
    """The title of all targets at once."""
    return f"All {len(classes) - 1}"


def choose_targets(classes: tuple[str, ...], label: int) -> tuple[int | None, ...]:
    """The classes aimed at, attacked together; a single None is any other class."""
    titles = [name for name in classes if name != classes[label]] + [ANY, every(classes)]
    usual = classes[8] if label != 8 else classes[3]
    follow_default("target", usual)
    if st.session_state.get("target", usual) not in titles:
        st.session_state["target"] = usual
    url.check_choice("target", titles, "Target")
    target = st.pills(
        f"Make the network see this **{classes[label]}** as",
        titles,
        default=usual,
        required=True,
        key="target",
        bind="query-params",
    )
    if target == every(classes):
        return tuple(number for number in range(len(classes)) if number != label)
    return (None,) if target == ANY else (classes.index(target),)


def choose_class(
    label: str, key: str, classes: tuple[str, ...], on_change: Callable[[], None] | None = None
) -> int | None:
    """A class to filter by, or None for any."""
    options = [ANY_CLASS, *classes]
    url.check_choice(key, options, label)
    chosen = st.selectbox(label, options, key=key, bind="query-params", on_change=on_change, width=150)
    return None if chosen == ANY_CLASS else classes.index(chosen)
