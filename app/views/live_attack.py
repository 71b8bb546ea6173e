"""Attack one image and watch."""

import time
from pathlib import Path

import streamlit as st
import torch

from app import state
from app.live import Frame, Request, Run
from app.results import QIN2020
from app.results import attacks as results
from app.ui import notices
from app.ui.choices import choose_attack, choose_model, choose_targets
from app.ui.choose import show_corrections
from app.ui.images import contact_sheet
from app.ui.picker import choose_image
from app.ui.scenarios import show_scenarios
from app.ui.scene import Scene
from app.ui.stage import Stage
from app.ui.status import status_line
from app.ui.universal.live import show_universal
from core.attacks import starting_points
from core.data import Dataset
from core.images import from_uint8
from precompute.store import Bundle

# Seconds between two pictures of a running attack, and between two charts.
PICTURE, CHART = 0.1, 0.4
BUTTON = 120
INTRO = (
    "Change an image by as little as you can, until the network reads something else and its detector lets "
    "it pass. Every change of a setting attacks again."
)
TEXT = Path(__file__).parents[2] / "assets" / "texts" / "live_attack.md"


def main() -> None:
    st.title("Live attack", anchor=False)
    st.caption(INTRO)
    name = state.dataset_name()
    bundle, dataset = state.bundle(name, QIN2020), state.dataset(name)
    if bundle is None or not state.model_names(bundle):
        notices.missing_bundle(name)
        return
    if dataset is None:
        notices.offer_download(name)
        return
    show_scenarios(dataset, state.model_names(bundle)[0])
    with st.sidebar:
        model = choose_model(bundle)
        attack, seed = choose_attack(dataset.spec, bundle, model)
    image = choose_image(dataset)
    label = int(dataset.test.labels[image])
    targets = choose_targets(dataset.spec.classes, label)
    corrections = st.container()
    with corrections:
        show_corrections()

    scene = Scene(model, dataset.spec.classes, results.clean(bundle, model).threshold(state.fpr()))
    request = Request(name, model, bundle.names[f"{model}/weights"], image, label, targets, attack, seed)
    stage = Stage(scene, request)
    run = current_run(request, bundle, dataset)
    if not run.ended and not st.session_state.get("hold"):
        drive(run, stage)
    show_attack_button(stage)
    frame = stage.choose_step(run)
    with corrections:
        show_corrections()
    note = "" if run.ended else "Press Attack to run it."
    if run.stopped:
        note = f"Stopped after {run.step:,} of {run.total:,} {stage.units}."
    stage.show(run, frame, charts=True, note=note)
    stage.offer(run, frame)
    offer_pictures(run, frame, stage.chosen)
    show_universal(bundle, scene, dataset, image)
    with st.expander("What happens here, and what to try", icon=":material/school:"):
        st.markdown(TEXT.read_text("utf-8"))
    status_line(
        f"{run.step:,} {stage.units}, {1000 * run.seconds / max(run.step, 1):.1f} ms each",
        f"θ = {scene.threshold:.2f} at {state.fpr():.0%} false alarms",
        f"seed {seed}",
        live=True,
        n=len(targets),
        seconds=run.seconds,
        profile=bundle.profile,
    )


def current_run(request: Request, bundle: Bundle, dataset: Dataset) -> Run:
    """The run of this request: the one there is, or a new one."""
    run: Run | None = st.session_state.get("live")
    if run is None or run.request != request:
        network, x = state.model(bundle, request.model), dataset.test.x(request.image)
        with state.accelerator():
            run = Run.start(request, network, x.to(state.device()), starts_of(request, dataset))
            run.advance()
        st.session_state["live"] = run
    return run


def starts_of(request: Request, dataset: Dataset) -> torch.Tensor | None:
    """Where an attack that needs it starts for each target: at a validation image of that class."""
    if "starts" not in request.attack.needs or request.targets[0] is None:
        return None
    images, labels = dataset.validation.images, dataset.validation.labels
    index = torch.full((len(request.targets),), request.image)
    starts = starting_points(images, labels, torch.tensor(request.targets), index)
    return from_uint8(starts).to(state.device())


def drive(run: Run, stage: Stage) -> None:
    """Advance the attack to its end, showing it as it goes; a changed control or Stop interrupts this."""
    stage.button.button("Stop", on_click=stop, key="stop", icon=":material/stop_circle:", width=BUTTON)
    shown = drawn = 0.0
    while not run.ended:
        now = time.monotonic()
        if now - shown > PICTURE:
            # These calls also are where Streamlit ends this script when something was clicked.
            stage.bar.progress(run.step / run.total, f"{stage.unit} {run.step:,} of {run.total:,}")
            stage.show(run, run.frames[-1], charts=now - drawn > CHART)
            drawn = now if now - drawn > CHART else drawn
            shown = time.monotonic()
        with state.accelerator():
            run.advance()
    show_end_of_path(run)


def show_attack_button(stage: Stage) -> None:
    stage.button.button(
        "Attack",
        on_click=attack_again,
        key="attack-button",
        icon=":material/bolt:",
        type="primary",
        width=BUTTON,
        help="Run it with these settings (key A). Every change of a setting runs it too.",
        shortcut="A",
    )


def stop() -> None:
    """End the running attack, and start none until Attack is pressed."""
    st.session_state["hold"] = True
    if run := st.session_state.get("live"):
        run.stop()
        show_end_of_path(run)


def show_end_of_path(run: Run) -> None:
    """Put the slider to the end, where there is one; before there is, the address decides."""
    if "step" in st.session_state:
        st.session_state["step"] = run.step


def attack_again() -> None:
    st.session_state["hold"] = False
    st.session_state.pop("live", None)


def offer_pictures(run: Run, frame: Frame, row: int) -> None:
    """A button that saves the pictures."""
    sheet = [run.before.reconstruction[0], run.before.x[0], frame.x[row], frame.reconstruction[row]]
    st.download_button(
        "Pictures (PNG)",
        contact_sheet(sheet, columns=4, scale=8, gap=8),
        f"{run.request.dataset}-{run.request.model}-{run.request.image}.png",
        "image/png",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )


with notices.explained():
    main()
