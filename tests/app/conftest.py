import importlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import state
from core.models.fast.compiling import at_hand, prepare_in_background
from precompute.store import Bundle, Store
from tests.app import michels2019

MAIN = Path(__file__).parents[2] / "app" / "main.py"
OpenPage = Callable[..., AppTest]
SLOW = ("test_choices.py", "test_serve.py", "test_live.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever opens a page takes seconds."""
    for item in items:
        if item.path.parent == Path(__file__).parent and (
            "open_page" in getattr(item, "fixturenames", ()) or item.path.name in SLOW
        ):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see the shipped bundles and the digits alone, not what is stored on this machine."""
    monkeypatch.setenv("CAPSIGHT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("CAPSIGHT_DATA", str(tmp_path / "data"))


@pytest.fixture(autouse=True, scope="session")
def compiled() -> None:
    """Routing does not change from plain to compiled, which rounds otherwise, in the middle of a test."""
    prepare_in_background()
    while not at_hand():
        time.sleep(0.05)


@pytest.fixture
def no_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing had shipped."""
    monkeypatch.setattr(importlib.import_module("precompute.store.store"), "SHIPPED", tmp_path / "shipped")


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """The digits with results of michels2019, made up by rule."""
    return michels2019.publish(Store(tmp_path / "store"))


@pytest.fixture
def no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if there were no local copy of any data set."""
    monkeypatch.setattr(state, "dataset", lambda name: None)


@pytest.fixture
def open_page() -> OpenPage:
    """Open a page by the name of its file, with an address' query; it has run once when it is returned."""

    def opened(page: str, /, **query: str) -> AppTest:
        app = AppTest.from_file(str(MAIN), default_timeout=120).run()
        if page != "overview":
            app.query_params.update(query)
            app.switch_page(f"views/{page}.py").run()
        return app

    return opened


def html(app: AppTest) -> str:
    """Everything a page has drawn as HTML."""
    return "\n".join(element.proto.body for element in app.get("html"))


def charts(app: AppTest) -> list[str]:
    """What the charts are said to show."""
    return [chart.proto.alt for chart in app.get("vega_lite_chart")]


def written(app: AppTest) -> str:
    """Everything a page has written as Markdown."""
    return "\n".join(block.value for block in app.markdown)
