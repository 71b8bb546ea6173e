"""What a page says when something it needs is not there, and how to get it."""

from collections.abc import Generator
from contextlib import contextmanager

import streamlit as st

from core import data
from core.data import SPECS, DataError, Dataset, DownloadProgress
from precompute.store import Bundle, CorruptArtifact, MissingArtifact, build_command


@contextmanager
def explained() -> Generator[None]:
    """Turn missing or damaged files into their one sentence, and end the page there."""
    try:
        yield
    except (MissingArtifact, CorruptArtifact, DataError) as error:
        st.error(f"{error}".replace("~", r"\~"), icon=":material/error:")
        st.stop()


def missing_bundle(dataset: str) -> None:
    """Say that nothing was computed for a data set, and which command does."""
    title = SPECS[dataset].title
    with st.container(border=True):
        st.markdown(
            f"**Nothing has been computed for {title} yet.** One command trains the models and attacks them:"
        )
        st.code(build_command(dataset, "demo"), language="bash")
        st.caption("`--profile smoke` takes seconds and is good for a try. Reload this page when it is done.")


def other_copy(bundle: Bundle, local: Dataset) -> None:
    """Say that results are about other images than the local copy's, and how to get results about those."""
    title = local.spec.title
    with st.container(border=True):
        st.markdown(
            f"**These results are about another copy of {title} than yours**, so that their pictures cannot "
            f"be shown. Computed on: {bundle.facts.get('data_copy', 'unknown')}. Yours: {local.copy}. "
            "One command computes them on your copy:"
        )
        st.code(bundle.command, language="bash")


def offer_download(dataset: str) -> None:
    """Say that there is no local copy of a data set, and download it at the press of a button."""
    spec = SPECS[dataset]
    with st.container(border=True):
        st.markdown(
            f"**No local copy of {spec.title}.** Its pictures are not shipped with the program; results that "
            "need none of them are shown all the same."
        )
        st.caption(f"{spec.source}. Licence: {spec.licence}. Kept in `{data.data_root()}`.")
        if not st.button(f"Download {spec.title}", icon=":material/download:", key=f"download-{dataset}"):
            return
        bar = st.progress(0.0, "Connecting")

        def show(progress: DownloadProgress) -> None:
            share = progress.done / max(progress.total, 1)
            bar.progress(
                share, f"{progress.file}: {progress.done / 1e6:.1f} of {progress.total / 1e6:.1f} MB"
            )

        try:
            data.download(dataset, show)
        except DataError as error:
            bar.empty()
            st.error(str(error), icon=":material/error:")
        else:
            st.rerun()
