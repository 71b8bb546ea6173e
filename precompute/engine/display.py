"""Progress of a build on a terminal, or as lines in a log."""

from __future__ import annotations

import threading
import time

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from precompute.engine.task import Event

LOG_SECONDS = 30.0


class Display:
    """A bar for the build and one for each running step; a context manager whose `show` takes events.

    Where the output is no terminal, a line tells of each step that ends, and every 30 seconds how far one is.
    """

    def __init__(self, console: Console, title: str) -> None:
        self._console, self._title = console, title
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._build: TaskID | None = None
        self._bars: dict[str, TaskID] = {}
        self._logged: dict[str, float] = {}
        self._ended: set[str] = set()
        self._lock = threading.Lock()  # events come from more than one thread

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Show an event of the build."""
        with self._lock:
            if event.kind == "plan":
                self._plan(int(event.done), int(event.total))
            elif event.kind == "progress":
                self._step(event)
            else:
                self._end(event)

    def _plan(self, done: int, total: int) -> None:
        title = escape(self._title)
        self._build = self._progress.add_task(title, total=total, completed=done, note=f"{total} steps")
        if done < total:
            self._print(f"{title}: {total - done} of {total} steps to do")

    def _step(self, event: Event) -> None:
        if event.key in self._ended:  # a worker's last words may come after its result
            return
        if event.key not in self._bars:
            self._bars[event.key] = self._progress.add_task(f"  {escape(event.name)}", total=None, note="")
            self._logged[event.key] = time.monotonic()
        bar, total, note = self._bars[event.key], event.total or None, escape(event.note)
        self._progress.update(bar, completed=event.done, total=total, note=note)
        if not self._console.is_terminal and time.monotonic() - self._logged[event.key] >= LOG_SECONDS:
            self._logged[event.key] = time.monotonic()
            share = f"{event.done / total:.0%}" if total else ""
            self._print(f"  {escape(event.name)} {share} {note}")

    def _end(self, event: Event) -> None:
        self._ended.add(event.key)
        if event.key in self._bars:
            self._progress.remove_task(self._bars.pop(event.key))
        if self._build is not None and event.kind in ("built", "found"):
            self._progress.advance(self._build)
        told = f"{event.note} s" if event.kind == "built" else event.note
        colour = {"built": "green", "found": "green"}.get(event.kind, "red")
        self._print(f"  [{colour}]{event.kind}[/] {escape(event.name)} [dim]{escape(told)}[/]")

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True)
