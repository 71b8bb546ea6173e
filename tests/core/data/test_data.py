"""core.data as its callers use it: specs, splits, finding, caching, refusing; and the real files, if here."""

import gzip
import hashlib
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import core.data
from core.data import DataError

pytestmark = pytest.mark.slow


def test_specs() -> None:
    assert list(core.data.SPECS) == ["digits", "mnist", "fashion_mnist", "svhn", "cifar10"]
    for name, spec in core.data.SPECS.items():
        assert core.data.spec(name) is spec
        assert spec.name == name
        assert spec.shape == ((3, 32, 32) if name in ("svhn", "cifar10") else (1, 28, 28))
        assert len(set(spec.classes)) == 10
        assert len(bytes.fromhex(spec.digest)) == 32
        assert spec.pictures_ship is (name == "digits")
    # qin2020, appendix C.
    settings = {n: (s.epsilon, s.step_size, s.fgsm_step, s.steps) for n, s in core.data.SPECS.items()}
    assert settings["mnist"] == (0.3, 0.01, 0.05, 1000)
    assert settings["fashion_mnist"] == (0.1, 0.01, 0.05, 500)
    assert settings["svhn"] == (0.1, 0.01, 0.05, 200)
    assert settings["cifar10"][0] == 8 / 255
    assert core.data.SPECS["fashion_mnist"].classes[9] == "Ankle boot"


@pytest.mark.parametrize(
    "call",
    [core.data.spec, core.data.load, core.data.is_available, core.data.fingerprint, core.data.download],
)
def test_unknown_names_are_refused_with_the_known_ones(call) -> None:
    with pytest.raises(
        DataError, match="expected a data set among digits, mnist, fashion_mnist, svhn, cifar10, got 'cifar'"
    ):
        call("cifar")


def test_data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPSIGHT_DATA", str(tmp_path))
    assert core.data.data_root() == tmp_path
    monkeypatch.setenv("CAPSIGHT_DATA", "~/images")
    assert core.data.data_root() == Path.home() / "images"
    monkeypatch.setenv("CAPSIGHT_DATA", "")
    assert core.data.data_root().parts[-2:] == ("capsight", "data")
    monkeypatch.delenv("CAPSIGHT_DATA")
    assert core.data.data_root().is_absolute()
    assert core.data.data_root().parts[-2:] == ("capsight", "data")


def test_split_x() -> None:
    images = torch.arange(0, 250, 25, dtype=torch.uint8).view(10, 1, 1, 1)
    split = core.data.Split(images, torch.arange(10))
    assert len(split) == 10
    assert split.x().dtype == torch.float32
    assert torch.equal(split.x().view(-1), torch.arange(0, 250, 25) / 255)
    for index, expected in (
        (3, [3]),
        (-1, [9]),
        (slice(2, 5), [2, 3, 4]),
        ([4, 1], [4, 1]),
        (torch.tensor([7, 7]), [7, 7]),
        (np.int64(5), [5]),
        (np.array([0, 2]), [0, 2]),
        (split.labels > 7, [8, 9]),
        ([], []),
    ):
        x = split.x(index)
        assert x.shape == (len(expected), 1, 1, 1)
        assert torch.equal(x.view(-1), torch.tensor(expected, dtype=torch.float32) * 25 / 255)
    with pytest.raises(IndexError):
        split.x([10])


@pytest.mark.parametrize("gz", [True, False])
def test_files_become_splits(tiny, gz: bool) -> None:
    tiny.write(gz=gz)
    assert core.data.is_available("mnist")
    data = core.data.load("mnist")
    images, labels = tiny.arrays["train-images-idx3-ubyte"], tiny.arrays["train-labels-idx1-ubyte"]
    assert data.train.images.shape == (18, 1, 28, 28)
    assert np.array_equal(data.train.images[:, 0].numpy(), images[:18])
    assert np.array_equal(data.validation.images[:, 0].numpy(), images[18:])
    assert np.array_equal(data.validation.labels.numpy(), labels[18:])
    assert np.array_equal(data.test.images[:, 0].numpy(), tiny.arrays["t10k-images-idx3-ubyte"])
    assert data.test.labels.dtype == torch.int64
    assert data.copy == "official files"
    assert data.digest == core.data.fingerprint("mnist") == core.data.SPECS["mnist"].digest
    assert core.data.load("mnist") is data


def test_digest_is_over_decoded_bytes(tiny) -> None:
    tiny.write()
    images, labels = tiny.arrays["train-images-idx3-ubyte"], tiny.arrays["train-labels-idx1-ubyte"]
    parts = [
        b"train 18 1 28 28\n" + images[:18].tobytes() + labels[:18].tobytes(),
        b"validation 5 1 28 28\n" + images[18:].tobytes() + labels[18:].tobytes(),
        b"test 7 1 28 28\n"
        + tiny.arrays["t10k-images-idx3-ubyte"].tobytes()
        + tiny.arrays["t10k-labels-idx1-ubyte"].tobytes(),
    ]
    assert core.data.load("mnist").digest == hashlib.sha256(b"".join(parts)).hexdigest()


