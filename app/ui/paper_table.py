"""A paper's table as HTML: published and ours side by side, models as columns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from string import ascii_lowercase
from typing import Any

from core.figures.published import Beside
from precompute.papers import Line, Section

HEADS = ("Published", "Ours", "Difference")


class PaperTable:
    """The table; reasons for missing numbers become notes with letters, in order of appearance.

    Args:
        sections: From `core.papers.layout`.
        models: Titles of the models, in order.
        warn: What is to be said beside our figure for a row of the report; empty for nothing.
    """

    def __init__(
        self, sections: Sequence[Section], models: Sequence[str], warn: Callable[[Mapping[str, Any]], str]
    ) -> None:
        self.sections, self.models, self.warn = sections, models, warn
        self.reasons = list(dict.fromkeys(n.reason for n in _numbers(sections) if n.reason))

    def html(self) -> str:
        """The table with its notes."""
        above = "".join(f'<th colspan="3" scope="colgroup">{escape(model)}</th>' for model in self.models)
        unit = next((escape(number.unit) for number in _numbers(self.sections)), "")
        heads = "".join(f'<th scope="col">{head}</th>' for head in HEADS) * len(self.models)
        body = "".join(self._section(section) for section in self.sections)
        notes = "".join(
            f"<li><b>{letter(number)}</b> {_code(reason)}</li>" for number, reason in enumerate(self.reasons)
        )
        return (
            f'<div class="cp-scroll" tabindex="0"><table class="cp-table"><thead>'
            f'<tr><th colspan="2"></th>{above}</tr>'
            f'<tr><th colspan="2" scope="col">{unit}</th>{heads}</tr></thead>'
            f"{body}</table></div>" + (f'<ul class="cp-notes">{notes}</ul>' if notes else "")
        )

    def _section(self, section: Section) -> str:
        lines: list[str] = []
        wide = 2 + 3 * len(self.models)
        if section.title:
            lines.append(
                f'<tr class="cp-section"><th colspan="{wide}" scope="rowgroup">'
                f"<span>{escape(section.title)}</span></th></tr>"
            )
        counts: dict[str, int] = {}
        for line in section.lines:
            counts[line.row] = counts.get(line.row, 0) + 1
        begun: set[str] = set()
        for line in section.lines:
            head = ""
            if line.row not in begun:
                begun.add(line.row)
                row = line.row[:1].upper() + line.row[1:]
                head = f'<th rowspan="{counts[line.row]}" scope="rowgroup">{escape(row)}</th>'
            first = ' class="cp-first"' if head else ""
            cells = "".join(self._cells(line, model) for model in self.models)
            lines.append(f'<tr{first}>{head}<td class="cp-metric">{escape(line.metric)}</td>{cells}</tr>')
        return f"<tbody>{''.join(lines)}</tbody>"

    def _cells(self, line: Line, model: str) -> str:
        """Three cells: published, ours with interval and n, difference."""
        number = line.numbers.get(model)
        if number is None:
            return '<td class="cp-model"></td><td></td><td></td>'
        published = f'<td class="cp-model">{_published(number)}</td>'
        words = escape(number.words)
        if number.ours is None or number.low is None or number.high is None:
            note = letter(self.reasons.index(number.reason)) if number.reason else ""
            return f'{published}<td class="cp-none" colspan="2" title="{words}">none <sup>{note}</sup></td>'
        warning = escape(self.warn(line.rows[model]))
        sign = f'<small class="cp-warning">⚠ {warning}</small>' if warning else ""
        beta = line.rows[model].get("beta")
        at = "" if beta is None else f"<small>at β = {beta:g}</small>"
        return (
            f'{published}<td title="{words}"><b>{number.text(number.ours)}</b>{sign}{at}'
            f"<small>{number.text(number.low)}–{number.text(number.high)}</small>"
            f"<small>n = {number.n or 0:,}</small></td>"
            f"<td>{difference(number)}</td>"
        )


def difference(number: Beside) -> str:
    """Ours less the published number, with a mark: within our interval, above or below it."""
    assert number.difference is not None
    if number.within:
        mark, kind, words = "≈", "cp-within", "the published number lies in our interval"
    elif number.difference > 0:
        mark, kind, words = "▲", "cp-beyond", "ours is higher"
    else:
        mark, kind, words = "▼", "cp-beyond", "ours is lower"
    value = f"{number.difference:+.{number.digits}f}".replace("-", "−")
    sign = f'<span role="img" aria-label="{words}">{mark}</span>'
    return f'<span class="{kind}" title="{words}">{sign} {value}</span>'


def _published(number: Beside) -> str:
    """A published number, with a decimal at least and all that the paper has."""
    return max(f"{number.published:.1f}", f"{number.published:g}", key=len)


def letter(number: int) -> str:
    """a, b, c ..."""
    return ascii_lowercase[number % len(ascii_lowercase)]


def _numbers(sections: Sequence[Section]) -> Iterator[Beside]:
    for section in sections:
        for line in section.lines:
            yield from line.numbers.values()


def _code(text: str) -> str:
    """Escaped text, what stands between backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))
