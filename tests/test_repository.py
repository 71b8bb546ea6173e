"""What holds for the repository as a whole: its size, what is in it, and that its documents are right."""

import ast
import json
import lzma
import re
import struct
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
MIB = 2**20
PICTURE_TENSOR = 3
"""A tensor of 8-bit unsigned integers of at least as many dimensions holds pictures."""


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that is in the repository, or would be after `git add .`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no git repository: {error}")
    paths = (ROOT / name for name in found.split("\0") if name)
    return tuple(sorted({path for path in paths if path.is_file()}))


def sources(*rooms: str) -> list[Path]:
    """The Python files of these folders."""
    return [path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in rooms]


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


def tensor_kinds(path: Path) -> dict[str, tuple[str, list[int]]]:
    """Type and shape of each tensor of a safetensors file, compressed or not, from its header."""
    with lzma.open(path) if path.suffix == ".xz" else path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    return {name: (t["dtype"], t["shape"]) for name, t in header.items() if name != "__metadata__"}


def test_the_repository_travels():
    sizes = {path.relative_to(ROOT): path.stat().st_size for path in tracked()}
    largest = sorted(sizes, key=lambda path: sizes[path], reverse=True)[:5]
    told = ", ".join(f"{path} {sizes[path] / MIB:.1f}" for path in largest)
    assert sum(sizes.values()) < 48 * MIB, f"over the budget of 48 MiB; the largest files, in MiB: {told}"


def test_no_file_of_a_data_set_is_tracked():
    names = re.compile(r"(idx[13]-ubyte|data_batch_\d|test_batch|_32x32\.mat|coil-100)", re.IGNORECASE)
    kinds = {".gz", ".zip", ".tar", ".mat", ".npy", ".npz", ".pkl", ".pickle", ".pt", ".pth", ".bin", ".h5"}
    found = [path for path in tracked() if names.search(path.name) or path.suffix.lower() in kinds]
    assert not found, "data sets stay with their owners, and pickles run code"


@pytest.mark.parametrize(
    "bundle", sorted((ROOT / "assets" / "bundles").glob("*/")), ids=lambda path: path.name
)
def test_shipped_bundles_hold_no_pictures_that_are_not_ours(bundle):
    from core.data import spec

    if spec(bundle.name).pictures_ship:
        pytest.skip(f"pictures of {bundle.name} may ship")
    files = [path for path in tracked() if bundle in path.parents]
    stored = [path for path in files if ".safetensors" in path.suffixes]
    assert stored
    assert {path.suffix for path in files if path not in stored} <= {".json", ".parquet"}
    for path in stored:
        for name, (kind, shape) in tensor_kinds(path).items():
            assert not (kind == "U8" and len(shape) >= PICTURE_TENSOR), f"{name} of {path} holds pictures"
            assert name not in {"x", "x_adv", "images", "reconstruction"}, f"{name} of {path}"


def test_streamlit_stays_in_the_app():
    found = [path for path in sources("core", "precompute", "benchmarks") if "streamlit" in imported(path)]
    assert not found


def test_files_can_be_read_at_a_sitting():
    python = [path for path in tracked() if path.suffix == ".py"]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python}
    assert not {str(path.relative_to(ROOT)): n for path, n in lengths.items() if n > 400}


def pins(name: str) -> dict[str, str]:
    """Packages and their exact versions in a requirements file."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    lines = [line for line in lines if line and not line.startswith("-r ")]
    for line in lines:
        assert re.fullmatch(r"[\w-]+(\[\w+\])?==[\w.]+", line), f"expected name==version, got {line!r}"
    return {Requirement(line).name: line.partition("==")[2] for line in lines}


def test_pins_lie_in_the_ranges_of_the_metadata():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for declared, file in (
        (project["dependencies"], "requirements.txt"),
        (project["optional-dependencies"]["dev"], "requirements-dev.txt"),
    ):
        ranges = {r.name: r.specifier for r in map(Requirement, declared)}
        found = pins(file)
        assert ranges.keys() == found.keys()
        assert all(found[name] in ranges[name] for name in ranges)


def test_every_imported_package_is_a_requirement():
    names = {
        "PIL": "pillow",
        "skimage": "scikit-image",
        "sklearn": "scikit-learn",
        "umap": "umap-learn",
        "vl_convert": "vl-convert-python",
    }
    own = {"core", "precompute", "app"}
    packages = {name for path in sources(*own) for name in imported(path)} - own - sys.stdlib_module_names
    assert {names.get(name, name) for name in packages} <= pins("requirements.txt").keys()


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_commands_in_the_documents_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE))
    assert told, "expected make commands in it"
    assert told <= targets
    program = ast.parse((ROOT / "precompute" / "__main__.py").read_text())
    commands = {
        node.name.replace("_", "-")
        for node in program.body
        if isinstance(node, ast.FunctionDef) and any("command" in ast.dump(d) for d in node.decorator_list)
    }
    assert set(re.findall(r"python -m precompute ([a-z]+)", text)) <= commands


def test_the_step_that_the_readme_explains_is_named_in_full():
    (name,) = re.findall(r"python -m precompute explain (\S+)", (ROOT / "README.md").read_text("utf-8"))
    dataset, paper, profile, step = name.split("/", 3)
    bundle = json.loads(
        (ROOT / "assets" / "bundles" / dataset / f"{paper}-{profile}.json").read_text("utf-8")
    )
    assert step in bundle["names"]


def test_the_layers_of_core_are_told_as_they_are_held():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract.get("containers") == ["core"])
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    told = [[line.partition("  ")[0] for line in block.splitlines()] for block in blocks]
    assert layers in told


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_and_files_in_the_documents_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    files = re.findall(r"`((?:app|core|precompute|tests|assets)/[\w/.-]+)`", text)
    real = [name for name in (*links, *files) if not re.search("NAME|PAPER|DATASET", name)]
    missing = [name for name in real if not (ROOT / name).exists()]
    assert not missing
