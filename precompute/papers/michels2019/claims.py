"""What michels2019 claims of its results."""

from precompute.papers.claims import Claim
from precompute.papers.comparisons import Below, Positive, Under, Where

CONVNET, CAPSNET = "michels_convnet", "michels_capsnet"
MODELS = (CONVNET, CAPSNET)
MODES = {"cw": "targeted", "boundary": "untargeted", "deepfool": "untargeted", "universal": None}
"""Attacks of the tables, and what they aim at."""
TITLES = {"cw": "CW", "boundary": "the boundary attack", "deepfool": "DeepFool"}
SMALL = 0.05
"""What we take for weak transfer of CW; the highest published rate is 3.8 %."""


def shorter(attack: str, model: str, other: str) -> Where:
    """A row of `differences`: how much shorter an attack's perturbations are on a model than on another."""
    return {
        "metric": "norm_difference",
        "attack": attack,
        "mode": MODES[attack],
        "model": model,
        "other": other,
    }


def fooled(attack: str, model: str, source: str) -> Where:
    """A row of `rates`: how often a model is fooled by what was made on another."""
    where = {"model": model, "source": source, "attack": attack, "mode": MODES[attack]}
    return {**where, "metric": "fooling_rate", "of": "all"}


ACCURACY = (
    Claim(
        "accuracies-comparable",
        "The accuracies of ConvNet and CapsNet differ by less than a point.",
        "Table 3; section 4.2, “similar performances”",
        "differences",
        (Positive({"metric": "accuracy_within", "model": CONVNET, "other": CAPSNET}),),
    ),
)
NORMS = (
    Claim(
        "not-more-robust",
        "CapsNet is not more robust in general: under some attack it takes less to fool it than ConvNet.",
        "Table 1; section 5",
        "differences",
        (Positive({"metric": "shorter_somewhere", "model": CAPSNET, "other": CONVNET}),),
    ),
    Claim(
        "cw-shorter-on-capsnet",
        "CW's perturbations are shorter on CapsNet than on ConvNet.",
        "Table 1; section 4.2, “our main result”",
        "differences",
        (Positive(shorter("cw", CAPSNET, CONVNET)),),
    ),
    Claim(
        "boundary-shorter-on-capsnet",
        "The boundary attack's perturbations are shorter on CapsNet than on ConvNet.",
        "Table 1, three of four data sets",
        "differences",
        (Positive(shorter("boundary", CAPSNET, CONVNET)),),
    ),
    Claim(
        "deepfool-longer-on-capsnet",
        "DeepFool does worse on CapsNet: its perturbations are longer there than on ConvNet.",
        "Table 1; section 4.2, “for most of the dataset”",
        "differences",
        (Positive(shorter("deepfool", CONVNET, CAPSNET)),),
    ),
    Claim(
        "universal-longer-on-capsnet",
        "Universal perturbations are longer on CapsNet than on ConvNet.",
        "Table 1; section 4.2",
        "differences",
        (Positive(shorter("universal", CONVNET, CAPSNET)),),
    ),
    Claim(
        "universal-visible",
        "Universal perturbations, the only ones that can be seen, are longer than those of any other attack.",
        "Table 1; section 4.2, Fig. 1",
        "differences",
        tuple(
            Positive({"metric": "norm_over", "attack": "universal", "model": model, "other": attack})
            for model in MODELS
            for attack in TITLES
        ),
    ),
)
TRANSFER = (
    Claim(
        "cw-transfers-weakly",
        f"Targeted CW images reach their target on the other network in less than {SMALL:.0%} of cases.",
        "Table 2",
        "rates",
        (Under(fooled("cw", CAPSNET, CONVNET), SMALL), Under(fooled("cw", CONVNET, CAPSNET), SMALL)),
    ),
    *(
        Claim(
            f"universal-transfers-better/{attack}",
            f"Universal perturbations fool the other network more often than images of {title}.",
            "Table 2; section 4.2, “generalize well”",
            "rates",
            (
                Below(fooled(attack, CAPSNET, CONVNET), fooled("universal", CAPSNET, CONVNET)),
                Below(fooled(attack, CONVNET, CAPSNET), fooled("universal", CONVNET, CAPSNET)),
            ),
        )
        for attack, title in TITLES.items()
    ),
    Claim(
        "universal-asymmetric",
        "ConvNet's universal perturbations fool CapsNet more often than CapsNet's fool ConvNet, "
        "though they are shorter.",
        "Table 2; section 4.2",
        "rates",
        (Below(fooled("universal", CONVNET, CAPSNET), fooled("universal", CAPSNET, CONVNET)),),
    ),
    Claim(
        "boundary-asymmetric",
        "The boundary attack's images from ConvNet fool CapsNet more often than the other way round.",
        "Table 2",
        "rates",
        (Below(fooled("boundary", CONVNET, CAPSNET), fooled("boundary", CAPSNET, CONVNET)),),
    ),
)
CLUSTERS = (
    Claim(
        "models-apart",
        "Universal perturbations of CapsNet and ConvNet are inherently different: they lie apart, as they "
        "are and in the plane.",
        "Fig. 2; section 4.3",
        "separation",
        (
            Positive({"by": "model", "space": "pixels", "setting": None, "metric": "silhouette"}),
            Positive({"by": "model", "space": "tsne", "setting": 30.0, "seed": 0.0, "metric": "silhouette"}),
        ),
    ),
)
CLAIMS = (*ACCURACY, *NORMS, *TRANSFER, *CLUSTERS)
