"""The digits: their enlargement against hand-computed values and Pillow, and the split rule."""

import numpy as np
import pytest
import torch
from PIL import Image

import core.data
from core.data.digits import DigitsSource, enlarge


@pytest.fixture(scope="module")
def digits() -> core.data.Dataset:
    return core.data.load("digits")


@pytest.fixture(scope="module")
def original() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    data, target = load_digits(return_X_y=True)
    return data.reshape(-1, 8, 8).astype(int), target


def test_counts_and_types(digits: core.data.Dataset) -> None:
    assert [len(s) for s in (digits.train, digits.validation, digits.test)] == [1071, 362, 364]
    for split in (digits.train, digits.validation, digits.test):
        assert split.images.shape == (len(split), 1, 28, 28)
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == torch.int64
        counts = torch.bincount(split.labels, minlength=10)
        assert counts.max() - counts.min() <= 5
    assert digits.digest == digits.spec.digest
    assert digits.copy == "scikit-learn digits"


def test_one_white_pixel_becomes_the_kernel() -> None:
    small = np.zeros((1, 8, 8), np.int64)
    small[0, 2, 5] = 16
    large = enlarge(small)[0].astype(int)
    # Keys' kernel at 0, 1/3, 2/3 is 1, 7/9, 1/3; pixel (2, 5) has its centre at 2 + 3 * 2 + 1, 2 + 3 * 5 + 1.
    assert large[9, 15:22].tolist() == [0, 85, 198, 255, 198, 85, 0]
    assert large[6:13, 18].tolist() == [0, 85, 198, 255, 198, 85, 0]
    assert large[8, 17] == round(255 * 49 / 81)
    # Beyond one pixel the kernel is negative, so cut to 0, but in the corners it is so twice: (4 / 54)^2.
    assert large[9].sum() == large[:, 18].sum() == 255 + 2 * (198 + 85)
    assert large[5, 14] == round(255 * 16 / 54**2)


def test_grey_levels_are_kept_at_pixel_centres(original: tuple[np.ndarray, np.ndarray]) -> None:
    centres = enlarge(original[0])[:, 3:26:3, 3:26:3]
    assert np.array_equal(centres, np.floor(original[0] * 255 / 16 + 0.5))


def test_agrees_with_pillow(original: tuple[np.ndarray, np.ndarray]) -> None:
    ours = enlarge(original[0][:100])
    for small, large in zip(original[0][:100], ours, strict=True):
        padded = Image.fromarray(np.pad(small, 2).astype(np.float32) * (255 / 16))
        theirs = np.asarray(padded.resize((36, 36), Image.Resampling.BICUBIC))[4:32, 4:32]
        assert np.abs(large - theirs.clip(0, 255)).max() <= 0.51


def test_split_rule(digits: core.data.Dataset, original: tuple[np.ndarray, np.ndarray]) -> None:
    images = enlarge(original[0])
    seen = dict.fromkeys(range(10), 0)
    order: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for place, label in enumerate(original[1].tolist()):
        k = seen[label] % 5
        order["test" if k == 0 else "validation" if k == 1 else "train"].append(place)
        seen[label] += 1
    for name, places in order.items():
        split: core.data.Split = getattr(digits, name)
        assert np.array_equal(split.images[:, 0].numpy(), images[places])
        assert split.labels.tolist() == original[1][places].tolist()


def test_no_image_is_in_two_splits(digits: core.data.Dataset) -> None:
    parts = [
        {image.numpy().tobytes() for image in s.images}
        for s in (digits.train, digits.validation, digits.test)
    ]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]


def test_another_file_in_scikit_learn_is_not_taken_for_the_known_one(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DigitsSource()
    assert source.is_known(tmp_path)
    other = tmp_path / "digits.csv.gz"
    other.write_bytes(b"other digits")
    monkeypatch.setattr("core.data.digits._built_in", lambda: other)
    assert not source.is_known(tmp_path)
    # The digest is then taken from what scikit-learn loads.
    assert core.data.fingerprint("digits") == core.data.SPECS["digits"].digest


def test_unexpected_digits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import sklearn.datasets

    core.data._load.cache_clear()
    wrong = (np.full((5, 64), 17.0), np.arange(5))
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda return_X_y: wrong)
    with pytest.raises(core.data.DataError, match=r"values 0\.\.16, got \(5, 64\) with 17\.0\.\.17\.0"):
        core.data.load("digits")


def test_download_has_nothing_to_do() -> None:
    core.data.download("digits", lambda progress: pytest.fail("nothing should be downloaded"))
