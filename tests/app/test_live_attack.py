import re
from pathlib import Path

import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch import Tensor

from app.live import Run
from app.ui.scenarios import SCENARIOS
from precompute.store import Store
from tests.app.conftest import OpenPage, html

PAGE = "live_attack"
FEW = {"steps": "4"}


def run_of(app: AppTest) -> Run:
    return app.session_state["live"]


def verdict_of(app: AppTest) -> str:
    found = re.search(r'class="cs-verdict".*?</div>', html(app), re.S)
    assert found, "the page shows no verdict"
    return re.sub(r"<[^>]+>", " ", found.group())


def test_opening_the_page_attacks_at_once_and_says_how_it_ended(open_page: OpenPage) -> None:
    app = open_page(PAGE, **FEW)
    assert not app.exception
    assert not app.error
    run = run_of(app)
    assert run.ended
    assert not run.stopped
    assert run.step == run.total == 4
    assert "the threshold of" in verdict_of(app)
    assert f"{float(run.frames[-1].distance[0]):.2f}" in verdict_of(app)
    assert any("4 iterations" in caption.value for caption in app.caption)


def settings(app: AppTest) -> set[str | None]:
    """Keys of the attack's sliders, without that of universal perturbations."""
    return {slider.key for slider in app.slider} - {"strength"}


def test_the_pictures_are_those_of_the_run_and_have_texts(open_page: OpenPage) -> None:
    app = open_page(PAGE, **FEW)
    page = html(app)
    row = re.search(r'<div class="cs-row">.*?</div>\s*$', page, re.S | re.M)
    assert row
    assert len(re.findall(r"<figure>", row.group())) == 5
    assert len(re.findall(r'<img src="data:image/png;base64,[^"]+" alt="[^"]{10,}"', row.group())) == 5
    assert "magnified 3.33 times, up to ±0.3" in page


def test_settings_come_from_the_data_set_and_the_attack(open_page: OpenPage) -> None:
    app = open_page(PAGE, **FEW)
    assert app.slider(key="epsilon").value == pytest.approx(0.3)
    assert app.slider(key="step_size").value == pytest.approx(0.01)
    app.button_group(key="attack").set_value("r-fgsm").run()
    assert app.slider(key="step_size").value == pytest.approx(0.05)
    assert settings(app) == {"epsilon", "step_size", "beta"}
    app.button_group(key="attack").set_value("bim").run()
    assert settings(app) == {"epsilon", "step_size", "steps"}
    assert type(run_of(app).request.attack).__name__ == "BIM"


def test_the_smallest_change_is_searched_and_measured(open_page: OpenPage) -> None:
    quick = {"steps": "20", "searches": "2", "learning_rate": "0.1", "initial_c": "1"}
    app = open_page(PAGE, attack="CW-L2", target="Any other class", **quick)
    assert not app.exception
    assert not app.warning
    run = run_of(app)
    assert settings(app) == {
        "steps",
        "searches",
        "kappa",
        "learning_rate",
        "initial_c",
    }
    assert app.toggle(key="abort_early").value
    assert run.ended
    assert run.step == run.total <= 40
    length = float((run.frames[-1].x - run.before.x).norm())
    assert length > 0
    assert f"length {length:.2f}, magnified" in html(app)


def test_the_search_starts_from_settings_of_its_own(open_page: OpenPage) -> None:
    app = open_page(PAGE, epsilon="0.1")
    assert app.slider(key="steps").value == 200
    app.session_state["hold"] = True
    app.button_group(key="attack").set_value("cw").run()
    assert [app.slider(key=key).value for key in ("steps", "searches", "initial_c")] == [100, 5, 10]
    app.button_group(key="attack").set_value("pgd").run()
    assert app.slider(key="steps").value == 200


