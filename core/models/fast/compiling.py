"""When routing has machine code: at once where it is on disk, else after another process has made it."""

import importlib
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread
from typing import Any

KERNEL = "core.models.fast.routing_kernel"
"""Imported when it is first needed: numba takes half a second."""

_preparing: Thread | None = None
_starting = Lock()


def prepare_in_background() -> None:
    """Have the kernel compiled by another process, unless it is on disk; `at_hand` says when that is over.

    Compiling takes a core many seconds, and in this process it would hold the interpreter's lock.
    """
    global _preparing
    with _starting:
        if _preparing is None:
            _preparing = Thread(target=_prepare, name="compiling routing", daemon=True)
            _preparing.start()


def at_hand() -> bool:
    """Whether to route with the kernel: not while it is prepared in the background."""
    return _preparing is None or not _preparing.is_alive()


def _prepare() -> None:
    kernel: Any = importlib.import_module(KERNEL)
    if not _on_disk(kernel):
        with suppress(OSError):  # where no process can be started, the next line compiles
            command = [sys.executable, "-c", f"import {KERNEL} as kernel; kernel.use_once()"]
            process = subprocess.Popen(command, cwd=Path(__file__).parents[3], stdin=subprocess.DEVNULL)
            if hasattr(os, "setpriority"):
                os.setpriority(os.PRIO_PROCESS, process.pid, 19)  # whoever waits for a page comes first
            process.wait()
    kernel.use_once()


def _on_disk(kernel: Any) -> bool:
    """Whether machine code of this source is there; if not for this processor, numba will make it anew."""
    source = Path(kernel.__file__).stat().st_mtime
    for function in (kernel.route_images, kernel.pull_back_images):
        places = Path(function.stats.cache_path).glob(f"*{function.__name__}*.nbi")
        if not any(place.stat().st_mtime > source for place in places):
            return False
    return True
