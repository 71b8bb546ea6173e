"""SVHN's two files: labels, the cut for validation, and what is refused; the real ones, if here."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

import core.data
from core.data import DataError
from core.data.svhn import LONGEST_NUMBER, SVHN
from tests.core.data.conftest import published

TRAIN, TEST = 60, 8


def save(path: Path, pixels: np.ndarray, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {"X": pixels, "y": labels}, do_compression=True)


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(4)
    return {
        "train": rng.integers(0, 256, (32, 32, 3, TRAIN), np.uint8),
        "test": rng.integers(0, 256, (32, 32, 3, TEST), np.uint8),
        "train labels": rng.integers(1, 11, (TRAIN, 1), np.uint8),
        "test labels": np.array([[10], [1], [9], [5], [10], [2], [3], [4]], np.uint8),
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrays) -> Path:
    root = tmp_path / "data"
    monkeypatch.setenv("CAPSIGHT_DATA", str(root))
    for part in ("train", "test"):
        save(root / "SVHN" / f"{part}_32x32.mat", arrays[part], arrays[f"{part} labels"])
    return root / "SVHN"


def test_files_become_splits(folder: Path, arrays) -> None:
    data = core.data.load("svhn")
    assert data.train.images.shape[1:] == (3, 32, 32)
    assert data.train.images.dtype == torch.uint8
    assert data.test.labels.tolist() == [0, 1, 9, 5, 0, 2, 3, 4], "10 is the digit 0"
    for image in range(TEST):
        for channel in range(3):
            plane = arrays["test"][:, :, channel, image]
            assert np.array_equal(data.test.images[image, channel].numpy(), plane)
    assert data.copy == "unknown copy: other pixels, labels or order than the " + data.spec.copy
    assert core.data.fingerprint("svhn") == data.digest != data.spec.digest


def test_no_house_number_is_in_both_parts(folder: Path, arrays) -> None:
    data = core.data.load("svhn")
    pixels = arrays["train"].transpose(3, 2, 0, 1)
    count = len(data.validation)
    assert count == TRAIN // 10
    assert np.array_equal(data.validation.images.numpy(), pixels[-count:])
    assert np.array_equal(data.train.images.numpy(), pixels[: len(data.train)])
    # A number that holds the last training image ends, at the latest, before the first validation image.
    assert len(data.train) - 1 + LONGEST_NUMBER == TRAIN - count


def test_files_in_the_root_itself_are_found(folder: Path) -> None:
    digest = core.data.load("svhn").digest
    for path in folder.iterdir():
        path.rename(folder.parent / path.name)
    assert core.data.is_available("svhn")
    assert core.data.load("svhn").digest == digest


def test_known_and_official_copies_are_told_by_checksum(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("train_32x32.mat", "test_32x32.mat")
    train, test = (published(name, (folder / name).read_bytes()) for name in names)
    digest = core.data.load("svhn").digest
    core.data._load.cache_clear()
    monkeypatch.setitem(core.data._SOURCES, "svhn", replace(SVHN, train=train, test=test))
    assert core.data.load("svhn").copy == "official files"
    assert core.data.fingerprint("svhn") == digest
    core.data._fingerprint.cache_clear()
    monkeypatch.setitem(core.data._SOURCES, "svhn", replace(SVHN, known=(train, test)))
    monkeypatch.setattr("core.data.svhn.read_mat5", lambda *a: pytest.fail("decoded"))
    assert core.data.fingerprint("svhn") == core.data.SPECS["svhn"].digest


@pytest.mark.parametrize("label", [0, 11, 255])
def test_labels_outside_1_to_10_are_refused(folder: Path, arrays, label: int) -> None:
    labels = arrays["test labels"].copy()
    labels[3] = label
    save(folder / "test_32x32.mat", arrays["test"], labels)
    with pytest.raises(DataError) as caught:
        core.data.load("svhn")
    assert str(caught.value) == (
        f"{folder / 'test_32x32.mat'}: expected labels from 1 to 10, where 10 is the digit 0, got {label} "
        "for item 3; replace this file with a whole copy"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a["test"].astype(float), r"expected X as uint8 of shape \(32, 32, 3, N\), got double"),
        (lambda a: np.where(a["test"] > 9, np.nan, 0.5), "expected X as uint8 .*, got double"),
        (lambda a: a["test"][:28, :28], r"got uint8 of shape \(28, 28, 3, 8\)"),
        (lambda a: a["test"][:, :, :1], r"got uint8 of shape \(32, 32, 1, 8\)"),
        (lambda a: a["test"].transpose(3, 2, 0, 1), r"got uint8 of shape \(8, 3, 32, 32\)"),
        (lambda a: a["test"][..., :7], "expected one label for each of 7 images, got 8"),
    ],
)
def test_other_pixels_are_refused(folder: Path, arrays, change, message: str) -> None:
    save(folder / "test_32x32.mat", change(arrays), arrays["test labels"])
    with pytest.raises(DataError, match=rf"test_32x32\.mat: .*{message}"):
        core.data.load("svhn")


def test_too_few_to_hold_any_out(folder: Path, arrays) -> None:
    save(folder / "train_32x32.mat", arrays["train"][..., :9], arrays["train labels"][:9])
    with pytest.raises(DataError, match="expected at least 10 training images, got 9; use a larger copy"):
        core.data.load("svhn")


def test_absent_files(folder: Path) -> None:
    (folder / "test_32x32.mat").unlink()
    assert not core.data.is_available("svhn")
    assert core.data.fingerprint("svhn") == core.data.SPECS["svhn"].digest
    with pytest.raises(
        DataError, match=rf"expected SVHN in {folder}, got no test_32x32\.mat there; download it"
    ):
        core.data.load("svhn")


def test_the_real_subset(real_data: Path) -> None:
    if not core.data.is_available("svhn"):
        pytest.skip(f"svhn is not in {real_data}")
    data = core.data.load("svhn")
    if data.copy != data.spec.copy:
        pytest.skip(f"{real_data} holds another copy: {data.copy}")
    assert (len(data.train), len(data.validation), len(data.test)) == (3986, 443, 1952)
    assert torch.bincount(data.test.labels).tolist() == [136, 366, 297, 233, 194, 169, 149, 151, 134, 123]
    whole = scipy.io.loadmat(real_data / "SVHN" / "train_32x32.mat")["X"]
    assert whole.mean((0, 1, 3)) / 255 == pytest.approx([0.4450, 0.4511, 0.4793], abs=5e-5)
    assert np.array_equal(data.validation.images.numpy(), whole.transpose(3, 2, 0, 1)[-443:])
    assert core.data.fingerprint("svhn") == data.digest == data.spec.digest
