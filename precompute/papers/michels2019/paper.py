"""michels2019: its experiment, its tables, its figures and its claims."""

from precompute.papers.michels2019 import figures
from precompute.papers.michels2019.claims import CLAIMS, MODELS
from precompute.papers.michels2019.experiment import FUNCTIONS, RESULTS, experiment, ships
from precompute.papers.paper import Figure, Paper, Table
from precompute.papers.zoo import DATASETS

MICHELS2019 = Paper(
    "michels2019",
    "F. Michels, T. Uelwer, E. Upschulte, S. Harmeling: On the Vulnerability of Capsule Networks to "
    "Adversarial Attacks, ICML 2019 Workshop on Security and Privacy of Machine Learning",
    datasets=("mnist", "fashion_mnist", "svhn", "cifar10"),
    models=MODELS,
    builds=DATASETS,
    experiment=experiment,
    results=RESULTS,
    functions=FUNCTIONS,
    ships=ships,
    tables=(
        Table(
            "1",
            "Mean length (l2) of the perturbations of each attack",
            "Pixels reach from 0 to 1. Under the demo profile ours are made on smaller networks, with fewer "
            "images and iterations.",
        ),
        Table(
            "2",
            "Fooling rates of images that were made on the other network",
            "A network is fooled by CW where it sees the target, by the others where it does not see the "
            "true class; universal perturbations are tried on test images in general.",
        ),
        Table("3", "Accuracy on clean test images"),
    ),
    figures=(
        Figure(
            "1",
            "Images, attacked on CapsNet, and the perturbations",
            "One image under every attack. Perturbations are drawn around grey, enlarged as said below them; "
            "universal ones are made from other images.",
            figures.figure_1,
        ),
        Figure(
            "2",
            "Universal perturbations in the plane",
            "t-SNE of the perturbations at length 1. What has one colour is from one part of the test set.",
            figures.figure_2,
        ),
    ),
    claims=CLAIMS,
)
