"""The MATLAB reader against files that scipy writes, and against everything that can be wrong with them."""

import random
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from core.data.mat5 import read_mat5
from core.data.specs import DataError

X = np.random.default_rng(2).integers(0, 256, (3, 5, 2, 7), np.uint8)
Y = np.arange(1, 8, dtype=np.uint8)[:, None]
WANTED = {"X": (3, 5, 2, None), "y": (None, 1)}


def written(path: Path, deflated: bool = True, **variables: object) -> bytes:
    """The file that scipy makes of X and y, or of others in their place."""
    scipy.io.savemat(path, {"X": X, "y": Y} | variables, do_compression=deflated)
    return path.read_bytes()


@pytest.mark.parametrize("deflated", [True, False])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_what_scipy_writes_and_reads(tmp_path: Path, deflated: bool, count: int) -> None:
    path = tmp_path / "a.mat"
    written(
        path, deflated, X=X[..., :count], y=Y[:count], other=np.ones((2, 3)), text="not ours", cell=[Y, "a"]
    )
    ours, theirs = read_mat5(path, WANTED), scipy.io.loadmat(path)
    assert set(ours) == {"X", "y"}
    for name in ours:
        assert ours[name].dtype == np.uint8
        assert np.array_equal(ours[name], theirs[name])
    assert ours["X"].shape == (3, 5, 2, count) or count == 1  # MATLAB drops trailing dimensions of one


BAD = {
    "doubles": ({"X": X.astype(float)}, r"expected X as uint8 of shape \(3, 5, 2, N\), got double of shape"),
    "not finite": ({"X": np.full(X.shape, np.nan)}, "expected X as uint8 .*, got double"),
    "signed": (
        {"y": Y.astype(np.int8)},
        r"expected y as uint8 of shape \(N, 1\), got int8 of shape \(7, 1\)",
    ),
    "complex": ({"y": Y + 1j}, "got complex double"),
    "other image size": ({"X": X[:2]}, r"got uint8 of shape \(2, 5, 2, 7\)"),
    "images first": ({"X": X.transpose(3, 0, 1, 2)}, r"got uint8 of shape \(7, 3, 5, 2\)"),
    "no channels": ({"X": X[:, :, 0]}, r"got uint8 of shape \(3, 5, 7\)"),
    "labels in a row": ({"y": Y.T}, r"expected y as uint8 of shape \(N, 1\), got uint8 of shape \(1, 7\)"),
    "none": ({"X": X[..., :0]}, r"got uint8 of shape \(3, 5, 2, 0\)"),
    "cells": ({"y": np.array([Y], object)}, "expected y as uint8 .*, got cell"),
    "text": ({"y": "1234567"}, "expected y as uint8 .*, got char"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("deflated", [True, False])
def test_other_types_and_shapes_are_refused(tmp_path: Path, name: str, deflated: bool) -> None:
    variables, message = BAD[name]
    path = tmp_path / "a.mat"
    written(path, deflated, **variables)
    with pytest.raises(DataError, match=message) as caught:
        read_mat5(path, WANTED)
    assert str(caught.value).startswith(f"{path}: expected ")
    assert "replace this file" in str(caught.value)


def test_missing_variables_and_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"X": X})
    with pytest.raises(DataError, match="expected a variable y, got none"):
        read_mat5(path, WANTED)
    for content in (b"", b"<html>not found</html>", b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"):
        path.write_bytes(content)
        with pytest.raises(
            DataError, match=r"expected a little-endian MATLAB 5\.0 file, got one that starts"
        ):
            read_mat5(path, WANTED)
    with pytest.raises(DataError, match="expected a readable file, got No such file"):
        read_mat5(tmp_path / "nowhere", WANTED)
    with pytest.raises(DataError, match="expected a readable file, got Is a directory"):
        read_mat5(tmp_path, WANTED)


@pytest.mark.parametrize("deflated", [True, False])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, deflated: bool) -> None:
    path = tmp_path / "a.mat"
    whole = written(path, deflated)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="expected"):
            read_mat5(path, WANTED)


@pytest.mark.parametrize("deflated", [True, False])
def test_changed_bytes_are_refused_or_harmless(tmp_path: Path, deflated: bool) -> None:
    # Of some of these, scipy's reader dies.
    path = tmp_path / "a.mat"
    whole = written(path, deflated)
    chance = random.Random(0)
    refused = 0
    for place in range(128, len(whole)):
        changed = bytearray(whole)
        changed[place] ^= chance.randrange(1, 256)
        path.write_bytes(changed)
        try:
            read = read_mat5(path, WANTED)
        except DataError:
            refused += 1
        else:
            assert read["X"].shape[:3] == (3, 5, 2)
    assert refused == len(whole) - 128 if deflated else refused > 40


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def crafted(
    values: bytes, shape: tuple[int, ...], *, values_kind: int = 2, length: int | None = None
) -> bytes:
    """A deflated array X, written by hand."""
    body = element(6, bytes([9, 0, 0, 0, 0, 0, 0, 0])) + element(5, struct.pack(f"<{len(shape)}i", *shape))
    body += element(1, b"X")
    body += struct.pack("<II", values_kind, len(values) if length is None else length) + values
    packed = zlib.compress(struct.pack("<II", 14, len(body)) + body, 9)
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed


def test_hand_written_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(crafted(bytes(range(24)), (2, 3, 4)))
    read = read_mat5(path, {"X": (2, 3, None)})["X"]
    assert read[1, 0, 0] == 1, "the first dimension runs fastest"
    assert read[0, 2, 0] == 4
    assert read[0, 0, 3] == 18


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (crafted(bytes(23), (2, 3, 4)), "expected 24 values of X, got 23"),
        (
            crafted(bytes(23), (2, 3, 4), length=24),
            "expected the values of X of 24 bytes, got 23: the file is t",
        ),
        (crafted(bytes(25), (2, 3, 4)), "expected the values of X of at most 24 bytes, got 25"),
        (
            crafted(bytes(24), (2, 3, 4), values_kind=200),
            r"expected the values of X \(type 2\), got type 200",
        ),
        (crafted(bytes(24), (2, 3, -4)), r"got uint8 of shape \(2, 3, -4\)"),
        (crafted(bytes(64), (2, 3, 4), length=24), "expected the end of the deflated data after the values"),
    ],
)
def test_heads_that_lie_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_mat5(path, {"X": (2, 3, None)})


@pytest.mark.parametrize(
    "content",
    [
        crafted(bytes(64 << 20), (2, 3, 4), length=24),
        crafted(bytes(24), (2, 3, 1 << 29), length=3 << 30),
    ],
)
def test_bombs_and_promises_get_no_memory(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="expected"):
            read_mat5(path, {"X": (2, 3, None)})
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()
