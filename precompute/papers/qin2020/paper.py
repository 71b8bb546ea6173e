"""qin2020: its experiment, its tables, its figures and its claims."""

from precompute.papers.paper import Figure, Paper, Table
from precompute.papers.qin2020 import charts, pictures
from precompute.papers.qin2020.architecture import figure_6
from precompute.papers.qin2020.claims import CLAIMS, MODELS
from precompute.papers.qin2020.experiment import FUNCTIONS, experiment, ships
from precompute.papers.zoo import DATASETS

WORST = (
    "The paper tunes β for each cell. Ours is tuned for each model and aim, on other images, so that no "
    "choice flatters the attack; the worst β, and the worst of each image, are of those other images. R-BIM "
    "takes the β of R-PGD."
)
THREE = ("mnist", "fashion_mnist", "svhn")
TABLES = (
    Table("1", "Success and undetected rate of white-box attacks on MNIST"),
    Table(
        "2",
        "Error and undetected rate on corrupted MNIST",
        "How strong the corruptions were is not published; ours have the strength of MNIST-C’s own code.",
    ),
    Table("3", "Success and undetected rate of the Reconstructive Attack R-PGD", WORST),
    Table("4", "Error rate on clean test images"),
    Table("5", "Success and undetected rate of white-box attacks on three data sets"),
    Table("6", "Success and undetected rate of all Reconstructive Attacks", WORST),
    Table(
        "7",
        "Success and undetected rate of black-box attacks on MNIST",
        "Attacks are made on a substitute: the same architecture, trained from another seed.",
    ),
)
FIGURES = (
    Figure(
        "1",
        "Distances to the reconstruction: by class, and under attack",
        "MNIST, untargeted PGD. (a) Only the capsule of the right class rebuilds a clean image well. "
        "(b) Clean and attacked images; the line is the threshold at 5 % false alarms.",
        charts.figure_1,
        (("mnist", "undetected_rate", "pgd"),),
    ),
    Figure(
        "2",
        "Undetected rate of targeted R-PGD against false-positive rate",
        "Lower is a better defence.",
        charts.figure_2,
        tuple((dataset, "undetected_rate", "r-pgd") for dataset in THREE),
    ),
    Figure(
        "3",
        "The same on CIFAR-10: white and black box, and three capsule networks",
        "The paper’s CapsNet is our Deeper CapsNet. Black box: through a substitute, the same architecture "
        "trained from another seed.",
        charts.figure_3,
        (("cifar10", "undetected_rate", "r-pgd"),),
    ),
    Figure(
        "4",
        "Success of targeted R-PGD for every pair of classes",
        "Fashion-MNIST. The area of a box is the success rate from a true class to a target.",
        charts.figure_4,
        (("fashion_mnist", "success_rate", "r-pgd"),),
    ),
    Figure(
        "5",
        "Undetected attacks that aim at 0",
        "SVHN, drawn at random from those undetected attacks whose pictures are stored: on a few images.",
        pictures.figure_5,
        (("svhn", "undetected_rate", "r-pgd"),),
    ),
    Figure(
        "6",
        "Architectures",
        "MNIST, at the sizes of the paper: all three have the same number of parameters.",
        figure_6,
    ),
    Figure(
        "7",
        "Corrupted digits and what the models rebuild",
        "The first half of the corruptions, three images of each.",
        pictures.figure_7,
    ),
    Figure(
        "8",
        "Corrupted digits and what the models rebuild",
        "The second half of the corruptions, three images of each.",
        pictures.figure_8,
    ),
    Figure(
        "9",
        "Success and undetected rate against β",
        "MNIST, targeted R-PGD. β = 1 minds the class only, β = 0 the detector only.",
        charts.figure_9,
        tuple(("mnist", metric, "r-pgd") for metric in ("success_rate", "undetected_rate")),
    ),
    Figure(
        "10",
        "Clean and attacked images with their reconstructions",
        "Drawn at random. CapsNet rebuilds the clean ones.",
        pictures.figure_10,
        (
            ("mnist", "success_rate", "pgd"),
            ("fashion_mnist", "success_rate", "r-pgd"),
            ("svhn", "success_rate", "cw"),
        ),
    ),
    Figure(
        "11",
        "Images attacked towards every class",
        "Targeted R-PGD on CapsNet, images drawn at random; the top row is clean.",
        pictures.figure_11,
        tuple((dataset, "success_rate", "r-pgd") for dataset in THREE),
    ),
)
QIN2020 = Paper(
    "qin2020",
    "Y. Qin, N. Frosst, S. Sabour, C. Raffel, G. Cottrell, G. Hinton: Detecting and Diagnosing Adversarial "
    "Images with Class-Conditional Capsule Reconstructions, ICLR 2020",
    datasets=(*THREE, "cifar10"),
    models=MODELS,
    builds=DATASETS,
    experiment=experiment,
    functions=FUNCTIONS,
    ships=ships,
    tables=TABLES,
    figures=FIGURES,
    claims=CLAIMS,
)
