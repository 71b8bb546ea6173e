"""Minimal perturbations: how little it takes to be misread (michels2019, Table 1 and Fig. 1)."""

from typing import Any

import streamlit as st
import torch
from torch import Tensor

from app.results import minimum, universals
from app.results.attacks import attack_words
from app.results.minimum import ATTACKS, NAMES, NORMS, UNIVERSAL, Minimal
from app.ui import effects, notices, tiles
from app.ui.charts import show_chart
from app.ui.choose import choose, show_corrections
from app.ui.columns import columns
from app.ui.page import Opened, open_michels2019
from app.ui.saving import offer_chart
from app.ui.status import status_line
from core.figures.colours import colour_of
from core.figures.norms import Lengths, norm_chart, reach_chart
from core.figures.style import in_words
from core.images import add_levels
from core.metrics import rate
from core.models import title_of
from core.outcomes import Effect, effect

INTRO = """
How **little** must an image change until a network misreads it? Each attack looks for the smallest change
that does. Short lengths mean a fragile network, if the attack is a good one.
"""
POINTS, CURVES = "Every image", "Misread within a length"
DASHES = {"CW-L2": (), "Boundary": (7, 3), "DeepFool": (2, 3)}
# Pixels of title, legend and axis, which Streamlit counts into a chart's height.
AROUND = 110


def choose_view() -> tuple[str, str]:
    """The norm, and how lengths are drawn."""
    norm = choose(
        "segmented_control",
        "Length",
        "norm",
        list(NORMS),
        title=NORMS.__getitem__,
        default="l2",
        help="In pixel units, where an image reaches from 0 to 1. ℓ₂: root of the sum of squares, which all "
        "three attacks make small. ℓ∞: the largest change of a pixel.",
    )
    return norm, choose("segmented_control", "Drawn as", "drawn", [POINTS, CURVES])


def show_lengths(page: Opened, groups: list[Lengths], norm: str, drawn: str) -> None:
    """The distributions, and their numbers."""
    title = f"Lengths of the smallest perturbations, {page.spec.title}"
    axis = f"{NORMS[norm]} length, pixels from 0 to 1"
    points = drawn == POINTS
    chart = norm_chart(groups, title, axis) if points else reach_chart(groups, title, axis, DASHES)
    words = f"{title}. {'; '.join(group.words for group in groups)}."
    show_chart(chart.properties(height=chart.height + AROUND), words, f"minimal-{drawn}")
    rows = [{**page.about, "norm": norm, **group.row()} for group in groups]
    offer_chart(chart, words, rows, f"{page.spec.name}-minimal-{norm}")


def show_table(groups: list[Lengths]) -> None:
    """Means with their intervals, the published ones beside."""
    rows: list[dict[str, Any]] = []
    for group in groups:
        row = group.row()
        shown: dict[str, Any] = {
            "attack": group.attack,
            "model": group.model,
            "mean": row["mean"],
            "95 % interval": interval(row["mean_low"], row["mean_high"]),
            "mean of moved": row["mean_moved"],
            "median of moved": row["median_moved"],
            "n": group.n,
            "wrong before": group.already,
            "failed": group.failed,
        }
        if any(other.published is not None for other in groups):
            shown["published mean"] = group.published
        rows.append(shown)
    number = st.column_config.NumberColumn(format="%.2f")
    means = ("mean", "mean of moved", "median of moved", "published mean")
    st.dataframe(
        rows,
        hide_index=True,
        column_config=dict.fromkeys(means, number),
        key="minimal-table",
        placeholder="–",
    )
    st.caption(
        "The **mean** counts images that were misread as they stood with 0 and leaves failures out, as the "
        "published ones do; **moved** leaves both out. Intervals: 95 %, Student's t."
    )


def interval(low: float | None, high: float | None) -> str:
    """Ends of an interval: "1.20–1.45"."""
    return "–" if low is None or high is None else f"{low:.2f}–{high:.2f}"


