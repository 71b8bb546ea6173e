"""Groups of universal perturbations: how far apart, and what those that are picked out have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
import torch
from torch import Tensor

from app.results import universals
from app.results.universals import SPACES, Grid, Universals
from app.ui import pictures
from app.ui.charts import show_chart
from app.ui.choose import choose_page, choose_whether
from app.ui.columns import columns
from app.ui.page import Opened
from app.ui.saving import offer_chart
from app.ui.universal import picks
from app.ui.universal.one import perturbation_picture, show_fooling
from app.ui.universal.settings import Setting
from app.ui.universal.thumbnails import show_thumbnails
from core.figures.coherence import Estimate, estimate_chart
from core.figures.style import in_words, p_text, percent
from core.metrics import Rate, rate
from core.models import title_of
from precompute.store import Bundle

PER_PAGE = 60
ANY = "Any"


def separation_rows(
    bundle: Bundle, grid: Grid, setting: Setting, computed: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """How far groups are apart in the pixels and in the two planes shown.

    Args:
        computed: Rows of the planes that are not stored, by space.
    """
    wanted = {"pixels": (None, None)} | {space: (setting.of(space), setting.seed) for space in SPACES}
    stored = [
        row
        for row in universals.separations(bundle, grid)
        if row["space"] not in computed and (row["setting"], row["seed"]) == wanted[row["space"]]
    ]
    rows = stored + [{**row, "space": space} for space, made in computed.items() for row in made]
    order = list(wanted)
    return sorted(rows, key=lambda row: order.index(row["space"]))


def show_separation(page: Opened, rows: list[dict[str, Any]]) -> None:
    """Silhouettes as a chart, purity in words.

    Args:
        rows: From `separation_rows`.
    """
    spaces = {"pixels": "pixels", **SPACES}
    silhouettes = [row for row in rows if row["metric"] == "silhouette"]
    estimates = [
        Estimate(
            title_of(row["model"]) if row["model"] else "between networks",
            spaces[row["space"]],
            row["value"],
            row["low"],
            row["high"],
            silhouette_words(row),
        )
        for row in silhouettes
    ]
    if not estimates:
        st.caption("There is one group alone, so that nothing can be apart.")
        return
    low = min(-0.2, *(e.low for e in estimates))
    chart = estimate_chart(
        estimates, "How far groups are apart", "silhouette", (low, 1), row_height=13, key_columns=0
    )
    words = "; ".join(f"{e.model}, {e.row}: {e.words}" for e in estimates)
    show_chart(chart, f"Silhouettes with their intervals. {words}.", "separation")
    offer_chart(chart, words, ({**page.about, **row} for row in silhouettes), f"{page.spec.name}-separation")
    st.caption("Grey: networks from each other. In colour: parts of the test set within one network.")
    lines: list[str] = []
    for space in spaces:
        by_model = [r for r in rows if (r["by"], r["metric"], r["space"]) == ("model", "purity", space)]
        lines += [f"{spaces[space]} {in_words(Rate(int(r['k']), int(r['n'])))}" for r in by_model]
    chance = next((r["chance"] for r in rows if (r["by"], r["metric"]) == ("model", "purity")), None)
    if lines and chance is not None:
        st.markdown(
            f"**Nearest neighbour from the same network**: {'; '.join(lines)}. By chance {percent(chance)}.",
            help="Silhouette: 1 where groups are far apart, about 0 where they lie in each other, below "
            "where points are nearer to others than to their own. Grey: networks from each other; in colour: "
            "parts of the test set within one network. Intervals: 95 %, over parts drawn anew; p by "
            "shuffling parts.",
        )


def silhouette_words(row: Mapping[str, Any]) -> str:
    """A silhouette with its interval and test."""
    spread = f"{row['low']:.2f} to {row['high']:.2f}"
    return f"{row['value']:.2f} ({spread}), {p_text(row['p_value'])}, n = {row['n']:.0f}"


def pick_by_name(every: Universals, grid: Grid, picked: Sequence[int]) -> bool:
    """Pick out a network's or a part's perturbations, from the keyboard; isolate and clear.

    Returns: Whether only those that are picked out are to be shown.
    """
    networks, count = [ANY, *grid.models], int(every.part.max()) + 1
    test_parts = [ANY, *map(universals.part_name, range(count))]
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        network = st.selectbox(
            "Network",
            networks,
            format_func=lambda name: ANY if name == ANY else title_of(name),
            key="pick_network",
            width=170,
        )
        part = st.selectbox(
            "Part",
            test_parts,
            key="pick_part",
            width=120,
        )
        wanted = torch.ones(len(every), dtype=torch.bool)
        if network != ANY:
            wanted &= every.source == every.sources.index(network)
        if part != ANY:
            wanted &= every.part == test_parts.index(part) - 1
        rows = torch.nonzero(wanted).flatten().tolist()
        st.button(
            "Pick out",
            icon=":material/filter_alt:",
            key="pick-out",
            on_click=picks.pick_out,
            args=(rows if len(rows) < len(every) else [], len(every)),
            help="Or draw a line around points; with Shift, to add to those picked out.",
        )
        isolated = choose_whether(
            "Isolate", "isolate", disabled=not picked, help="Show only those that are picked out."
        )
        st.button(
            "Clear",
            icon=":material/close:",
            type="tertiary",
            key="clear",
            on_click=picks.pick_out,
            args=([], len(every)),
            disabled=not picked,
        )
    return isolated and bool(picked)


def show_picked(page: Opened, every: Universals, rows: Tensor, picked: Sequence[int]) -> None:
    """What those that are picked out have in common; all where none is.

    Args:
        rows: Of the collection, that are shown.
    """
    chosen = set(picked)
    shown = torch.tensor([row for row in rows.tolist() if not chosen or row in chosen], dtype=torch.long)
    title = f"{len(shown)} picked out" if picked else f"All {len(shown)}"
    st.subheader(f"{title}: what they have in common", anchor=False)
    if not len(shown):
        st.info(
            "None of those that are picked out is shown here. Show all networks, or clear.",
            icon=":material/info:",
        )
        return
    left, middle, right = columns([2, 3, 4], "picked", least=12)
    with left:
        levels = every.levels[shown].float().mean(0)
        st.html(pictures.row([perturbation_picture(levels, "Their mean", f"mean of {len(shown)}")], []))
    with middle:
        show_counts(every, shown)
    with right:
        rates = {r: every.mean_fooling(shown, r) for r in every.readers}
        about = {**page.about, "perturbations": len(shown)}
        show_fooling(rates, "Mean fooling rate", "picked-fooling", about)
    pages = max(1, -(-len(shown) // PER_PAGE))
    number = choose_page("sheet", pages) if pages > 1 else 1
    show_thumbnails(every, shown.tolist()[(number - 1) * PER_PAGE : number * PER_PAGE], "sheet")


def show_counts(every: Universals, shown: Tensor) -> None:
    """How many of which network, how long, how much alike."""
    length = every.mean_length(shown)
    spread = f" ({max(length.low, 0):.2f}–{length.high:.2f}, {length.n} parts)" if length.n > 1 else ""
    reached = rate(every.reached[shown])
    lines = [
        f"**Mean length** ℓ₂ {length.value:.2f}{spread}",
        f"**Halved accuracy** {in_words(reached)}",
        f"**Alignment** {every.alignment(shown):.2f}",
    ]
    st.markdown(
        "  \n".join(lines),
        help="Length: 95 % interval over the parts' means, as those from one part are not independent. "
        "Halved: fewer than half of the images that it was made from are read rightly. Alignment: length of "
        "the mean direction, 1 where all are the same, near 0 where they cancel.",
    )
    table = ["| made on | n | mean ℓ₂ |", "|---|---|---|"]
    for place, model in enumerate(every.sources):
        of = shown[every.source[shown] == place]
        if len(of):
            table.append(f"| {title_of(model)} | {len(of)} | {float(every.norm_l2[of].mean()):.2f} |")
    st.markdown("\n".join(table))
