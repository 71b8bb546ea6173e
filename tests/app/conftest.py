import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

MAIN = Path(__file__).parents[2] / "app" / "main.py"
OpenPage = Callable[..., AppTest]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see the shipped bundles and the digits alone, not what is stored on this machine."""
    monkeypatch.setenv("CAPSIGHT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("CAPSIGHT_DATA", str(tmp_path / "data"))


@pytest.fixture
def no_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing had shipped."""
    monkeypatch.setattr(importlib.import_module("precompute.store"), "SHIPPED", tmp_path / "shipped")


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