def choose_image(page: Opened, attacked: dict[tuple[str, str], Minimal]) -> int | None:
    """An image of which some attack's perturbation is kept; those that every attack moved come first."""
    count: dict[int, int] = {}
    label: dict[int, int] = {}
    for made in attacked.values():
        for row in made.kept_rows.tolist():
            image = int(made.index[row])
            count[image] = count.get(image, 0) + 1
            label[image] = int(made.label[row])
    images = sorted(count, key=lambda image: (-count[image], label[image], image))
    if not images:
        return None
    titles = {image: f"{page.spec.classes[label[image]]}, image {image}" for image in images}
    return choose(
        "selectbox",
        "Image",
        "picture",
        images,
        title=titles.__getitem__,
        width=240,
        help="Of one image a class the change is stored. First come those that the most attacks moved.",
    )


def show_image(
    page: Opened, attacked: dict[tuple[str, str], Minimal], models: tuple[str, ...], image: int
) -> None:
    """The image under every attack, one column a model: original, attacked, perturbation (Fig. 1)."""
    for model, column in zip(models, columns([1] * len(models), "image", least=19), strict=True):
        with column:
            st.html(f'<div class="ct-title" style="--c:{colour_of(title_of(model))}">{title_of(model)}</div>')
            made = [attacked[model, attack] for attack in ATTACKS]
            lines = [tile for one in made if (tile := attack_tile(page, one, image))]
            lines += universal_tile(page, model, image)
            absent = [NAMES[one.attack] for one in made if kept_of(one, image) is None]
            st.html(effects.grid(lines, columns=1))
            if absent:
                st.caption(
                    f"Without {' and '.join(absent)}: no change of this image was found, or it was not kept."
                )


def kept_of(made: Minimal, image: int) -> Tensor | None:
    """The kept perturbation of an image."""
    row = made.row_of(image)
    return None if row is None else made.levels(row)


def attack_tile(page: Opened, made: Minimal, image: int) -> effects.EffectTile | None:
    """One attack on the image."""
    row, levels = made.row_of(image), kept_of(made, image)
    if row is None or levels is None:
        return None
    classes = page.spec.classes
    label, seen, clean = int(made.label[row]), int(made.prediction[row]), int(made.clean[row])
    target = None if made.target is None else int(made.target[row])
    aim = "any other" if target is None else classes[target]
    return effects.EffectTile(
        f"{NAMES[made.attack]}: {classes[label]} → {aim}",
        effect(seen, label, clean, target),
        pictures_of(page, image, levels, classes[label], f"read as {classes[seen]}"),
        f"reads {classes[seen]}",
        f"ℓ₂ {float(made.norm_l2[row]):.2f} · ℓ∞ {float(made.norm_linf[row]):.2f} · "
        f"{int(made.queries[row]):,} {'predictions' if made.attack == 'boundary' else 'gradients'}",
    )


def universal_tile(page: Opened, model: str, image: int) -> list[effects.EffectTile]:
    """The universal perturbation of median length, read by the network now; none without the image."""
    every = universals.collect(page.bundle)
    if page.dataset is None or model not in every.sources:
        return []
    row = every.median_row(model)
    test, classes = page.dataset.test, page.spec.classes
    clean, seen = universals.read(page.bundle, model, test.x([image]), every.delta[row])
    label, rated = int(test.labels[image]), every.fooling(row, model)
    tile = effects.EffectTile(
        f"{NAMES[UNIVERSAL]}, of median length: {classes[label]} → any other",
        effect(int(seen[0]), label, int(clean[0])),
        pictures_of(page, image, every.levels[row], classes[label], f"read as {classes[int(seen[0])]}"),
        f"reads {classes[int(seen[0])]}; fools {in_words(rated)}" if rated else "",
        f"ℓ₂ {float(every.norm_l2[row]):.2f} · ℓ∞ {float(every.norm_linf[row]):.2f}",
    )
    return [tile]


