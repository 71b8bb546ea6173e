"""What qin2020 claims of its results."""

from dataclasses import replace

from core.coherence import MEASURES
from precompute.papers.claims import Claim
from precompute.papers.comparisons import Below, Positive, Under, Where

CAPSNET, OTHERS = "capsnet", ("cnn_cr", "cnn_r")
MODELS = (CAPSNET, *OTHERS)
DEEPER, OTHER_CAPSULES = "capsnet_deeper", ("deepcaps", "capsnet_all")
"""What the paper calls its CapsNet on CIFAR-10, and what it compares it with there."""
COMPARED = ("digits", "mnist", "fashion_mnist", "svhn")
"""Where the three models are compared: the paper's data sets but CIFAR-10, and the one that ships."""
BLACK_BOX_ON = ("digits", "mnist")
"""Where attacks through a substitute are made: Table 7 has MNIST alone."""
MODES = ("targeted", "untargeted")
TITLES = {
    "fgsm": "FGSM", "bim": "BIM", "pgd": "PGD", "cw": "CW",
    "r-fgsm": "R-FGSM", "r-bim": "R-BIM", "r-pgd": "R-PGD",
}  # fmt: skip
CORRUPTIONS = (
    "Gaussian Noise", "Gaussian Blur", "Line", "Dotted Line", "Elastic Transform", "Saturate", "JPEG",
    "Quantize", "Sheer", "Spatter", "Rotate", "Contrast", "Inverse", "Canny Edge", "Fog", "Frost", "Zigzag",
)  # fmt: skip
"""Columns of Table 2, by the names that rows have as their `attack`."""
SMALL = 0.05
"""What we take for the "small" undetected rate of section 5.2; the highest published one is 4.1 %."""
CURVE = (0.01, 0.05, 0.1)
"""False-positive rates at which the curves of Figs. 2 and 3 are compared."""


def cell(model: str, attack: str, mode: str | None, metric: str, access: str | None = None) -> Where:
    """A row of `rates`; attacks through a substitute have the access "black_box", others none."""
    return {"model": model, "attack": attack, "mode": mode, "metric": metric, "access": access}


def point(model: str, fpr: float, access: str | None = None) -> Where:
    """A row of `fpr`: a point on the curve of targeted R-PGD."""
    return {"model": model, "attack": "r-pgd", "mode": "targeted", "fpr": fpr, "access": access}


def capsnet_lowest(attack: str, mode: str, metric: str, source: str, access: str | None = None) -> Claim:
    """CapsNet has the lowest rate of the three models."""
    what = "undetected" if metric == "undetected_rate" else "success"
    through = "" if access is None else " through a substitute"
    return Claim(
        f"capsnet-lowest-{what}/{'black-box-' if access else ''}{attack}-{mode}",
        f"CapsNet has the lowest {what} rate under {mode} {TITLES[attack]}{through}.",
        source,
        "rates",
        tuple(
            Below(cell(CAPSNET, attack, mode, metric, access), cell(other, attack, mode, metric, access))
            for other in OTHERS
        ),
        None if access is None else BLACK_BOX_ON,
    )


