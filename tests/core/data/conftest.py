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
from core.data.files import PublishedFile
from core.data.mnist import IdxFile, IdxSource

TRAIN, TEST, VALIDATION = 23, 7, 5
SHARED = Path(__file__).parents[4] / "shared" / "data"


def idx_bytes(values: np.ndarray) -> bytes:
    """The IDX file of some bytes, written independently of the reader."""
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def published(name: str, content: bytes) -> PublishedFile:
    """How a file of that content is known."""
    return PublishedFile(name, len(content), hashlib.md5(content, usedforsecurity=False).hexdigest())


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
            IdxFile(name, len(data), hashlib.md5(data, usedforsecurity=False).hexdigest(), len(values))
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


def python2_pickle(value: object) -> bytes:
    """The pickle of protocol 2 that Python 2 and NumPy 1 wrote, in which strings are bytes."""
    return b"\x80\x02" + _written(value) + b"."


def _written(value: object) -> bytes:
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            return b"J" + struct.pack("<i", value)
        case bytes() if len(value) < 256:
            return b"U" + bytes([len(value)]) + value
        case bytes():
            return b"T" + struct.pack("<I", len(value)) + value
        case tuple():
            return b"(" + b"".join(map(_written, value)) + b"t"
        case list():
            return b"](" + b"".join(map(_written, value)) + b"e"
        case dict():
            return b"}(" + b"".join(_written(part) for item in value.items() for part in item) + b"u"
        case np.ndarray():
            made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _written((0,)) + b"U\x01btR"
            code = value.dtype.str[1:].encode()
            dtype = b"cnumpy\ndtype\n" + _written((code, 0, 1)) + b"R"
            dtype += _written((3, b"|", None, None, None, -1, -1, 0)) + b"b"
            state = b"(" + _written(1) + _written(value.shape) + dtype + _written(False)
            return made + state + _written(value.tobytes()) + b"tb"
    raise TypeError(type(value))
