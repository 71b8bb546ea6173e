"""What pages and sessions share: the store, models and data, the accelerator, and the chosen data set."""

from collections.abc import Generator
from contextlib import contextmanager
from threading import BoundedSemaphore

import streamlit as st
import torch
from torch import nn

from core import data, models
from core.data import SPECS, DataError, Dataset
from core.models.fast.compiling import prepare_in_background
from core.runtime import configure, device
from precompute.steps.loading import stored_network
from precompute.steps.records import Weights
from precompute.store import BEST_FIRST, Bundle, Store, default_url

# Denormal numbers make routing several times slower on a CPU. The flag belongs to the thread, and every
# session runs in threads of its own, hence the call in `accelerator` too.
configure()

FPRS = (
    *(0.0, 0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05),
    *(0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5),
)
"""False-positive rates on offer: dense where detectors are used."""


def profiles(dataset: str) -> list[str]:
    """The profiles for which there is a bundle of a data set, the best one first. Raises CorruptArtifact."""
    built = {bundle.profile for bundle in _bundles(default_url()) if bundle.dataset == dataset}
    return [profile for profile in BEST_FIRST if profile in built]


def bundle(dataset: str, paper: str) -> Bundle | None:
    """The bundle of a paper on a data set: of the profile chosen in the address, else the best there is.

    Of several, one that is about the local copy's images comes first.

    Raises: CorruptArtifact.
    """
    chosen = st.session_state.get("profile")
    every = [b for b in _bundles(default_url()) if (b.dataset, b.paper) == (dataset, paper)]
    if chosen not in [b.profile for b in every]:
        chosen = None
    best = _store(default_url()).bundle(dataset, paper, chosen)
    if best and not fits(best):
        others = [b for b in every if fits(b)]
        others = [b for b in others if b.profile == (chosen or b.profile)]
        best = min(others, key=lambda b: BEST_FIRST.index(b.profile), default=best)
    return best


def fits(bundle: Bundle) -> bool:
    """Whether a bundle is about the images of the local copy, where there is one that is whole."""
    about = bundle.facts.get("digest")
    try:
        absent = about is None or not data.is_available(bundle.dataset)
        return absent or about == data.fingerprint(bundle.dataset)
    except DataError:
        return True  # whoever reads the copy says what is the matter with it


def dataset(name: str) -> Dataset | None:
    """A data set, or None where there is no local copy. Raises DataError: when the copy is damaged."""
    return data.load(name) if data.is_available(name) else None


def model(bundle: Bundle, name: str) -> nn.Module:
    """A model with the weights of a bundle, ready to be attacked and shared by all sessions.

    Raises: MissingArtifact, CorruptArtifact.
    """
    if f"{name}/weights" not in bundle:
        bundle.load(f"{name}/weights")  # says what is missing and how to build it
    return _model(default_url(), bundle.dataset, name, bundle.names[f"{name}/weights"], str(device()))


def model_names(bundle: Bundle) -> list[str]:
    """The models of a bundle that can be attacked and judged: with weights and clean distances."""
    return [name for name in models.MODELS if f"{name}/weights" in bundle and f"{name}/clean" in bundle]


@contextmanager
def accelerator() -> Generator[None]:
    """Hold the right to compute; held for one step at a time, so that sessions take turns."""
    with _semaphore():
        configure()
        yield


def dataset_name() -> str:
    """The data set chosen in the sidebar."""
    return st.session_state["dataset"]


def fpr() -> float:
    """The false-positive rate chosen in the sidebar, in [0, 1]."""
    return st.session_state["fpr"]


@st.cache_resource(max_entries=4, show_spinner=False)
def _store(location: str) -> Store:
    return Store(location)


# Built in another process, a bundle appears here after at most this many seconds.
@st.cache_resource(ttl=10, max_entries=4, show_spinner=False)
def _bundles(location: str) -> list[Bundle]:
    return _store(location).bundles()


@st.cache_resource(max_entries=12, show_spinner="Loading the network")
def _model(location: str, dataset: str, name: str, key: str, where: str) -> nn.Module:
    weights = Weights.of(_store(location).load(key))
    # Results are computed with exactly the weights that ship.
    network = stored_network(dataset, name, weights.size, weights.packed).to(where)
    # The first gradient of all prepares what torch computes with, better here than within an attack.
    if where == "cpu":
        prepare_in_background()
    x = torch.zeros(1, *SPECS[dataset].shape, device=where, requires_grad=True)
    torch.autograd.grad(network(x).sum(), x)
    return network


@st.cache_resource(show_spinner=False)
def _semaphore() -> BoundedSemaphore:
    return BoundedSemaphore(1)
