"""Which class is taken for which: success of targeted attacks for every pair (qin2020, Fig. 4)."""

from functools import partial

import streamlit as st

from app.results.attacks import Attacked, attack_words
from app.ui import health, notices, tiles
from app.ui.charts import offer_csv, show_chart
from app.ui.choices import usual_pair
from app.ui.choose import choose, show_corrections
from app.ui.page import Opened, open_page
from app.ui.status import status_line
from core.data import SPECS
from core.figures.matrix import MANY, matrix_chart
from core.figures.pairs import Cell, confusion_order, pair_table, spread, worst_pairs
from core.figures.style import in_words, interval, percent
from core.metrics import rate

INTRO = """
Every image was attacked towards every other class. Do attacks succeed **between classes that look alike**,
where people make mistakes too, or anywhere? Large boxes are pairs that are easily confused. Click a box to
see its images.
"""
SUCCESS, UNDETECTED = "Success rate", "Undetected rate"
MEASURES = {
    SUCCESS: "Share of all attacked images that the network reads as the target.",
    UNDETECTED: "Share of all attacked images that are read as the target *and* that the detector lets pass.",
}
# Pairs to begin with where it is not 3 and 8: a shirt and a T-shirt, a cat and a dog.
USUAL = {SPECS["fashion_mnist"].classes: (6, 0), SPECS["cifar10"].classes: (3, 5)}
STYLES = {"Boxes": "boxes", "Colours": "colour"}
WORST = 10


def choose_view(many: bool) -> tuple[str, str]:
    """Measure and style; the matrix of many classes has one style."""
    measure = choose(
        "segmented_control",
        "Measure",
        "measure",
        list(MEASURES),
        help="  \n".join(f"**{name}**: {words}" for name, words in MEASURES.items()),
    )
    if many:
        return measure, "colour"
    style = choose(
        "segmented_control",
        "Drawn as",
        "style",
        list(STYLES),
        help="Boxes have an area in proportion to the rate; a full cell is 100 %.",
    )
    return measure, STYLES[style]


def choose_pair(classes: tuple[str, ...]) -> tuple[int, int]:
    """Source and target, from the keyboard; a click on a box sets the same two."""
    numbers = range(len(classes))
    usual_source, usual_target = USUAL.get(classes, usual_pair(classes))
    source = choose(
        "selectbox",
        "Source",
        "source",
        numbers,
        title=classes.__getitem__,
        default=usual_source,
        width=170,
        help="True class of the images. Or click a box.",
    )
    others = [number for number in numbers if number != source]
    target = choose(
        "selectbox",
        "Target",
        "goal",
        others,
        title=classes.__getitem__,
        default=usual_target if usual_target != source else None,
        width=170,
        help="Class that the attack aims at.",
    )
    return source, target


def pick(key: str) -> None:
    """Take over the pair that was clicked in a matrix."""
    for chosen in st.session_state[key]["selection"].values():
        if chosen:
            st.session_state["source"] = int(chosen[0]["source"])
            st.session_state["goal"] = int(chosen[0]["target"])


def show_matrix(
    page: Opened, attack: Attacked, measure: str, style: str, pair: tuple[int, int], order: list[int] | None
) -> list[Cell]:
    """One model's matrix with its summary, many classes in that order. Returns its cells."""
    classes, threshold = page.spec.classes, page.threshold(attack.model)
    assert attack.target is not None
    undetected = attack.undetected(threshold)
    hits = attack.worked if measure == SUCCESS else undetected
    cells = pair_table(attack.label, attack.target, hits, classes)
    wide = max(len(name) for name in classes) > 2
    key = f"matrix-{attack.model}"
    chart = matrix_chart(
        cells,
        classes,
        attack.title,
        measure,
        style="boxes" if style == "boxes" else "colour",
        order=order,
        chosen=pair,
        height=(410 if wide else 380) + (45 if style == "colour" else 0),
    )
    easiest = max(cells, key=lambda cell: cell.rate.value)
    overall = rate(hits)
    words = (
        f"{measure} of attacks on {attack.title} for every pair of classes: {in_words(overall)} overall, "
        f"highest from {easiest.source_name} to {easiest.target_name} with {percent(easiest.rate.value)}."
    )
    show_chart(chart, words, key, partial(pick, key))
    far = spread(cells)
    name = attack.attack
    marks = {m: health.mark(page.bundle, attack.model, m, name) for m in ("success_rate", "undetected_rate")}
    lines = (
        f"**Success** {in_words(attack.success_rate())}{marks['success_rate']}",
        f"**Undetected** {in_words(rate(undetected))}, θ = {threshold:.2f}{marks['undetected_rate']}",
        f"**Spread** {100 * far.observed:.0f} points ({100 * far.chance:.0f} by chance)",
    )
    beta = attack.beta
    st.markdown(
        "  \n".join(lines),
        help=f"Over all {len(attack.label):,} attacks"
        + (f", with β = {beta:g}, the best on other images. " if beta is not None else ". ")
        + "In brackets: 95 % intervals (Wilson). Spread is the standard deviation of the "
        f"{measure.lower()} over the {far.cells} pairs. If all pairs were equally easy, it would still be "
        f"about {100 * far.chance:.0f} points with {easiest.rate.n} images a pair.",
    )
    return cells


