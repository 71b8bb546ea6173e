import shutil
from pathlib import Path

import pytest
from step_versions import RECORD, ROOT, Code, differences, record, recorded

pytestmark = pytest.mark.slow

STEPS = """
from core import data
from core.sums import add

SCALE = 2

def weights(params, inputs, job):
    '''Doubles.'''
    return add(inputs["x"], 1) * SCALE

def clean(params, inputs, job):
    weights = load(inputs)
    return weights

def load(inputs):
    from precompute.steps.sums import made
    return made(data.load(inputs))
"""
TABLE = """
from precompute.steps.job import StepFunction

STEPS = {
    "weights": StepFunction("precompute.steps.toys:weights", 1, gpu=True),
    "clean": StepFunction("precompute.steps.toys:clean", 3),
}
"""
EXPERIMENT = 'FUNCTIONS = {"sums": StepFunction("precompute.papers.toy.results:sums", 1)}'
RESULTS = "def sums(params, inputs, job):\n    return 5\n"
TABLES = "def made(x):\n    return x\n"
SUMS = """
class Sum:
    total: int = 0

    def of(self, a: int, b: int) -> int:
        return a + b

def add(a: int, b: int) -> int:
    return Sum().of(a, b)

def unused():
    return 1
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small repository of its own."""
    files = {
        "precompute/steps/toys.py": STEPS,
        "precompute/steps/table.py": TABLE,
        "precompute/steps/sums.py": TABLES,
        "precompute/papers/toy/experiment.py": EXPERIMENT,
        "precompute/papers/toy/results.py": RESULTS,
        "core/sums.py": SUMS,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "core" / "data.py").write_text("def load(x):\n    return x\n")
    return tmp_path


def change(tree: Path, name: str, old: str, new: str) -> list[str]:
    """What is said after a change to one file of the tree."""
    before = Code(tree).steps()
    text = (tree / name).read_text()
    assert old in text
    (tree / name).write_text(text.replace(old, new))
    return differences(before, Code(tree).steps())


def test_steps_run_the_code_that_was_recorded_with_their_versions():
    said = differences(recorded(), Code().steps())
    assert not said, "\n".join(said)


def test_the_code_of_the_real_steps_is_found():
    steps = Code().steps()
    assert set(steps) == {
        *("weights", "clean", "attacked", "sweep", "corrupted", "reconstructions", "results"),
        *("judge", "similarity", "judged", "health", "excerpt", "fitted", "scored"),
        *("readings", "universal", "universal_transfer", "adversarial", "minimum", "transfer"),
        *("embedding", "michels2019", "walkthrough"),
    }
    assert "core.attacks.universal.Crowd" in steps["universal"]["parts"]
    assert "core.embedding.separation" in steps["embedding"]["parts"]
    assert "core.estimates.paired" in steps["michels2019"]["parts"]
    assert {"core.training.Adversary", "core.training.train"} <= steps["judge"]["parts"].keys()
    assert "core.coherence.judges.neighbour_labels" in steps["judged"]["parts"]
    assert {"core.training.train", "core.models.routing.Routing"} <= steps["weights"]["parts"].keys()
    assert {
        "core.attacks.gradient.GradientAttack",
        "core.geometry.project",
        "core.images.eight_bit",
    } <= (steps["attacked"]["parts"].keys())
    assert "precompute.papers.qin2020.results.matrix_of" in steps["results"]["parts"]
    assert "core.data.corruptions.plasma" in steps["corrupted"]["parts"]
    assert not any(part.startswith("core.data") for part in steps["attacked"]["parts"])
    assert "core.training.train" not in steps["attacked"]["parts"], "its inputs' keys hold what trained them"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("precompute/steps/toys.py", "'''Doubles.'''", "'''Twice the sum.'''  # as a paper has it"),
        ("precompute/steps/toys.py", "'''Doubles.'''", ""),
        ("precompute/steps/toys.py", '["x"]', '[\n        "x"\n    ]'),
        ("core/sums.py", "a: int, b: int) -> int:\n    return", "a: float, b: float):\n    return"),
        ("core/sums.py", "return 1", "return 2"),
        ("core/data.py", "return x", "return 2 * x"),
    ],
)
def test_what_cannot_change_a_result_is_not_told(tree, name, old, new):
    assert change(tree, name, old, new) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "step", "part"),
    [
        ("precompute/steps/toys.py", "SCALE = 2", "SCALE = 3", "weights", "precompute.steps.toys.SCALE"),
        (
            "precompute/steps/toys.py",
            ", 1) * SCALE",
            ", 2) * SCALE",
            "weights",
            "precompute.steps.toys.weights",
        ),
        ("precompute/steps/sums.py", "return x", "return -x", "clean", "precompute.steps.sums.made"),
        ("precompute/papers/toy/results.py", "5", "6", "sums", "precompute.papers.toy.results.sums"),
        ("core/sums.py", "a + b", "a - b", "weights", "core.sums.Sum"),
        ("core/sums.py", "total: int = 0", "total: int = 1", "weights", "core.sums.Sum"),
    ],
)
def test_other_code_is_told_with_what_to_do(tree, name, old, new, step, part):
    (said,) = change(tree, name, old, new)
    assert said.startswith(f"{step}: other code under the same version ")
    assert f"({part})" in said
    assert "raise its version in the table that it is in" in said
    assert "`make versions`" in said


def test_a_step_that_merely_names_a_variable_like_another_does_not_run_its_code(tree):
    assert "precompute.steps.toys.weights" not in Code(tree).steps()["clean"]["parts"]


def test_versions_and_steps_that_are_new_or_gone_are_told(tree):
    assert change(tree, "precompute/steps/table.py", ':clean", 3', ':clean", 4') == [
        "clean: version 4, recorded 3; run `make versions`"
    ]
    assert change(
        tree,
        "precompute/steps/table.py",
        '    "clean": StepFunction("precompute.steps.toys:clean", 4),\n',
        "",
    ) == ["clean: gone; run `make versions`"]


def test_code_that_moves_is_the_same_code(tree):
    text = (tree / "core" / "sums.py").read_text()
    moved = text[text.index("class Sum") : text.index("def add")]
    (tree / "core" / "parts.py").write_text(moved)
    assert change(tree, "core/sums.py", moved, "from core.parts import Sum\n") == []


def test_what_is_recorded_is_read_back(tree, tmp_path):
    record(tmp_path / "record.json", tree)
    assert recorded(tmp_path / "record.json") == Code(tree).steps()


def test_modules_imported_whole_are_refused(tree):
    steps = tree / "precompute" / "steps" / "toys.py"
    steps.write_text(STEPS.replace("from core.sums import add", "from core import sums as add"))
    with pytest.raises(ValueError, match=r"expected names imported from core\.sums, got the module"):
        Code(tree).steps()


def test_a_copy_elsewhere_gives_the_same_digests(tmp_path):
    for room in ("core", "precompute"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    assert RECORD.exists()
    assert Code(tmp_path).steps() == Code().steps()
