import math
from dataclasses import replace

import pytest
import torch

from app.results import attacks as results
from app.results.attacks import Attacked, attack_words
from core import data
from core.metrics import threshold_at
from core.outcomes import Outcome
from precompute.store import Bundle, MissingArtifact, Store

CLASSES = tuple("0123456789")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    found = Store(tmp_path_factory.mktemp("store")).bundle("digits", "qin2020")
    assert found is not None
    return found


def attacked(prediction: list[int], distance: list[float], target: list[int] | None) -> Attacked:
    count = len(prediction)
    return Attacked(
        model="capsnet",
        key="key",
        index=torch.arange(count),
        label=torch.zeros(count, dtype=torch.long),
        target=None if target is None else torch.tensor(target),
        prediction=torch.tensor(prediction),
        distance=torch.tensor(distance),
        facts={"attack": "pgd"},
    )


def test_outcomes_of_targeted_attacks() -> None:
    attack = attacked([3, 3, 5, 0, 3], [1.0, 2.5, 1.0, 1.0, 2.0], [3] * 5)
    assert attack.outcomes(2.0) == [
        Outcome.UNDETECTED,
        Outcome.FLAGGED,
        Outcome.OTHER,
        Outcome.FAILED,
        Outcome.UNDETECTED,
    ]
    assert (attack.success_rate().k, attack.success_rate().n) == (3, 5)
    assert attack.undetected_rate(2.0).k == 2


def test_any_other_class_will_do_without_a_target() -> None:
    attack = attacked([3, 5, 0], [1.0, 3.0, 1.0], None)
    assert attack.outcomes(2.0) == [Outcome.UNDETECTED, Outcome.FLAGGED, Outcome.FAILED]
    assert attack.success_rate().k == 2


@pytest.mark.parametrize("model", ["capsnet", "cnn_cr", "cnn_r"])
def test_outcomes_agree_with_verdicts_on_the_shipped_results(bundle: Bundle, model: str) -> None:
    attack, threshold = results.attacked(bundle, model), results.clean(bundle, model).threshold(0.05)
    outcomes = attack.outcomes(threshold)
    assert outcomes == [attack.verdict(row, threshold, CLASSES).outcome for row in range(len(attack.label))]
    assert outcomes.count(Outcome.UNDETECTED) == attack.undetected_rate(threshold).k
    assert set(attack.label.tolist()) == set(range(10))


@pytest.mark.parametrize("model", ["capsnet", "cnn_cr", "cnn_r"])
def test_the_threshold_is_that_of_the_calibration(bundle: Bundle, model: str) -> None:
    clean = results.clean(bundle, model)
    stored = bundle[f"{model}/clean"].facts["threshold"]
    assert clean.threshold(0.05) == pytest.approx(stored)
    assert clean.threshold(0.05) == threshold_at(clean.validation_distance, 0.05)
    assert clean.threshold(0.01) > clean.threshold(0.05) > clean.threshold(0.5)
    assert (clean.test_class_distance is None) == (model == "cnn_r")


def test_attacked_images_stay_within_epsilon_and_the_range(bundle: Bundle) -> None:
    digits, attack = data.load("digits"), results.attacked(bundle, "capsnet")
    rows = list(range(0, len(attack.label), 7))
    x = results.x_adv(digits, attack, rows)
    change = (x.int() - digits.test.images[attack.index[rows]].int()).abs().max()
    assert x.dtype == torch.uint8
    assert 0 < int(change) <= math.floor(attack.facts["fields"]["epsilon"] * 255 + 1e-6)


@pytest.mark.parametrize("model", ["capsnet", "cnn_r"])
def test_stored_reconstructions_are_what_the_model_rebuilds_now(bundle: Bundle, model: str) -> None:
    digits, attack = data.load("digits"), results.attacked(bundle, model)
    rows = [0, 5, len(attack.label) - 1]
    stored = results.reconstructions(bundle, digits, attack, rows)
    names = {name: key for name, key in bundle.names.items() if not name.endswith("/reconstructions")}
    lean = replace(bundle, names=names)
    live = results.reconstructions(lean, digits, attack, rows)
    assert live.shape == stored.shape == (3, 1, 28, 28)
    assert int((live.int() - stored.int()).abs().max()) <= 2
    assert int(stored.float().std()) > 10


def test_perturbations_that_were_not_kept_cannot_be_shown(bundle: Bundle) -> None:
    attack = results.attacked(bundle, "capsnet", "attack/pgd-targeted")
    with pytest.raises(ValueError, match="expected rows whose perturbation is stored, got 0"):
        results.x_adv(data.load("digits"), attack, [0])


def test_pictures_can_be_made_of_kept_rows_alone(bundle: Bundle) -> None:
    whole, digits = results.attacked(bundle, "capsnet"), data.load("digits")
    assert whole.perturbation is not None
    kept = torch.tensor([3, 40, 41])
    some = replace(whole, perturbation=whole.perturbation[kept], kept=kept)
    assert some.pictured([41, 0, 3]) == [41, 3]
    assert whole.pictured([41, 0, 3]) == [41, 0, 3]
    assert torch.equal(results.x_adv(digits, some, [41, 3]), results.x_adv(digits, whole, [41, 3]))
    with pytest.raises(ValueError, match="got 0, which is not among the 3"):
        results.x_adv(digits, some, [41, 0])


def test_a_missing_name_says_how_to_build_it(bundle: Bundle) -> None:
    with pytest.raises(MissingArtifact, match="python -m precompute build digits"):
        results.attacked(bundle, "capsnet", "attack/nothing")


def test_untargeted_attacks_have_no_target(bundle: Bundle) -> None:
    assert results.attacked(bundle, "capsnet", "attack/pgd-untargeted").target is None
    assert results.attacked(bundle, "capsnet", "attack/pgd-targeted").target is not None


def test_a_sweep_has_one_attack_a_beta(bundle: Bundle) -> None:
    for targeted in (True, False):
        sweep = results.sweep(bundle, "capsnet", targeted)
        assert len(sweep.beta) == len(sweep.attacks) >= 3
        assert (sweep.attacks[0].target is not None) == targeted
        assert sweep.best_beta in [pytest.approx(beta) for beta in sweep.beta.tolist()]


def test_attacks_on_offer_are_those_of_every_model(bundle: Bundle) -> None:
    names = results.attack_names(bundle, ("capsnet", "cnn_cr", "cnn_r"))
    assert names[0] == "r-pgd-targeted"
    assert {"pgd-targeted", "fgsm-untargeted"} <= set(names)
    assert results.attack_names(bundle, ("capsnet", "no such model")) == []


def test_attacks_in_words() -> None:
    fields = {"epsilon": 0.3, "step_size": 0.01, "steps": 200}
    facts = {"attack": "r-pgd", "fields": fields, "beta": 0.5}
    words = "R-PGD, ε = 0.3, 200 steps of 0.01"
    assert attack_words(facts, targeted=True) == f"targeted {words}, β = 0.5"
    assert attack_words(facts, targeted=False, with_beta=False) == f"untargeted {words}"
    fine = {**facts, "fields": {**fields, "epsilon": 8 / 255}}
    assert attack_words(fine, targeted=True) == "targeted R-PGD, ε = 8/255, 200 steps of 0.01, β = 0.5"
    one = {"attack": "fgsm", "fields": {"epsilon": 0.1, "step_size": 0.05}, "beta": None}
    assert attack_words(one, targeted=True) == "targeted FGSM, ε = 0.1, one step of 0.05"
