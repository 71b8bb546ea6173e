"""Every check passes where all is sound, and fails on a model or an attack that is broken in its way."""

from dataclasses import dataclass

import pytest
import torch

from core.attacks import PGD, AttackResult, AttackState, CarliniWagner
from core.detectors import ReconstructionDetector
from core.health import CHECKS, EXPLANATIONS, Check, Clean, Number, checks_of, failed, rows_of
from core.health.bench import Memory
from core.health.detection import auc
from tests.core.health.conftest import (
    BOUNDED,
    Flat,
    Halved,
    Idle,
    Linear,
    OnlyAimed,
    OtherHalf,
    Random,
    Returning,
    Rounded,
    Rugged,
    Saturated,
)


@dataclass(frozen=True)
class Counting(CarliniWagner):
    """Counts black images as successes, as a peer's attack does."""

    def path(self, model, problem, seed, precision):
        yield AttackState(0, 1, problem.x)
        yield AttackState(1, 1, torch.zeros_like(problem.x))

    def run(self, model, problem, draft, seed, precision, batch_size):
        draft.x_adv[:] = 0
        yield from ()

    def verified(self, model, problem, draft, stopped) -> AttackResult:
        found = super().verified(model, problem, draft, stopped)
        return AttackResult(
            found.x_adv, found.prediction, found.success, found.distance * 0, found.steps, found.queries
        )


class TiedDetector(ReconstructionDetector):
    """Clips its scores, so that most of them tie."""

    def measure(self, x, draw):
        return super().measure(x, draw).clamp(max=0.5)


def tied() -> Clean:
    score = torch.full((20,), 0.5)
    return Clean(score, score, torch.zeros(20).long(), torch.zeros(20).long())


BROKEN = {
    1: {"model": Rounded()},
    2: {"model": Rounded()},
    3: {"attacks": BOUNDED | {"pgd": Idle}},
    4: {"step_size": 0.004},
    5: {"model": Rounded(), "others": {"same": Linear()}, "epsilon": 0.3},
    6: {"attacks": {"pgd": Halved, "bim": OtherHalf}, "epsilon": 0.3},
    7: {"clean": tied()},
    8: {"attacks": BOUNDED | {"pgd": OnlyAimed}},
    9: {"others": {"first": Flat()}},
    10: {"attacks": {"cw": Counting}},
    11: {"model": Saturated()},
    12: {"model": Rugged()},
    13: {"attacks": BOUNDED | {"pgd": Returning}},
    14: {"step_size": 0.001},
    15: {"model": Random(6.0), "epsilon": 0.07},
}
SOUND = {10: {"attacks": {"cw": CarliniWagner}, "changed": {"cw": {"searches": 5, "steps": 60}}}}


@pytest.mark.parametrize("number", CHECKS)
def test_it_passes_where_all_is_sound(number, bench):
    check = CHECKS[number](bench(**SOUND.get(number, {}), epsilon=0.2))
    assert check.number == number
    assert check.verdict == ("not applicable" if number == 15 else "passed"), check.figure


@pytest.mark.parametrize("number", CHECKS)
def test_it_fails_where_its_defect_is(number, bench):
    check = CHECKS[number](bench(**BROKEN[number]))
    assert check.verdict == "failed", check.figure
    assert check.touches
    assert check.details


def test_masked_gradients_are_seen_by_all_that_follow_them(bench):
    masked = bench(Rounded(), others={"same": Linear()}, epsilon=0.3)
    found = {number: CHECKS[number](masked) for number in (1, 2, 5, 11)}
    assert {check.verdict for check in found.values()} == {"failed"}
    assert found[11].details[0].value == 1, "no image has a gradient"
    assert all(check.concerns("success_rate", "pgd") for check in found.values())


def test_an_idle_attack_does_not_reach_everything(bench):
    check = CHECKS[1](bench(attacks=BOUNDED | {"pgd": Idle}))
    assert check.verdict == "failed"
    assert [number.value for number in check.details] == [0.0] * 5


def test_a_little_randomness_is_told_from_much(bench):
    little, much = (CHECKS[15](bench(Random(noise), epsilon=0.07)) for noise in (1e-3, 6.0))
    assert (little.verdict, much.verdict) == ("passed", "failed")
    assert "averaging adds" in much.figure
    assert much.concerns("error_rate", None)


