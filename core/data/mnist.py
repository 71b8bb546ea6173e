"""MNIST and Fashion-MNIST: four IDX files each, in torchvision's layout, from disk or the official mirror."""

from dataclasses import dataclass
from pathlib import Path

import torch

from core.data.fetch import Wanted, fetch_all
from core.data.files import PublishedFile, absent, is_file, stamp_of
from core.data.idx import read_idx
from core.data.specs import DataError, DatasetSpec
from core.data.split import Dataset, OnProgress, Split, Stamp, assemble


@dataclass(frozen=True)
class IdxFile(PublishedFile):
    """One of the official files; size and checksum are those of the .gz file, the name is without .gz.

    Attributes:
        items: Images or labels in it.
    """

    items: int


@dataclass(frozen=True)
class IdxSource:
    """Files under `<root>/<folder>/raw`, each as it is or as .gz.

    If both are there, **the one without .gz is read**: torchvision keeps both, and this one needs no
    inflating.

    Attributes:
        folder: Named as torchvision names it.
        mirror: Base URL of the .gz files.
        train, test: Images and labels of each part.
        image_shape: (H, W).
        validation: Images held out of training: this many at the end of the training file.
    """

    folder: str
    mirror: str
    train: tuple[IdxFile, IdxFile]
    test: tuple[IdxFile, IdxFile]
    image_shape: tuple[int, int] = (28, 28)
    validation: int = 5000

    def stamp(self, root: Path, /) -> Stamp | None:
        """Identify the local copy without reading it; None unless all four files are there."""
        return stamp_of(self._find(root, file) for file in (*self.train, *self.test))

    def is_known(self, root: Path, /) -> bool:
        """Whether the four files that would be read are the official .gz files, by checksum."""
        return all(file.matches(self._find(root, file)) for file in (*self.train, *self.test))

    def load(self, spec: DatasetSpec, root: Path, /) -> Dataset:
        """Read and check all four files.

        Raises: DataError: when one is missing, is not as it should be, or disagrees with another.
        """
        train = self._read(spec, root, *self.train)
        test = self._read(spec, root, *self.test)
        cut = len(train) - self.validation
        return assemble(
            spec,
            # Views: the pixels are in memory once.
            Split(train.images[:cut], train.labels[:cut]),
            Split(train.images[cut:], train.labels[cut:]),
            test,
        )

    def download(self, root: Path, on_progress: OnProgress | None, mirror: str | None, /) -> None:
        """Fetch the .gz files that are missing or damaged; leave alone what is good.

        Args:
            root: Folder of all data sets.
            on_progress: Called as bytes arrive; an exception from it ends the download, leaving no partial
                file.
            mirror: Base URL to use in place of the official one; None for that.
        Raises: DataError: when a file cannot be had, or when a local one without .gz, which would be read
            first, is damaged.
        """
        wanted: list[Wanted] = []
        for file in (*self.train, *self.test):
            plain = self._folder(root) / file.name
            target = plain.with_name(f"{file.name}.gz")
            if is_file(plain):
                read_idx(plain, self._item_shape(file), file.items)
            wanted.append(Wanted(file, target, is_here=is_file(plain) or file.matches(target)))
        fetch_all(mirror or self.mirror, wanted, on_progress)

    def _read(self, spec: DatasetSpec, root: Path, images: IdxFile, labels: IdxFile) -> Split:
        """One part: images and labels that belong together."""
        images_path = self._found(spec, root, images)
        labels_path = self._found(spec, root, labels)
        pixels = read_idx(images_path, self._item_shape(images), images.items)
        classes = read_idx(
            labels_path,
            self._item_shape(labels),
            len(pixels),
            why=f"one for each image of {images_path.name}",
        )
        highest = spec.n_classes - 1
        if classes.max() > highest:
            at = int(classes.argmax())
            raise DataError(
                f"{labels_path}: expected labels from 0 to {highest}, got {classes[at]} for item {at}; "
                "replace this file with a whole copy"
            )
        return Split(torch.as_tensor(pixels).unsqueeze(1), torch.as_tensor(classes).to(torch.int64))

    def _item_shape(self, file: IdxFile) -> tuple[int, ...]:
        """(H, W) of an image, or () of a label."""
        return self.image_shape if file in (self.train[0], self.test[0]) else ()

    def _folder(self, root: Path) -> Path:
        return root / self.folder / "raw"

    def _find(self, root: Path, file: IdxFile) -> Path | None:
        """The file to read, if there is one."""
        for name in (file.name, f"{file.name}.gz"):
            path = self._folder(root) / name
            if is_file(path):
                return path
        return None

    def _found(self, spec: DatasetSpec, root: Path, file: IdxFile) -> Path:
        path = self._find(root, file)
        if path is None:
            raise absent(spec, self._folder(root), f"{file.name} or {file.name}.gz")
        return path


# Checksums: torchvision (MNIST) and the README of github.com/zalandoresearch/fashion-mnist.
MNIST = IdxSource(
    folder="MNIST",
    mirror="https://ossci-datasets.s3.amazonaws.com/mnist",
    train=(
        IdxFile("train-images-idx3-ubyte", 9_912_422, "f68b3c2dcbeaaa9fbdd348bbdeb94873", 60_000),
        IdxFile("train-labels-idx1-ubyte", 28_881, "d53e105ee54ea40749a09fcbcd1e9432", 60_000),
    ),
    test=(
        IdxFile("t10k-images-idx3-ubyte", 1_648_877, "9fb629c4189551a2d022fa330f9573f3", 10_000),
        IdxFile("t10k-labels-idx1-ubyte", 4_542, "ec29112dd5afa0611ce80d1b7f02629c", 10_000),
    ),
)

FASHION_MNIST = IdxSource(
    folder="FashionMNIST",
    mirror="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    train=(
        IdxFile("train-images-idx3-ubyte", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 60_000),
        IdxFile("train-labels-idx1-ubyte", 29_515, "25c81989df183df01b3e8a0aad5dffbe", 60_000),
    ),
    test=(
        IdxFile("t10k-images-idx3-ubyte", 4_422_102, "bef4ecab320f06d8554ea6380940ec79", 10_000),
        IdxFile("t10k-labels-idx1-ubyte", 5_148, "bb300cfdad3c16e7a12a480ee83cd310", 10_000),
    ),
)
