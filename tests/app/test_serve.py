"""The server reads what pages need before it is asked, and shows the app where there is a screen."""

import asyncio
import importlib
import subprocess
import sys
import textwrap
import threading

import pytest

from app import serve


def start() -> None:
    """The server's own start and end, and all that it began."""

    async def run() -> None:
        async with serve.reading(serve.app):
            pass

    asyncio.run(run())
    for thread in threading.enumerate():
        if thread.name in ("open_browser", "read"):
            thread.join()


@pytest.mark.parametrize("headless", [False, True])
def test_it_reads_and_opens_a_browser_where_there_is_a_screen(
    headless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    opened: list[str] = []
    options = {"server.headless": headless, "server.port": 8765}
    monkeypatch.setattr(importlib, "import_module", lambda name: read.append(name))
    monkeypatch.setattr(serve.st, "get_option", options.__getitem__)
    monkeypatch.setattr(serve.webbrowser, "open", opened.append)
    start()
    assert read == list(serve.FIRST)
    assert opened == ([] if headless else ["http://localhost:8765"])


def test_the_first_page_needs_no_library_besides() -> None:
    """In a fresh process: what its file imports brings no other package, and none that is for charts."""
    code = """
        import ast, importlib, pathlib, sys
        import streamlit
        from app import serve
        serve.read()
        before = {name.partition(".")[0] for name in sys.modules}
        page = ast.parse((serve.HERE / "views" / "overview.py").read_text("utf-8"))
        imports = [node for node in page.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        exec(compile(ast.Module(imports, []), "overview", "exec"))
        after = {name.partition(".")[0] for name in sys.modules}
        print(sorted(after - before - sys.stdlib_module_names), after & {"altair", "numba", "sklearn"})
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=serve.HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "[] set()\n", done.stderr
    assert serve.app.script_path == serve.HERE / "main.py"
