"""The pictures of qin2020, Figs. 5, 7, 8, 10 and 11: made from the local copy of a data set."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from core import data
from core.data import SPECS, Dataset
from core.data.corruptions import CORRUPTIONS, corrupt
from core.figures.pictures import Picture, frames, grid_words, picture_grid
from core.figures.style import Record
from core.images import from_uint8
from core.models import ReconstructingNet, title_of
from core.objectives import l2_distance
from precompute.papers.drawing import Drawing, NotDrawable, Panel, gather
from precompute.papers.qin2020.claims import MODELS
from precompute.papers.stored import Results
from precompute.steps.loading import stored_network
from precompute.steps.records import Attacked, Clean, Weights

FPR = 0.05
SHOWN = 8
"""Pictures in a row where the paper gives no number."""
Part = tuple[list[Panel], list[Record]]
Row = Sequence[Picture | None]


def figure_5(results: Results) -> Drawing:
    """Undetected attacks that aim at 0, on every model."""
    return gather([("SVHN", partial(_undetected, results, "svhn", 0))])


def _undetected(results: Results, dataset: str, target: int) -> Part:
    copy = _copy(results, dataset)
    rows: list[Row] = []
    records: list[Record] = []
    for model in MODELS:
        matrix = results.record(dataset, f"{model}/matrix", Attacked)
        threshold = results.record(dataset, f"{model}/clean", Clean).threshold(FPR)
        missed = matrix.undetected(threshold) & (matrix.target == target)
        kept = matrix.kept_rows
        chosen = _draw(kept[missed[kept]], SHOWN)
        x_adv = matrix.images(copy.test.images, chosen)
        empty = [None] * (SHOWN - len(chosen))
        rows.append([*(Picture(image) for image in x_adv), *empty])
        records += [_record(model, matrix, int(number)) for number in chosen]
    if not records:
        raise NotDrawable("no attack went undetected")
    picture = picture_grid(rows, row_titles=[title_of(model) for model in MODELS])
    what = (
        f"Undetected R-PGD images with the target {SPECS[dataset].classes[target]} on {SPECS[dataset].title}"
    )
    return [Panel(picture, grid_words(rows, what))], records


def figure_7(results: Results) -> Drawing:
    """Corrupted digits and their reconstructions, the first half."""
    names = tuple(CORRUPTIONS)
    return gather([("MNIST", partial(_corrupted, results, names[: len(names) // 2]))])


def figure_8(results: Results) -> Drawing:
    """Corrupted digits and their reconstructions, the second half."""
    names = tuple(CORRUPTIONS)
    return gather([("MNIST", partial(_corrupted, results, names[len(names) // 2 :]))])


def _corrupted(results: Results, names: Sequence[str], each: int = 3) -> Part:
    """Test images under every corruption, each of another class; below them what every model rebuilds."""
    copy = _copy(results, "mnist")
    test, n_classes = copy.test, copy.spec.n_classes
    networks = {model: _network(results, "mnist", model) for model in MODELS}
    rows: list[Row] = []
    records: list[Record] = []
    for turn in range(each):
        # Of every class in turn the first test image, then the second: chosen by rule, not for their looks.
        index = [int((test.labels == number % n_classes).nonzero()[turn]) for number in range(len(names))]
        parts = [corrupt(test.images[[i]], name, [i]) for i, name in zip(index, names, strict=True)]
        images, label = torch.cat(parts), test.labels[index]
        rows.append([Picture(image) for image in images])
        for model, (network, threshold) in networks.items():
            prediction, rebuilt, distance = _look(network, images)
            drawn = frames(prediction, label, distance, threshold)
            rows.append([Picture(image, frame) for image, frame in zip(rebuilt, drawn, strict=True)])
            records += [
                {
                    "model": title_of(model),
                    "corruption": name,
                    "image": index[n],
                    "label": int(label[n]),
                    "prediction": int(prediction[n]),
                    "distance": float(distance[n]),
                    "threshold": threshold,
                    "frame": drawn[n] or "",
                }
                for n, name in enumerate(names)
            ]
    titles = ["input", *(title_of(model) for model in MODELS)] * each
    picture = picture_grid(rows, row_titles=titles, column_titles=names, font_size=12)
    return [Panel(picture, grid_words(rows, "Corrupted digits and their reconstructions"))], records


def figure_10(results: Results) -> Drawing:
    """Clean images, attacked ones and their reconstructions, on three data sets."""
    return gather(
        [
            ("PGD on MNIST", partial(_before_after, results, "mnist", "PGD", "examples/pgd-targeted")),
            ("R-PGD on Fashion-MNIST", partial(_before_after, results, "fashion_mnist", "R-PGD", "matrix")),
            ("CW on SVHN", partial(_before_after, results, "svhn", "CW", "examples/cw-targeted")),
        ]
    )


def _before_after(results: Results, dataset: str, attack: str, name: str, shown: int = 5) -> Part:
    """Clean images and what CapsNet rebuilds, then for every model attacked images and what it rebuilds."""
    attacks = {model: results.record(dataset, f"{model}/{name}", Attacked) for model in MODELS}
    copy = _copy(results, dataset)
    first = attacks[MODELS[0]]
    # Attacks on all models have the same rows, in the same order.
    chosen = _draw(_one_of_each(first.kept_rows, first.index), shown)
    clean = copy.test.images[first.index[chosen]]
    rows: list[Row] = []
    records: list[Record] = []
    for model, attacked in attacks.items():
        network, _ = _network(results, dataset, model)
        x_adv = attacked.images(copy.test.images, chosen)
        for images in (x_adv,) if rows else (clean, x_adv):
            _, rebuilt, _ = _look(network, images)
            rows += [[Picture(image) for image in images], [Picture(image) for image in rebuilt]]
        records += [_record(model, attacked, int(number)) for number in chosen]
    titles = [
        title for name in ("clean", *(title_of(model) for model in MODELS)) for title in (name, "rebuilt")
    ]
    title = f"{attack} on {SPECS[dataset].title}"
    picture = picture_grid(rows, row_titles=titles, title=title)
    return [Panel(picture, grid_words(rows, f"Clean, attacked and rebuilt images, {title}"))], records


def _one_of_each(rows: Tensor, index: Tensor) -> Tensor:
    """Of the rows one for each image, at random among its targets, always the same."""
    images = index[rows]
    return torch.cat([_draw(rows[images == image], 1) for image in images.unique()])


def figure_11(results: Results) -> Drawing:
    """Images attacked towards every class, on CapsNet."""
    names = ("mnist", "fashion_mnist", "svhn")
    return gather([(SPECS[name].title, partial(_all_targets, results, name)) for name in names])


def _all_targets(results: Results, dataset: str, shown: int = 10) -> Part:
    """Images side by side; below each what became of it under every target, in class order."""
    matrix = results.record(dataset, "capsnet/matrix", Attacked)
    copy = _copy(results, dataset)
    classes = SPECS[dataset].classes
    images = _draw(matrix.index[matrix.kept_rows].unique(), shown)
    rows: list[Row] = [[Picture(copy.test.images[int(image)]) for image in images]]
    records: list[Record] = []
    for target in range(len(classes)):
        row: list[Picture | None] = []
        for image in images:
            fits = ((matrix.index == image) & (matrix.target == target)).nonzero().flatten()
            row.append(Picture(matrix.images(copy.test.images, fits)[0]) if len(fits) else None)
            records += [_record("capsnet", matrix, int(number)) for number in fits]
        rows.append(row)
    picture = picture_grid(rows, row_titles=["clean", *classes], title=SPECS[dataset].title)
    what = f"Test images of {SPECS[dataset].title}, and R-PGD on CapsNet towards every class"
    return [Panel(picture, grid_words(rows, what))], [{"dataset": dataset, **record} for record in records]


def _copy(results: Results, dataset: str) -> Dataset:
    """The local copy. Raises NotDrawable: when there is none, or one with other images than the results'."""
    facts, title = results.bundle(dataset).facts, SPECS[dataset].title
    if not data.is_available(dataset):
        raise NotDrawable(f"its pictures need a copy of {title} of your own")
    found = data.load(dataset)
    if facts.get("digest") not in (None, found.digest):
        raise NotDrawable(f"its pictures need the copy of {title} that it is about: {facts.get('data_copy')}")
    return found


