"""A cached universal perturbation on the chosen image: how strong, and what the network answers then.

A bundle has them as `{model}/universal`: `perturbation` (N, C, H, W) in levels of 1/255, `part` and `number`
(N,) of the images that each was made from, `iterations`, `accuracy`, `norm_l2`, `norm_linf` (N,).
"""

import streamlit as st
import torch
from torch import Tensor

from app import state
from app.live import Frame, observe
from app.results import MICHELS2019
from app.results.universals import part_name
from app.ui import pictures
from app.ui.charts import show_chart
from app.ui.choose import choose
from app.ui.columns import columns
from app.ui.images import png
from app.ui.outcomes import COLOURS
from app.ui.saving import offer_chart
from app.ui.scene import Scene
from app.ui.universal.one import choose_strength, perturbation_picture
from core.attacks import perturb
from core.data import Dataset
from core.figures.logits import answer_bars, answer_table
from core.figures.style import percent
from core.images import LEVELS
from core.models import title_of
from core.outcomes import Verdict
from precompute.steps.records import Universal
from precompute.store import Bundle


def show_universal(bundle: Bundle, scene: Scene, dataset: Dataset, image: int) -> None:
    """The section, where there are universal perturbations of any of the bundle's networks."""
    made = state.bundle(bundle.dataset, MICHELS2019)
    makers = [name for name in state.model_names(bundle) if made and f"{name}/universal" in made]
    if made is None or not makers:
        return
    st.markdown("##### One perturbation for all images")
    st.caption(
        "Made on many images at once, and added to whichever you choose: here to the one above. "
        "Does one that was made on another network fool this one too?"
    )
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom"):
        maker, universals = choose_maker(made, scene.model, makers)
        number = choose_number(universals)
        strength = choose_strength("1 is as it was found; 0 is the image as it is.")
    delta = universals.delta[number]
    x, label = dataset.test.x(image), int(dataset.test.labels[image])
    network = state.model(bundle, scene.model)
    with state.accelerator():
        frame = observe(network, torch.cat([x, perturb(x, strength * delta)]).to(state.device()))
    verdict = Verdict(
        int(frame.prediction[1]), label, None, float(frame.distance[1]), scene.threshold, scene.classes
    )
    st.html(pictures.verdict_box(verdict, f"At strength {strength:g}."))
    left, right = columns([3, 2], "universal", least=20)
    left.html(as_row(scene, frame, strength * delta, strength, label))
    before, after = (scene.scores(logits) for logits in frame.logits)
    answers = answer_table(before, after, scene.classes, always={label})
    with right:
        chart = answer_bars(answers, scene.quantity, COLOURS[verdict.outcome], (0, 1.12))
        words = f"Bars: {scene.quantity} of each class, without and with the universal perturbation"
        show_chart(chart, words)
        about = {"dataset": bundle.dataset, "model": scene.model, "image": image, "strength": strength}
        about |= {"made_on": maker, "perturbation": name_of(universals, number)}
        rows = ({**about, **answer.record()} for answer in answers)
        offer_chart(chart, words, rows, f"{bundle.dataset}-{scene.model}-{image}-universal")
    st.caption(
        f"Made on {title_of(maker)}, {name_of(universals, number)}, in {int(universals.iterations[number])} "
        f"iterations; with it {percent(float(universals.accuracy[number]))} of the images that it was made "
        f"from are still read rightly. As it was found, its length is ℓ₂ "
        f"{float(universals.norm_l2[number]):.2f}, ℓ∞ {float(universals.norm_linf[number]):.2f}."
    )


def choose_maker(made: Bundle, model: str, makers: list[str]) -> tuple[str, Universal]:
    """The network that a perturbation was made on, and its perturbations."""
    maker = choose(
        "segmented_control",
        "Made on",
        "maker",
        makers,
        title=title_of,
        default=model if model in makers else None,
        width="content",
    )
    return maker, Universal.of(made.load(f"{maker}/universal"))


def choose_number(universals: Universal) -> int:
    """Which of them, by its place."""
    titles = {place: name_of(universals, place) for place in range(len(universals))}
    return choose("selectbox", "Perturbation", "universal", list(titles), title=titles.__getitem__, width=200)


def name_of(universals: Universal, place: int) -> str:
    """One in words: "part 3, number 7"."""
    return part_name(int(universals.part[place]), int(universals.number[place]))


def as_row(scene: Scene, frame: Frame, delta: Tensor, strength: float, label: int) -> str:
    """The image, the perturbation at that strength and their sum, as HTML."""
    read = [scene.classes[int(answer)] for answer in frame.prediction]
    sure = [float(scene.scores(frame.logits[k])[frame.prediction[k]]) for k in range(2)]
    name = scene.classes[label]
    return pictures.row(
        [
            pictures.Picture(
                png(frame.x[0]),
                f"Original: {name}",
                f"read as {read[0]} ({sure[0]:.0%})",
                f"The original, {name}",
            ),
            perturbation_picture(
                delta * LEVELS, f"Universal, ℓ₂ {float(delta.norm()):.2f}", f"at strength {strength:g}"
            ),
            pictures.Picture(
                png(frame.x[1]),
                "Both",
                f"read as {read[1]} ({sure[1]:.0%})",
                f"The image with the universal perturbation, which the network reads as {read[1]}",
            ),
        ],
        ["+", "="],
    )