def test_deepfool_shows_how_far_it_had_to_go(open_page: OpenPage) -> None:
    app = open_page(PAGE, attack="DeepFool", target="Any other class", max_step="0.2", steps="200")
    assert not app.exception
    assert not app.warning
    run = run_of(app)
    assert settings(app) == {"steps", "max_step", "overshoot", "candidates"}
    assert app.button_group(key="norm").value == "l2"
    length = float((run.frames[-1].x - run.before.x).norm())
    assert 0 < length < 6
    told = " ".join(element.value for element in app.markdown)
    assert f"Smallest change: **{length:.3g}** in l2" in told
    assert "gradients taken" in told
    app.button_group(key="norm").set_value("linf").run()
    assert "in linf" in " ".join(element.value for element in app.markdown)


def test_boundary_counts_its_queries_and_shows_its_walk(open_page: OpenPage) -> None:
    app = open_page(PAGE, attack="Boundary", target="Any other class", steps="300")
    assert not app.exception
    assert not app.warning
    run = run_of(app)
    assert run.ended
    assert run.step == 300
    told = " ".join(element.value for element in app.markdown)
    length = float((run.frames[-1].x - run.before.x).norm())
    assert f"**300** answers asked for. Smallest change: **{length:.3g}** in l2" in told
    assert any("300 queries" in caption.value for caption in app.caption)
    early = run.frames[10]
    app.select_slider(key="step").set_value(early.step).run()
    assert run_of(app) is run
    told = " ".join(element.value for element in app.markdown)
    assert f"**{early.step}** answers asked for" in told


def test_boundary_reaches_a_target_from_an_image_of_it(open_page: OpenPage) -> None:
    app = open_page(PAGE, attack="Boundary", target="8", steps="200")
    run = run_of(app)
    assert int(run.frames[-1].prediction[0]) == 8
    assert float((run.frames[-1].x - run.before.x).norm()) > 0


def test_a_number_beyond_the_limits_of_the_next_attack_is_brought_into_them(open_page: OpenPage) -> None:
    app = open_page(PAGE, attack="Boundary", target="Any other class", steps="40")
    app.session_state["hold"] = True
    app.slider(key="steps").set_value(9000).run()
    app.button_group(key="attack").set_value("pgd").run()
    assert not app.exception
    assert app.slider(key="steps").value == 1000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """With the shipped digits as profile "paper", but for universal perturbations."""
    store = Store(tmp_path / "store")
    shipped = store.bundle("digits", "qin2020")
    assert shipped is not None
    store.set_bundle("digits", "qin2020", "paper", shipped.names, dict(shipped.facts))
    store.set_bundle("digits", "michels2019", "paper", {})
    return store


@pytest.fixture
def with_universal(store: Store) -> Tensor:
    """Three universal perturbations of CapsNet: none, a grey veil, white noise."""
    delta = torch.zeros(3, 1, 28, 28, dtype=torch.int16)
    delta[1] = 60
    delta[2] = 200 * torch.randn(1, 28, 28, generator=torch.Generator().manual_seed(0)).sign().short()
    size = delta.float().flatten(1) / 255
    tensors = {
        "perturbation": delta,
        "part": torch.tensor([0, 0, 1]),
        "number": torch.tensor([0, 1, 0]),
        "iterations": torch.tensor([0, 7, 21]),
        "reached": torch.tensor([False, True, True]),
        "accuracy": torch.tensor([1.0, 0.7, 0.2]),
        "norm_l2": size.norm(dim=1),
        "norm_linf": size.abs().amax(1),
    }
    store.publish("universal-key", {"function": "universal"}, tensors=tensors)
    store.set_bundle("digits", "michels2019", "paper", {"capsnet/universal": "universal-key"})
    return delta.float() / 255


def test_a_cached_universal_perturbation_is_applied(open_page: OpenPage, with_universal: Tensor) -> None:
    app = open_page(
        PAGE, profile="paper", model="CNN+R", universal="part 2, number 1", image="12", strength="0.5", **FEW
    )
    assert not app.exception
    assert not app.warning
    assert "One perturbation for all images" in " ".join(element.value for element in app.markdown)
    run = run_of(app)
    x = (run.before.x + 0.5 * with_universal[2]).clamp(0, 1)
    answer = int(run.model(x).argmax())
    assert f"read as {answer} (" in html(app).split("Universal perturbation")[1]
    caption = " ".join(element.value for element in app.caption)
    assert "Made on CapsNet, part 2, number 1, in 21 iterations" in caption
    app.slider(key="strength").set_value(0.0).run()
    page = html(app).split("Universal perturbation")[1]
    first = int(run.before.prediction[0])
    assert f"read as {first} (" in page
    assert run_of(app) is run, "the attack above ran again"


