"""Attacked images with what the networks rebuild of them, filtered and paged (qin2020, Figs. 5 and 11)."""

from dataclasses import dataclass
from functools import partial
from random import Random

import streamlit as st

from app.results.attacks import Attacked, attack_words
from app.ui import health, notices, tiles
from app.ui.charts import offer_csv
from app.ui.choices import choose_class
from app.ui.choose import choose, choose_number, choose_page, choose_some, show_corrections
from app.ui.outcomes import TITLES
from app.ui.page import Opened, open_page
from app.ui.status import status_line
from core.figures.style import Record, in_words
from core.metrics import Rate
from core.models import title_of
from core.outcomes import WORKED, Outcome

INTRO = """
Attacked images beside what the network **rebuilds** of them. Where an attack goes undetected, look closely:
does the picture still look like what it was, or has it come to *resemble the class it is taken for*?
"""
EVERY = "All"
BY_IMAGE, RANDOM = "By image", "Random sample"
PER_PAGE = (12, 24, 48, 96)


@dataclass(frozen=True)
class Choice:
    """What is asked for; classes and outcome are None for any."""

    models: tuple[str, ...]
    source: int | None
    target: int | None
    outcome: Outcome | None
    order: str
    seed: int
    per_page: int
    show: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """One attacked image: a row of an attack.

    Attributes:
        place: Its label, image and target, which order the gallery.
    """

    attack: Attacked
    row: int
    outcome: Outcome
    place: tuple[int, int, int]


def first_page() -> None:
    """Other filters, other images: start from the front."""
    st.session_state["page"] = 1


def choose_what(page: Opened) -> tuple[tuple[str, ...], Outcome | None]:
    titles = [EVERY, *(title_of(model) for model in page.models)]
    outcomes = [EVERY, *TITLES.values()]
    title = choose("segmented_control", "Model", "models", titles, on_change=first_page)
    outcome = choose(
        "segmented_control",
        "Outcome",
        "outcome",
        outcomes,
        on_change=first_page,
        help="Undetected and flagged attacks both worked: the network reads the target. The others did not.",
    )
    models = tuple(model for model in page.models if title in (EVERY, title_of(model)))
    return models, next((kind for kind, words in TITLES.items() if words == outcome), None)


def choose_filters(page: Opened) -> Choice:
    """The filters, in two rows."""
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        models, outcome = choose_what(page)
        show = choose_some(
            "Pictures",
            "pictures",
            tiles.KINDS,
            default=(tiles.ORIGINAL, tiles.ATTACKED, tiles.REBUILT),
            disabled=page.dataset is None,
        )
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        source = choose_class("Source", "from", page.spec.classes, first_page)
        target = choose_class("Target", "to", page.spec.classes, first_page)
        order = choose(
            "segmented_control",
            "Order",
            "order",
            [BY_IMAGE, RANDOM],
            on_change=first_page,
            help="By image: all targets of one image in turn. Random sample: drawn by the seed, not picked.",
        )
        seed = choose_number(
            "number_input",
            "Seed",
            "draw",
            0,
            9999,
            default=0,
            on_change=first_page,
            width=120,
            disabled=order != RANDOM,
        )
        per_page = choose(
            "selectbox",
            "A page",
            "per",
            PER_PAGE,
            default=24,
            what="Number a page",
            on_change=first_page,
            width=90,
        )
    shown = tuple(show) if page.dataset else (tiles.PERTURBATION,)
    return Choice(models, source, target, outcome, order, seed, per_page, shown)


def candidates(page: Opened, choice: Choice) -> list[Item]:
    """Everything that matches but for the outcome, in the order asked for."""
    items: list[Item] = []
    for model in choice.models:
        attack = page.attacked(model)
        target = attack.label if attack.target is None else attack.target
        places = zip(attack.label.tolist(), attack.index.tolist(), target.tolist(), strict=True)
        outcomes = attack.outcomes(page.threshold(model))
        for row, (place, outcome) in enumerate(zip(places, outcomes, strict=True)):
            if choice.source in (None, place[0]) and choice.target in (None, place[2]):
                items.append(Item(attack, row, outcome, place))
    items.sort(key=lambda item: item.place)  # stable: of equal places, models stay in their order
    if choice.order == RANDOM:
        Random(choice.seed).shuffle(items)
    return items


