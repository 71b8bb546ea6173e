"""CIFAR-10's archive, read without being unpacked, and all that can be wrong; the real one, if here."""

import gzip
import io
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import core.data
from core.data import SPECS, DataError
from core.data.cifar10 import CIFAR10
from tests.core.data.conftest import published, python2_pickle

FOLDER = "cifar-10-batches-py"
NAMES = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
Members = dict[str, bytes | tarfile.TarInfo]


def batch(number: int, count: int = 4) -> dict[bytes, object]:
    rng = np.random.default_rng(number)
    return {
        b"data": rng.integers(0, 256, (count, 3072), np.uint8),
        b"labels": rng.integers(0, 10, count).tolist(),
        b"filenames": [b"name.png"] * count,
    }


@pytest.fixture
def members() -> Members:
    """What a good archive holds."""
    names = [name.encode() for name in SPECS["cifar10"].classes]
    found: Members = {f"{FOLDER}/batches.meta": python2_pickle({b"label_names": names})}
    return found | {f"{FOLDER}/{name}": python2_pickle(batch(k)) for k, name in enumerate(NAMES)}


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Members], Path]:
    """Writes an archive into an empty data root."""
    root = tmp_path / "data"
    root.mkdir()
    monkeypatch.setenv("CAPSIGHT_DATA", str(root))

    def write(members: Members) -> Path:
        path = root / "cifar-10-python.tar.gz"
        with gzip.open(path, "wb", 1) as stream, tarfile.open(fileobj=stream, mode="w") as archive:
            for name, content in members.items():
                info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
                if isinstance(content, bytes):
                    info.size = len(content)
                archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
        return path

    return write


def test_an_archive_becomes_splits(members: Members, write) -> None:
    path = write({FOLDER: directory(FOLDER), **members, f"{FOLDER}/readme.html": b"<html>"})
    data = core.data.load("cifar10")
    whole = np.concatenate([batch(k)[b"data"] for k in range(5)])
    labels = [label for k in range(5) for label in batch(k)[b"labels"]]
    assert data.train.images.shape == (18, 3, 32, 32)
    assert np.array_equal(data.train.images.flatten(1).numpy(), whole[:18]), "channels first, then rows"
    assert np.array_equal(data.validation.images.flatten(1).numpy(), whole[18:])
    assert [*data.train.labels.tolist(), *data.validation.labels.tolist()] == labels
    assert data.test.labels.tolist() == batch(5)[b"labels"]
    assert data.copy == "unknown copy: other pixels, labels or order than the " + data.spec.copy
    assert core.data.fingerprint("cifar10") == data.digest
    assert list(path.parent.iterdir()) == [path], "nothing is unpacked"


