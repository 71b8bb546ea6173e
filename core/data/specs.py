"""What is known of each data set before any file is read: shape, classes, default attack, source, digest."""

from dataclasses import dataclass


class DataError(ValueError):
    """Data that are absent or not what they should be; the message says which file, what was expected and
    found."""


@dataclass(frozen=True)
class DatasetSpec:
    """One data set and the attack settings that its paper uses on it.

    Attributes:
        name: As in URLs, store keys and `load`.
        title: As people write it.
        shape: (C, H, W) of an image.
        classes: Class names; the position is the label.
        epsilon: Largest change of a pixel, in [0, 1] units.
        step_size: Step of BIM, PGD and their reconstructive forms, in [0, 1] units.
        fgsm_step: Step of FGSM and its reconstructive form, in [0, 1] units.
        steps: Iterations of BIM and PGD.
        pictures_ship: Whether pictures of it may be stored with results.
        source: Who made it, and where it comes from.
        licence: Its terms, as far as stated.
        copy: Name of the copy that results ship from: the official files, where those could be had.
        digest: `Dataset.digest` of that copy.
    """

    name: str
    title: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    epsilon: float
    step_size: float
    fgsm_step: float
    steps: int
    pictures_ship: bool
    source: str
    licence: str
    copy: str
    digest: str

    @property
    def n_classes(self) -> int:
        """J, the number of classes."""
        return len(self.classes)


OFFICIAL = "official files"
"""Name of the copy that consists of the files as published."""

_NUMERALS = tuple("0123456789")

# Epsilon, steps and step sizes of MNIST, Fashion-MNIST and SVHN: qin2020, appendix C. The paper has no
# `digits`: epsilon and step size are those of MNIST, which it resembles; 200 steps of 0.01 cross a ball of
# 0.3 more than six times. Of CIFAR-10 it gives epsilon alone (Fig. 3): the rest is SVHN's, but for FGSM,
# whose step is all of epsilon, because 0.05 would leave the ball.
SPECS: dict[str, DatasetSpec] = {
    "digits": DatasetSpec(
        name="digits",
        title="Digits",
        shape=(1, 28, 28),
        classes=_NUMERALS,
        epsilon=0.3,
        step_size=0.01,
        fgsm_step=0.05,
        steps=200,
        pictures_ship=True,
        source="E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, 1998, in scikit-learn",
        licence="CC BY 4.0",
        copy="scikit-learn digits",
        digest="16e61c349afa36cb68e1b4a2603e5e20160afdd493f4d370a3b59f55af7e9171",
    ),
    "mnist": DatasetSpec(
        name="mnist",
        title="MNIST",
        shape=(1, 28, 28),
        classes=_NUMERALS,
        epsilon=0.3,
        step_size=0.01,
        fgsm_step=0.05,
        steps=1000,
        pictures_ship=False,
        source="Y. LeCun, C. Cortes, C. Burges, The MNIST Database of Handwritten Digits, 1998",
        licence="not stated by its authors",
        copy=OFFICIAL,
        digest="f48e1faec65b080b79cf81c89f125e9d0b4ae5e74075a632b35431ff6bb48654",
    ),
    "fashion_mnist": DatasetSpec(
        name="fashion_mnist",
        title="Fashion-MNIST",
        shape=(1, 28, 28),
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        epsilon=0.1,
        step_size=0.01,
        fgsm_step=0.05,
        steps=500,
        pictures_ship=False,
        source="H. Xiao, K. Rasul, R. Vollgraf, 2017, github.com/zalandoresearch/fashion-mnist",
        licence="MIT (Zalando SE)",
        copy=OFFICIAL,
        digest="d9b7eec81e9329b6f37336e316d6206f1fe12116a3b55c03f387bd58393d255d",
    ),
    "svhn": DatasetSpec(
        name="svhn",
        title="SVHN",
        shape=(3, 32, 32),
        classes=_NUMERALS,
        epsilon=0.1,
        step_size=0.01,
        fgsm_step=0.05,
        steps=200,
        pictures_ship=False,
        source="Y. Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, 2011",
        licence="for non-commercial use only",
        copy="subset of 4,434 + 1,952 re-made crops",
        digest="2246cf9e617175f7803b152b0cad510e513931b6f70f8955dd10d9deb30bbc96",
    ),
    "cifar10": DatasetSpec(
        name="cifar10",
        title="CIFAR-10",
        shape=(3, 32, 32),
        classes=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        epsilon=8 / 255,
        step_size=0.01,
        fgsm_step=8 / 255,
        steps=200,
        pictures_ship=False,
        source="A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        licence="not stated by its author",
        copy="JPEG copy of 20,000 + 10,000 images",
        digest="467b7abad2b17b8488e2c708258660aa63f4d2ae5a2b3ab8a64fd3de2c9285ca",
    ),
}


def spec(name: str) -> DatasetSpec:
    """The spec of a data set.

    Raises: DataError: when there is none of that name; the message lists those there are.
    """
    try:
        return SPECS[name]
    except KeyError:
        known = ", ".join(SPECS)
        raise DataError(f"expected a data set among {known}, got {name!r}; choose one of these") from None
