"""What a paper consists of, for those who build, show or export it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from precompute.papers.claims import Claim
from precompute.papers.drawing import Drawing
from precompute.papers.stored import Results, StoredBundle
from precompute.steps.job import StepFunction
from precompute.steps.step import Step

PUBLISHED = Path(__file__).parents[2] / "assets" / "papers"


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


def everything(_: Step) -> bool:
    """What ships of a paper whose artifacts hold nothing that may not."""
    return True


@dataclass(frozen=True)
class Paper:
    """A paper: one folder beside this file, and its numbers in `assets/papers`.

    Attributes:
        name: Short name: first author and year.
        cite: Authors, title, place.
        datasets: Names of the data sets that it reports, in its order.
        models: Names of the models that its tables compare, in its order.
        builds: Names of the data sets that its experiment is for: its own and, to be at hand at once, those
            that ship with their pictures.
        experiment: From one of these and a profile to the named steps of a bundle. The one called `results`
            makes the tables `rates` and whatever claims are tested on.
        results: The name of that step.
        functions: Step functions of its own, by name; others are in `precompute.steps.table`.
        ships: Whether the artifact of a step may ship and should.
        tables, figures: In order.
        claims: About the order of results.
        published: The folder of the file `{name}.json` with its numbers, see `precompute.papers.numbers`.
    """

    name: str
    cite: str
    datasets: tuple[str, ...]
    models: tuple[str, ...]
    builds: tuple[str, ...]
    experiment: Callable[[str, str], Sequence[Step]]
    results: str = "results"
    functions: Mapping[str, StepFunction] = field(default_factory=dict[str, StepFunction])
    ships: Callable[[Step], bool] = everything
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    claims: tuple[Claim, ...] = ()
    published: Path = PUBLISHED

    def over(self, bundles: Iterable[StoredBundle]) -> Results:
        """The results that its bundles hold, one a data set."""
        return Results(bundles, self.results)

    def shipped_names(self, dataset: str, profile: str) -> list[str]:
        """Names of the artifacts of a bundle that ship."""
        return [step.name for step in self.experiment(dataset, profile) if self.ships(step)]
