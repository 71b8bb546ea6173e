from collections.abc import Callable
from typing import Any

import altair as alt
import pytest

Layers = Callable[[alt.LayerChart], list[dict[str, Any]]]


@pytest.fixture
def layers() -> Layers:
    """The layers of a chart, as valid Vega-Lite, each with its `rows` of data."""

    def found(chart: alt.LayerChart | alt.Chart) -> list[dict[str, Any]]:
        spec = chart.to_dict()
        data = spec["datasets"]
        return [
            {**layer, "rows": data[layer.get("data", spec.get("data"))["name"]]}
            for layer in spec.get("layer", [spec])
        ]

    return found
