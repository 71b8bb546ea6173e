"""The charts of qin2020, Figs. 1-4 and 9, from stored results."""

from functools import partial
from typing import Any

from torch import Tensor

from core.data import SPECS
from core.figures.colours import CLEAN_COLOUR, OUTCOME_COLOURS
from core.figures.curves import BetaPoint, FprPoint, beta_chart, fpr_chart
from core.figures.distances import CLASS_COLOURS, by_class, common_edges, distance_chart, histogram
from core.figures.matrix import matrix_chart
from core.figures.pairs import pair_table
from core.figures.style import Record, heading, in_words
from core.metrics import Rate, rate
from core.models import title_of
from precompute.papers.drawing import Drawing, NotDrawable, Panel, gather
from precompute.papers.qin2020.claims import DEEPER, MODELS, OTHER_CAPSULES
from precompute.papers.stored import Results, Rows
from precompute.steps.records import Attacked, Clean

FPR = 0.05
ACCESS = {None: "white box", "black_box": "black box"}
CLEAN, ATTACKED = "clean", "PGD"
GROUPS = {CLEAN: CLEAN_COLOUR, ATTACKED: OUTCOME_COLOURS["undetected"]}
Part = tuple[list[Panel], list[Record]]


def figure_1(results: Results) -> Drawing:
    """Distances of clean images by class, and of clean and attacked images."""
    return gather(
        [("a", partial(_by_class, results)), *((title_of(m), partial(_attacked, results, m)) for m in MODELS)]
    )


def _by_class(results: Results) -> Part:
    clean = results.record("mnist", "capsnet/clean", Clean)
    if clean.test_class_distance is None:
        raise NotDrawable("the bundle of mnist has no distances by class")
    parts = by_class(clean.test_class_distance, clean.test_label)
    bars = histogram(parts, common_edges(parts.values()))
    title = "(a) CapsNet, clean images"
    medians = ", ".join(f"{float(part.median()):.2f} from {name}" for name, part in parts.items())
    words = f"Distances of clean MNIST test images to what CapsNet rebuilds: median {medians}."
    chart = distance_chart(bars, CLASS_COLOURS, title=title, height=240)
    return [Panel(chart, words)], [{"panel": "a", "model": "CapsNet", **bar.record()} for bar in bars]


def _attacked(results: Results, model: str) -> Part:
    clean = results.record("mnist", f"{model}/clean", Clean)
    attack = results.record("mnist", f"{model}/attack/pgd-untargeted", Attacked)
    groups: dict[str, Tensor] = {CLEAN: clean.test_distance, ATTACKED: attack.score}
    bars = histogram(groups, common_edges(groups.values()))
    threshold = clean.threshold(FPR)
    chart = distance_chart(bars, GROUPS, title=f"(b) {title_of(model)}", threshold=threshold, height=240)
    below = rate(attack.score <= threshold)
    words = (
        f"Distances of clean and attacked MNIST images to what {title_of(model)} rebuilds: {in_words(below)} "
        f"of the attacked ones lie below the threshold {threshold:.2f}."
    )
    return [Panel(chart, words)], [{"panel": "b", "model": title_of(model), **bar.record()} for bar in bars]


def figure_2(results: Results) -> Drawing:
    """Undetected rate against false-positive rate on three data sets."""
    return gather(
        [
            (SPECS[name].title, partial(_models_curve, results, name, MODELS))
            for name in ("mnist", "fashion_mnist", "svhn")
        ]
    )


def figure_3(results: Results) -> Drawing:
    """The same on CIFAR-10: white and black box on CapsNet, and three capsule networks."""
    return gather(
        [
            ("left", partial(_access_curve, results, "cifar10")),
            ("right", partial(_models_curve, results, "cifar10", (DEEPER, *OTHER_CAPSULES))),
        ]
    )


def _models_curve(results: Results, dataset: str, models: tuple[str, ...]) -> Part:
    rows = _curve_rows(results, dataset)
    points = [
        _fpr_point(title_of(model), row)
        for model in models
        for row in rows
        if row["model"] == model and not _given(row.get("access"))
    ]
    return _curve(points, dataset)