def pictures_of(
    page: Opened, image: int, levels: Tensor, label: str, reading: str
) -> tuple[effects.Shown, ...]:
    """Original, attacked and perturbation; without a local copy the perturbation alone."""
    changed = effects.change(levels, f"What was changed of this {label}")
    if page.dataset is None:
        return (changed,)
    clean = page.dataset.test.images[image]
    attacked = add_levels(clean, levels)
    return (
        effects.picture(clean, f"The original image, {label}", "original"),
        effects.picture(attacked, f"The attacked image, {reading}", "attacked"),
        changed,
    )


def show_already(page: Opened, attacked: dict[tuple[str, str], Minimal], models: tuple[str, ...]) -> None:
    """Images that were misread as they stood, by model."""
    st.subheader("Misread as they stand", anchor=False)
    st.caption(
        "Nothing had to be changed here: distance 0. They are counted in the means above, and have no point. "
        "Under CW, which aims at a class, only an image that is read as just that class."
    )
    classes = page.spec.classes
    for model, column in zip(models, columns([1] * len(models), "already", least=19), strict=True):
        with column:
            made = [attacked[model, attack] for attack in ATTACKS]
            counts = "; ".join(f"{NAMES[one.attack]} {in_words(rate(one.already))}" for one in made)
            st.markdown(f"**{title_of(model)}**: {counts}")
            images: dict[int, effects.EffectTile] = {}
            for one in made:
                for row in torch.nonzero(one.already).flatten().tolist():
                    image, label = int(one.index[row]), classes[int(one.label[row])]
                    shown = (
                        (
                            effects.picture(
                                page.dataset.test.images[image],
                                f"Test image {image}, {label}",
                                f"image {image}",
                            ),
                        )
                        if page.dataset
                        else ()
                    )
                    images[image] = effects.EffectTile(
                        label,
                        Effect.ALREADY,
                        shown,
                        f"reads {classes[int(one.clean[row])]}",
                        "" if shown else f"image {image}",
                        marked=False,
                    )
            if images:
                st.html(effects.grid([images[image] for image in sorted(images)]))
            else:
                st.caption("None of the attacked images.")


def main() -> None:
    st.html(tiles.STYLE)
    needs = [f"{model}/minimum/{attack}" for model in universals.OWN for attack in ATTACKS]
    page = open_michels2019("Minimal perturbations", INTRO, needs=needs, what="minimal perturbations")
    models = minimum.attack_models(page.bundle)
    attacked = {(m, attack): minimum.minimal(page.bundle, m, attack) for attack in ATTACKS for m in models}
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        norm, drawn = choose_view()
    show_corrections()
    means = minimum.published_means(page.bundle) if norm == "l2" else {}
    groups = [
        attacked[model, attack].lengths(norm, means.get((attack, model)))
        for attack in ATTACKS
        for model in models
    ]
    show_lengths(page, groups, norm, drawn)
    show_table(groups)
    st.subheader("One image under all attacks", anchor=False)
    page.offer_pictures()
    image = choose_image(page, attacked)
    show_corrections()
    if image is None:
        st.info("No attack moved an image.", icon=":material/info:")
    else:
        show_image(page, attacked, models, image)
        st.caption(
            "Perturbations are drawn around white, red brighter and blue darker, each magnified until its "
            "largest change has the full colour; the factor stands below. They are stored in whole levels of "
            "1/255, which takes some back over the border: the readings are those of the exact images."
        )
    show_already(page, attacked, models)
    how = [attack_words(attacked[models[0], a].facts, targeted=a == "cw", with_beta=False) for a in ATTACKS]
    n = attacked[models[0], ATTACKS[0]].index.numel()
    status_line(*how, *page.origin, live=False, n=n, profile=page.bundle.profile)


with notices.explained():
    main()