def test_official_files_are_known_without_being_decoded(tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write()
    monkeypatch.setattr("core.data.mnist.read_idx", lambda *a, **k: pytest.fail("decoded"))
    assert core.data.fingerprint("mnist") == core.data.SPECS["mnist"].digest


def test_raw_files_are_preferred(tiny, to_idx) -> None:
    tiny.write()
    name = "t10k-labels-idx1-ubyte"
    other = (tiny.arrays[name] + 1) % 10
    (tiny.folder / name).write_bytes(to_idx(other))
    assert core.data.load("mnist").test.labels.tolist() == other.tolist()


def test_another_copy_says_so_and_has_its_own_digest(tiny, to_idx) -> None:
    tiny.write()
    official = core.data.load("mnist").digest
    assert core.data.fingerprint("mnist") == official
    name = "train-images-idx3-ubyte"
    changed = tiny.arrays[name].copy()
    changed[0, 0, 0] ^= 1
    (tiny.folder / f"{name}.gz").write_bytes(gzip.compress(to_idx(changed)))
    # The copy was replaced under the same name: nothing that was remembered of the first may be handed out.
    data = core.data.load("mnist")
    assert data.train.images[0, 0, 0, 0].item() == changed[0, 0, 0]
    assert data.copy == "unknown copy: other pixels, labels or order than the official files"
    assert data.digest == core.data.fingerprint("mnist") != official


def test_absent_files(tiny) -> None:
    assert not core.data.is_available("mnist")
    assert core.data.fingerprint("mnist") == core.data.SPECS["mnist"].digest
    with pytest.raises(DataError) as caught:
        core.data.load("mnist")
    message = str(caught.value)
    assert f"expected MNIST in {tiny.folder}, got no train-images-idx3-ubyte or train-images-idx3" in message
    assert "core.data.download('mnist')" in message
    assert "set CAPSIGHT_DATA" in message
    # Files that arrive later are found: the refusal is not remembered.
    tiny.write()
    assert len(core.data.load("mnist").test) == 7


def test_three_of_four_files_are_not_available(tiny) -> None:
    tiny.write()
    (tiny.folder / "t10k-labels-idx1-ubyte.gz").unlink()
    assert not core.data.is_available("mnist")
    with pytest.raises(DataError, match="got no t10k-labels-idx1-ubyte"):
        core.data.load("mnist")


def test_images_and_labels_that_disagree(tiny, to_idx) -> None:
    tiny.write()
    path = tiny.folder / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(to_idx(np.zeros(22, np.uint8))))
    message = r"train-labels-idx1-ubyte\.gz: expected 23 items \(one for each image of train-im.*\), got 22"
    with pytest.raises(DataError, match=message):
        core.data.load("mnist")


def test_fewer_images_than_the_official_file(tiny, to_idx) -> None:
    tiny.write()
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tiny.folder / f"{name}.gz").write_bytes(gzip.compress(to_idx(tiny.arrays[name][:20])))
    with pytest.raises(DataError, match=r"expected 23 items \(as in the official file\), got 20"):
        core.data.load("mnist")


def test_labels_outside_the_classes(tiny, to_idx) -> None:
    tiny.write()
    name = "t10k-labels-idx1-ubyte"
    labels = tiny.arrays[name].copy()
    labels[4] = 10
    (tiny.folder / f"{name}.gz").write_bytes(gzip.compress(to_idx(labels)))
    with pytest.raises(DataError, match=rf"{name}\.gz: expected labels from 0 to 9, got 10 for item 4"):
        core.data.load("mnist")


def test_swapped_files_are_refused(tiny) -> None:
    tiny.write()
    images, labels = (tiny.folder / f"t10k-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
    content = images.read_bytes()
    images.write_bytes(labels.read_bytes())
    labels.write_bytes(content)
    with pytest.raises(DataError, match=r"t10k-images.*expected IDX magic 00 00 08 03 .*, got 00 00 08 01"):
        core.data.load("mnist")


def test_looking_is_cheap() -> None:
    code = (
        "import sys, core.data\n"
        "for name in core.data.SPECS:\n"
        "    core.data.is_available(name), core.data.fingerprint(name)\n"
        "print([m for m in ('sklearn', 'pooch', 'pandas') if m in sys.modules])"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


REAL = {
    # name: train mean over the 60,000 images of the file, its standard deviation, images per class
    "mnist": (0.1307, 0.3081, [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
    "fashion_mnist": (0.2860, 0.3530, [6000] * 10),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files(real_data: Path, name: str) -> None:
    if not core.data.is_available(name):
        pytest.skip(f"{name} is not in {real_data}")
    core.data._load.cache_clear()
    start = time.process_time()
    data = core.data.load(name)
    assert time.process_time() - start < 3
    assert (len(data.train), len(data.validation), len(data.test)) == (55_000, 5_000, 10_000)
    mean, std, counts = REAL[name]
    pixels = np.concatenate([data.train.images.numpy(), data.validation.images.numpy()])
    histogram = np.bincount(pixels.ravel(), minlength=256) / pixels.size
    levels = np.arange(256) / 255
    measured = float((histogram * levels).sum())
    assert measured == pytest.approx(mean, abs=5e-5)
    assert float(np.sqrt((histogram * (levels - measured) ** 2).sum())) == pytest.approx(std, abs=5e-5)
    labels = torch.cat([data.train.labels, data.validation.labels])
    assert torch.bincount(labels).tolist() == counts
    assert data.digest == data.spec.digest == core.data.fingerprint(name)
    assert data.copy == "official files"


def test_first_labels_of_the_real_files(real_data: Path) -> None:
    if not core.data.is_available("mnist"):
        pytest.skip(f"mnist is not in {real_data}")
    data = core.data.load("mnist")
    assert data.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert data.validation.x(slice(0, 3)).shape == (3, 1, 28, 28)
