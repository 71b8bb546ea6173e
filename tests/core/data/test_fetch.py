"""Downloads from a server on this machine that behaves, cuts the connection, stalls or sends other things."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import core.data
from core.data import DataError, DownloadProgress
from core.data.cifar10 import CIFAR10
from core.data.svhn import SVHN
from tests.core.data.conftest import published

pytestmark = pytest.mark.slow


class Mirror:
    """Serves `files`; a name in `cut` breaks off half way, one in `stall` waits there for `release`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.stall: set[str] = set()
        self.release = threading.Event()
        self.asked: list[str] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.removeprefix("/")
                mirror.asked.append(name)
                if name not in mirror.files:
                    self.send_error(404)
                    return
                data = mirror.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                half = len(data) // 2
                self.wfile.write(data[:half])
                self.wfile.flush()
                if name in mirror.stall:
                    mirror.release.wait(30)
                if name not in mirror.cut | mirror.stall:
                    self.wfile.write(data[half:])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(variable, "127.0.0.1")
    served = Mirror()
    thread = threading.Thread(target=served.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield served
    served.release.set()
    served.server.shutdown()
    thread.join()
    served.server.server_close()


@pytest.fixture
def mirror(tiny, server: Mirror) -> Mirror:
    server.files = {f"{file.name}.gz": tiny.payload(file.name) for file in tiny.files}
    return server


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_download_then_load(tiny, mirror: Mirror, capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[DownloadProgress] = []
    core.data.download("mnist", seen.append, mirror=f"{mirror.url}/")
    assert names(tiny.folder) == sorted(mirror.files)
    assert core.data.load("mnist").copy == "official files"
    total = sum(len(data) for data in mirror.files.values())
    assert {progress.total for progress in seen} == {total}
    done = [progress.done for progress in seen]
    assert done == sorted(done)
    assert done[-1] == total
    assert [*dict.fromkeys(progress.file for progress in seen)] == [file.name for file in tiny.files]
    assert capfd.readouterr() == ("", "")


def test_what_is_whole_is_not_fetched_again(tiny, mirror: Mirror) -> None:
    core.data.download("mnist", mirror=mirror.url)
    (tiny.folder / "t10k-images-idx3-ubyte.gz").unlink()
    (tiny.folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    mirror.asked.clear()
    seen: list[DownloadProgress] = []
    core.data.download("mnist", seen.append, mirror=mirror.url)
    assert mirror.asked == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    assert seen[-1].done == seen[-1].total
    assert core.data.load("mnist").copy == "official files"


@pytest.mark.parametrize("broken", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_a_cut_connection_leaves_nothing_behind(tiny, mirror: Mirror, broken: str) -> None:
    mirror.cut.add(broken)
    with pytest.raises(DataError, match=rf"expected {broken} at {mirror.url}/{broken}, got .*; try again"):
        core.data.download("mnist", mirror=mirror.url)
    assert not core.data.is_available("mnist")
    # Neither the file nor a part of it under any name; the files before it are whole.
    assert set(names(tiny.folder)) == {name for name in mirror.asked if name != broken}
    mirror.cut.clear()
    core.data.download("mnist", mirror=mirror.url)
    assert core.data.load("mnist").copy == "official files"


def test_a_cut_connection_keeps_what_was_there(tiny, mirror: Mirror) -> None:
    core.data.download("mnist", mirror=mirror.url)
    broken = tiny.folder / "train-labels-idx1-ubyte.gz"
    broken.write_bytes(b"older content")
    mirror.cut.add(broken.name)
    with pytest.raises(DataError, match="expected train-labels"):
        core.data.download("mnist", mirror=mirror.url)
    assert broken.read_bytes() == b"older content"


def test_a_killed_download_is_not_taken_for_whole(tiny, mirror: Mirror) -> None:
    name = "train-images-idx3-ubyte.gz"
    mirror.stall.add(name)
    file = tiny.source.train[0]
    code = (
        "import sys; from pathlib import Path; from core.data.fetch import fetch\n"
        "url, path, md5, size = sys.argv[1:]\n"
        "fetch(url, Path(path), md5, int(size), lambda done: print(done, flush=True))"
    )
    target = tiny.folder / name
    command = [sys.executable, "-c", code, f"{mirror.url}/{name}", str(target), file.md5, str(file.size)]
    # Chunks are larger than this file, so the first sign of life is the file that pooch writes to.
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], env=os.environ.copy()) as process:
        try:
            for _ in range(3000):
                if mirror.asked and any(tiny.folder.iterdir()):
                    break
                assert process.poll() is None
                threading.Event().wait(0.01)
            else:
                pytest.fail("the download did not start")
        finally:
            process.kill()
    # What it had written so far is there, under a name that nobody reads.
    assert len(names(tiny.folder)) == 1
    assert not target.exists()
    assert not core.data.is_available("mnist")
    mirror.stall.clear()
    mirror.release.set()
    core.data.download("mnist", mirror=mirror.url)
    assert core.data.load("mnist").copy == "official files"


def test_other_content_is_refused(tiny, mirror: Mirror) -> None:
    name = "train-images-idx3-ubyte.gz"
    md5 = tiny.source.train[0].md5
    data = mirror.files[name]
    for other in (b"<html>log in first</html>", data[:-1] + bytes([data[-1] ^ 1])):
        mirror.files[name] = other
        with pytest.raises(
            DataError, match=rf"expected {name} with MD5 {md5} at .*, got MD5 [0-9a-f]{{32}}; try"
        ):
            core.data.download("mnist", mirror=mirror.url)
        assert names(tiny.folder) == []


def test_a_missing_file_and_a_missing_server(tiny, mirror: Mirror) -> None:
    del mirror.files["train-images-idx3-ubyte.gz"]
    with pytest.raises(DataError, match="got 404 Client Error"):
        core.data.download("mnist", mirror=mirror.url)
    with pytest.raises(DataError, match=r"expected train-images-idx3-ubyte\.gz at http://127\.0\.0\.1:1/"):
        core.data.download("mnist", mirror="http://127.0.0.1:1")
    assert names(tiny.folder) == []


@pytest.mark.parametrize(
    "stop", [ValueError("stopped by the user"), OSError("broken pipe"), KeyboardInterrupt()]
)
def test_an_exception_from_on_progress_ends_it_cleanly(tiny, mirror: Mirror, stop: BaseException) -> None:
    def on_progress(progress: DownloadProgress) -> None:
        if progress.file.startswith("t10k"):
            raise stop

    with pytest.raises(type(stop)) as caught:
        core.data.download("mnist", on_progress, mirror=mirror.url)
    assert caught.value is stop
    assert names(tiny.folder) == ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]


def test_a_folder_that_cannot_be_written(tiny, mirror: Mirror) -> None:
    tiny.folder.rmdir()
    tiny.folder.write_text("a file where the folder should be")
    with pytest.raises(
        DataError, match=r"expected to write .*train-images-idx3-ubyte\.gz, got .*; check the fol"
    ):
        core.data.download("mnist", mirror=mirror.url)


def test_raw_files_are_kept_if_good_and_named_if_not(tiny, mirror: Mirror) -> None:
    tiny.write(gz=False)
    core.data.download("mnist", mirror=mirror.url)
    assert mirror.asked == []
    path = tiny.folder / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(
        DataError, match=r"t10k-images-idx3-ubyte: expected 5488 bytes of values, got at most 5487"
    ):
        core.data.download("mnist", mirror=mirror.url)


def test_svhn_goes_to_its_folder_or_to_where_it_lies(
    tmp_path: Path, server: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = "train_32x32.mat", "test_32x32.mat"
    server.files = {train: b"training digits", test: b"test digits"}
    files = {name: published(name, content) for name, content in server.files.items()}
    source = replace(SVHN, train=files[train], test=files[test])
    source.download(tmp_path, None, server.url)
    assert {path.name: path.read_bytes() for path in (tmp_path / "SVHN").iterdir()} == server.files
    source.download(tmp_path, None, server.url)
    assert server.asked == [train, test], "what is whole is not fetched again"
    # Another copy in the root itself, which is read only where the folder has none.
    (tmp_path / "SVHN" / test).unlink()
    (tmp_path / test).write_bytes(b"fewer digits")
    server.cut.add(test)
    with pytest.raises(DataError, match=rf"expected {test} at "):
        source.download(tmp_path, None, server.url)
    assert (tmp_path / test).read_bytes() == b"fewer digits"
    server.cut.clear()
    source.download(tmp_path, None, server.url)
    assert (tmp_path / test).read_bytes() == b"test digits"


def test_cifar10_is_one_archive(tmp_path: Path, server: Mirror) -> None:
    name = "cifar-10-python.tar.gz"
    server.files = {name: bytes(200_000)}
    source = replace(CIFAR10, archive=published(name, server.files[name]))
    seen: list[DownloadProgress] = []
    (tmp_path / name).write_bytes(b"another copy")
    source.download(tmp_path, seen.append, server.url)
    assert (tmp_path / name).read_bytes() == server.files[name]
    assert seen[-1] == DownloadProgress(name, 200_000, 200_000)
    source.download(tmp_path, None, server.url)
    assert server.asked == [name]
