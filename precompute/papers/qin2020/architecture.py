"""qin2020's Fig. 6: the three architectures, read from the models themselves."""

from dataclasses import dataclass

import altair as alt
import torch
from torch import Tensor, nn

from core.data import SPECS
from core.figures.colours import GREY, colour_of
from core.figures.style import Record, heading, inline
from core.models import ReconstructingNet, build, title_of
from core.models.decoders import Decoder
from core.models.layers import Encoder
from precompute.papers.drawing import Drawing, Panel
from precompute.papers.qin2020.claims import MODELS
from precompute.papers.stored import Results

DATASET, SIZE = "mnist", "paper"


@dataclass(frozen=True)
class Layer:
    """One layer: what it does, the shape that comes out of it, its parameters."""

    name: str
    shape: tuple[int, ...]
    parameters: int

    @property
    def words(self) -> str:
        """Shape and parameters."""
        shape = " × ".join(str(side) for side in self.shape)
        return f"{shape}; {self.parameters:,} parameters" if self.parameters else shape


def figure_6(_: Results) -> Drawing:
    """A column of boxes for each model; nothing stored is needed."""
    panels: list[Panel] = []
    rows: list[Record] = []
    for model in MODELS:
        layers = layers_of(model)
        total = sum(layer.parameters for layer in layers)
        title = title_of(model)
        words = ", ".join(f"{layer.name} ({layer.words})" for layer in layers)
        panels.append(Panel(_chart(layers, title, total), f"{title}, {total:,} parameters: {words}."))
        rows += [
            {
                "model": title,
                "layer": layer.name,
                "shape": "x".join(map(str, layer.shape)),
                "parameters": layer.parameters,
            }
            for layer in layers
        ]
    return Drawing(tuple(panels), tuple(rows))


def layers_of(model: str) -> list[Layer]:
    """The layers of a model at the paper's size, from image to reconstruction."""
    spec = SPECS[DATASET]
    network = build(model, spec.shape, spec.n_classes, SIZE)
    assert isinstance(network, ReconstructingNet)
    capsules = model == "capsnet"
    encoder, head, decoder = network.encoder, network.head, network.decoder
    assert isinstance(encoder, Encoder)
    assert isinstance(decoder, Decoder)
    assert isinstance(head, nn.Module)
    names: dict[nn.Module, str] = {
        encoder.conv1: "convolution 9×9, ReLU",
        encoder.conv2: f"convolution 9×9, stride 2, {'squash' if capsules else 'ReLU'}",
        head: "class capsules, 3 routing passes" if capsules else "fully connected, groups of 16",
    }
    dense = [layer for layer in decoder if isinstance(layer, nn.Linear)]
    names |= dict.fromkeys(dense[:-1], "fully connected, ReLU") | {dense[-1]: "fully connected, sigmoid"}
    found = [Layer("image", spec.shape, 0)]

    def note(layer: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        if layer is dense[0]:
            masked = "winning group alone" if network.conditional else "all groups"
            found.append(Layer(masked, (1 if network.conditional else spec.n_classes, 16), 0))
        shape = (spec.n_classes, 16) if layer is network.head else tuple(out.shape[1:])
        found.append(Layer(names[layer], shape, sum(p.numel() for p in layer.parameters())))

    for layer in names:
        layer.register_forward_hook(note)
    with torch.no_grad():
        network.eval().reconstruct(torch.zeros(1, *spec.shape))
    return found


def _chart(layers: list[Layer], title: str, total: int) -> alt.LayerChart:
    """Boxes from top to bottom."""
    place = {"left": 0.0, "centre": 0.5, "right": 1.0}
    records = [
        {"name": layer.name, "told": layer.words, "top": n, "bottom": n + 0.8, "middle": n + 0.4, **place}
        for n, layer in enumerate(layers)
    ]
    data = inline(records)
    down = alt.Scale(domain=[0, len(layers)], reverse=True, nice=False)
    y = alt.Y("top:Q", scale=down, axis=None)
    across = alt.Scale(domain=[0, 1], nice=False)
    x = alt.X("left:Q", scale=across, axis=None)
    boxes = alt.Chart(data).mark_rect(
        cornerRadius=5, fill=colour_of(title), fillOpacity=0.16, stroke=colour_of(title), aria=False
    )
    names = alt.Chart(data).mark_text(fontSize=13, fontWeight="bold", dy=-8, color=GREY)
    told = alt.Chart(data).mark_text(fontSize=12, dy=9, color=GREY)
    middle_x = alt.X("centre:Q", scale=across, axis=None)
    middle_y = alt.Y("middle:Q", scale=down, axis=None)
    return alt.LayerChart(
        layer=[
            boxes.encode(x=x, x2=alt.X2("right:Q"), y=y, y2=alt.Y2("bottom:Q")),
            names.encode(text=alt.Text("name:N"), x=middle_x, y=middle_y),
            told.encode(text=alt.Text("told:N"), x=middle_x, y=middle_y),
        ],
        title=heading(title, subtitle=f"{total:,} parameters"),
        height=52 * len(layers),
    ).configure_view(strokeWidth=0)
