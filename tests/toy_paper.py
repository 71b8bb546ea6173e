"""A paper of one folder, as CONTRIBUTING's recipe has it: its files, to be written below a root of their own.

Its models answer one class whatever they see, so that everything about them can be counted by hand.
"""

from pathlib import Path

NAME = "toy2024"
ANSWERS = {"capsnet": 0, "cnn_r": 1}
FILES = {
    "precompute/papers/NAME/__init__.py": '"""NAME: constant answers."""\n',
    "precompute/papers/NAME/experiment.py": '''
"""The steps of NAME: answers, and what they are worth."""

from core import data
from precompute.papers.experiment import step
from precompute.steps.job import StepFunction

FUNCTIONS = {
    "NAME_answers": StepFunction("precompute.papers.NAME.results:answers", 1),
    "NAME": StepFunction("precompute.papers.NAME.results:results", 1),
}


def experiment(dataset, profile):
    digests = {dataset: data.fingerprint(dataset)}
    params = {"dataset": dataset, "answers": {"capsnet": 0, "cnn_r": 1}}
    answers = step("answers", "NAME_answers", params, {}, digests, FUNCTIONS)
    return [answers, step("results-NAME", "NAME", {"dataset": dataset}, {"answers": answers}, {}, FUNCTIONS)]
''',
    "precompute/papers/NAME/results.py": '''
"""The step functions of NAME."""

import pandas
import torch

from core import data
from core.metrics import rate
from precompute.steps.job import Outcome


def answers(params, inputs, job):
    labels = data.load(params["dataset"]).test.labels
    return Outcome({model: torch.full_like(labels, c) != labels for model, c in params["answers"].items()})


def results(params, inputs, job):
    place = dict.fromkeys(("source", "attack", "mode", "access", "of"))
    rows = []
    for model, wrong in inputs["answers"].tensors.items():
        error = rate(wrong)
        figures = {"k": error.k, "n": error.n, "value": error.value, "low": error.low, "high": error.high}
        about = {"dataset": params["dataset"], "model": model, "metric": "error_rate"}
        rows.append({**place, **about, **figures})
    return Outcome(tables={"rates": pandas.DataFrame(rows)})
''',
    "precompute/papers/NAME/figures.py": '''
"""The figure of NAME."""

import altair

from precompute.papers.drawing import Drawing, Panel


def figure_1(results):
    rows = tuple({"model": row["model"], "error": row["value"]} for row in results.rows("digits", "rates"))
    chart = altair.Chart(altair.Data(values=list(rows))).mark_bar().encode(x="model:N", y="error:Q")
    return Drawing((Panel(chart.properties(width=200, height=120), "Errors of constant answers."),), rows)
''',
    "precompute/papers/NAME/claims.py": '''
"""What NAME claims."""

from precompute.papers.claims import Claim
from precompute.papers.comparisons import Under

CLAIMS = (
    Claim(
        "mostly-wrong",
        "A constant answer is mostly right.",
        "Table 1; Fig. 1",
        "rates",
        (Under({"model": "capsnet", "metric": "error_rate"}, 0.5),),
    ),
)
''',
    "precompute/papers/NAME/paper.py": '''
"""NAME: its experiment, its table, its figure and its claim."""

from pathlib import Path

from precompute.papers.NAME.claims import CLAIMS
from precompute.papers.NAME.experiment import FUNCTIONS, experiment
from precompute.papers.NAME.figures import figure_1
from precompute.papers.paper import Figure, Paper, Table

PAPER = Paper(
    "NAME",
    "A. Toy: On Constant Answers",
    datasets=("digits",),
    models=("capsnet", "cnn_r"),
    builds=("digits",),
    experiment=experiment,
    results="results-NAME",
    functions=FUNCTIONS,
    ships=lambda step: step.name == "results-NAME",
    tables=(Table("1", "Errors of constant answers"),),
    figures=(Figure("1", "Constant answers", "Bars as high as nine in ten.", figure_1),),
    claims=CLAIMS,
    published=Path(__file__).parents[3] / "assets" / "papers",
)
''',
    "assets/papers/NAME.json": """
{
 "paper": "NAME", "title": "On Constant Answers", "venue": "Toys", "notes": {"1": "Counted by hand."},
 "numbers": [
  {"table": "1", "dataset": "digits", "model": "capsnet", "metric": "error_rate", "published": 90.0},
  {"table": "1", "dataset": "digits", "model": "cnn_r", "metric": "error_rate", "published": 12.5}
 ]
}
""",
}
"""Texts by place; NAME stands for the paper's name in both."""


def write(root: Path) -> None:
    """Write all files below a root."""
    for place, text in FILES.items():
        path = root / place.replace("NAME", NAME)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip().replace("NAME", NAME), encoding="utf-8")
