"""Transfer: which network is fooled by what was made on which (michels2019, section 4.2 and Table 2)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st
import torch

from app.results import minimum, universals
from app.results.attacks import attack_words
from app.results.minimum import NAMES, UNIVERSAL, Minimal, Transferred
from app.ui import effects, notices, tiles
from app.ui.charts import show_chart
from app.ui.choose import choose, show_corrections
from app.ui.columns import columns
from app.ui.page import Opened, open_michels2019
from app.ui.saving import offer_chart
from app.ui.status import status_line
from core.attacks import perturb
from core.figures.style import Record, in_words, interval
from core.figures.transfer import Transfer, transfer_chart
from core.images import add_levels
from core.models import title_of
from core.outcomes import effect
from core.transfer import DENOMINATORS

INTRO = """
An attack was made on one network: **does another fall for it too?** Rows are the networks that images were
made on, columns those that read them. Click a cell, or a line of the table, to see its images.
"""
OVER = {"all": "All attacked images", "right": "Those read rightly before"}
EXAMPLES = (10, 20, 40)
# Pixels of title, legend and axis, which Streamlit counts into a chart's height.
AROUND = 150


def choose_attack(attacks: tuple[str, ...]) -> tuple[str, str]:
    """The attack, and what rates are counted over."""
    attack = choose(
        "segmented_control",
        "Attack",
        "by",
        attacks,
        title=NAMES.__getitem__,
        default=UNIVERSAL,
        help="CW aims at a random class, and only that counts. Boundary and DeepFool leave the true class. "
        "A universal perturbation is one change for all images.",
    )
    over = choose(
        "segmented_control",
        "Counted over",
        "over",
        list(OVER),
        title=OVER.__getitem__,
        help="  \n".join(f"**{OVER[name]}**: {words}." for name, words in DENOMINATORS.items())
        + "  \nThe paper's public code counts over all attacked images.",
    )
    return attack, over


def usual_pair(attacks: Mapping[str, Transferred]) -> Transfer:
    """The cell shown at first, the same under all attacks: where most is transferred from another network."""
    cells = attacks[UNIVERSAL].cells("all")
    apart = [
        cell
        for cell in cells
        if cell.source != cell.model
        and all(cell.source in transferred.sources for transferred in attacks.values())
    ]
    return max(apart or cells, key=lambda cell: cell.rate.value)


def choose_pair(transferred: Transferred, usual: Transfer) -> tuple[str, str]:
    """Source and reader, from the keyboard; a click sets the same two."""
    title = title_of
    source = choose(
        "selectbox", "Made on", "made", transferred.sources, title=title, default=usual.source, width=190
    )
    reader = choose(
        "selectbox", "Read by", "read", transferred.models, title=title, default=usual.model, width=190
    )
    return source, reader


def pick_cell(key: str) -> None:
    """Take over the cell that was clicked."""
    for chosen in st.session_state[key]["selection"].values():
        if chosen:
            st.session_state["made"] = chosen[0]["source"]
            st.session_state["read"] = chosen[0]["model"]


def pick_line(key: str, order: list[tuple[str, str]]) -> None:
    """Take over the line that was clicked."""
    if cells := st.session_state[key]["selection"]["cells"]:
        st.session_state["made"], st.session_state["read"] = order[cells[0][0]]


def show_matrix(page: Opened, cells: list[Transfer], attack: str, over: str, pair: tuple[str, str]) -> None:
    title = f"{NAMES[attack]}: fooling rate over {DENOMINATORS[over]}"
    chart = transfer_chart(cells, title, subtitle="in small print: 95 % interval", chosen=pair)
    chosen = next((cell for cell in cells if (cell.source, cell.model) == pair), None)
    words = "; ".join(f"{c.source_title} to {c.model_title} {in_words(c.rate)}" for c in cells)
    shown = chart.properties(height=chart.height + AROUND)
    show_chart(shown, f"{title}. {words}.", "transfer-matrix", partial(pick_cell, "transfer-matrix"))
    if chosen:
        st.markdown(
            f"Made on **{chosen.source_title}**, read by **{chosen.model_title}**: "
            f"{in_words(chosen.rate)} fooled."
        )
    file = f"{page.spec.name}-transfer-{attack}-{over}"
    offer_chart(chart, f"{title}. {words}.", records(page, cells, attack, over), file)


def records(page: Opened, cells: list[Transfer], attack: str, over: str) -> list[Record]:
    """The matrix as rows of a file."""
    return [{**page.about, "attack": NAMES[attack], "over": over, **cell.record()} for cell in cells]


def show_table(page: Opened, cells: list[Transfer], attack: str, over: str, pair: tuple[str, str]) -> None:
    """The same numbers as a table that can be sorted, with the paper's beside."""
    published = {
        (row["source"], row["model"]): row["published"]
        for row in minimum.published(page.bundle, "2")
        if row["attack"] == attack and row["source"] and row["of"] == over
    }
    rows: list[dict[str, Any]] = []
    for cell in cells:
        row: dict[str, Any] = {
            "": "▶" if (cell.source, cell.model) == pair else "",
            "made on": cell.source_title,
            "read by": cell.model_title,
            "fooled": 100 * cell.rate.value,
            "95 % interval": interval(cell.rate, 1),
            "n": cell.rate.n,
        }
        if published:
            row["published"] = published.get((cell.source, cell.model))
        rows.append(row)
    order = [(cell.source, cell.model) for cell in cells]
    share = st.column_config.NumberColumn(format="%.1f %%")
    st.dataframe(
        rows,
        key="transfer-table",
        hide_index=True,
        height=min(38 + 35 * len(rows), 420),
        placeholder="–",
        selection_mode="single-cell",
        on_select=partial(pick_line, "transfer-table", order),
        column_config={
            "": st.column_config.TextColumn(width=24),
            "fooled": share,
            "published": share,
        },
    )
    st.caption("95 % intervals by Wilson. Click a head to sort, a line to see its images.")


