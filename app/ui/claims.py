"""A paper's claims as HTML: each a sentence with its verdict and the figures behind it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

from core.coherence import MEASURES
from core.data import SPECS
from core.figures.colours import OUTCOME_COLOURS
from core.figures.style import p_text
from core.models import MODELS
from precompute.papers import Compared, Finding, Side, Verdict
from precompute.papers.tables import NAMES

VERDICTS: dict[Verdict, tuple[str, str]] = {
    "holds": ("✓", "#44AA99"),
    "contradicted": ("✗", OUTCOME_COLOURS["undetected"]),
    "undecided": ("?", OUTCOME_COLOURS["flagged"]),
    "not measured": ("–", OUTCOME_COLOURS["failed"]),
}
"""Mark and colour, in the order in which they are counted."""
WORDS = {**{name: spec.title for name, spec in MODELS.items()}, **NAMES, **MEASURES, "black_box": "black box"}
SHARES = ("rates", "fpr", "judges")
"""Tables whose values are shares."""
SHOWN = 3
"""Comparisons that are shown at once; more are behind a line that opens."""


Warn = Callable[[Mapping[str, Any]], str]
"""Says which checks failed that touch a number (dataset, model, metric, attack); empty for none."""


def findings_html(findings: Iterable[Finding], warn: Warn) -> str:
    """Claims one below the other, with a warning beside each side that a failed check touches."""
    return f'<div class="cp-claims">{"".join(_finding(finding, warn) for finding in findings)}</div>'


def verdicts_html(findings: Sequence[Finding]) -> str:
    """Claims in a line each, with their verdict on every data set that they are about."""
    datasets = list(dict.fromkeys(finding.dataset for finding in findings))
    by_claim: dict[str, dict[str, Finding]] = {}
    for finding in findings:
        by_claim.setdefault(finding.claim.sentence, {})[finding.dataset] = finding
    lines = (
        f"<li><span>{escape(sentence)}</span>"
        + "".join(
            f"<span>{escape(SPECS[name].title)} {chip(on[name].verdict)}</span>"
            if name in on
            else "<span></span>"
            for name in datasets
        )
        + "</li>"
        for sentence, on in by_claim.items()
    )
    return f'<ul class="cp-verdicts">{"".join(lines)}</ul>'


def counts_html(findings: Sequence[Finding]) -> str:
    """How many claims got which verdict."""
    verdicts = [finding.verdict for finding in findings]
    return '<div class="cp-counts">' + "".join(f"{chip(v)} {verdicts.count(v)}" for v in VERDICTS) + "</div>"


def chip(verdict: Verdict) -> str:
    """A verdict as a word with its mark."""
    mark, colour = VERDICTS[verdict]
    return f'<span class="cp-chip" style="--c:{colour}"><b aria-hidden="true">{mark}</b>{verdict}</span>'


def _finding(finding: Finding, warn: Warn) -> str:
    lines = "".join(_comparison(compared, finding, warn) for compared in finding.compared)
    table = f'<div class="cp-compared">{lines}</div>' if lines else ""
    if len(finding.compared) > SHOWN:
        kinds = [compared.verdict for compared in finding.compared]
        counts = ", ".join(f"{kinds.count(kind)} {_one(kind)}" for kind in VERDICTS if kind in kinds)
        table = f"<details><summary>{len(kinds)} comparisons: {counts}</summary>{table}</details>"
    missing = f"<p>Missing: {escape(_missing(finding))}.</p>" if finding.missing else ""
    return (
        f'<article>{chip(finding.verdict)}<div><p class="cp-sentence">{escape(finding.claim.sentence)} '
        f"<small>{escape(finding.claim.source)}</small></p>{table}{missing}</div></article>"
    )


def _one(verdict: Verdict) -> str:
    return {"holds": "hold"}.get(verdict, verdict)


def _comparison(compared: Compared, finding: Finding, warn: Warn) -> str:
    """Both sides with their figures, the p-value, the verdict of the comparison."""
    mark, colour = VERDICTS[compared.verdict]
    lower, higher = (_side(side, finding, warn) for side in (compared.lower, compared.higher))
    # "0 lies below" would be an odd way to say that something is positive.
    zero = compared.lower.n is None
    sides = (higher, f"above {lower}") if zero else (lower, f"below {higher}")
    return (
        f"<span>{sides[0]}</span><span>{sides[1]}</span>"
        f'<span class="cp-p"><b style="color:{colour}" aria-hidden="true">{mark}</b> '
        f"{p_text(compared.p_value)}, {compared.verdict}</span>"
    )


def _side(side: Side, finding: Finding, warn: Warn) -> str:
    """ "<b>CapsNet</b> 3.0 % (1.0–8.5 %, n = 120)"; of a constant its value."""
    share = finding.claim.table in SHARES
    value = f"{100 * side.value:.1f} %" if share else f"{side.value:.2f}"
    if side.n is None:
        return value
    low, high = (f"{100 * end:.1f}" if share else f"{end:.2f}" for end in (side.low, side.high))
    interval = f"{low}–{high} %" if share else f"{low} to {high}"
    words = escape("; ".join(dict.fromkeys(filter(None, map(warn, _numbers(side, finding))))))
    warning = f' <small class="cp-warning">⚠ {words}</small>' if words else ""
    name = escape(_name(side, finding))
    return f"<b>{name}</b> {value} <small>({interval}, n = {side.n:,})</small>{warning}"


def _numbers(side: Side, finding: Finding) -> list[dict[str, Any]]:
    """What a side is made of: curves and judges go by what is undetected, coherence by success."""
    metric = {"fpr": "undetected_rate", "judges": "undetected_rate", "coherence": "success_rate"}
    return [
        {
            "dataset": side.where.get("dataset", finding.dataset),
            "model": model,
            "metric": metric.get(finding.claim.table, side.where.get("metric")),
            "attack": side.where.get("attack", "r-pgd"),
        }
        for model in (side.where.get("model"), side.where.get("other"))
        if model
    ]


def _name(side: Side, finding: Finding) -> str:
    """What sets a side apart from the others of its claim, in words."""
    sides = [s for c in finding.compared for s in (c.lower, c.higher) if s.where]
    values: dict[str, set[Any]] = {}
    for other in sides:
        for column in {column for s in sides for column in s.where}:
            values.setdefault(column, set()).add(other.where.get(column))
    words = [
        _word(column, value)
        for column, value in side.where.items()
        if len(values[column]) > 1 or column == "model"
    ]
    return ", ".join(word for word in words if word)


def _word(column: str, value: Any) -> str:
    """A column's value as people read it."""
    if column == "fpr":
        return f"at {100 * value:g} %"
    if column == "access" and value is None:
        return "white box"
    if column == "other" and value is not None:
        return f"against {WORDS.get(value, value)}"
    return "" if value is None else str(WORDS.get(value, value))


def _missing(finding: Finding, shown: int = 3) -> str:
    """The rows that there are not, the first of many."""
    rows = [
        ", ".join(WORDS.get(word, word.replace("_", " ")) for word in words.split(", "))
        for words in finding.missing
    ]
    rest = len(rows) - shown
    return "; ".join(rows[:shown]) + (f"; and {rest} more" if rest > 0 else "")
