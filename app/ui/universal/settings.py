"""The setting of the two embeddings, and its sliders."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app.results.universals import Grid
from app.ui.choose import Number, choose, choose_number, choose_whether


@dataclass(frozen=True)
class Setting:
    """Of the two embeddings.

    Attributes:
        perplexity: Of t-SNE.
        neighbours: Of UMAP.
        seed: Of both.
    """

    perplexity: float
    neighbours: int
    seed: int

    def of(self, space: str) -> float:
        """The perplexity, or the number of neighbours."""
        return self.perplexity if space == "tsne" else self.neighbours

    def words(self, space: str) -> str:
        """In words: "perplexity 30, seed 0"."""
        name = "perplexity" if space == "tsne" else "neighbours"
        return f"{name} {self.of(space):g}, seed {self.seed}"


def choose_setting(grid: Grid, count: int) -> Setting:
    """Sliders: through the stored settings, or through all with which something is computed."""
    free = st.session_state.get("free", st.query_params.get("free") == "true")
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        if free:
            most = max(min(count - 1, 100), 2)
            chosen = Setting(
                _number("any_perplexity", "t-SNE: perplexity", most, min(30, most)),
                _number("any_neighbours", "UMAP: neighbours", most, min(15, most)),
                _number("any_seed", "Seed", 99, 0, low=0),
            )
        else:
            chosen = Setting(
                float(_stored("perplexity", "t-SNE: perplexity", grid.settings("tsne"), 30)),
                int(_stored("neighbours", "UMAP: neighbours", grid.settings("umap"), 15)),
                _stored("draw_seed", "Seed", grid.seeds, 0),
            )
        choose_whether(
            "Any setting",
            "free",
            help="Off: settings that were computed beforehand. On: any; what is not stored is computed now, "
            "which takes some seconds and can be stopped.",
        )
    return chosen


def _stored(key: str, label: str, values: Sequence[Number], usual: float) -> Number:
    if len(values) < 2:
        st.caption(f"{label} {values[0]:g}", width=140)
        return values[0]
    nearest = min(values, key=lambda value: abs(value - usual))
    return choose(
        "select_slider", label, key, values, title=lambda value: f"{value:g}", default=nearest, width=190
    )


def _number(key: str, label: str, most: int, usual: int, low: int = 2) -> int:
    return choose_number("slider", label, key, low, most, default=usual, width=190)
