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
        digest: `Dataset.digest` of the official copy.
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
    digest: str


_NUMERALS = tuple("0123456789")

# Epsilon, steps and step sizes of MNIST and Fashion-MNIST: qin2020, appendix C. The paper has no `digits`:
# epsilon and step size are those of MNIST, which it resembles; 200 steps of 0.01 cross a ball of 0.3 more
# than six times.
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
        digest="d9b7eec81e9329b6f37336e316d6206f1fe12116a3b55c03f387bd58393d255d",
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