def directory(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info


def test_known_and_official_archives_are_told_by_checksum(
    members: Members, write, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = write(members).read_bytes()
    archive = published("cifar-10-python.tar.gz", content)
    monkeypatch.setitem(core.data._SOURCES, "cifar10", replace(CIFAR10, archive=archive))
    assert core.data.load("cifar10").copy == "official files"
    monkeypatch.setitem(core.data._SOURCES, "cifar10", replace(CIFAR10, known=archive))
    monkeypatch.setattr("core.data.cifar10.loads", lambda *a: pytest.fail("decoded"))
    assert core.data.fingerprint("cifar10") == SPECS["cifar10"].digest


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (Path.write_text, (self.path, "executed"))


@pytest.mark.parametrize("name", ["batches.meta", *NAMES])
def test_a_malicious_pickle_is_refused_by_name_and_not_executed(
    members: Members, write, tmp_path: Path, name: str
) -> None:
    trace = tmp_path / "trace"
    evil = pickle.dumps({b"data": Evil(trace)}, protocol=2)
    path = write(members | {f"{FOLDER}/{name}": evil})
    with pytest.raises(DataError) as caught:
        core.data.load("cifar10")
    message = str(caught.value)
    assert message.startswith(
        f"{path}: {FOLDER}/{name}: expected arrays, dicts, lists, strings and numbers, got "
    )
    assert message.endswith("; replace this file with a whole copy")
    assert not trace.exists()


def changed(**fields: object) -> bytes:
    return python2_pickle(batch(0) | {name.encode(): value for name, value in fields.items()})


PIXELS = np.zeros((4, 3072))
BAD = {
    "cut": (changed()[:-9], "expected a whole pickle, got a damaged one"),
    "a list": (python2_pickle([1]), "expected a dict with an array of data, got another value"),
    "no data": (changed(data=None), "expected a dict with an array of data, got another value"),
    "floats": (changed(data=PIXELS), r"expected data of type u1 \(uint8\) and shape \(N, 3072\), got f8"),
    "not finite": (changed(data=PIXELS * np.nan), "expected data of type u1 .* got f8"),
    "signed": (changed(data=PIXELS.astype(np.int8)), r"got i1 of shape \(4, 3072\) in 12288 bytes"),
    "images": (changed(data=np.zeros((4, 32, 32, 3), np.uint8)), r"got u1 of shape \(4, 32, 32, 3\)"),
    "grey": (changed(data=np.zeros((4, 1024), np.uint8)), r"got u1 of shape \(4, 1024\)"),
    "none": (changed(data=np.zeros((0, 3072), np.uint8), labels=[]), r"got u1 of shape \(0, 3072\)"),
    "one label short": (changed(labels=[1, 2, 3]), "expected one label for each of 4 images, got 3"),
    "no labels": (changed(labels=None), "expected one label for each of 4 images, got none"),
    "label 10": (changed(labels=[0, 9, 10, 1]), "expected labels from 0 to 9, got 10 for item 2"),
    "label -1": (changed(labels=[0, 9, 1, -1]), "expected labels from 0 to 9, got -1 for item 3"),
    "a word": (changed(labels=[0, b"cat", 1, 2]), "expected labels from 0 to 9, got bytes for item 1"),
    "a truth": (changed(labels=[True, 1, 1, 2]), "expected labels from 0 to 9, got bool for item 0"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", ["data_batch_3", "test_batch"])
def test_bad_batches_are_refused_by_name(members: Members, write, case: str, name: str) -> None:
    content, message = BAD[case]
    path = write(members | {f"{FOLDER}/{name}": content})
    with pytest.raises(DataError, match=f"{FOLDER}/{name}: .*{message}") as caught:
        core.data.load("cifar10")
    assert str(caught.value).startswith(f"{path}: ")


def test_a_shape_that_its_bytes_do_not_fill_is_refused(members: Members, write) -> None:
    content = changed().replace(b"J" + (4).to_bytes(4, "little"), b"J" + (5).to_bytes(4, "little"), 1)
    write(members | {f"{FOLDER}/data_batch_1": content})
    with pytest.raises(DataError, match=r"got u1 of shape \(5, 3072\) in 12288 bytes"):
        core.data.load("cifar10")


def test_other_classes_are_refused(members: Members, write) -> None:
    for names in ([b"apple", b"baby"], [name.encode() for name in reversed(SPECS["cifar10"].classes)], None):
        write(members | {f"{FOLDER}/batches.meta": python2_pickle({b"label_names": names})})
        with pytest.raises(DataError, match="expected the classes airplane, automobile, .*, got others"):
            core.data.load("cifar10")


def test_members_elsewhere_and_links_are_not_followed(members: Members, write, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(members[f"{FOLDER}/test_batch"])
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        link = tarfile.TarInfo(f"{FOLDER}/test_batch")
        link.type, link.linkname = kind, f"{FOLDER}/data_batch_1" if kind == tarfile.LNKTYPE else str(outside)
        path = write({f"{FOLDER}/../../evil": b"x", **members, link.name: link})
        with pytest.raises(DataError, match=f"expected a file {FOLDER}/test_batch in the archive, got none"):
            core.data.load("cifar10")
        assert list(path.parent.iterdir()) == [path]
    assert not (tmp_path / "evil").exists()


def test_members_that_are_too_large_or_too_many_are_refused(members: Members, write, monkeypatch) -> None:
    write({**members, "large": bytes(20_000)})
    monkeypatch.setattr("core.data.cifar10._MOST_BYTES", 19_999)
    with pytest.raises(
        DataError, match="expected at most 32 members of at most 19999 bytes, got large of 20000"
    ):
        core.data.load("cifar10")
    write({**{f"small {k}": b"" for k in range(32)}, **members})
    with pytest.raises(DataError, match=r"got .*batches\.meta of .* bytes as number 33"):
        core.data.load("cifar10")


def test_damaged_archives_are_refused(members: Members, write) -> None:
    path = write(members)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[-6] ^= 1  # of the checksum
    for content in (
        whole[:-9],
        whole[: len(whole) // 2],
        bytes(damaged),
        b"",
        b"<html>",
        gzip.compress(b"tar?"),
    ):
        path.write_bytes(content)
        with pytest.raises(
            DataError, match="expected a (whole gzipped tar archive|file cifar-10-batches-py)"
        ):
            core.data.load("cifar10")
    path.write_bytes(gzip.compress(gzip.decompress(whole) + bytes(2 << 20)))
    with pytest.raises(DataError, match="expected the end after the last member, got more bytes"):
        core.data.load("cifar10")
    path.unlink()
    with pytest.raises(
        DataError, match=rf"expected CIFAR-10 in {path.parent}, got no {path.name} there; downl"
    ):
        core.data.load("cifar10")


def test_the_real_copy(real_data: Path) -> None:
    if not core.data.is_available("cifar10"):
        pytest.skip(f"cifar10 is not in {real_data}")
    data = core.data.load("cifar10")
    if data.copy != data.spec.copy:
        pytest.skip(f"{real_data} holds another copy: {data.copy}")
    assert (len(data.train), len(data.validation), len(data.test)) == (18_000, 2_000, 10_000)
    labels = torch.cat([data.train.labels, data.validation.labels])
    assert torch.bincount(labels).tolist() == [2000] * 10
    assert torch.bincount(data.test.labels).tolist() == [1000] * 10
    assert data.test.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    assert core.data.fingerprint("cifar10") == data.digest == data.spec.digest
    lossless = real_data / "CIFAR10-lossless" / "cifar10-train-first4000.npz"
    if lossless.is_file():
        # The original pixels: the same places, channels and orientation, but for the loss of JPEG.
        first = np.load(lossless)["images"][:1000].transpose(0, 3, 1, 2).astype(int)
        difference = np.abs(data.train.images[:1000].numpy() - first).mean((1, 2, 3))
        assert difference.mean() == pytest.approx(5.8, abs=0.2)
        assert difference.max() < 13.1
