import os
import subprocess
import sys
import threading

import pytest
import torch
from torch import nn

from core import runtime
from core.attacks import PGD
from core.runtime import at_most, configure, in_parts, network_precision, worthwhile_threads

pytestmark = pytest.mark.slow

TWO = pytest.mark.skipif(torch.get_num_threads() < 2, reason="torch has one thread")


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_parts_cover_everything_once(count: int) -> None:
    done: list[int] = []
    in_parts(lambda start, stop: done.extend(range(start, stop)), count)
    assert sorted(done) == list(range(count))


@pytest.mark.alone
@TWO
def test_parts_run_at_once() -> None:
    meeting = threading.Barrier(2)
    in_parts(lambda start, stop: meeting.wait(10) and None, 2)
    assert not meeting.broken


def test_an_error_in_any_part_comes_back() -> None:
    def work(start: int, stop: int) -> None:
        if stop == 8:
            raise ValueError("the last part")

    with pytest.raises(ValueError, match="the last part"):
        in_parts(work, 8)


# Seconds of a convolution, a transposed one and a product, each in float32 and then in bfloat16.
SLOW, EVEN, FAST = [1, 1, 1], [0.9, 1.1, 1], [0.3, 0.5, 0.2]


@pytest.mark.parametrize(
    ("small", "large", "expected", "asked"),
    [
        ([100, 100, 50], None, torch.float32, 1),
        ([0.9, 100, 0.4], None, torch.float32, 2),  # a transposed convolution alone
        ([1.1, 1.3, 1.2], EVEN, torch.float32, 6),
        ([1.1, 1.3, 1.2], FAST, torch.bfloat16, 6),
        (EVEN, [0.9, 0.9, 0.05], torch.float32, 6),  # fast at products alone, as some are
    ],
)
def test_precision_is_what_networks_are_fastest_in(small, large, expected, asked, monkeypatch) -> None:
    half = {True: small, False: large}
    works: list[tuple[torch.dtype, bool, int]] = []

    def kinds(where, precision, size):
        return tuple((precision, size, number) for number in range(3))

    def seconds(work):
        precision, size, number = work
        works.append(work)
        return 1.0 if precision == torch.float32 else half[size][number]

    monkeypatch.setattr(runtime, "_network_works", kinds)
    monkeypatch.setattr(runtime, "_seconds", seconds)
    assert network_precision.__wrapped__(torch.device("cpu")) == expected
    assert len({work for work in works if work[0] == torch.bfloat16}) == asked, "no more than needed"


def test_the_probe_is_asked_once_and_its_works_are_those_of_networks() -> None:
    where = torch.device("cpu")
    network_precision(where)
    before = network_precision.cache_info()
    network_precision(where)
    assert network_precision.cache_info().hits == before.hits + 1
    for small in (True, False):
        works = runtime._network_works(where, torch.float32, small)
        assert [work().shape for work in works][-1] == ((128, 128) if small else (512, 512))
        assert all(work().dtype == torch.float32 for work in works)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Wide(nn.Module):
    """Notes in how many threads it is asked."""

    def __init__(self, weights: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(weights // 10, 10))
        self.threads: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.threads.append(torch.get_num_threads())
        return x.flatten(1)[:, :10] + self.weight[0]


@pytest.mark.parametrize(("images", "weights", "threads"), [(1, 10**6, 1), (128, 10**6, 2), (1, 10**7, 2)])
def test_small_work_is_done_in_one_thread_and_large_work_in_all(images, weights, threads, two_threads):
    model, x = Wide(weights), torch.rand(images, 1, 28, 28)
    assert worthwhile_threads(model, x) == threads
    PGD(epsilon=0.1, step_size=0.01, steps=2)(model, x, torch.arange(images) % 10)
    list(PGD(epsilon=0.1, step_size=0.01, steps=2).iterate(model, x, torch.arange(images) % 10))
    assert set(model.threads) == {threads}
    assert torch.get_num_threads() == 2, "as it was before"


def test_threads_are_as_before_also_after_an_error(two_threads):
    with pytest.raises(RuntimeError), at_most(1):
        raise RuntimeError
    assert torch.get_num_threads() == 2
    with at_most(3):
        assert torch.get_num_threads() == 2, "never more"


@pytest.mark.alone
@TWO
def test_a_thread_that_starts_while_another_is_at_one_gets_all_of_them():
    configure()
    found: list[int] = []

    def work() -> None:
        configure()
        found.append(torch.get_num_threads())

    with at_most(1):
        other = threading.Thread(target=work)
        other.start()
        other.join()
    assert found == [torch.get_num_threads()] != [1]


@pytest.mark.parametrize("first", ["app.state", "precompute.steps.table", "core.attacks", "benchmarks.speed"])
def test_threads_do_not_wait_busily_whatever_is_imported_first(first: str) -> None:
    unset = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    done = subprocess.run(
        [sys.executable, "-c", f"import {first}"],
        env=unset | {"OMP_DISPLAY_ENV": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    told = [line for line in done.stderr.splitlines() if "OMP_WAIT_POLICY" in line]
    if not told:
        pytest.skip("these threads are not OpenMP's")
    assert all("PASSIVE" in line for line in told), told
