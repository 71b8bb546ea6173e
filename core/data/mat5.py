"""Reader for the 8-bit variables of a MATLAB level 5 file that trusts nothing in it.

scipy.io.loadmat reads such files too, but one changed byte can end the process there (a segmentation fault in
scipy 1.17), of which no caller can make a message. The tests hold this reader against scipy on good files.

A file is a header of 128 bytes, then elements: a tag (type and number of bytes), then the bytes. An element
is an array, or one that is deflated. An array again consists of elements: flags, dimensions, name, values.
Source: The MathWorks, MAT-File Format, "Level 5 MAT-File Format".
"""

import io
import math
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.specs import DataError

Shape = tuple[int | None, ...]
"""Of a variable; None stands for any number but 0."""

_HEADER = 128
_LEVEL_5 = b"\x00\x01IM"  # version 1.0 in little-endian order: the last four bytes of the header
_INT8, _UINT8, _INT32, _UINT32, _MATRIX, _DEFLATED = 1, 2, 5, 6, 14, 15
_CLASSES = ("cell", "struct", "object", "char", "sparse", "double", "single", "int8", "uint8")
_COMPLEX = 0x08
_MOST_HEAD = 256  # bytes of flags, dimensions or a name; a few each in our files

_Take = Callable[[int], bytes]
"""The next bytes of an array, as many as asked for or as there are."""

_Named = tuple[str, NDArray[np.uint8]]


class _BadError(Exception):
    """What was expected and what came, without the file's name."""


def read_mat5(path: Path, wanted: Mapping[str, Shape]) -> dict[str, NDArray[np.uint8]]:
    """Read variables of type uint8; others in the file are passed over.

    No more is inflated than a variable's dimensions promise, and these are checked first.

    Args:
        path: The file.
        wanted: Name and shape of each variable.
    Returns: The variables by name, read-only, their values in MATLAB's (column-major) order.
    Raises: DataError: when the file cannot be read, is no such file, lacks a variable, holds it in another
        type or shape, or is cut short.
    """
    try:
        with path.open("rb") as file:
            found = dict(_arrays(file, path.stat().st_size, wanted))
        for name in wanted:
            if name not in found:
                raise _BadError(f"expected a variable {name}, got none")
    except OSError as error:
        raise DataError(
            f"{path}: expected a readable file, got {error.strerror or error}; check the path"
        ) from error
    except zlib.error as error:
        raise DataError(
            f"{path}: expected whole deflated data, got damaged ones ({error}); replace this file with a "
            "whole copy"
        ) from error
    except _BadError as error:
        raise DataError(f"{path}: {error}; replace this file with a whole copy") from error
    return found


def _arrays(file: io.BufferedReader, size: int, wanted: Mapping[str, Shape]) -> Iterator[_Named]:
    """The wanted arrays."""
    header = file.read(_HEADER)
    if header[-4:] != _LEVEL_5 or len(header) < _HEADER:
        start = header[:19].decode("ascii", "replace")
        raise _BadError(f"expected a little-endian MATLAB 5.0 file, got one that starts with {start!r}")
    while tag := file.read(8):
        kind, _, length = _tag(tag)
        left = size - file.tell()
        if kind not in (_MATRIX, _DEFLATED):
            raise _BadError(f"expected arrays, got an element of type {kind}")
        if length > left:
            raise _BadError(f"expected an array of {length} bytes, got {left}: the file is truncated")
        body = file.read(length)
        if kind == _MATRIX:
            array = _array(io.BytesIO(body).read, wanted)
        else:
            inflater = _Inflater(body)
            if _tag(inflater.take(8))[0] != _MATRIX:
                raise _BadError("expected a deflated array, got something else")
            array = _array(inflater.take, wanted)
            if array is not None:
                inflater.finish()
        if array is not None:
            yield array


class _Inflater:
    """Deflated bytes, inflated no further than asked for."""

    def __init__(self, body: bytes) -> None:
        self._inflate = zlib.decompressobj()
        self._left = body

    def take(self, length: int) -> bytes:
        # A maximum of 0 would mean none.
        found = self._inflate.decompress(self._left, length) if length else b""
        self._left = self._inflate.unconsumed_tail if length else self._left
        return found

    def finish(self) -> None:
        """Read the padding; reaching the end is also what makes zlib compare its checksum."""
        self.take(8)
        if not self._inflate.eof:
            raise _BadError("expected the end of the deflated data after the values, got more bytes or none")


def _array(take: _Take, wanted: Mapping[str, Shape]) -> _Named | None:
    """Name and values of an array, None for one that is not wanted."""
    flags = _element(take, _UINT32, "flags")
    dimensions = _element(take, _INT32, "dimensions")
    name = _element(take, _INT8, "a name").decode("ascii", "replace")
    if len(flags) != 8 or len(dimensions) % 4:
        raise _BadError("expected flags of 8 bytes and dimensions of 4 each, got others")
    if name not in wanted:
        return None
    shape = struct.unpack(f"<{len(dimensions) // 4}i", dimensions)
    kind = _CLASSES[flags[0] - 1] if 1 <= flags[0] <= len(_CLASSES) else f"class {flags[0]}"
    kind = f"complex {kind}" if flags[1] & _COMPLEX else kind
    if kind != "uint8" or not _fits(shape, wanted[name]):
        expected = ", ".join("N" if n is None else str(n) for n in wanted[name])
        raise _BadError(f"expected {name} as uint8 of shape ({expected}), got {kind} of shape {shape}")
    count = math.prod(shape)
    data = _element(take, _UINT8, f"the values of {name}", count)
    if len(data) != count:
        raise _BadError(f"expected {count} values of {name}, got {len(data)}")
    return name, np.frombuffer(data, np.uint8).reshape(shape, order="F")


def _fits(shape: tuple[int, ...], wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(
        n > 0 if want is None else n == want for n, want in zip(shape, wanted, strict=True)
    )


def _element(take: _Take, wanted: int, what: str, most: int = _MOST_HEAD) -> bytes:
    """The bytes of the next element, which must be of this type; padding to 8 bytes is passed over."""
    tag = take(8)
    kind, start, length = _tag(tag)
    if kind != wanted:
        raise _BadError(f"expected {what} (type {wanted}), got type {kind}")
    if length > most:
        raise _BadError(f"expected {what} of at most {most} bytes, got {length}")
    if start == 4:
        return tag[4 : 4 + length]
    data = take(length)
    if len(data) < length:
        raise _BadError(f"expected {what} of {length} bytes, got {len(data)}: the file is truncated")
    take(-length % 8)
    return data


def _tag(data: bytes) -> tuple[int, int, int]:
    """Type, where the bytes start, and how many there are; up to four bytes share eight with their tag."""
    if len(data) < 8:
        raise _BadError(f"expected a tag of 8 bytes, got {len(data)}: the file is truncated")
    kind, length = struct.unpack("<II", data)
    if kind >> 16:
        return kind & 0xFFFF, 4, min(kind >> 16, 4)
    return kind, 8, length
