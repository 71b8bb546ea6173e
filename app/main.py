"""The entry of the app: which pages there are."""

import sys
from pathlib import Path

import streamlit as st

# Streamlit puts this file's folder on the path, not the one that holds the packages.
ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from app.ui.sidebar import shared_controls  # noqa: E402

st.set_page_config(page_title="Capsight", page_icon=ROOT / "assets" / "icon.png", layout="wide")
st.logo(ROOT / "assets" / "logo.svg", size="large")
overview = st.Page("views/overview.py", title="Overview", icon=":material/home:", default=True)
papers = st.Page("views/papers.py", title="Papers", icon=":material/menu_book:")
health = st.Page("views/health.py", title="Attack health", icon=":material/health_and_safety:")
# Their networks have no detector.
perturbations = [
    st.Page("views/universal.py", title="Universal perturbations", icon=":material/public:"),
    st.Page("views/minimal.py", title="Minimal perturbations", icon=":material/straighten:"),
    st.Page("views/transfer.py", title="Transfer", icon=":material/swap_horiz:"),
]
page = st.navigation(
    {
        "": [overview, st.Page("views/live_attack.py", title="Live attack", icon=":material/bolt:")],
        "Evading detection": [
            st.Page("views/source_target.py", title="Source and target", icon=":material/grid_view:"),
            st.Page("views/gallery.py", title="Gallery", icon=":material/photo_library:"),
            st.Page("views/detection.py", title="Detection", icon=":material/radar:"),
            st.Page("views/coherence.py", title="Visual coherence", icon=":material/compare:"),
        ],
        "Perturbations": perturbations,
        "Checks and papers": [health, papers],
    },
    position="top",
)
st.html(ROOT / "assets" / "page.css")
if page not in (overview, papers):  # these have data sets of their own
    shared_controls(detector=page not in (*perturbations, health))
page.run()
