"""Verified downloads: a file appears under its name only when it is whole and its checksum is right."""

import importlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.data.files import PublishedFile
from core.data.specs import DataError
from core.data.split import DownloadProgress, OnProgress

_CHUNK = 1 << 16


class _Meter:
    """What pooch takes for a progress bar, turned into numbers of bytes."""

    def __init__(self, on_bytes: Callable[[int], object], size: int) -> None:
        self.total = size  # pooch sets this to the size that the server announces
        self.failure: Exception | None = None
        self._on_bytes = on_bytes
        self._size = size
        self._done = 0

    def update(self, count: int) -> None:
        # pooch counts whole chunks, so the last one would go past the end.
        self._done = min(self._done + count, self._size)
        try:
            self._on_bytes(self._done)
        except Exception as error:
            self.failure = error
            raise

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        pass


def fetch(url: str, path: Path, md5: str, size: int, on_bytes: Callable[[int], object]) -> None:
    """Download one file, unless it is there already with the right checksum.

    pooch writes to a temporary file beside `path` and renames it once the checksum is right: whatever
    interrupts it, also an exception from `on_bytes`, `path` holds the whole file or what it held before.
    Proxies set in the environment are used.

    Args:
        url: Where from.
        path: Where to; its folder is made.
        md5: Checksum of the file, in hex.
        size: Bytes of the file, to measure progress by.
        on_bytes: Called with the number of bytes received so far; what it raises is passed on.
    Raises: DataError: when the server, the connection, the checksum or the disk fails.
    """
    # Imported here because most runs download nothing.
    pooch: Any = importlib.import_module("pooch")
    meter = _Meter(on_bytes, size)
    downloader = pooch.HTTPDownloader(progressbar=meter, chunk_size=_CHUNK)
    log = pooch.get_logger()
    level = log.level
    # pooch announces each file on stderr; the caller has on_bytes for that.
    log.setLevel(logging.WARNING)
    try:
        pooch.retrieve(url, f"md5:{md5}", fname=path.name, path=path.parent, downloader=downloader)
    except (OSError, ValueError) as error:  # requests' exceptions are OSErrors, a wrong checksum a ValueError
        if error is meter.failure:
            raise
        raise DataError(_explain(error, url, path, md5)) from error
    finally:
        log.setLevel(level)


@dataclass(frozen=True)
class Wanted:
    """A file that a data set needs.

    Attributes:
        file: What it is.
        path: Where to.
        is_here: Whether there is a good one already.
    """

    file: PublishedFile
    path: Path
    is_here: bool


def fetch_all(base: str, wanted: Sequence[Wanted], on_progress: OnProgress | None) -> None:
    """Download the files of a data set that are not here, one after the other.

    Args:
        base: URL of the folder that holds them under the last parts of their paths.
        wanted: All files of the data set, also those that are here: progress is measured over all.
        on_progress: Called as bytes arrive; what it raises ends the download.
    Raises: DataError: as `fetch`.
    """
    total = sum(item.file.size for item in wanted)
    before = 0
    for item in wanted:
        name, size = item.file.name, item.file.size

        def report(done: int, name: str = name, before: int = before) -> None:
            if on_progress is not None:
                on_progress(DownloadProgress(name, before + done, total))

        if not item.is_here:
            fetch(f"{base.rstrip('/')}/{item.path.name}", item.path, item.file.md5, size, report)
        report(size)
        before += size


def _explain(error: OSError | ValueError, url: str, path: Path, md5: str) -> str:
    """What was expected, what came, and what to do."""
    import requests

    way = f"try again, or copy the file to {path} yourself"
    if isinstance(error, requests.RequestException):
        return f"expected {path.name} at {url}, got {error or type(error).__name__}; {way}"
    if isinstance(error, OSError):
        return f"expected to write {path}, got {error.strerror or error}; check the folder and the disk"
    found = str(error).partition("but got ")[2].partition(".")[0] or "another"
    return f"expected {path.name} with MD5 {md5} at {url}, got MD5 {found}; {way}"