def with_pictures(items: list[Item]) -> list[Item]:
    """Those whose perturbation was kept."""
    kept = {
        attack.model: set(attack.pictured(range(len(attack.label))))
        for attack in {item.attack.model: item.attack for item in items}.values()
    }
    return [item for item in items if item.row in kept[item.attack.model]]


def count_words(items: list[Item]) -> str:
    """How the attacks that match ended."""
    worked = sum(item.outcome in WORKED for item in items)
    missed = sum(item.outcome is Outcome.UNDETECTED for item in items)
    return (
        f"Of **{len(items):,}** attacks, {in_words(Rate(worked, len(items)))} worked and "
        f"{in_words(Rate(missed, len(items)))} went undetected."
    )


def page_tiles(page: Opened, items: list[Item]) -> list[tiles.Tile]:
    """The tiles of one page; made model by model, so that a model rebuilds its images in one batch."""
    made: dict[tuple[str, int], tiles.Tile] = {}
    for attack in {item.attack.model: item.attack for item in items}.values():
        rows = [item.row for item in items if item.attack.model == attack.model]
        threshold = page.threshold(attack.model)
        of_model = tiles.make_tiles(page.bundle, page.spec, page.dataset, attack, rows, threshold)
        made |= {(attack.model, row): tile for row, tile in zip(rows, of_model, strict=True)}
    return [made[item.attack.model, item.row] for item in items]


def records(page: Opened, items: list[Item]) -> list[Record]:
    """The rows behind the tiles, for a file."""
    classes, rows = page.spec.classes, []
    thresholds = {model: page.threshold(model) for model in page.models}
    for item in items:
        label, image, target = item.place
        rows.append(
            {
                "model": item.attack.title,
                "image": image,
                "source": classes[label],
                "target": classes[target],
                "prediction": classes[int(item.attack.prediction[item.row])],
                "distance": float(item.attack.score[item.row]),
                "threshold": thresholds[item.attack.model],
                "fpr": page.fpr,
                "outcome": item.outcome.value,
            }
        )
    return rows


def main() -> None:
    st.html(tiles.STYLE)
    page = open_page("Gallery", INTRO, needs="matrix")
    choice = choose_filters(page)
    show_corrections()
    page.offer_pictures()
    every = candidates(page, choice)
    if choice.source is not None and choice.source == choice.target:
        st.info(
            "Source and target are the same class, so there is nothing to attack.", icon=":material/info:"
        )
        st.stop()
    items = [item for item in every if choice.outcome in (None, item.outcome)]
    pictured = with_pictures(items)
    pages = max(1, -(-len(pictured) // choice.per_page))
    words, turner = st.columns([3, 2], vertical_alignment="center")
    with words:
        st.markdown(count_words(every))
        attacked = page.attacked(choice.models[0]).attack
        health.note(page.bundle, choice.models, ("success_rate", "undetected_rate"), attacked)
    with turner.container(horizontal_alignment="right"):
        number = choose_page("page", pages)
    show_corrections()
    st.html(tiles.colour_key())
    if len(pictured) < len(items):
        st.caption(tiles.kept_words(len(pictured), len(items)))
    shown = pictured[(number - 1) * choice.per_page : number * choice.per_page]
    if shown:
        several = len(choice.models)
        # One line for one image and target, as long as models take turns.
        columns = several if several > 1 and choice.order == BY_IMAGE and choice.outcome is None else None
        st.html(tiles.grid(page_tiles(page, shown), choice.show, name_models=several > 1, columns=columns))
    elif not items:
        st.info("No attack ended like this. Choose another outcome, or more classes.", icon=":material/info:")
    offer_csv(
        f"All {len(items):,} as CSV", partial(records, page, items), f"{page.spec.name}-gallery", page.about
    )
    status_line(
        attack_words(page.attacked(page.models[0]).facts, targeted=True, with_beta=False),
        f"false-positive rate {100 * page.fpr:g} %",
        *page.origin,
        live=False,
        n=len(every),
        profile=page.bundle.profile,
    )


with notices.explained():
    main()
