"""Reader for IDX, the format of MNIST's files, gzipped or raw, that trusts nothing in them.

An IDX file is two zero bytes, a type code, the number of dimensions, the dimensions as big-endian 32-bit
integers, then the values. Source: the format's description on the MNIST page of Y. LeCun.
"""

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.specs import DataError

_TYPES = {8: "uint8", 9: "int8", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}
_UINT8 = 8
_GZIP = b"\x1f\x8b"
# Deflate cannot expand further than this: a header that promises more is lying, and gets no memory.
_MOST_EXPANSION = 1032
_CHUNK = 1 << 20


def read_idx(
    path: Path, item_shape: tuple[int, ...], items: int | None = None, why: str = "as in the official file"
) -> NDArray[np.uint8]:
    """Read one IDX file of bytes; names ending in .gz are gzipped.

    No more is read, inflated or allocated than the header promises, and the header is checked first.

    Args:
        path: The file.
        item_shape: Shape of one item: (H, W) for images, () for labels.
        items: How many there must be; None accepts any number but 0.
        why: Where that number comes from, for the message.
    Returns: (N, *item_shape), uint8, writable.
    Raises: DataError: when the file cannot be read, is no IDX file of such items, is cut short, or goes on
        after its end.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as raw:
            if path.suffix != ".gz":
                return _decode(raw, path, item_shape, items, why, size)
            start = raw.read(2)
            if start != _GZIP:
                raise _bad(path, "gzip data, which start with 1f 8b", f"{_hex(start)} at the start")
            raw.seek(0)
            with gzip.GzipFile(fileobj=raw, mode="rb") as inflated:
                return _decode(inflated, path, item_shape, items, why, size * _MOST_EXPANSION)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _bad(path, "a whole gzip stream", f"a damaged one ({error})") from error
    except OSError as error:
        raise DataError(
            f"{path}: expected a readable file, got {error.strerror or error}; check the path"
        ) from error


def _decode(
    stream: gzip.GzipFile | io.BufferedReader,
    path: Path,
    item_shape: tuple[int, ...],
    items: int | None,
    why: str,
    at_most: int,
) -> NDArray[np.uint8]:
    """Header, then values, then the end. `at_most` bytes can come out of this stream."""
    ndim = 1 + len(item_shape)
    magic = _take(stream, 4)
    wanted = bytes((0, 0, _UINT8, ndim))
    if magic != wanted:
        raise _bad(path, f"IDX magic {_hex(wanted)} (uint8, {ndim} dimensions)", _describe(magic))
    header = _take(stream, 4 * ndim)
    if len(header) < 4 * ndim:
        raise _bad(path, f"a header of {4 + 4 * ndim} bytes", f"{4 + len(header)}: the file is truncated")
    count, *shape = struct.unpack(f">{ndim}I", header)
    if tuple(shape) != item_shape:
        raise _bad(path, f"items of shape {item_shape}", f"{tuple(shape)} in the header")
    if items is not None and count != items:
        raise _bad(path, f"{items} items ({why})", f"{count} in the header")
    if count == 0:
        raise _bad(path, "at least one item", "0 in the header")

    length = count * math.prod(item_shape)
    room = at_most - len(magic) - len(header)
    if length > room:
        raise _bad(path, f"{length} bytes of values", f"at most {room}: the file is truncated")
    values = np.empty(length, np.uint8)
    found = _fill(stream, values.data)
    if found < length:
        raise _bad(path, f"{length} bytes of values", f"{found}: the file is truncated")
    # Reaching the end is also what makes gzip compare its checksum.
    if stream.read(1):
        raise _bad(path, f"the end after {length} bytes of values", "more bytes than the header promises")
    return values.reshape(count, *item_shape)


def _fill(stream: gzip.GzipFile | io.BufferedReader, into: memoryview) -> int:
    """Read until `into` is full or the stream ends; the number of bytes read."""
    found = 0
    while found < len(into):
        try:
            # read1 hands out what it has before it raises, so that the number found is right.
            chunk = stream.read1(min(_CHUNK, len(into) - found))
        except EOFError:
            break
        if not chunk:
            break
        into[found : found + len(chunk)] = chunk
        found += len(chunk)
    return found


def _take(stream: gzip.GzipFile | io.BufferedReader, length: int) -> bytes:
    """Up to `length` bytes; fewer at the end."""
    buffer = bytearray(length)
    return bytes(buffer[: _fill(stream, memoryview(buffer))])


def _describe(magic: bytes) -> str:
    """What a wrong magic number says the file is."""
    if magic[:2] == _GZIP:
        return f"{_hex(magic)}: gzip data, whose file name should end in .gz"
    if len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _TYPES:
        return f"{_hex(magic)} ({_TYPES[magic[2]]}, {magic[3]} dimensions)"
    return f"{_hex(magic)}, which is no IDX file" if magic else "an empty file"


def _hex(data: bytes) -> str:
    return data.hex(" ") or "nothing"


def _bad(path: Path, expected: str, got: str) -> DataError:
    return DataError(f"{path}: expected {expected}, got {got}; replace this file with a whole copy")
