"""What a paper consists of, for those who show or export it."""

from collections.abc import Callable
from dataclasses import dataclass

from core.claims import Claim
from core.papers.drawing import Drawing
from core.papers.stored import Results


@dataclass(frozen=True)
class Table:
    """A table of published numbers.

    Attributes:
        number: "1".
        title: What its numbers are.
        note: How ours were got, where that is not plain.
    """

    number: str
    title: str
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure.

    Attributes:
        number: "1".
        title: What it shows.
        note: What it is good for, or how ours differs.
        draw: From stored results to the drawing. Raises NotDrawable: with the reason.
        shows: What of results is in it, as (data set, metric, attack), for warnings.
    """

    number: str
    title: str
    note: str
    draw: Callable[[Results], Drawing]
    shows: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Paper:
    """A paper.

    Attributes:
        name: Short name, as in `assets/papers`.
        cite: Authors, title, place.
        datasets: Names of its data sets, in its order.
        models: Names of the models that its tables compare, in its order.
        tables, figures: In order.
        claims: About the order of results.
    """

    name: str
    cite: str
    datasets: tuple[str, ...]
    models: tuple[str, ...]
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    claims: tuple[Claim, ...]