@pytest.mark.usefixtures("store")
def test_without_universal_perturbations_there_is_no_such_section(open_page: OpenPage) -> None:
    app = open_page(PAGE, profile="paper", **FEW)
    assert "One perturbation for all images" not in " ".join(element.value for element in app.markdown)


def test_a_setting_that_was_chosen_stays_when_defaults_change(open_page: OpenPage) -> None:
    app = open_page(PAGE, **FEW)
    app.slider(key="step_size").set_value(0.02).run()
    app.button_group(key="attack").set_value("fgsm").run()
    assert app.slider(key="step_size").value == pytest.approx(0.02)


def test_changing_a_setting_runs_anew(open_page: OpenPage) -> None:
    app = open_page(PAGE, **FEW)
    first = run_of(app)
    app.slider(key="epsilon").set_value(0.1).run()
    second = run_of(app)
    assert second is not first
    assert second.ended
    assert float((second.frames[-1].x - second.before.x).abs().max()) <= 0.1 + 1e-6


def test_what_does_not_change_the_attack_does_not_run_it_again(open_page: OpenPage) -> None:
    app = open_page(PAGE, **FEW)
    first, before = run_of(app), verdict_of(app)
    app.select_slider(key="fpr").set_value(0.2).run()
    assert run_of(app) is first
    assert verdict_of(app) != before


def test_the_address_restores_the_view(open_page: OpenPage) -> None:
    query = {
        "model": "CNN+R",
        "attack": "PGD",
        "image": "12",
        "target": "Any other class",
        "epsilon": "0.2",
        "steps": "3",
        "seed": "7",
        "fpr": "10%",
    }
    app = open_page(PAGE, **query)
    assert not app.warning
    request = run_of(app).request
    assert (request.model, request.image, request.targets, request.seed) == ("cnn_r", 12, (None,), 7)
    assert request.attack.epsilon == pytest.approx(0.2)
    assert request.attack.steps == 3
    assert app.select_slider(key="fpr").value == pytest.approx(0.1)
    assert {key: app.query_params[key] for key in query} == {key: query[key] for key in query}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"model": "resnet"}, "Model “resnet” is not among CapsNet"),
        ({"image": "99999"}, "Image 99999 is outside 0 to 363"),
        ({"image": "-1"}, "Image -1 is outside"),
        ({"image": "first"}, "Image “first” is not a number"),
        ({"target": "3"}, "Target “3” is not among 0"),
        ({"attack": "magic"}, "Attack “magic” is not among FGSM"),
        ({"epsilon": "7"}, "Epsilon 7 is outside 0 to 1"),
        ({"beta": "nan"}, "Beta “nan” is not a number"),
        ({"seed": "x"}, "Seed “x” is not a number"),
        ({"dataset": "cifar"}, "Data set “cifar” is not among Digits"),
        ({"step": "77"}, "Iteration “77” is not among"),
    ],
)
def test_bad_addresses_are_corrected_in_a_sentence(
    open_page: OpenPage, query: dict[str, str], told: str
) -> None:
    app = open_page(PAGE, **FEW, **query)
    assert not app.exception
    assert [told in warning.value for warning in app.warning] == [True]
    assert run_of(app).ended
    assert next(iter(query)) not in app.query_params
    app.run()
    assert not app.warning


def test_all_targets_are_one_run_with_a_verdict_each(open_page: OpenPage) -> None:
    app = open_page(PAGE, target="All 9", **FEW)
    run = run_of(app)
    assert run.request.targets == (0, 1, 2, 4, 5, 6, 7, 8, 9)
    assert run.frames[-1].x.shape[0] == 9
    page = html(app)
    assert page.count('class="cs-card"') == 9
    assert "of 9 targets hit" in verdict_of(app)
    app.button_group(key="look").set_value("7").run()
    assert run_of(app) is run
    assert "Target 7" in verdict_of(app)


