import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.serving import CHROMIUM, FLAGS, served

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app, served on this machine with the shipped bundles alone. Its address."""
    folder = tmp_path_factory.mktemp("server")
    folders = {"CAPSIGHT_STORE": str(folder / "store"), "CAPSIGHT_DATA": str(folder / "data")}
    with (folder / "log").open("w") as log, served(ROOT, os.environ | folders, log) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine; install Debian's package chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A fresh tab; anything that a page's script throws fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(60_000)
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    yield page
    context.close()
    assert not thrown
