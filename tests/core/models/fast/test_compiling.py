"""While routing is compiled by another process, it goes on without; results are the same to rounding."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from core.models import build
from core.models.fast import compiling

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]


def in_a_fresh_process(code: str, cache: Path) -> str:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_compiled_elsewhere_once_and_read_from_disk_after_that(tmp_path: Path) -> None:
    code = """
        import subprocess, sys
        started = []
        popen = subprocess.Popen
        subprocess.Popen = lambda *a, **k: started.append(a) or popen(*a, **k)
        from core.models import build
        from core.models.fast import compiling
        import torch
        model, x = build("capsnet", (1, 28, 28), 10).eval(), torch.rand(2, 1, 28, 28, requires_grad=True)
        compiling.prepare_in_background()
        compiling.prepare_in_background()
        waiting = not compiling.at_hand()
        gradient = torch.autograd.grad(model(x).sum(), x)[0]  # without it
        compiling._preparing.join()
        from core.models.fast import routing_kernel
        again = torch.autograd.grad(model(x).sum(), x)[0]
        assert torch.allclose(gradient, again, atol=1e-4), (gradient - again).abs().max()
        hits = sum(routing_kernel.route_images.stats.cache_hits.values())
        print(waiting, compiling.at_hand(), len(started), hits)
    """
    assert in_a_fresh_process(code, tmp_path).split() == ["True", "True", "1", "1"]
    assert in_a_fresh_process(code, tmp_path).split() == ["True", "True", "0", "1"]


def test_where_no_process_can_be_started_it_is_compiled_here(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[bool] = []

    class Kernel:
        route_images = pull_back_images = None

        @staticmethod
        def use_once() -> None:
            used.append(True)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(compiling.importlib, "import_module", lambda name: Kernel)
    monkeypatch.setattr(compiling, "_on_disk", lambda kernel: False)
    monkeypatch.setattr(compiling.subprocess, "Popen", refuse)
    compiling._prepare()
    assert used == [True]


def test_networks_and_their_colours_are_there_without_numba_and_altair() -> None:
    code = "import sys, core.figures.colours; print('numba' in sys.modules, 'altair' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    model = build("capsnet", (1, 28, 28), 10).eval()
    assert model(torch.rand(1, 1, 28, 28)).shape == (1, 10)
