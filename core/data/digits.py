"""scikit-learn's digits at MNIST's size: the data set that needs no network and no files of one's own.

1,797 handwritten digits of 8x8 pixels and 17 grey levels. They are enlarged here, once, threefold, with two
pixels of background around them: 2 + 3 * 8 + 2 = 28, and about the size that a digit has in an MNIST image.
"""

import hashlib
import importlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.data.specs import DataError, DatasetSpec
from core.data.split import Dataset, OnProgress, Split, Stamp, assemble

_SIDE, _HIGHEST, _FACTOR, _MARGIN = 8, 16, 3, 2
_BUILT_IN = "datasets/data/digits.csv.gz"
_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"

# Keys' cubic kernel (a = -1/2, also called Catmull-Rom) times 54, by the distance in thirds of a source
# pixel.
_KEYS_54 = {0: 54, 1: 42, 2: 18, 4: -4, 5: -2}


class DigitsSource:
    """The copy inside scikit-learn, wherever the root of the data sets is."""

    def stamp(self, _root: Path, /) -> Stamp | None:
        """Identify the installed copy without importing scikit-learn; None when that is not installed."""
        found = importlib.util.find_spec("sklearn")
        if found is None:
            return None
        path = _built_in()
        if path is None:
            # Another layout inside scikit-learn: it loads all the same.
            return ()
        stat = path.stat()
        return ((str(path), stat.st_size, stat.st_mtime_ns),)

    def is_known(self, _root: Path, /) -> bool:
        """Whether scikit-learn's file is the known one, which spares importing it to learn the digest."""
        path = _built_in()
        return path is not None and hashlib.sha256(path.read_bytes()).hexdigest() == _SHA256

    def load(self, spec: DatasetSpec, _root: Path, /) -> Dataset:
        """Enlarge the images and split them.

        In each class, in file order, image k is for test if k % 5 is 0, for validation if it is 1, else for
        training.

        Raises: DataError: when scikit-learn is not installed or its digits are not such images.
        """
        try:
            # Imported here because it takes as long as everything else together.
            datasets: Any = importlib.import_module("sklearn.datasets")
        except ImportError as error:
            raise DataError(
                "expected scikit-learn, which holds the digits, got none; install requirements.txt"
            ) from error
        data, target = datasets.load_digits(return_X_y=True)
        small: NDArray[np.float64] = np.asarray(data)
        labels: NDArray[np.int64] = np.asarray(target, np.int64)
        if small.shape != (len(labels), _SIDE * _SIDE) or small.min() < 0 or small.max() > _HIGHEST:
            raise DataError(
                f"expected scikit-learn's digits as (N, 64) with values 0..{_HIGHEST}, got {small.shape} "
                f"with {small.min()}..{small.max()}; install the version in requirements.txt"
            )
        images = torch.as_tensor(enlarge(small.astype(np.int64).reshape(-1, _SIDE, _SIDE))).unsqueeze(1)
        classes = torch.as_tensor(labels)
        place = _place_in_class(labels)
        chosen = (place % 5 > 1, place % 5 == 1, place % 5 == 0)
        parts = [torch.as_tensor(np.flatnonzero(members)) for members in chosen]
        train, validation, test = (Split(images[part], classes[part]) for part in parts)
        return assemble(spec, train, validation, test)

    def download(self, _root: Path, _on_progress: OnProgress | None, _mirror: str | None, /) -> None:
        """Nothing to do: the digits come with scikit-learn."""


def enlarge(small: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Bicubic interpolation to three times the size, on a black ground that reaches two pixels further.

    The kernel's values at thirds are whole numbers over 54, so everything is exact in integers, and the
    result, from which store keys are derived, is the same on every machine. Pixels lie at the centres of
    their cells, as in Pillow.

    Args:
        small: Images (N, 8, 8), values 0..16.
    Returns: (N, 28, 28), uint8; values that overshoot are cut to 0..255.
    Source: R. G. Keys, Cubic Convolution Interpolation for Digital Image Processing, 1981, Eq. 15.
    """
    side = _SIDE * _FACTOR + 2 * _MARGIN
    weights = np.zeros((side, _SIDE), np.int64)
    for out in range(side):
        for pixel in range(_SIDE):
            # Centres, in thirds of a source pixel: `out` is at out - margin, `pixel` at 3 * pixel + 1.
            weights[out, pixel] = _KEYS_54.get(abs(out - _MARGIN - _FACTOR * pixel - 1), 0)
    scale = _HIGHEST * 54 * 54
    values = weights @ small @ weights.T
    # Rounded half up.
    levels = (2 * 255 * values + scale) // (2 * scale)
    return levels.clip(0, 255).astype(np.uint8)


def _place_in_class(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each label, how many like it come before."""
    place = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = np.arange(len(members))
    return place


def _built_in() -> Path | None:
    """The file inside scikit-learn, found without importing it."""
    found = importlib.util.find_spec("sklearn")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / _BUILT_IN
        if path.is_file():
            return path
    return None