def _draw(numbers: Tensor, count: int) -> Tensor:
    """Some of them at random, always the same, in order."""
    order = torch.randperm(len(numbers), generator=torch.Generator().manual_seed(0))
    return numbers[order[:count].sort().values]


def _network(results: Results, dataset: str, model: str) -> tuple[ReconstructingNet, float]:
    """A model with the stored weights, on the CPU, and its threshold."""
    weights = results.record(dataset, f"{model}/weights", Weights)
    threshold = results.record(dataset, f"{model}/clean", Clean).threshold(FPR)
    network = stored_network(dataset, model, weights.size, weights.packed)
    assert isinstance(network, ReconstructingNet)
    return network, threshold


def _look(network: ReconstructingNet, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, reconstruction and its distance for 8-bit images."""
    x = from_uint8(images)
    with torch.no_grad():
        logits, poses = network.logits_and_poses(x)
        prediction = logits.argmax(1)
        rebuilt = network.decode(poses, prediction)
    return prediction, rebuilt.clamp(0, 1), l2_distance(rebuilt, x)


def _record(model: str, attacked: Attacked, row: int) -> Record:
    """A row of an attack."""
    columns = ("index", "label", "target", "prediction", "distance")
    return {"model": title_of(model), **{name: getattr(attacked, name)[row].item() for name in columns}}