STANDARD = tuple(
    capsnet_lowest(attack, mode, "undetected_rate", "Tables 1 and 5; section 5.1, “almost always”")
    for attack in ("fgsm", "bim", "pgd", "cw")
    for mode in MODES
)
RECONSTRUCTIVE = tuple(
    capsnet_lowest(attack, mode, metric, "Tables 3 and 6; section 5.3")
    for metric in ("success_rate", "undetected_rate")
    for attack in ("r-fgsm", "r-bim", "r-pgd")
    for mode in MODES
)
AGAINST_STANDARD = tuple(
    claim
    for mode in MODES
    for claim in (
        Claim(
            f"r-pgd-less-successful/{mode}",
            f"R-PGD is less successful than PGD, {mode}, on every model.",
            "Tables 1 and 3; section 5.3",
            "rates",
            tuple(
                Below(cell(m, "r-pgd", mode, "success_rate"), cell(m, "pgd", mode, "success_rate"))
                for m in MODELS
            ),
        ),
        Claim(
            f"r-pgd-less-detected/{mode}",
            f"R-PGD goes undetected more often than PGD, {mode}, on every model.",
            "Tables 1 and 3; section 5.3",
            "rates",
            tuple(
                Below(cell(m, "pgd", mode, "undetected_rate"), cell(m, "r-pgd", mode, "undetected_rate"))
                for m in MODELS
            ),
        ),
    )
)
BLACK_BOX = tuple(
    Claim(
        f"black-box-weaker-{what}/{attack}-{mode}",
        f"Through a substitute, {mode} {TITLES[attack]} has a lower {what} rate on every model.",
        "Tables 1, 3 and 7; section 5.1",
        "rates",
        tuple(
            Below(cell(m, attack, mode, metric, "black_box"), cell(m, attack, mode, metric)) for m in MODELS
        ),
        BLACK_BOX_ON,
    )
    for attack in ("pgd", "r-pgd")
    for mode in MODES
    for what, metric in (("success", "success_rate"), ("undetected", "undetected_rate"))
) + tuple(
    capsnet_lowest(attack, mode, "undetected_rate", "Table 7; section 5.1", "black_box")
    for attack in ("pgd", "r-pgd")
    for mode in MODES
)
CURVES = (
    Claim(
        "capsnet-lowest-curve",
        "At equal false-positive rates CapsNet lets less of targeted R-PGD pass than the CNNs.",
        "Fig. 2; section 5.3",
        "fpr",
        tuple(Below(point(CAPSNET, fpr), point(other, fpr)) for fpr in CURVE for other in OTHERS),
    ),
    Claim(
        "conditional-better",
        "At equal false-positive rates CNN+CR, whose reconstruction knows the class, lets less of targeted "
        "R-PGD pass than CNN+R.",
        "Fig. 2; section 5.3",
        "fpr",
        tuple(Below(point("cnn_cr", fpr), point("cnn_r", fpr)) for fpr in CURVE),
    ),
    Claim(
        "black-box-weaker-curve",
        "On CIFAR-10, CapsNet lets less of R-PGD pass when it comes through a substitute.",
        "Fig. 3, left; section 5.4",
        "fpr",
        tuple(Below(point(DEEPER, fpr, "black_box"), point(DEEPER, fpr)) for fpr in CURVE),
        ("cifar10",),
    ),
    Claim(
        "capsnet-best-capsules",
        "CapsNet lets less of targeted R-PGD pass than DeepCaps and CapsNet All.",
        "Fig. 3, right; section 5.4",
        "fpr",
        tuple(Below(point(DEEPER, fpr), point(other, fpr)) for fpr in CURVE for other in OTHER_CAPSULES),
        ("cifar10",),
    ),
    Claim(
        "capsnet-all-worst-capsules",
        "CapsNet All, whose reconstruction does not know the class, lets more of targeted R-PGD pass than "
        "DeepCaps.",
        "Fig. 3, right; section 5.4",
        "fpr",
        tuple(Below(point("deepcaps", fpr), point("capsnet_all", fpr)) for fpr in CURVE),
        ("cifar10",),
    ),
)
OTHER_IMAGES = (
    Claim(
        "corruptions-detected",
        f"CapsNet misreads and misses less than {SMALL:.0%} of the images of every corruption.",
        "Table 2; section 5.2, “either a small undetected rate or an undetected rate of 0”",
        "rates",
        tuple(Under(cell(CAPSNET, name, None, "undetected_rate"), SMALL) for name in CORRUPTIONS),
        ("mnist",),
    ),
    Claim(
        "simplest-data-best",
        "Targeted PGD goes undetected less often on MNIST than on SVHN, on every model.",
        "Tables 1 and 5; section 5.1",
        "rates",
        tuple(
            Below(
                cell(m, "pgd", "targeted", "undetected_rate"),
                {"dataset": "svhn", **cell(m, "pgd", "targeted", "undetected_rate")},
            )
            for m in MODELS
        ),
        ("mnist",),
    ),
    *(
        Claim(
            f"cw-strongest/{mode}",
            f"On SVHN, {mode} CW goes undetected more often than PGD, on every model.",
            "Table 5; section 5.1",
            "rates",
            tuple(
                Below(cell(m, "pgd", mode, "undetected_rate"), cell(m, "cw", mode, "undetected_rate"))
                for m in MODELS
            ),
            ("svhn",),
        )
        for mode in MODES
    ),
)
COHERENCE = (
    Claim(
        "success-follows-similarity",
        "The success of R-PGD on CapsNet follows the visual similarity of source and target.",
        "Fig. 4; section 6",
        "coherence",
        tuple(
            Positive({"model": CAPSNET, "other": None, "metric": "rank_correlation", "measure": measure})
            for measure in MEASURES
        ),
    ),
    Claim(
        "success-follows-similarity-more",
        "It does so more on CapsNet than on the CNNs.",
        "Fig. 4; section 6, “not the case for either of the other two”",
        "coherence",
        tuple(
            Positive({"model": CAPSNET, "other": other, "metric": "rank_correlation", "measure": measure})
            for other in OTHERS
            for measure in MEASURES
        ),
    ),
    Claim(
        "pairs-more-unequal",
        "The success of R-PGD varies more between pairs of classes on CapsNet than on the CNNs.",
        "Fig. 4; section 6",
        "coherence",
        tuple(Positive({"model": CAPSNET, "other": other, "metric": "dispersion"}) for other in OTHERS),
    ),
    Claim(
        "adversarials-look-like-target",
        "Undetected R-PGD images look like the target to most judges more often on CapsNet than on the CNNs.",
        "Fig. 5; section 6",
        "judges",
        tuple(
            Below(
                {"model": other, "judge": "majority", "metric": "called_target"},
                {"model": CAPSNET, "judge": "majority", "metric": "called_target"},
            )
            for other in OTHERS
        ),
    ),
)

CLAIMS = tuple(
    replace(claim, datasets=claim.datasets or COMPARED)
    for claim in (
        *STANDARD, *RECONSTRUCTIVE, *AGAINST_STANDARD, *BLACK_BOX, *CURVES, *OTHER_IMAGES, *COHERENCE
    )
)  # fmt: skip