def test_thumbnails_choose_the_image(open_page: OpenPage) -> None:
    app = open_page(PAGE, **FEW)
    app.button(key="pick-5").click().run()
    assert app.number_input(key="image").value == 5
    assert app.query_params["image"] == "5"
    assert run_of(app).request.image == 5
    app.selectbox(key="show").select("7").run()
    picks = [int(button.key.removeprefix("pick-")) for button in app.button if button.key.startswith("pick-")]
    app.button(key=f"pick-{picks[2]}").click().run()
    assert run_of(app).request.label == 7
    app.button(key="more-button").click().run()
    later = [int(button.key.removeprefix("pick-")) for button in app.button if button.key.startswith("pick-")]
    assert later
    assert not set(later) & set(picks)


def test_random_takes_another_image(open_page: OpenPage) -> None:
    app = open_page(PAGE, **FEW)
    before = run_of(app).request.image
    app.button(key="random").click().run()
    assert run_of(app).request.image != before


def test_the_target_moves_when_the_image_belongs_to_it(open_page: OpenPage) -> None:
    app = open_page(PAGE, **FEW)
    assert run_of(app).request.targets == (8,)
    app.button(key="pick-8").click().run()
    assert not app.exception
    assert run_of(app).request.label == 8
    assert run_of(app).request.targets == (3,)


def test_the_path_can_be_scrubbed(open_page: OpenPage) -> None:
    app = open_page(PAGE, **FEW)
    run, end = run_of(app), verdict_of(app)
    assert app.select_slider(key="step").value == 4
    app.select_slider(key="step").set_value(0).run()
    assert run_of(app) is run
    assert verdict_of(app) != end
    assert f"{float(run.frames[0].distance[0]):.2f}" in verdict_of(app)


def test_after_a_stop_nothing_runs_until_attack_is_pressed(open_page: OpenPage) -> None:
    app = open_page(PAGE, **FEW)
    app.session_state["hold"] = True
    app.slider(key="epsilon").set_value(0.15).run()
    assert run_of(app).step == 0
    assert "Press Attack" in verdict_of(app)
    app.button(key="attack-button").click().run()
    assert run_of(app).step == 4


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.title)
def test_scenarios_set_the_address_and_keep_their_promise(open_page: OpenPage, scenario) -> None:
    app = open_page(PAGE, **FEW)
    app.button(key=f"scenario-{scenario.title}").click().run()
    assert not app.exception
    run = run_of(app)
    assert run.ended
    assert scenario.promise in verdict_of(app)
    assert run.request.label == 3


def test_of_many_classes_one_is_aimed_at(open_page: OpenPage, monkeypatch) -> None:
    everything = "scenario-All {others} targets"
    app = open_page(PAGE, **FEW)
    assert app.button(key=everything).label == "All nine targets"
    monkeypatch.setattr("app.ui.choices.FEW", 9)
    monkeypatch.setattr("app.ui.scenarios.FEW", 9)
    app = open_page(PAGE, **FEW)
    assert not app.exception
    assert everything not in [button.key for button in app.button]
    assert app.selectbox(key="target").value == "8"
    assert "All 9" not in app.selectbox(key="target").options


def test_without_a_bundle_the_page_names_the_command(open_page: OpenPage, no_bundles: None) -> None:
    app = open_page(PAGE)
    assert not app.exception
    assert [code.value for code in app.code] == ["python -m precompute build digits --profile demo"]


def test_a_data_set_without_bundle_or_copy_says_so(open_page: OpenPage) -> None:
    app = open_page(PAGE, dataset="Fashion-MNIST")
    assert not app.exception
    told = " ".join(element.value for element in [*app.markdown, *app.code])
    assert "Fashion-MNIST" in told
    assert "build fashion_mnist" in told or "No local copy of Fashion-MNIST" in told
