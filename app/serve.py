"""The server: the pages of main.py, and what they need in memory before somebody asks for one.

`streamlit run app/serve.py`. Of the time until the first picture most goes into reading libraries; it passes
while the browser still reads its own part. `streamlit run app/main.py` serves the same pages, a little later.
"""

import importlib
import sys
import webbrowser
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread

import streamlit as st

HERE = Path(__file__).resolve().parent
if str(HERE.parent) not in sys.path:
    sys.path.insert(0, str(HERE.parent))

FIRST = ("app.state", "app.ui.explain", "app.ui.notices", "core.walkthrough")
"""What the first page imports."""


def read() -> None:
    """Import what the first page needs."""
    for module in FIRST:
        importlib.import_module(module)


def open_browser() -> None:
    """Show the app, where there is a screen; Streamlit does so only when it runs a page's file itself."""
    if not st.get_option("server.headless"):
        webbrowser.open(f"http://localhost:{st.get_option('server.port')}")


@asynccontextmanager
async def reading(_: st.App) -> AsyncGenerator[None]:
    """Read while the server already answers."""
    for task in (open_browser, read):
        Thread(target=task, name=task.__name__, daemon=True).start()
    yield


app = st.App(HERE / "main.py", lifespan=reading)
