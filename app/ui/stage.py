"""The places of the live page that change while an attack runs."""

import streamlit as st
import torch

from app.live import Frame, Request, Run
from app.ui.choose import choose
from app.ui.columns import columns
from app.ui.outcomes import COLOURS
from app.ui.saving import offer_chart
from app.ui.scene import Scene
from core.figures.logits import answer_bars
from core.figures.path import length_chart, path_chart
from core.figures.style import Record
from precompute.papers.drawing import Chart


class Stage:
    """Made once in a run of the page, from top to bottom; filled many times.

    Args:
        scene: What runs are judged by.
        request: What is asked for: with several targets there is a strip of them.
    """

    def __init__(self, scene: Scene, request: Request) -> None:
        self.scene, self.request = scene, request
        bar = st.container(horizontal=True, vertical_alignment="center")
        self.button, self.words = bar.empty(), bar.empty()
        self.strip = st.empty() if len(request.targets) > 1 else None
        self.chosen = self._look_closer() if self.strip else 0
        self.row, self.bar = st.empty(), st.empty()
        left, right = columns([1, 1], "charts", least=20)
        left.markdown("###### What the network answers")
        right.markdown("###### How far the image is from its reconstruction")
        self.places = {"answers": left.empty(), "path": right.empty()}
        self.savers = {"answers": left.container(), "path": right.container()}
        asks = request.attack.unit == "answers"
        self.unit, self.units = ("Query", "queries") if asks else ("Iteration", "iterations")
        self.effort = None
        if request.attack.bound(torch.zeros(1, 1, 1, 1)) is None:
            st.markdown("###### How far it has to go from the original")
            self.effort, self.places["length"] = st.empty(), st.empty()
            self.savers["length"] = st.container()

    def _look_closer(self) -> int:
        """Which of several targets is shown in full."""
        names = [self.scene.target_name(target) for target in self.request.targets]
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption("Look closer at", width="content")
            name = choose(
                "segmented_control",
                "Look closer at",
                "look",
                names,
                what="Target to look at",
                hide_label=True,
            )
        return names.index(name)

    def choose_step(self, run: Run) -> Frame:
        """A slider through the kept points of the path; returns the chosen one."""
        steps = [frame.step for frame in run.frames]
        if len(steps) < 2:
            return run.frames[-1]
        with self.bar:
            step = choose(
                "select_slider",
                self.unit,
                "step",
                steps,
                default=steps[-1],
                help="Drag to go back along the attack's path.",
            )
        return run.frame(step)

    def show(self, run: Run, frame: Frame, charts: bool, note: str = "") -> None:
        """Show one point of the path, without the charts if need be; a note goes to the verdict."""
        scene, row = self.scene, self.chosen
        self.words.html(scene.words(run, frame, row, note))
        if self.strip:
            self.strip.html(scene.strip(run, frame))
        self.row.html(scene.row(run, frame, row))
        if not charts:
            return
        if self.effort is not None:
            self.effort.markdown(scene.effort(run, frame, row))
        for name, (chart, words, _) in self.charts(run, frame).items():
            self.places[name].altair_chart(chart, alt=words)

    def offer(self, run: Run, frame: Frame) -> None:
        """Buttons below the charts that save them."""
        file = f"{run.request.dataset}-{run.request.model}-{run.request.image}"
        for name, (chart, words, rows) in self.charts(run, frame).items():
            with self.savers[name]:
                offer_chart(chart, words, rows, f"{file}-{name}")

    def charts(self, run: Run, frame: Frame) -> dict[str, tuple[Chart, str, list[Record]]]:
        """The charts of one point of the path: each with what it shows, and the numbers behind it."""
        scene, row = self.scene, self.chosen
        about = {"dataset": run.request.dataset, "model": run.request.model, "image": run.request.image}
        answers, points, unit = scene.answers(run, frame, row), scene.path(run), self.unit.lower()
        colour = COLOURS[scene.verdict(run, frame, row).outcome]
        bars = answer_bars(answers, scene.quantity, colour, (0, 1.12))
        words = f"Bars: {scene.quantity} of each class, before and after the attack"
        rows = [{**about, "step": frame.step, **answer.record()} for answer in answers]
        drawn: dict[str, tuple[Chart, str, list[Record]]] = {"answers": (bars, words, rows)}
        path = path_chart(points, scene.threshold, run.total, frame.step, unit)
        words = f"Line: distance to the reconstruction against {self.units}, and the detector's threshold"
        rows = [{**about, **point.record()} for point in points]
        drawn["path"] = path, words, rows
        if self.effort is not None:
            length = length_chart(points, run.total, frame.step, unit)
            drawn["length"] = length, f"Line: length of the perturbation against {self.units}", rows
        return drawn
