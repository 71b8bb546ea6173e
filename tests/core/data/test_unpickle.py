"""The restricted unpickler: what it reads, and that nothing else gets anything done."""

import collections
import io
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from core.data.unpickle import Array, UnpickleError, loads
from tests.core.data.conftest import python2_pickle

DATA = np.arange(6, dtype=np.uint8).reshape(2, 3)
BATCH = {b"data": DATA, b"labels": [3, 9], b"batch_label": b"one", b"nested": {b"a": [b"b", None, True]}}


def test_a_batch_of_python_2() -> None:
    # That the writer of these tests writes what NumPy reads:
    theirs = pickle.Unpickler(io.BytesIO(python2_pickle(BATCH)), encoding="bytes").load()  # noqa: S301
    assert np.array_equal(theirs[b"data"], DATA)
    read = loads(python2_pickle(BATCH))
    array = read.pop(b"data")
    assert isinstance(array, Array)
    assert (array.shape, array.dtype, array.data) == ((2, 3), "u1", DATA.tobytes())
    assert read == {key: value for key, value in BATCH.items() if key != b"data"}


class Writes:
    """Unpickled by pickle, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.write_text, (self.path, "executed"))


class Evaluates(Writes):
    def __reduce__(self) -> tuple:
        return (eval, (f"__import__('pathlib').Path({str(self.path)!r}).write_text('executed')",))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", [Writes, Evaluates])
def test_nothing_is_executed(tmp_path: Path, kind: type[Writes], protocol: int) -> None:
    path = tmp_path / "trace"
    data = pickle.dumps({"data": DATA, "labels": [kind(path)]}, protocol)
    with pytest.raises(UnpickleError, match="expected arrays, dicts, lists, strings and numbers, got "):
        loads(data)
    assert not path.exists()
    pickle.loads(data)  # noqa: S301 - the same bytes do act on whoever trusts them
    assert path.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(U\x04exittR.",
        b"cbuiltins\neval\n.",
        b"cnumpy\nload\n.",
        b"cnumpy.core.multiarray\nscalar\n.",
        b"(U\x04exitios\nsystem\n.",  # INST
        b"(cos\nsystem\nU\x04exito.",  # OBJ
        b"\x82\x01.",  # EXT1
        b"Pname\n.",  # PERSID
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",  # STACK_GLOBAL
        b"\x80\x02ccollections\nOrderedDict\n)\x81.",  # NEWOBJ
        b"\x80\x05\x97.",  # NEXT_BUFFER
    ],
)
def test_other_names_and_opcodes_are_refused(data: bytes) -> None:
    with pytest.raises(UnpickleError, match="expected arrays, dicts, lists, strings and numbers, got "):
        loads(data)


def test_values_of_other_classes_are_refused() -> None:
    for value in (collections.Counter("a"), {1, 2}, 3 + 4j, np.float64(2), object()):
        with pytest.raises(UnpickleError, match="expected arrays, dicts, lists, strings and numbers, got "):
            loads(pickle.dumps(value, protocol=2))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\x89T", b"\x88T"),  # by column
        (b"\x89U\x06" + DATA.tobytes(), b"\x89]"),  # a list of objects
        (b"\x89U\x06" + DATA.tobytes(), b"\x89K\x06"),
        (b"(J\x02\x00\x00\x00J\x03\x00\x00\x00t", b"(J\xff\xff\xff\xffJ\x03\x00\x00\x00t"),
        (b"(J\x02\x00\x00\x00J\x03\x00\x00\x00t", b"]"),
    ],
)
def test_other_arrays_are_refused(old: bytes, new: bytes) -> None:
    whole = python2_pickle(DATA) if old != b"\x89T" else python2_pickle(np.zeros(300, np.uint8))
    assert old in whole
    with pytest.raises(UnpickleError, match="expected (an array of numbers|the shape of an array)"):
        loads(whole.replace(old, new))


def test_stand_ins_cannot_be_used_for_anything() -> None:
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\n"
    for data in (
        reconstruct + b"N}U\x08__init__K\x01s\x86b.",  # attributes of the class itself
        b"cnumpy\ndtype\n}b.",
        reconstruct + b"(tR(K\x01](tb.",  # a state that is too short
        b"]}U\x01aK\x01sb.",  # attributes of a list
        b"K\x01)R.",  # a number, called
    ):
        with pytest.raises(UnpickleError, match="expected"):
            loads(data)
    assert Array().shape == ()


def test_a_pickle_cut_anywhere_is_refused() -> None:
    whole = python2_pickle(BATCH)
    for length in range(len(whole)):
        with pytest.raises(UnpickleError, match="expected a whole pickle, got a damaged one"):
            loads(whole[:length])


def test_what_would_take_memory_or_the_stack_is_refused() -> None:
    nested_tuples = (
        b"}" + b"N" + b"\x85" * 200_000 + b"K\x01s."
    )  # as the key of a dict: hashed in C, recursively
    far_place = b"Nr\xff\xff\xff\x0f."  # the unpickler would make room for 2 ** 28 values
    long_string = b"T\xff\xff\xff\x7fshort."
    tracemalloc.start()
    try:
        for data in (nested_tuples, far_place, long_string):
            with pytest.raises(UnpickleError, match="expected"):
                loads(data)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    loads(b"]" * 200_000 + b"a" * 199_999 + b".")  # deep lists are built and dropped, no more
