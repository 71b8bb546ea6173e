"""One universal perturbation: large, whom it fools, what lies nearest, what it does to images."""

import time
from collections.abc import Mapping
from typing import Any

import streamlit as st
from torch import Tensor

from app.results import universals
from app.results.universals import Universals
from app.ui import effects, pictures
from app.ui.charts import show_chart
from app.ui.choices import choose_class
from app.ui.choose import choose, choose_number, show_corrections
from app.ui.columns import columns
from app.ui.images import perturbation_png
from app.ui.page import Opened
from app.ui.saving import offer_chart
from app.ui.status import status_line
from app.ui.universal import picks
from app.ui.universal.thumbnails import show_thumbnails
from core.attacks import perturb
from core.figures.coherence import Estimate, estimate_chart
from core.figures.style import in_words
from core.images import LEVELS
from core.metrics import Rate, rate
from core.models import title_of
from core.outcomes import Effect, effect

NEAREST = 8
STRENGTH = 2.0
"""Of the slider's end: so many times the perturbation that was found."""
IMAGES = (10, 20, 40)


def show_fooling(rates: Mapping[str, Rate | None], title: str, key: str, about: Mapping[str, Any]) -> None:
    """Fooling rates on every network.

    Args:
        key: Of the chart; its files' names end in it.
        about: Columns of the file that say where the numbers come from, with `dataset` among them.
    """
    estimates = [
        Estimate(title_of(name), "", found.value, found.low, found.high, in_words(found))
        for name, found in rates.items()
        if found
    ]
    chart = estimate_chart(
        estimates,
        title,
        "of images read rightly before",
        (0, 1),
        axis_format=".0%",
        row_height=34,
        key_columns=3,
    )
    words = "; ".join(f"{e.model} {e.words}" for e in estimates)
    show_chart(chart, f"{title} with 95 % intervals. {words}.", key)
    rows = [{**about, "read_by": title_of(name), **found.record()} for name, found in rates.items() if found]
    offer_chart(chart, words, rows, f"{about['dataset']}-{key}")


def perturbation_picture(levels: Tensor, title: str, alt: str) -> pictures.Picture:
    """A perturbation large, with its gain and its colours explained."""
    gain, colour = effects.full_gain(levels), len(levels) > 1
    return pictures.Picture(
        perturbation_png(levels.float() / LEVELS, gain),
        title,
        f"magnified {gain:.3g} times, up to ±{1 / gain:.2g}" + ("; grey: none" if colour else ""),
        f"Universal perturbation, {alt}",
        diverging=not colour,
    )


def choose_one(every: Universals, rows: Tensor) -> int:
    """The perturbation to look at, from the keyboard; a click on a point or a thumbnail sets the same."""
    options: list[int] = rows.tolist()
    titles = {row: every.name(row) for row in options}
    return choose(
        "selectbox",
        "Perturbation",
        picks.ONE,
        options,
        title=titles.__getitem__,
        width=330,
        help="Or click a point, or a thumbnail.",
    )


def choose_strength(help: str) -> float:
    """How much of a perturbation is added."""
    return choose_number(
        "slider", "Strength", "strength", 0.0, STRENGTH, default=1.0, step=0.05, width=330, help=help
    )


def show_one(page: Opened, every: Universals, rows: Tensor, row: int) -> None:
    """One perturbation: large, whom it fools, what lies nearest."""
    left, middle, right = columns([2, 3, 4], "one", least=12)
    with left:
        title = f"ℓ₂ {float(every.norm_l2[row]):.2f}, ℓ∞ {float(every.norm_linf[row]):.2f}"
        st.html(pictures.row([perturbation_picture(every.levels[row], title, every.name(row))], []))
    with middle:
        ended = "halved it" if bool(every.reached[row]) else "did not halve it within the budget"
        n = int(every.facts["part_images"])
        own = in_words(Rate(round(float(every.accuracy[row]) * n), n))
        st.markdown(
            f"**{every.name(row)}**  \n{int(every.iterations[row])} iterations {ended}: "
            f"{own} of the images that it was made from are still read rightly.  \nFigures on the right: "
            f"{len(every.index):,} test images."
        )
        st.markdown("**Nearest neighbours**", help="By angle, over all pixels; on hover the cosine.")
        near = every.neighbours(row, rows, NEAREST)
        notes = [f"cosine {cosine:.2f}" for _, cosine in near]
        show_thumbnails(every, [other for other, _ in near], "near", notes)
        same = sum(every.source[other] == every.source[row] for other, _ in near)
        st.caption(f"{same} of {len(near)} from the same network.")
    with right:
        rates = {r: every.fooling(row, r) for r in every.readers}
        show_fooling(rates, "Fooling rate", "one-fooling", {**page.about, "perturbation": every.name(row)})


def show_effect(page: Opened, every: Universals, row: int) -> None:
    """The perturbation on images, as strong as one likes; computed now."""
    st.subheader("Its effect on images", anchor=False)
    page.offer_pictures()
    if page.dataset is None:
        return
    readers = [name for name in every.readers if f"{name}/weights" in page.bundle]
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        reader = choose(
            "selectbox",
            "Read by",
            "eye",
            readers,
            title=title_of,
            default=every.model(row) if every.model(row) in readers else None,
            width=190,
        )
        strength = choose_strength("1 is as it was made. The images are changed and read anew at every move.")
        count = choose("selectbox", "Images", "images", IMAGES, width=100)
        only = choose_class("Class", "of_class", page.spec.classes)
    show_corrections()
    test, classes = page.dataset.test, page.spec.classes
    index = every.index if only is None else every.index[test.labels[every.index] == only]
    delta = every.delta[row] * strength
    x, label = test.x(index), test.labels[index]
    began = time.perf_counter()
    clean, seen = universals.read(page.bundle, reader, x, delta)
    seconds = time.perf_counter() - began
    before, after = rate(clean == label), rate(seen == label)
    st.markdown(
        f"**{title_of(reader)}** reads {in_words(before)} rightly without it, {in_words(after)} with it "
        f"(strength {strength:g}, ℓ₂ {strength * float(every.norm_l2[row]):.2f})."
    )
    shown: list[effects.EffectTile] = []
    for place in in_turn(label)[:count]:
        image, name = int(index[place]), classes[int(label[place])]
        kind = effect(int(seen[place]), int(label[place]), int(clean[place]))
        told = f"With the perturbation; {title_of(reader)} reads {classes[int(seen[place])]}"
        shown.append(
            effects.EffectTile(
                name,
                kind,
                (
                    effects.picture(test.images[image], f"Test image {image}, {name}", "original"),
                    effects.picture(perturb(x[place], delta), told, f"with ×{strength:g}"),
                ),
                effects.reading(int(seen[place]), int(clean[place]), int(label[place]), classes),
            )
        )
    st.html(effects.key(tuple(kind for kind in Effect if any(tile.kind is kind for tile in shown))))
    st.html(effects.grid(shown))
    status_line("readings of this section", live=True, n=len(index), seconds=seconds)


def in_turn(label: Tensor) -> list[int]:
    """Places of images so that the classes take turns, and within a class in order."""
    seen: dict[int, int] = {}
    keys: list[tuple[int, int, int]] = []
    for place, name in enumerate(label.tolist()):
        keys.append((seen.setdefault(name, 0), name, place))
        seen[name] += 1
    return [place for _, _, place in sorted(keys)]