def _access_curve(results: Results, dataset: str) -> Part:
    rows = [row for row in _curve_rows(results, dataset) if row["model"] == DEEPER]
    points = [
        _fpr_point(title, row)
        for access, title in ACCESS.items()
        for row in rows
        if _given(row.get("access")) == access
    ]
    if len({point.model for point in points}) < len(ACCESS):
        raise NotDrawable(f"the bundle of {dataset} has no attacks through a substitute")
    return _curve(points, dataset)


def _curve(points: list[FprPoint], dataset: str) -> Part:
    if not points:
        raise NotDrawable(f"the bundle of {dataset} has no such curve")
    title = SPECS[dataset].title
    chart = fpr_chart(points, FPR, height=300).properties(title=heading(title))
    told = ", ".join(f"{p.model} {in_words(p.rate)}" for p in points if abs(p.fpr - FPR) < 1e-9)
    words = f"Undetected rate of targeted R-PGD on {title} against false-positive rate. At 5 %: {told}."
    return [Panel(chart, words)], [{"dataset": dataset, **point.record()} for point in points]


def _curve_rows(results: Results, dataset: str) -> Rows:
    results.bundle(dataset)  # says what is missing
    rows = results.rows(dataset, "fpr")
    return [row for row in rows if (row["attack"], row["mode"]) == ("r-pgd", "targeted")]


def _fpr_point(title: str, row: Record) -> FprPoint:
    return FprPoint(title, float(row["fpr"]), float(row["threshold"]), _rate(row))


def figure_4(results: Results) -> Drawing:
    """Success of every pair of classes on Fashion-MNIST."""
    return gather([(title_of(model), partial(_matrix, results, "fashion_mnist", model)) for model in MODELS])


def _matrix(results: Results, dataset: str, model: str) -> Part:
    matrix, classes = results.record(dataset, f"{model}/matrix", Attacked), SPECS[dataset].classes
    assert matrix.target is not None
    cells = pair_table(matrix.label, matrix.target, matrix.worked, classes)
    chart = matrix_chart(cells, classes, title_of(model), "Success rate", height=380)
    easiest = max(cells, key=lambda cell: cell.rate.value)
    words = (
        f"Success of targeted R-PGD on {title_of(model)} for every pair of classes: "
        f"{in_words(matrix.success_rate())} overall, highest from {easiest.source_name} to "
        f"{easiest.target_name}."
    )
    return [Panel(chart, words)], [{"model": title_of(model), **cell.record()} for cell in cells]


def figure_9(results: Results) -> Drawing:
    """Success and undetected rate against beta."""
    metrics = {"success_rate": "(a) Success rate", "undetected_rate": "(b) Undetected rate"}
    return gather([(title, partial(_sweep, results, metric, title)) for metric, title in metrics.items()])


def _sweep(results: Results, metric: str, title: str) -> Part:
    results.bundle("mnist")  # says what is missing
    points = [
        BetaPoint(title_of(model), metric, float(row["beta"]), _rate(row))
        for model in MODELS
        for row in results.rows("mnist", "beta")
        if (row["model"], row["attack"], row["mode"], row["metric"]) == (model, "r-pgd", "targeted", metric)
        and _given(row["beta"]) is not None
    ]
    if not points:
        raise NotDrawable("the bundle of mnist has no sweep of β")
    best = max(points, key=lambda point: point.rate.value)
    words = (
        f"{title} of targeted R-PGD on MNIST against β, highest for {best.model} at β = {best.beta:g}: "
        f"{in_words(best.rate)}."
    )
    return [Panel(beta_chart(points, title, height=300), words)], [point.record() for point in points]


def _rate(row: Record) -> Rate:
    return Rate(int(row["k"]), int(row["n"]))


def _given(value: Any) -> Any:
    """A value of a row; None for NaN, which data frames have where there is none."""
    return None if value is None or value != value else value
