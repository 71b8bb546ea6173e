import threading

import pytest
import torch

from core.runtime import in_parts


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_parts_cover_everything_once(count: int) -> None:
    done: list[int] = []
    in_parts(lambda start, stop: done.extend(range(start, stop)), count)
    assert sorted(done) == list(range(count))


@pytest.mark.skipif(torch.get_num_threads() < 2, reason="torch has one thread")
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
