"""The figures of michels2019: attacked images with their perturbations, and universal ones in the plane."""

from functools import partial

import torch
from torch import Tensor

from core import data
from core.data import SPECS
from core.figures.embedding import Point, embedding_chart
from core.figures.pictures import Picture, grid_words, picture_grid
from core.figures.style import Record
from core.images import LEVELS, add_levels, in_pixels
from core.models import title_of
from precompute.papers.drawing import Drawing, NotDrawable, Panel, gather
from precompute.papers.michels2019.claims import CAPSNET, MODELS
from precompute.papers.stored import Results
from precompute.steps.records import Embedded, Minimal, Universal, joined

ATTACKS = {"cw": "CW-L2", "boundary": "Boundary", "deepfool": "DeepFool"}
SHOWN = 2
"""Images of each data set."""
PERPLEXITY, SEED = 30, 0
DATASETS = ("cifar10", "svhn", "fashion_mnist", "mnist")
"""The paper shows CIFAR-10; the others follow, from what is most like it."""
Part = tuple[list[Panel], list[Record]]


def figure_1(results: Results) -> Drawing:
    """Original, attacked image and perturbation, for every attack on CapsNet."""
    return gather([(SPECS[name].title, partial(_attacked, results, name)) for name in DATASETS])


def _attacked(results: Results, dataset: str) -> Part:
    made = {attack: results.record(dataset, f"{CAPSNET}/minimum/{attack}", Minimal) for attack in ATTACKS}
    universal = results.record(dataset, f"{CAPSNET}/universal", Universal)
    if not data.is_available(dataset):
        raise NotDrawable(f"its pictures need a copy of {SPECS[dataset].title} of your own")
    images = data.load(dataset).test.images
    kept = {attack: minimal.index[minimal.kept_rows].tolist() for attack, minimal in made.items()}
    # The first images that every attack moved: chosen by rule, not for their looks.
    common = [i for i in kept["cw"] if all(i in indices for indices in kept.values())][:SHOWN]
    if not common:
        raise NotDrawable("no image was moved by all attacks")
    rows: list[list[Picture | None]] = []
    records: list[Record] = []
    for index in common:
        clean = images[index]
        deltas = {
            ATTACKS[attack]: minimal.perturbations((minimal.index == index).nonzero().flatten())[0]
            for attack, minimal in made.items()
        }
        # Of the universal ones, that of median length.
        median = int(universal.norm_l2.argsort()[len(universal) // 2])
        deltas["Universal"] = universal.perturbation[median]
        attacked: list[Picture | None] = [Picture(clean)]
        enlarged: list[Picture | None] = [None]
        for name, levels in deltas.items():
            gain, length = gain_of(levels), float(in_pixels(levels).norm())
            attacked.append(Picture(add_levels(clean, levels)))
            told = f"l2 {length:.2f}" + (f", x {gain:g}" if gain > 1 else "")
            enlarged.append(Picture(around_grey(levels, gain), caption=told))
            records.append({"dataset": dataset, "image": index, "attack": name, "norm": length, "gain": gain})
        rows += [attacked, enlarged]
    title = SPECS[dataset].title
    columns = ["original", *ATTACKS.values(), "Universal"]
    titles = ["attacked", "perturbation"] * len(common)
    picture = picture_grid(rows, row_titles=titles, column_titles=columns, scale=3)
    what = f"Test images of {title}, attacked on {title_of(CAPSNET)}, and the perturbations"
    return [Panel(picture, grid_words(rows, what))], records


def gain_of(levels: Tensor) -> float:
    """The factor by which a perturbation in levels can be enlarged around grey: 1, 2, 5, 10, ..."""
    largest = max(int(levels.short().abs().max()), 1)
    return next((gain for gain in (50.0, 20.0, 10.0, 5.0, 2.0) if gain * largest <= LEVELS / 2), 1.0)


def around_grey(levels: Tensor, gain: float) -> Tensor:
    """A perturbation as a picture: grey where it is zero, (C, H, W) uint8."""
    return (128 + gain * levels.float()).round().clamp(0, LEVELS).to(torch.uint8)


def figure_2(results: Results) -> Drawing:
    """t-SNE of the universal perturbations of both networks."""
    datasets = ("mnist", "fashion_mnist", "svhn", "cifar10")
    return gather([(SPECS[name].title, partial(_plane, results, name)) for name in datasets])


def _plane(results: Results, dataset: str) -> Part:
    name = "embedding/michels2019"
    embedded = results.record(dataset, name, Embedded)
    perplexities = embedded.settings("tsne")
    if not perplexities:
        raise NotDrawable("there are too few perturbations for t-SNE")
    # The perplexity that is nearest to the usual one, where this is not among those that were computed.
    perplexity = min(perplexities, key=lambda value: abs(value - PERPLEXITY))
    places = embedded.places("tsne", perplexity, SEED)
    assert places is not None
    made = [results.record(dataset, f"{model}/universal", Universal) for model in embedded.models]
    points = [
        Point(
            round(float(place[0]), 3),
            round(float(place[1]), 3),
            title_of(embedded.models[int(model)]),
            int(part),
            int(number),
            round(float(norm), 4),
        )
        for place, model, part, number, norm in zip(
            places, embedded.model, embedded.part, embedded.number, joined(made, "norm_l2"), strict=True
        )
    ]
    table = results.artifact(dataset, name).tables["separation"]
    told = {
        str(row["metric"]): row
        for row in table.to_dict("records")
        if (row["by"], row["space"]) == ("model", "pixels")
    }
    silhouette, purity = told["silhouette"], told["purity"]
    words = (
        f"t-SNE of {len(points)} universal perturbations on {SPECS[dataset].title}, of "
        f"{' and '.join(title_of(m) for m in MODELS)}. By model the silhouette is {silhouette['value']:.2f} "
        f"({silhouette['low']:.2f} to {silhouette['high']:.2f}), and {purity['k']:.0f} of {purity['n']:.0f} "
        "have one of their own model as nearest neighbour."
    )
    title = f"{SPECS[dataset].title}, perplexity {perplexity:g}"
    return [Panel(embedding_chart(points, title), words)], [
        {"dataset": dataset, **point.record()} for point in points
    ]
