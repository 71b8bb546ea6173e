"""Small IDX data sets in a temporary data root."""

import gzip
import hashlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import core.data
from core.data.mnist import IdxFile, IdxSource

TRAIN, TEST, VALIDATION = 23, 7, 5
SHARED = Path(__file__).parents[4] / "shared" / "data"


def idx_bytes(values: np.ndarray) -> bytes:
    """The IDX file of some bytes, written independently of the reader."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


@dataclass
class Tiny:
    """A source like MNIST's with few images, its files, and what they decode to."""

    root: Path
    source: IdxSource
    arrays: dict[str, np.ndarray]

    @property
    def folder(self) -> Path:
        return self.root / "MNIST" / "raw"

    @property
    def files(self) -> list[IdxFile]:
        return [*self.source.train, *self.source.test]

    def payload(self, name: str) -> bytes:
        """The official .gz file of that name."""
        return gzip.compress(idx_bytes(self.arrays[name]), mtime=0)

    def write(self, *, gz: bool = True) -> None:
        """Put the whole data set into the root."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, values in self.arrays.items():
            if gz:
                (self.folder / f"{name}.gz").write_bytes(self.payload(name))
            else:
                (self.folder / name).write_bytes(idx_bytes(values))


@pytest.fixture
def to_idx() -> Callable[[np.ndarray], bytes]:
    return idx_bytes


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """Stands in for MNIST: `core.data` finds it under that name, in an empty data root."""
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte": rng.integers(0, 256, (TRAIN, 28, 28), np.uint8),
        "train-labels-idx1-ubyte": rng.integers(0, 10, TRAIN, np.uint8),
        "t10k-images-idx3-ubyte": rng.integers(0, 256, (TEST, 28, 28), np.uint8),
        "t10k-labels-idx1-ubyte": rng.integers(0, 10, TEST, np.uint8),
    }
    files: list[IdxFile] = []
    for name, values in arrays.items():
        data = gzip.compress(idx_bytes(values), mtime=0)
        files.append(
            IdxFile(name, len(values), len(data), hashlib.md5(data, usedforsecurity=False).hexdigest())
        )
    source = IdxSource(
        folder="MNIST",
        mirror="http://127.0.0.1:9/never",
        train=(files[0], files[1]),
        test=(files[2], files[3]),
        validation=VALIDATION,
    )
    root = tmp_path / "data"
    monkeypatch.setenv("CAPSIGHT_DATA", str(root))
    monkeypatch.setitem(core.data._SOURCES, "mnist", source)
    made = Tiny(root, source, arrays)
    made.write()
    official = core.data.load("mnist").digest
    monkeypatch.setitem(core.data.SPECS, "mnist", replace(core.data.SPECS["mnist"], digest=official))
    for path in made.folder.iterdir():
        path.unlink()
    core.data._load.cache_clear()
    core.data._fingerprint.cache_clear()
    return made


@pytest.fixture
def real_data(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The developers' copy of the real data sets."""
    root = core.data.data_root() if os.environ.get("CAPSIGHT_DATA") else SHARED
    if not (root / "MNIST" / "raw").is_dir():
        pytest.skip("needs the real data sets in CAPSIGHT_DATA or ../shared/data")
    monkeypatch.setenv("CAPSIGHT_DATA", str(root))
    return root
