"""A restricted unpickler: arrays, dicts, lists, strings and numbers, and nothing else. Nothing is executed.

A pickle is a program, and pickle.load runs it. Here its instructions are looked through before any is
followed, and the only names that it may call are the three that make an array in NumPy's pickles. They lead
to stand-ins that keep what they are given; NumPy itself is not called. Source: the documentation of pickle,
"Restricting Globals".
"""

import io
import pickle
import pickletools
from dataclasses import dataclass
from typing import Any

_MOST_TUPLES = 16
"""A batch has five. Deeply nested ones, as keys of a dict, would overflow the interpreter's stack."""

_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_TUPLES = frozenset(("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"))
_OPCODES = frozenset(
    (
        *("PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE"),
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "BINBYTES", "SHORT_BINBYTES"),
        *("EMPTY_LIST", "LIST", "APPEND", "APPENDS", "EMPTY_DICT", "DICT", "SETITEM", "SETITEMS"),
        *("GET", "BINGET", "LONG_BINGET", "GLOBAL", "REDUCE", "BUILD"),
        *_PUTS,
        *_TUPLES,
    )
)


# What pickle may raise for damaged data: its documentation names "other exceptions" besides its own.
_DAMAGED = (
    *(pickle.UnpicklingError, ArithmeticError, AttributeError),
    *(EOFError, LookupError, TypeError, ValueError),
)


class UnpickleError(ValueError):
    """A pickle that is damaged or holds something else; the message says what was expected and what came."""


def loads(data: bytes) -> Any:
    """The value that a pickle of protocol 2 or less holds.

    Args:
        data: The pickle; strings of Python 2 become bytes.
    Returns: Dicts, lists, tuples, strings, bytes, numbers, None, and `Array` where NumPy's arrays were.
    Raises: UnpickleError: when it is cut short, names anything else, or asks for memory out of proportion.
    """
    try:
        _check(data)
        return _Unpickler(io.BytesIO(data), encoding="bytes").load()
    except UnpickleError:
        raise
    except MemoryError:
        raise UnpickleError("expected values that fit into memory, got larger ones") from None
    except _DAMAGED as error:
        raise UnpickleError(f"expected a whole pickle, got a damaged one ({error})") from error


@dataclass(init=False)
class Array:
    """Stands where an array was, as it came: nothing here says that the three agree.

    Attributes:
        shape: Whole numbers of 0 or more.
        dtype: NumPy's code of the type ("u1").
        data: The values, row by row.
    """

    shape: tuple[int, ...] = ()
    dtype: str = "none"
    data: bytes = b""

    def __init__(self, *_: Any) -> None:
        """NumPy makes an empty array first, and fills it by `__setstate__`."""

    def __setstate__(self, state: Any) -> None:
        _version, shape, dtype, by_column, data = state
        if not isinstance(dtype, _Dtype) or not isinstance(data, bytes) or by_column is not False:
            raise UnpickleError("expected an array of numbers in row-major order, got another one")
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise UnpickleError("expected the shape of an array, got something else")
        self.shape, self.dtype, self.data = shape, dtype.code, data


class _Dtype:
    """Stands where the type of an array was."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code = code.decode("ascii", "replace") if isinstance(code, bytes) else f"{code!s:.20}"

    def __setstate__(self, state: Any) -> None:
        """Byte order and alignment: bytes have none."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        found = _STAND_INS.get((module, name))
        if found is None:
            raise UnpickleError(f"expected arrays, dicts, lists, strings and numbers, got {module}.{name}")
        return found


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): Array,
    ("numpy", "ndarray"): Array,
    ("numpy", "dtype"): _Dtype,
}


def _check(data: bytes) -> None:
    """Look through the instructions without following them."""
    tuples = 0
    for number, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        name = opcode.name
        if name not in _OPCODES:
            raise UnpickleError(f"expected arrays, dicts, lists, strings and numbers, got the opcode {name}")
        tuples += name in _TUPLES
        if tuples > _MOST_TUPLES:
            raise UnpickleError(f"expected at most {_MOST_TUPLES} tuples, got more")
        # The unpickler makes room for as many values as the highest place has.
        if name in _PUTS and int(argument) > number:  # pyright: ignore[reportArgumentType] - an int, in these
            raise UnpickleError(f"expected places up to {number} for values, got {argument}")
