"""The reader against files written by hand, and against everything that can be wrong with them."""

import gzip
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.data.idx import read_idx
from core.data.specs import DataError

ToIdx = Callable[[np.ndarray], bytes]
IMAGES = np.random.default_rng(1).integers(0, 256, (4, 2, 3), np.uint8)


def test_hand_written_bytes(tmp_path: Path) -> None:
    path = tmp_path / "images"
    path.write_bytes(bytes.fromhex("00000803 00000002 00000001 00000003 010203 fffe00"))
    read = read_idx(path, (1, 3), 2)
    assert read.dtype == np.uint8
    assert read.tolist() == [[[1, 2, 3]], [[255, 254, 0]]]
    read[0, 0, 0] = 9  # writable, so that torch takes it without a warning
    path.write_bytes(bytes.fromhex("00000801 00000003 070809"))
    assert read_idx(path, ()).tolist() == [7, 8, 9]


def test_gzipped_and_raw_are_the_same(tmp_path: Path, to_idx: ToIdx) -> None:
    raw, zipped = tmp_path / "images", tmp_path / "images.gz"
    raw.write_bytes(to_idx(IMAGES))
    zipped.write_bytes(gzip.compress(to_idx(IMAGES)))
    assert np.array_equal(read_idx(raw, (2, 3), 4), IMAGES)
    assert np.array_equal(read_idx(zipped, (2, 3), 4), IMAGES)


def header(*values: int, magic: bytes = b"\0\0\x08\x03") -> bytes:
    return magic + struct.pack(f">{len(values)}I", *values)


BODY = IMAGES.tobytes()
BAD = {
    "empty": (b"", r"expected IDX magic 00 00 08 03 \(uint8, 3 dimensions\), got an empty file"),
    "text": (b"<html>not found</html>", r"got 3c 68 74 6d, which is no IDX file"),
    "labels": (header(24, magic=b"\0\0\x08\x01") + BODY, r"got 00 00 08 01 \(uint8, 1 dimensions\)"),
    "floats": (
        header(4, 2, 3, magic=b"\0\0\x0d\x03") + BODY * 4,
        r"got 00 00 0d 03 \(float32, 3 dimensions\)",
    ),
    "no such type": (header(4, 2, 3, magic=b"\0\0\x07\x03") + BODY, r"got 00 00 07 03, which is no IDX file"),
    "header cut": (header(4, 2, 3)[:10], r"expected a header of 16 bytes, got 10: the file is truncated"),
    "other image size": (
        header(4, 3, 2) + BODY,
        r"expected items of shape \(2, 3\), got \(3, 2\) in the header",
    ),
    "fewer items": (
        header(3, 2, 3) + BODY[:18],
        r"expected 4 items \(as in the official file\), got 3 in the",
    ),
    "more items": (header(5, 2, 3) + BODY + BODY[:6], r"expected 4 items .*, got 5 in the header"),
    "values cut": (
        header(4, 2, 3) + BODY[:-1],
        r"expected 24 bytes of values, got (at most )?23: the file is tr",
    ),
    "values missing": (
        header(4, 2, 3),
        r"expected 24 bytes of values, got (at most )?0: the file is truncated",
    ),
    "one byte more": (header(4, 2, 3) + BODY + b"\0", r"expected the end after 24 bytes of values, got more"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_bad_content_is_refused_by_name(tmp_path: Path, name: str, suffix: str) -> None:
    content, message = BAD[name]
    path = tmp_path / f"images{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path, (2, 3), 4)
    assert str(caught.value).startswith(f"{path}: expected ")
    assert "replace this file" in str(caught.value)


def test_no_items_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(bytes.fromhex("00000801 00000000"))
    with pytest.raises(DataError, match="expected at least one item, got 0"):
        read_idx(path, ())


def test_the_reason_for_a_count_is_told(tmp_path: Path, to_idx: ToIdx) -> None:
    path = tmp_path / "labels"
    path.write_bytes(to_idx(np.zeros(3, np.uint8)))
    with pytest.raises(DataError, match=r"expected 4 items \(one for each image of x\), got 3"):
        read_idx(path, (), 4, why="one for each image of x")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, to_idx: ToIdx, suffix: str) -> None:
    whole = gzip.compress(to_idx(IMAGES)) if suffix else to_idx(IMAGES)
    path = tmp_path / f"images{suffix}"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="expected"):
            read_idx(path, (2, 3), 4)


def test_a_changed_byte_of_a_gz_file_is_refused_or_harmless(tmp_path: Path, to_idx: ToIdx) -> None:
    whole = gzip.compress(to_idx(IMAGES))
    path = tmp_path / "images.gz"
    refused = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert np.array_equal(read_idx(path, (2, 3), 4), IMAGES)
        except DataError:
            refused += 1
    # Only time stamp, flags and system in the gzip header carry no information of ours.
    assert refused >= len(whole) - 10


def test_names_that_lie_about_gzip(tmp_path: Path, to_idx: ToIdx) -> None:
    raw_as_gz, gz_as_raw = tmp_path / "a.gz", tmp_path / "b"
    raw_as_gz.write_bytes(to_idx(IMAGES))
    gz_as_raw.write_bytes(gzip.compress(to_idx(IMAGES)))
    with pytest.raises(
        DataError, match=r"a\.gz: expected gzip data, which start with 1f 8b, got 00 00 at the"
    ):
        read_idx(raw_as_gz, (2, 3), 4)
    with pytest.raises(DataError, match=r"got 1f 8b 08 \d\d: gzip data, whose file name should end in \.gz"):
        read_idx(gz_as_raw, (2, 3), 4)


def test_a_second_gzip_member_and_trailing_garbage_are_refused(tmp_path: Path, to_idx: ToIdx) -> None:
    path = tmp_path / "images.gz"
    whole = gzip.compress(to_idx(IMAGES))
    for extra in (whole, b"garbage"):
        path.write_bytes(whole + extra)
        with pytest.raises(DataError, match=r"got (more bytes than the header promises|a damaged one)"):
            read_idx(path, (2, 3), 4)


def test_a_gzip_bomb_is_not_inflated(tmp_path: Path, to_idx: ToIdx) -> None:
    path = tmp_path / "images.gz"
    compressor = zlib.compressobj(9, wbits=31)
    zeros = bytes(1 << 20)
    parts = [compressor.compress(to_idx(IMAGES)), *(compressor.compress(zeros) for _ in range(64))]
    path.write_bytes(b"".join([*parts, compressor.flush()]))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="more bytes than the header promises"):
            read_idx(path, (2, 3), 4)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_header_that_promises_too_much_gets_no_memory(tmp_path: Path, suffix: str) -> None:
    content = header(0xFFFFFFFF, 2, 3) + BODY
    path = tmp_path / f"images{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(
        DataError, match=r"expected 25769803770 bytes of values, got at most \d+: the file is tr"
    ):
        read_idx(path, (2, 3))


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: expected a readable file, got No such file"):
        read_idx(tmp_path / "nowhere", ())
    with pytest.raises(DataError, match=r"expected a readable file, got Is a directory"):
        read_idx(tmp_path, ())
