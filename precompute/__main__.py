"""`python -m precompute`: build what takes long, and see what is there.

What takes long to import (torch, Dask, Rich) is imported where it is used, so that a build with nothing to
do is over at once.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
import typer.core

from precompute.engine.task import BuildError
from precompute.store import CorruptArtifact, MissingArtifact, Store, build_command
from precompute.store.files import Folder

if TYPE_CHECKING:
    from rich.table import Table
    from rich.tree import Tree

    from precompute.papers import Paper


class _Group(typer.core.TyperGroup):
    """Says the errors that a user can do something about in their one sentence, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (BuildError, CorruptArtifact, MissingArtifact) as error:
            _stop(str(error), 1)
        except ValueError as error:
            from core.data import DataError

            if not isinstance(error, DataError):
                raise
            _stop(str(error), 1)


app = typer.Typer(
    cls=_Group,
    help="Train, attack and measure ahead of time, so that the pages have it at hand.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="Folder or fsspec URL; default CAPSIGHT_STORE.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ProfileOption = Annotated[str, typer.Option("--profile", help="smoke, demo or paper.")]
PaperOption = Annotated[
    str | None, typer.Option("--paper", metavar="PAPER", help="One paper's short name; without it, all.")
]
DatasetArgument = Annotated[
    str, typer.Argument(metavar="DATASET", help="Short name of a data set, such as digits.")
]


@app.command()
def build(
    dataset: DatasetArgument,
    paper: PaperOption = None,
    profile: ProfileOption = "demo",
    workers: Annotated[int | None, typer.Option(min=1, help="Build in this many processes.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Build on a Dask scheduler.")
    ] = None,
    shipped: Annotated[
        bool, typer.Option("--shipped", help="Only what ships, and what that is made from.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Build the bundles of a data set, one for each paper, or go on with them."""
    from precompute.engine.stopping import stoppable

    if workers and scheduler:
        _stop("expected --workers or --scheduler, got both; a scheduler has workers of its own", 2)
    papers, destination, whole = _chosen(dataset, paper, profile), Store(store), True
    try:
        with stoppable(lambda sentence: typer.echo(sentence, err=True)):
            for chosen in papers:
                whole &= _build(chosen, dataset, profile, destination, workers, scheduler, shipped)
    except KeyboardInterrupt:
        typer.echo("Stopped. What is finished is kept, and the same command goes on from there.", err=True)
        raise typer.Exit(130) from None
    if not whole:
        raise typer.Exit(1)


def _build(
    paper: Paper,
    dataset: str,
    profile: str,
    store: Store,
    workers: int | None,
    scheduler: str | None,
    shipped: bool,
) -> bool:
    """Build one bundle; returns whether all of it is there."""
    from rich.console import Console

    from precompute.engine.display import Display
    from precompute.engine.run import run
    from precompute.papers import bundle_facts
    from precompute.steps.step import keys_by_name

    title = f"{dataset} {paper.name} {profile}"
    steps = paper.experiment(dataset, profile)
    if shipped:
        steps = [step for step in steps if paper.ships(step)]
    with Display(Console(stderr=True), title) as display:
        report = run(
            steps,
            store,
            workers=workers,
            scheduler=scheduler,
            origin={"dataset": dataset, "profile": profile},
            on_event=display.show,
        )
    for name, trace in report.traces.items():
        typer.echo(f"\n{name}: {trace}", err=True)
    counts = f"{len(report.built)} built, {len(report.hits)} there already"
    if not report.ok:
        counts += f", {len(report.failed)} failed, {len(report.not_run)} not run"
    typer.echo(f"{title}: {counts}, {report.seconds:.1f} s, {store}", err=True)
    if report.ok:
        names = keys_by_name(steps)
        known = store.bundle(dataset, paper.name, profile)
        if known is None or known.names != names:  # the facts need the data, which takes a while to read
            store.set_bundle(dataset, paper.name, profile, names, bundle_facts(dataset, profile, steps))
    return report.ok


@app.command()
def status(json_: JsonOption = False, store: StoreOption = None) -> None:
    """Say which steps are there, stale or missing."""
    from precompute.engine.status import status as rows_of
    from precompute.papers import experiments

    rows = rows_of(Store(store), experiments())
    if json_:
        _print_json(rows)
    else:
        columns = ("dataset", "paper", "profile", "bundle", "current", "present", "stale", "missing")
        _print_table(columns, rows)


@app.command()
def explain(
    key: Annotated[
        str, typer.Argument(metavar="KEY", help="A key, its beginning, or a name (capsnet/weights).")
    ],
    store: StoreOption = None,
) -> None:
    """Show the recipe of a key and of what goes into it."""
    from rich.markup import escape
    from rich.tree import Tree

    from precompute.engine.status import Entry, catalogue, lookup
    from precompute.papers import experiments

    entries = catalogue(Store(store), experiments())
    found = lookup(entries, key)
    if not found:
        _stop(f"expected a key, its beginning or a step's name, got {key!r}; `status --json` lists them", 2)
    if len(found) > 1:
        several = ", ".join(f"{entry.labels[0]} ({entry.key[:8]})" for entry in found[:9])
        _stop(
            f"expected one step, got {key!r}, which stands for {len(found)}: {several}; name one of them", 2
        )

    shown: set[str] = set()

    def grow(tree: Tree, entry: Entry, role: str) -> None:
        recipe = entry.recipe
        branch = tree.add(f"[bold]{escape(role + entry.labels[0])}[/] {entry.key} [dim]{entry.state}[/]")
        if entry.key in shown:
            branch.add("[dim]see above[/]")
            return
        shown.add(entry.key)
        branch.add(escape(f"{recipe['function']} version {recipe['version']}"))
        for kind in ("params", "data"):
            for name, value in recipe[kind].items():
                branch.add(escape(f"{name} = {json.dumps(value)}"))
        for name, source in recipe["inputs"].items():
            if source in entries:
                grow(branch, entries[source], f"{name}: ")
            else:
                branch.add(escape(f"{name}: {source}, not known here"))

    root = Tree("", hide_root=True)
    grow(root, found[0], "")
    _print(root)


@app.command()
def verify(json_: JsonOption = False, store: StoreOption = None) -> None:
    """Read every artifact and compare it with its digests."""
    from precompute.engine.status import verify as rows_of

    rows = rows_of(Store(store))
    damaged = [row for row in rows if row["problems"]]
    if json_:
        _print_json(rows)
    else:
        for row in damaged:
            typer.echo("\n".join(row["problems"]))
        typer.echo(f"{len(rows)} checked, {sum(row['bytes'] for row in rows)} bytes, {len(damaged)} damaged")
    if damaged:
        raise typer.Exit(1)


@app.command()
def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    store: StoreOption = None,
) -> None:
    """Remove what no bundle and no experiment needs."""
    from precompute.engine.status import wanted_keys
    from precompute.papers import experiments
    from precompute.store.garbage import find_garbage, remove_garbage

    owner = Store(store)
    garbage = find_garbage(owner, wanted_keys(experiments()))
    sizes: dict[tuple[str, str], int] = {}
    for item in garbage:
        sizes[item.folder, item.reason] = sizes.get((item.folder, item.reason), 0) + item.bytes
    for (folder, reason), size in sizes.items():
        typer.echo(f"{folder}: {size} bytes, {reason}")
    if not dry_run:
        remove_garbage(owner, garbage)
    typer.echo(f"{len(garbage)} files, {sum(sizes.values())} bytes {'to remove' if dry_run else 'removed'}")


@app.command()
def report(
    paper: Annotated[str | None, typer.Argument(metavar="[PAPER]", help="One paper's short name.")] = None,
    json_: JsonOption = False,
    store: StoreOption = None,
) -> None:
    """Set our numbers beside the published ones."""
    from precompute.papers import PAPERS
    from precompute.papers.report import report as rows_of

    _check("paper", paper, PAPERS)
    owner = Store(store)
    rows = [row for name in ([paper] if paper else PAPERS) for row in rows_of(owner, PAPERS[name])]
    if json_:
        _print_json(rows)
    elif rows:
        _print_table(tuple(name for name in rows[0] if name != "worst"), rows)


@app.command()
def health(json_: JsonOption = False, store: StoreOption = None) -> None:
    """Say which checks of the attacks passed, on every model."""
    from precompute.papers import PAPERS
    from precompute.papers.health import COLUMNS
    from precompute.papers.health import health as rows_of
    from precompute.papers.report import bundles_of

    owner = Store(store)
    rows = rows_of(
        (bundle, paper.results) for paper in PAPERS.values() for bundle in bundles_of(owner, paper)
    )
    if json_:
        _print_json(rows)
    elif rows:
        _print_table(COLUMNS, rows)
    checked = {row["dataset"] for row in rows}
    for dataset in dict.fromkeys(name for paper in PAPERS.values() for name in paper.builds):
        if dataset in checked:
            continue
        typer.echo(f"{dataset}: not checked; run `{build_command(dataset, 'demo')}`", err=True)


@app.command()
def figures(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the files.")],
    paper: Annotated[str, typer.Option("--paper", metavar="PAPER", help="Its short name.")] = "qin2020",
    store: StoreOption = None,
) -> None:
    """Write the tables and figures of a paper as PNG, SVG and CSV."""
    from rich.console import Console
    from rich.progress import Progress

    from precompute.papers import PAPERS
    from precompute.papers.writing import write_figures

    _check("paper", paper, PAPERS)
    console = Console(stderr=True, highlight=False)
    drawn = total = 0
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(paper)
        for number, written in enumerate(write_figures(Store(store), PAPERS[paper], out), 1):
            drawn, total = drawn + bool(written.files), written.total
            progress.update(task, total=total, completed=number)
            console.print(written.line, markup=False, soft_wrap=True)
    console.print(f"{out}: {drawn} of {total} written", markup=False, soft_wrap=True)


@app.command()
def export(
    dataset: DatasetArgument,
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where it is to ship from: assets/bundles/digits.")
    ],
    paper: PaperOption = None,
    profile: ProfileOption = "demo",
    store: StoreOption = None,
) -> None:
    """Write what ships of a data set's bundles to a folder, beside what ships from it already."""
    # What was built here, never what shipped before; though some of it may be just that, as it was.
    owner, own = Store(store), Store(store, bundles=())
    papers = _chosen(dataset, paper, profile)
    built = {chosen.name: own.bundle(dataset, chosen.name, profile) for chosen in papers}
    for name, bundle in built.items():
        if bundle is None:
            command = build_command(dataset, profile, name)
            raise MissingArtifact(
                f"expected a {profile} bundle of {name} on {dataset}, found none; run `{command}`"
            )
    from precompute.papers import PAPERS

    count = 0
    for name, bundle in built.items():
        assert bundle is not None
        whole = replace(bundle, store=owner)
        count += len(owner.export(whole, folder, PAPERS[name].shipped_names(dataset, profile)).names)
    size = sum(file.bytes for file in Folder.open(folder).files())
    typer.echo(f"{folder}: {count} artifacts, {size} bytes", err=True)


def _chosen(dataset: str, paper: str | None, profile: str) -> list[Paper]:
    """The papers that a build is for; ends the program where there is no such data set, paper or profile."""
    from precompute.papers import PAPERS, PROFILES

    _check("data set", dataset, dict.fromkeys(name for known in PAPERS.values() for name in known.builds))
    _check("profile", profile, PROFILES)
    _check("paper", paper, PAPERS)
    papers = [known for known in PAPERS.values() if dataset in known.builds]
    if paper is None:
        return papers
    chosen = PAPERS[paper]
    _check(f"data set of {paper}", dataset, chosen.builds)
    return [chosen]


def _check(kind: str, value: str | None, known: Collection[str]) -> None:
    """End the program where a value is given that is not known."""
    if value is not None and value not in known:
        _stop(f"expected a {kind} among {', '.join(known)}, got {value!r}", 2)


def _stop(sentence: str, code: int) -> NoReturn:
    typer.echo(f"Error: {sentence}", err=True)
    raise typer.Exit(code)


def _print_json(rows: list[dict[str, Any]]) -> None:
    typer.echo(json.dumps(rows, indent=1, allow_nan=False))


def _print_table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(*columns)
    for row in rows:
        table.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    _print(table)


def _print(renderable: Table | Tree) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 1000  # a file or a pipe has no edge to wrap at
    console.print(renderable)


if __name__ == "__main__":
    app(prog_name="python -m precompute")
