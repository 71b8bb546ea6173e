"""The app on a port of its own, and the browser that looks at it: for tests and for timings."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def served(root: Path, environment: Mapping[str, str], log: IO[str], seconds: float = 60) -> Iterator[str]:
    """The app of a checkout, until the end of the block; its address, as soon as it answers.

    Raises: RuntimeError: when it does not answer in time.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(root / "app" / "serve.py")]
    command += ["--server.port", str(port), "--server.headless", "true"]
    process = subprocess.Popen(command, cwd=root, env=dict(environment), stdout=log, stderr=subprocess.STDOUT)
    try:
        address, end = f"http://localhost:{port}", time.monotonic() + seconds
        while not answers(address):
            if time.monotonic() > end or process.poll() is not None:
                raise RuntimeError(f"expected an answer from {address}, got none; see {log.name}")
            time.sleep(0.02)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def answers(address: str) -> bool:
    """Whether a server is there."""
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
            return True
    except OSError:
        return False