def show_worst(cells: list[Cell], measure: str) -> None:
    """The pairs with the highest rates, which nobody finds among thousands of cells by eye."""
    st.dataframe(
        [
            {
                "Source → target": f"{cell.source_name} → {cell.target_name}",
                measure: f"{percent(cell.rate.value)} ({cell.rate.k} of {cell.rate.n})",
                "95 % interval": interval(cell.rate),
            }
            for cell in worst_pairs(cells, WORST)
        ],
        hide_index=True,
    )


def show_pair(page: Opened, attacks: list[Attacked], pair: tuple[int, int]) -> None:
    """The images of one pair under every model."""
    classes = page.spec.classes
    source, target = (classes[number] for number in pair)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.subheader(f"{source} → {target}", anchor=False, width="content")
        st.html(tiles.colour_key(), width="stretch")
    rows_of: list[dict[int, int]] = []
    for attack in attacks:
        assert attack.target is not None
        rows = ((attack.label == pair[0]) & (attack.target == pair[1])).nonzero().flatten().tolist()
        rows_of.append({int(attack.index[row]): row for row in rows})
    common = [image for image in rows_of[0] if all(image in rows for rows in rows_of)]
    if not common:
        st.info("No image of this pair was attacked on every model.", icon=":material/info:")
        return
    columns: dict[str, list[tiles.Tile]] = {}
    notes: dict[str, str] = {}
    shown = [
        image
        for image in common
        if all(attack.pictured([rows[image]]) for attack, rows in zip(attacks, rows_of, strict=True))
    ]
    for attack, rows in zip(attacks, rows_of, strict=True):
        chosen = [rows[image] for image in common]
        threshold = page.threshold(attack.model)
        columns[attack.title] = tiles.make_tiles(
            page.bundle, page.spec, page.dataset, attack, [rows[image] for image in shown], threshold
        )
        worked = rate(attack.worked[chosen])
        missed = rate(attack.undetected(threshold)[chosen])
        notes[attack.title] = f"{worked.k} of {worked.n} worked, {missed.k} undetected"
        warned = health.failed_words(
            check
            for metric in ("success_rate", "undetected_rate")
            for check in health.touching(page.bundle, attack.model, metric, attack.attack)
        )
        notes[attack.title] += f" ⚠ {warned}" if warned else ""
    st.html(tiles.comparison(columns, notes))
    if len(shown) < len(common):
        st.caption(tiles.kept_words(len(shown), len(common)))
    with st.container(horizontal=True, gap="medium"):
        st.page_link(
            "views/gallery.py",
            label=f"{source} → {target} in the gallery",
            icon=":material/photo_library:",
            query_params={"from": source, "to": target},
        )
        st.page_link(
            "views/live_attack.py",
            label="Attack one of these live",
            icon=":material/bolt:",
            query_params={"image": str(common[0]), "target": target},
        )


def main() -> None:
    st.html(tiles.STYLE)
    page = open_page("Source and target", INTRO, needs="matrix")
    many = page.spec.n_classes > MANY
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        measure, style = choose_view(many)
        pair = choose_pair(page.spec.classes)
    show_corrections()
    attacks = [page.attacked(model) for model in page.models]
    records = []
    order: list[int] | None = None
    for attack, column in zip(attacks, st.columns(len(attacks), gap="medium"), strict=True):
        with column:
            cells = show_matrix(page, attack, measure, style, pair, order)
            if many:
                order = order or confusion_order(cells, page.spec.n_classes)
                show_worst(cells, measure)
        threshold = {"model": attack.title, "fpr": page.fpr, "threshold": page.threshold(attack.model)}
        records += [{"measure": measure, **threshold, **cell.record()} for cell in cells]
    if many:
        st.caption(
            f"All maps have the order of classes that fits {attacks[0].title}. The wheel enlarges a map, "
            "dragging moves it, two clicks show all of it again."
        )
    page.offer_pictures()
    show_pair(page, attacks, pair)
    offer_csv(f"{measure}s (CSV)", lambda: records, f"{page.spec.name}-matrix", page.about)
    status_line(
        attack_words(attacks[0].facts, targeted=True, with_beta=False),
        f"false-positive rate {100 * page.fpr:g} %",
        *page.origin,
        live=False,
        n=len(attacks[0].label),
        profile=page.bundle.profile,
    )


with notices.explained():
    main()
