"""The recipes of CONTRIBUTING.md, performed on toy parts: each adds what it says, no other file changes."""

import importlib
import inspect
import itertools
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from typer.testing import CliRunner

from core import data
from core.attacks import ATTACKS, FGSM, ReconstructivePGD, attack_title
from core.detectors import DETECTORS, Detector
from precompute import papers
from precompute.__main__ import app as command
from precompute.papers import PAPERS, claim_records, findings
from precompute.papers.report import results
from precompute.store import Store
from tests import toy_paper
from tests.app import conftest as pages
from tests.app.conftest import charts, compiled, html, open_page, own_folders  # noqa: F401 - fixtures
from tests.core.attacks import test_contract as attack_contract
from tests.core.detectors import test_contract as detector_contract
from tests.core.detectors.conftest import natural
from tests.precompute import step_versions

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
KINDS = (
    *("data set", "model", "attack", "detector", "purifier", "page"),
    *("step", "figure", "claim", "paper"),
)
TOY = toy_paper.NAME


def recipe(kind: str) -> list[tuple[str, bool]]:
    """The files of a recipe, each with whether it is new."""
    article = "an" if kind[0] in "aeiou" else "a"
    _, _, section = DOCUMENT.partition(f"\n## Adding {article} {kind}\n")
    rows = re.findall(r"^\| `([^`]+)` \| (new|changed) \|", section.partition("\n## ")[0], re.MULTILINE)
    return [(place, state == "new") for place, state in rows]


def overview() -> dict[str, tuple[int, int, str]]:
    """The table of what an addition touches: numbers of new and changed files, and what proves it."""
    rows = re.findall(r"^\| \[([a-z ]+)\]\([^)]+\) \| (\d+) \| (\d+) \| (.+) \|$", DOCUMENT, re.MULTILINE)
    return {kind: (int(new), int(changed), proof) for kind, new, changed, proof in rows}


def test_every_kind_has_a_recipe_of_as_many_files_as_is_said():
    assert tuple(overview()) == KINDS
    for kind, (new, changed, _) in overview().items():
        states = [is_new for _, is_new in recipe(kind)]
        assert (states.count(True), states.count(False)) == (new, changed), kind
        assert new + changed > 0


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_of_a_recipe_are_there_or_new(kind):
    for place, is_new in recipe(kind):
        exists = (ROOT / place).exists()
        example = list(ROOT.glob(place.replace("NAME", "*").replace("PAPER", "*")))
        assert example, f"{place}: nothing in the repository is like it"
        assert exists != is_new or "PAPER" in place, place
        assert is_new == ("NAME" in place) or "PAPER" in place, place


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_that_prove_an_addition_exist(kind):
    proofs = re.findall(r"`(tests/[\w/.]+)`", overview()[kind][2])
    assert proofs
    assert all((ROOT / place.replace("NAME", TOY)).exists() or "NAME" in place for place in proofs)


# --- attacks and detectors --------------------------------------------------------------------------------


def margin(model, detector, x, problem):
    """By how much the label leads, or the target lags; what one step lowers."""
    logits = model(x)
    aim = problem.label if problem.target is None else problem.target
    own = logits.gather(1, aim.view(-1, 1)).squeeze(1)
    others = logits.scatter(1, aim.view(-1, 1), float("-inf")).amax(1)
    return own - others if problem.target is None else others - own


@dataclass(frozen=True)
class OneDraw(FGSM):
    """One step down the margin from a random point of the ball."""

    title = "One draw"
    random_start: ClassVar[bool] = True

    def terms(self):
        return ((1.0, margin),)


class FromTheMean(Detector):
    """How far an image is from the mean of those it was fitted on."""

    title = "Distance from the mean"
    needs = frozenset({"fit"})

    def __init__(self, model=None):
        super().__init__(model)
        self.learnt("mean")

    def fit(self, split, attacked=None, seed=0):
        self.learn(mean=split.x().mean(0))
        return self

    def evasion_loss(self, x, label=None):
        self.ready()
        return (x - self.mean).flatten(1).square().mean(1)


