"""How alike classes look: distances between them by three measures that know no attacked network."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import pairwise_distances, pairwise_distances_argmin_min
from sklearn.pipeline import make_pipeline
from torch import Tensor

from core.images import LEVELS

Points = NDArray[np.float32]
Matrix = NDArray[np.float64]

MEASURES = {
    "means": "distance of class means",
    "neighbours": "distance to the nearest image",
    "embedding": "distance of class means, discriminants",
}
"""Ways to measure how alike classes are, with their titles."""


def class_distances(images: Tensor, labels: Tensor, n_classes: int) -> dict[str, Matrix]:
    """Distances between classes by all `MEASURES`; seconds for 10,000 images of MNIST.

    Args:
        images: Clean images, (N, C, H, W), uint8, or floats in [0, 1].
        labels: (N,); every class at least once.
        n_classes: J, the number of classes.
    Raises: ValueError: when a class has no image.
    """
    points = pixels(images)
    return {
        "means": mean_distances(points, labels, n_classes),
        "neighbours": neighbour_distances(points, labels, n_classes),
        "embedding": mean_distances(discriminant_features(points, labels), labels, n_classes),
    }


def pixels(images: Tensor) -> Points:
    """Images as points: every pixel a coordinate in [0, 1].

    Args:
        images: (N, C, H, W), uint8, or floats in [0, 1].
    Returns: (N, C * H * W) float32.
    """
    points = np.asarray(images.flatten(1).cpu().numpy(), dtype=np.float32)
    return points if images.is_floating_point() else points / np.float32(LEVELS)


def discriminant_features(points: Points, labels: Tensor, variance: float = 0.95) -> Points:
    """The embedding to use by default: Fisher's linear discriminants of the images.

    In it the images of a class scatter equally in all directions, one unit far. The distance of two class
    means thus says how many standard deviations lie between the classes, which the distance in pixels does
    not: there, a pixel in which the images of one class differ much counts as much as one in which they
    never do. Nothing is drawn at random, so that no seed is needed.

    Args:
        points: (N, D), from `pixels`; far more images than discriminants, or the classes seem too far apart.
        labels: (N,), at least two classes.
        variance: Share that the principal components keep which the discriminants are made of.
    Returns: (N, at most J - 1) float32.
    Source: fisher1936; hastie2009, section 4.3.
    """
    components = PCA(n_components=variance, svd_solver="covariance_eigh")
    embedding = make_pipeline(components, LinearDiscriminantAnalysis(solver="svd"))
    return embedding.fit(points, labels.numpy()).transform(points).astype(np.float32)


def mean_distances(points: Points, labels: Tensor, n_classes: int) -> Matrix:
    """Euclidean distances between the means of the classes.

    Args:
        points: (N, D): pixels, or an embedding that owes nothing to the attacked networks.
        labels: (N,); every class at least once.
        n_classes: J, the number of classes.
    Returns: (J, J), symmetric, zeros on the diagonal; in units of the points.
    Raises: ValueError: when a class has no image.
    """
    classes = _classes(labels, n_classes)
    means = np.stack([points[classes == j].mean(0, dtype=np.float64) for j in range(n_classes)])
    return pairwise_distances(means)


def neighbour_distances(points: Points, labels: Tensor, n_classes: int) -> Matrix:
    """How far the images of one class are from the nearest image of another, on average.

    The distance that an image has to go, at least, to become a known image of that class. Not symmetric:
    every image of a narrow class may lie near some image of a wide one, and not the other way round.

    Args:
        points: (N, D), from `pixels`.
        labels: (N,); every class at least once.
        n_classes: J, the number of classes.
    Returns: (J, J), rows are the classes that images come from, zeros on the diagonal.
    Raises: ValueError: when a class has no image.
    """
    classes = _classes(labels, n_classes)
    count = np.bincount(classes, minlength=n_classes)
    distances = np.zeros((n_classes, n_classes))
    for j in range(n_classes):
        others = classes != j
        _, nearest = pairwise_distances_argmin_min(points[others], points[~others])
        total = np.bincount(classes[others], weights=nearest, minlength=n_classes)
        distances[:, j] = total / count
    return distances


def _classes(labels: Tensor, n_classes: int) -> NDArray[np.int64]:
    classes = labels.cpu().numpy().astype(np.int64)
    present = np.bincount(classes, minlength=n_classes)
    if len(present) > n_classes or (present == 0).any():
        raise ValueError(
            f"expected images of every class from 0 to {n_classes - 1}, got counts {present.tolist()}; "
            "check n_classes and the choice of images"
        )
    return classes