def test_success_at_each_epsilon_is_that_of_the_closed_form(bench):
    made = bench()
    check = CHECKS[1](made)
    weight = made.model.weight
    for number in check.details[1:]:
        epsilon = float(number.name.rsplit(" ", 1)[1])
        margins = []
        for other in range(4):
            difference = weight[made.label] - weight[other]
            # Each pixel moves by epsilon against the difference, but not out of [0, 1].
            x = (made.x.flatten(1) - epsilon * difference.sign()).clamp(0, 1) - 0.5
            margin = (x * difference).sum(1)
            margins.append(torch.where(made.label == other, torch.inf, margin))
        possible = (torch.stack(margins).amin(0) < 0).float().mean()
        assert number.value == pytest.approx(float(possible), abs=0.05)


def test_without_detector_and_others_checks_do_not_apply(bench):
    bare = bench(detector=None, clean=None, others={}, attacks={"fgsm": BOUNDED["fgsm"], "pgd": PGD})
    assert [number for number in (7, 9, 10) if CHECKS[number](bare).verdict == "not applicable"] == [7, 9, 10]
    assert CHECKS[4](bare).details[0].name.endswith(("with twice the steps", "with a second start"))


def test_runs_are_kept_and_a_path_serves_both(bench):
    memory, said = Memory(), []
    made = bench(kept=memory, on_run=said.append)
    path = made.run("pgd", traced=True)
    assert len(path.path_success) == made.steps + 1
    count = len(said)
    assert torch.equal(made.run("pgd").x_adv, path.x_adv)
    assert len(said) == count, "ran again"
    again = bench(kept=memory, on_run=said.append)
    assert torch.equal(again.run("pgd").success, path.success)
    assert len(said) == count
    assert not torch.equal(made.run("pgd", seed=1).x_adv, path.x_adv)


def test_a_run_and_its_path_end_alike(bench):
    made, other = bench(), bench()
    assert torch.allclose(made.run("r-pgd").x_adv, other.run("r-pgd", traced=True).x_adv)


def test_a_failed_check_concerns_what_it_names():
    check = Check(
        4, "failed", "12 %", (Number("x", 0.12, 50, 0.05, 0.24),), ("error_rate", "success_rate/pgd")
    )
    assert check.concerns("error_rate", None)
    assert check.concerns("error_rate", "fog")
    assert check.concerns("success_rate", "pgd")
    assert not check.concerns("success_rate", "bim")
    assert not check.concerns("undetected_rate", "pgd")
    passed = Check(4, "passed", "1 %", (), check.touches)
    assert not passed.concerns("success_rate", "pgd")
    assert failed([check, passed], "success_rate", "pgd") == [check]


def test_checks_come_back_from_their_table():
    import pandas as pd

    checks = [
        Check(4, "failed", "12 %", (Number("x", 0.12, 50, 0.05, 0.24), Number("y", 2.0, 3)), ("error_rate",)),
        Check(15, "not applicable", "deterministic"),
    ]
    rows = rows_of(checks, {"model": "capsnet"})
    assert (rows[0]["value"], rows[0]["n"], rows[0]["low"], rows[0]["high"]) == (0.12, 50, 0.05, 0.24)
    assert rows[1]["value"] is None
    assert checks_of(pd.DataFrame(rows)) == {"capsnet": checks}
    assert checks_of(pd.DataFrame()) == {}


def test_area_under_the_roc_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    generator = torch.Generator().manual_seed(0)
    clean = torch.randint(0, 6, (40,), generator=generator).float()
    attacked = torch.randint(2, 9, (30,), generator=generator).float()
    truth = [0] * 40 + [1] * 30
    assert auc(clean, attacked) == pytest.approx(roc_auc_score(truth, torch.cat([clean, attacked]).numpy()))


def test_a_median_has_its_interval():
    number = Number.median("distance", torch.arange(101.0))
    assert (number.value, number.n) == (50, 101)
    assert 38 <= number.low < 50 < number.high <= 62


def test_all_fifteen_have_a_name_and_a_meaning():
    assert list(CHECKS) == list(EXPLANATIONS) == list(range(1, 16))
    assert all(meaning.endswith(".") for _, meaning in EXPLANATIONS.values())