def clauses(contract, fixture):
    """The tests of a contract that take some fixture, once for each set of their other arguments."""
    found = []
    for name, clause in inspect.getmembers(contract, inspect.isfunction):
        if not name.startswith("test_") or fixture not in inspect.signature(clause).parameters:
            continue
        choices = []
        for mark in getattr(clause, "pytestmark", []):
            names = mark.args[0] if isinstance(mark.args[0], tuple) else (mark.args[0],)
            if mark.name == "parametrize" and fixture not in names:
                rows = (row if len(names) > 1 else (row,) for row in mark.args[1])
                choices.append([dict(zip(names, row, strict=True)) for row in rows])
        for number, rows in enumerate(itertools.product(*choices)):
            given = {name: value for row in rows for name, value in row.items()}
            found.append(pytest.param(clause, given, id=f"{name}-{number}"))
    return found


def call(clause, given, request):
    """Call a test with what is given, and with fixtures for the rest."""
    names = inspect.signature(clause).parameters
    clause(**{name: given[name] if name in given else request.getfixturevalue(name) for name in names})


@pytest.mark.parametrize(("clause", "given"), clauses(attack_contract, "kind"))
def test_an_attack_of_one_class_holds_the_contract(clause, given, request):
    call(clause, {"kind": OneDraw, **given}, request)


def test_an_attack_in_the_table_has_a_title(monkeypatch):
    monkeypatch.setitem(ATTACKS, "one-draw", OneDraw)
    assert attack_title("one-draw") == "One draw"
    attack_contract.test_every_attack_has_a_title_of_its_own()


@pytest.fixture
def watching(tiny):
    return FromTheMean(tiny).fit(natural(200, 0))


@pytest.mark.parametrize(
    ("clause", "given"),
    [*clauses(detector_contract, "watching"), *clauses(detector_contract, "kind")],
)
def test_a_detector_of_one_class_holds_the_contract(clause, given, watching, request):
    splits = {"train": natural(200, 0), "held_out": natural(60, 1), "test": natural(24, 2)}
    call(clause, {"kind": FromTheMean, "watching": watching, **splits, **given}, request)


def test_a_detector_in_the_table_is_evaded_by_an_attack(monkeypatch, tiny):
    monkeypatch.setitem(DETECTORS, "mean", FromTheMean)
    detector_contract.test_every_detector_says_what_a_page_shows_and_what_it_needs("mean")
    split = natural(24, 2)
    detector = DETECTORS["mean"](tiny).fit(natural(200, 0))
    attack = ReconstructivePGD(epsilon=0.1, step_size=0.02, steps=10, beta=0.0)
    moved = attack(tiny, split.x(), split.labels, detector=detector).x_adv
    # Towards the mean by epsilon, and no further: this detector's worst case has a closed form.
    nearest = split.x() + (detector.mean - split.x()).clamp(-0.1, 0.1)
    assert torch.allclose(detector.score(moved), detector.score(nearest), atol=1e-3)


# --- a page -----------------------------------------------------------------------------------------------

PAGE = '''
"""A page that says what was chosen."""

import streamlit as st

from app.ui.choose import choose, show_corrections

st.title("Toy", anchor=False)
fruit = choose("pills", "Fruit", "fruit", ["apple", "pear"])
show_corrections()
st.markdown(f"One {fruit}.")
'''


def test_a_page_is_a_file_and_a_line_of_the_menu(tmp_path, monkeypatch, open_page):  # noqa: F811
    main = (ROOT / "app" / "main.py").read_text(encoding="utf-8")
    last = '"Checks and papers": [health, papers'
    assert main.count(last) == 1
    views = tmp_path / "house" / "app" / "views"
    views.mkdir(parents=True)
    (tmp_path / "house" / "assets").symlink_to(ROOT / "assets")
    for view in (ROOT / "app" / "views").glob("*.py"):
        (views / view.name).symlink_to(view)
    (views / "toy.py").write_text(PAGE.lstrip(), encoding="utf-8")
    copy = views.parent / "main.py"
    copy.write_text(main.replace(last, f'{last}, st.Page("views/toy.py", title="Toy")'), encoding="utf-8")
    monkeypatch.setattr(pages, "MAIN", copy)
    monkeypatch.setattr(sys, "path", [*sys.path])

    app = open_page("toy", fruit="pear")
    assert not app.exception
    assert app.title[0].value == "Toy"
    assert "One pear." in [block.value for block in app.markdown]
    app = open_page("toy", fruit="stone")
    assert "One apple." in [block.value for block in app.markdown]
    assert "Fruit “stone” is not among apple, pear" in app.warning[0].value