def show_examples(page: Opened, transferred: Transferred, attack: str, pair: tuple[str, str]) -> None:
    """Images of the chosen cell."""
    source, model = pair
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        st.subheader(f"Made on {title_of(source)}, read by {title_of(model)}", anchor=False)
        count = choose("selectbox", "Examples", "each", EXAMPLES, width=100)
    show_corrections()
    page.offer_pictures()
    if attack == UNIVERSAL:
        shown = universal_tiles(page, source, model, count)
    else:
        shown = minimal_tiles(page, transferred, minimum.minimal(page.bundle, source, attack), model, count)
    if not shown:
        st.info(
            "No perturbation of this pair was kept: none was found that moved an image."
            if attack != UNIVERSAL
            else "With your own copy of the images, the app shows here what each network reads.",
            icon=":material/info:",
        )
        return
    st.html(effects.key(tuple(dict.fromkeys(tile.kind for tile in sorted(shown, key=lambda t: t.kind)))))
    st.html(effects.grid(shown))


def minimal_tiles(
    page: Opened, transferred: Transferred, made: Minimal, model: str, count: int
) -> list[effects.EffectTile]:
    """Images whose perturbation is kept, one of each class."""
    seen_by_model, clean_by_model = transferred.prediction(made.model, model), transferred.clean(model)
    classes, shown = page.spec.classes, []
    for row in made.kept_rows.tolist()[:count]:
        levels = made.levels(row)
        assert levels is not None
        label, seen = int(made.label[row]), int(seen_by_model[row])
        clean = int(clean_by_model[row])
        target = None if made.target is None else int(made.target[row])
        pictures = [effects.change(levels, f"What {NAMES[made.attack]} changed on {title_of(made.model)}")]
        if page.dataset:
            image = page.dataset.test.images[int(made.index[row])]
            attacked = add_levels(image, levels)
            own = classes[int(made.prediction[row])]
            readings = f"{title_of(made.model)} reads {own}, {title_of(model)} {classes[seen]}"
            pictures.insert(0, effects.picture(image, f"The original image, {classes[label]}", "original"))
            pictures.append(effects.picture(attacked, f"The attacked image; {readings}", "attacked"))
        aim = f"{classes[label]} → {'any other' if target is None else classes[target]}"
        kind = effect(seen, label, clean, target)
        shown.append(
            effects.EffectTile(
                aim,
                kind,
                tuple(pictures),
                effects.reading(seen, clean, label, classes),
                f"ℓ₂ {float(made.norm_l2[row]):.2f}",
            )
        )
    return shown


def universal_tiles(page: Opened, source: str, model: str, count: int) -> list[effects.EffectTile]:
    """Test images with the source's universal perturbation of median length, read live."""
    if page.dataset is None:
        return []
    every = universals.collect(page.bundle)
    row = every.median_row(source)
    test, classes = page.dataset.test, page.spec.classes
    index = first_of_each(test.labels, count)
    x, delta = test.x(index), every.delta[row]
    clean, seen = universals.read(page.bundle, model, x, delta)
    shown: list[effects.EffectTile] = []
    for place, image in enumerate(index.tolist()):
        label, before, after = int(test.labels[image]), int(clean[place]), int(seen[place])
        pictures = (
            effects.picture(test.images[image], f"The original image, {classes[label]}", "original"),
            effects.change(every.levels[row], every.name(row)),
            effects.picture(
                perturb(x[place], delta),
                f"With the perturbation; {title_of(model)} reads {classes[after]}",
                "with it",
            ),
        )
        shown.append(
            effects.EffectTile(
                classes[label],
                effect(after, label, before),
                pictures,
                effects.reading(after, before, label, classes),
                f"ℓ₂ {float(every.norm_l2[row]):.2f}",
            )
        )
    return shown


def first_of_each(labels: torch.Tensor, count: int) -> torch.Tensor:
    """The first test images of the classes in turn, (count,)."""
    of_class = [torch.nonzero(labels == label).flatten() for label in labels.unique()]
    rows = min(len(members) for members in of_class)
    return torch.stack([members[:rows] for members in of_class], 1).flatten()[:count]


def main() -> None:
    st.html(tiles.STYLE)
    page = open_michels2019("Transfer", INTRO, needs=("transfer/universal",), what="transferred attacks")
    attacks = minimum.attacks_of(page.bundle)
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        attack, over = choose_attack(attacks)
    by_attack = {name: minimum.transferred(page.bundle, name) for name in attacks}
    transferred = by_attack[attack]
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        pair = choose_pair(transferred, usual_pair(by_attack))
    show_corrections()
    cells = transferred.cells(over)
    left, right = columns([5, 6], "matrix", least=24)
    with left:
        show_matrix(page, cells, attack, over, pair)
    with right:
        show_table(page, cells, attack, over, pair)
    show_examples(page, transferred, attack, pair)
    if attack == UNIVERSAL:
        how = "mean count over the universal perturbations"
    else:
        facts = minimum.minimal(page.bundle, transferred.sources[0], attack).facts
        how = attack_words(facts, targeted=transferred.target is not None, with_beta=False)
    status_line(how, *page.origin, live=False, n=len(transferred.label), profile=page.bundle.profile)


with notices.explained():
    main()
