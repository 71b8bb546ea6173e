import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))  # toy_steps and helpers, for the tests as for the processes they start

from precompute.store import Store  # noqa: E402


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store", bundles=())


@pytest.fixture
def log(tmp_path, monkeypatch):
    """The file in which toy steps note what they do, here and in other processes."""
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("TOY_LOG", str(path))
    return path


@pytest.fixture
def processes():
    """Starts Python processes that find this repository and the toys, and ends those that are left."""
    started = []

    def start(*arguments, **options):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE))),
            "OMP_NUM_THREADS": "1",
        }
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)], env=environment, text=True, **options
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:  # closes its pipes and waits
            process.kill()