# --- a paper ----------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path, monkeypatch):
    """The folder of the toy paper is among those of the papers, its line in the table."""
    toy_paper.write(tmp_path / "house")
    folder = tmp_path / "house" / "precompute" / "papers"
    monkeypatch.setattr(papers, "__path__", [*papers.__path__, str(folder)])
    module = importlib.import_module(f"precompute.papers.{TOY}.paper")
    monkeypatch.setitem(PAPERS, TOY, module.PAPER)
    yield tmp_path / "house"
    for name in [name for name in sys.modules if name.startswith(f"precompute.papers.{TOY}")]:
        del sys.modules[name]
    delattr(papers, TOY)


def run(*arguments):
    """Run a command, which has to succeed."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def build():
    return run("build", "digits", "--paper", TOY, "--profile", "smoke").stderr


def wrong(model):
    """How often a constant answer is wrong, counted by hand."""
    labels = data.load("digits").test.labels.tolist()
    return len(labels) - labels.count(toy_paper.ANSWERS[model]), len(labels)


def test_a_paper_has_the_files_of_its_recipe():
    new = {place for place, is_new in recipe("paper") if is_new and not place.startswith("tests/")}
    assert new == set(toy_paper.FILES)


def test_a_paper_is_built_and_reported_beside_what_is_published(house, tmp_path):
    assert f"digits {TOY} smoke: 2 built, 0 there already" in build()
    assert f"digits {TOY} smoke: 0 built, 2 there already" in build()
    rows = json.loads(run("report", TOY, "--json").stdout)
    assert [(row["model"], row["published"]) for row in rows] == [("capsnet", 90.0), ("cnn_r", 12.5)]
    for row in rows:
        k, n = wrong(row["model"])
        assert (row["ours"], row["n"], row["reason"]) == (round(100 * k / n, 2), n, None)
    run("export", "digits", tmp_path / "out", "--paper", TOY, "--profile", "smoke")
    shipped = Store(tmp_path / "empty", bundles=[tmp_path / "out"]).bundle("digits", TOY)
    assert list(shipped.names) == [f"results-{TOY}"]


def test_a_paper_s_claim_is_tested(house):
    build()
    (finding,) = findings(PAPERS[TOY], results(Store(), PAPERS[TOY]))
    assert finding.verdict == "contradicted"
    (record,) = claim_records([finding])
    k, n = wrong("capsnet")
    assert (record["lower_value"], record["lower_n"]) == (k / n, n)


def test_a_paper_is_drawn(house, tmp_path):
    build()
    run("figures", tmp_path / "out", "--paper", TOY)
    names = {path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")}
    drawn = {f"{name}.{end}" for name in ("table-1", "figure-1") for end in ("png", "svg", "csv")}
    assert names >= drawn | {"claims.csv"}
    assert (tmp_path / "out" / "figure-1.csv").read_text().splitlines()[1].startswith("capsnet,0.9")


def test_a_paper_is_on_the_page_of_papers(house, open_page):  # noqa: F811
    build()
    k, n = wrong("capsnet")
    app = open_page("papers", paper=TOY, show="Claims")
    assert not app.exception
    assert "A constant answer is mostly right." in html(app)
    assert "contradicted" in html(app)
    app = open_page("papers", paper=TOY, show="Tables", table="1")
    assert not app.exception
    assert app.subheader[0].value == "Table 1. Errors of constant answers"
    assert f"{100 * k / n:.1f}" in html(app)
    assert "Counted by hand." in [caption.value for caption in app.caption]
    assert 'class="cp-verdicts"' in html(app)
    app = open_page("papers", paper=TOY, show="Figures", figure="1")
    assert not app.exception
    assert charts(app) == ["Errors of constant answers."]


def test_the_code_of_a_paper_s_steps_is_followed_and_no_other_step_changes(house):
    for place in ("core", "precompute/steps"):
        (house / place).symlink_to(ROOT / place)
    for own in (ROOT / "precompute" / "papers").iterdir():
        (house / "precompute" / "papers" / own.name).symlink_to(own)
    changes = step_versions.differences(step_versions.recorded(), step_versions.Code(house).steps())
    assert changes == [f"{name}: new; run `make versions`" for name in (TOY, f"{TOY}_answers")]
