from pathlib import Path

import pytest
import torch

from app.results import attacks as results
from core import data
from core.coherence import MEASURES, class_distances
from core.figures.style import in_words
from core.metrics import Rate, rate
from precompute.papers.qin2020.results import tables
from precompute.store import Bundle, Store
from tests.app.conftest import OpenPage, charts, html, written

PAGE = "coherence"
MODELS = ("capsnet", "cnn_cr", "cnn_r")
JUDGES = (("convnet", None), ("residual", None), ("residual", {"epsilon": 0.3}))


@pytest.fixture
def judged(tmp_path: Path) -> Bundle:
    """What shipped, with networks that see the target on every second row, and neighbours on every third.

    Hence all four of them on every sixth, and none on a third.
    """
    store = Store(tmp_path / "store")
    shipped = store.bundle("digits", "qin2020")
    assert shipped is not None
    training = data.load("digits").train
    distances = {
        name: torch.from_numpy(matrix)
        for name, matrix in class_distances(training.images, training.labels, 10).items()
    }
    store.publish("similarity-key", {"function": "similarity"}, tensors=distances)
    names = {**shipped.names, "similarity": "similarity-key"}
    for model in MODELS:
        matrix = shipped[f"{model}/matrix"].tensors
        row = (matrix["prediction"] == matrix["target"]).nonzero().flatten()
        source, target = matrix["label"][row], matrix["target"][row]
        said = torch.stack([torch.where(row % n == 0, target, source) for n in (2, 2, 2, 3)])
        about = Rate(90, 100)
        accuracy = {"k": 90, "n": 100, "value": 0.9, "low": about.low, "high": about.high}
        judges = [
            {"judge": f"judge-{number}", "model": name, "adversary": adversary, "accuracy": accuracy}
            | {"robust_accuracy": {**accuracy, "k": 7}}
            for number, (name, adversary) in enumerate(JUDGES)
        ]
        judges.append({"judge": "neighbours", "accuracy": accuracy})
        store.publish(
            f"{model}-judged-key",
            {"function": "judged"},
            tensors={"row": row, "prediction": said},
            facts={"judges": judges},
        )
        names[f"{model}/judged"] = f"{model}-judged-key"
    wanted = ("clean", "matrix", "judged", "similarity")
    inputs = {name: store.load(key) for name, key in names.items() if name.split("/")[-1] in wanted}
    made = tables({"dataset": "digits", "profile": "paper", "models": list(MODELS)}, inputs)
    store.publish("results-key", {"function": "results"}, tables=made)
    # Before the one that shipped, as the best profile is shown first.
    store.set_bundle("digits", "qin2020", "paper", {**names, "results": "results-key"}, {})
    found = store.bundle("digits", "qin2020")
    assert found is not None
    assert found.profile == "paper"
    return found


def test_every_number_of_the_bundle_is_shown(open_page: OpenPage, judged: Bundle) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert not app.error
    assert not app.info
    table = judged["results"].tables["coherence"]
    of_capsnet = table[(table["model"] == "capsnet") & table["other"].isna()].set_index("measure")
    rho = of_capsnet.loc["means"]
    assert f"ρ = {rho['value']:.2f} ({rho['low']:.2f} to {rho['high']:.2f})" in written(app)
    assert "Mantel" in written(app)
    assert len(charts(app)) == 2 + 2 + 3
    assert charts(app)[1].startswith(f"Success rate of attacks on CapsNet against the {MEASURES['means']}")
    assert "CNN+R, Discriminants" in charts(app)[2]
    assert "CapsNet less CNN+R" in written(app)
    for model, words in zip(MODELS, charts(app)[4:], strict=True):
        attack = results.attacked(judged, model)
        row = attack.undetected(results.clean(judged, model).threshold(0.05)).nonzero().flatten()
        assert f"most of them the target in {in_words(rate(row % 2 == 0))}" in words
    assert "Small ResNet, PGD" in written(app)
    assert in_words(Rate(7, 100)) in written(app)
    ends = [block.value for block in app.markdown if "see the target**:" in block.value]
    row = results.attacked(judged, "capsnet")
    row = row.undetected(results.clean(judged, "capsnet").threshold(0.05)).nonzero().flatten()
    assert in_words(rate(row % 6 == 0)) in ends[0]
    assert html(app).count('class="ct-tile"') == 6 + 6


def test_the_address_holds_the_whole_view(open_page: OpenPage, judged: Bundle) -> None:
    query = {"whose": "CNN+R", "alike": "Nearest images", "from": "4", "to": "9", "each": "12"}
    app = open_page(PAGE, **query)
    assert not app.exception
    assert not app.warning
    assert charts(app)[1].startswith(f"Success rate of attacks on CNN+R against the {MEASURES['neighbours']}")
    drawn = html(app)
    tiles = drawn.count('class="ct-tile"')
    assert 0 < tiles == drawn.count("<b>4 → 9</b>")


def test_an_address_that_is_wrong_is_corrected_aloud(open_page: OpenPage, judged: Bundle) -> None:
    app = open_page(PAGE, whose="VGG", alike="Smell", **{"from": "ten"})
    assert not app.exception
    assert all(f"“{wrong}”" in app.warning[0].value for wrong in ("VGG", "Smell", "ten"))


@pytest.mark.usefixtures("no_copy")
def test_without_a_local_copy_perturbations_are_shown_and_a_download_is_offered(
    open_page: OpenPage, judged: Bundle
) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert "No local copy of Digits" in written(app)
    assert "The original image" not in html(app)
    assert html(app).count('class="ct-tile"') == 6 + 6


def test_a_bundle_from_before_says_what_is_missing(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Bundle.__contains__
    monkeypatch.setattr(Bundle, "__contains__", lambda bundle, n: n != "similarity" and names(bundle, n))
    app = open_page(PAGE)
    assert not app.exception
    assert "before similarity and judges" in app.info[0].value
    assert "python -m precompute build digits --paper qin2020 --profile demo" in app.info[0].value
    assert len(charts(app)) == 1
