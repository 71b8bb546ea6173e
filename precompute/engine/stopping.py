"""How a build is stopped from outside."""

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def stoppable(say: Callable[[str], object]) -> Generator[None]:
    """Inside, SIGTERM stops the program as Ctrl-C does, with a KeyboardInterrupt.

    A shell has what it starts in the background ignore Ctrl-C, and so would whatever that starts. It stays
    ignored, as it was meant for somebody else, but then that is said.

    Args:
        say: Called with a sentence about how to stop this where Ctrl-C does not.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is told of signals
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        say(f"Ctrl-C is ignored here, as in all that runs in the background; `kill {os.getpid()}` stops it.")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
