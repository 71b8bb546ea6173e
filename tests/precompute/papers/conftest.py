from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from precompute.papers import Results
from precompute.steps.records import Attacked, Clean
from tests.precompute.stored import filled

MODELS = ("capsnet", "cnn_cr", "cnn_r")


@dataclass
class FakeBundle:
    """A bundle made of plain tensors and tables."""

    dataset: str
    artifacts: dict[str, Any]
    profile: str = "demo"
    facts: dict[str, Any] = field(default_factory=dict)

    def get(self, name: str, only: Any = None) -> Any:
        return self.artifacts.get(name)


def rate(model: str, attack: str | None, metric: str, k: int, n: int = 100, **more: Any) -> dict[str, Any]:
    mode = None if attack is None else more.pop("mode", "targeted")
    row = {"dataset": "mnist", "model": model, "attack": attack, "mode": mode, "access": None}
    return {
        **row,
        "metric": metric,
        "k": k,
        "n": n,
        "value": k / n,
        "low": k / n - 0.1,
        "high": k / n + 0.1,
        **more,
    }


@pytest.fixture
def mnist() -> FakeBundle:
    """Results of MNIST whose every number is known."""
    rates = [rate(m, None, "error_rate", k, 1000) for m, k in zip(MODELS, (6, 17, 30), strict=True)]
    rates += [
        rate("capsnet", "r-pgd", "success_rate", 50),
        rate("capsnet", "r-pgd", "success_rate", 4, access="black_box"),
        rate("cnn_cr", "r-pgd", "success_rate", 98),
        rate("cnn_r", "r-pgd", "success_rate", 96),
    ]
    curve = [
        {**rate(model, "r-pgd", "undetected_rate", k), "fpr": fpr, "threshold": 2.0}
        for model, k in (("capsnet", 30), ("cnn_cr", 60), ("cnn_r", 70))
        for fpr in (0.01, 0.05, 0.1)
    ]
    curve.append({**curve[0], "attack": "pgd"})
    sweep = [
        {**rate(model, "r-pgd", metric, k), "beta": beta}
        for model in MODELS
        for metric in ("success_rate", "undetected_rate")
        for beta, k in ((0.25, 10), (0.5, 40), (float("nan"), 45))
    ]
    tables = {"rates": pd.DataFrame(rates), "fpr": pd.DataFrame(curve), "beta": pd.DataFrame(sweep)}
    artifacts: dict[str, Any] = {"results": SimpleNamespace(tables=tables, tensors={}, facts={})}
    label = torch.arange(10).repeat(3)
    for model in MODELS:
        clean = {
            "validation_distance": torch.linspace(1, 2, 100),
            "test_distance": torch.linspace(1, 2, 30),
            "test_label": label,
            "test_class_distance": torch.full((30, 10), 3.0).scatter(1, label[:, None], 1.0),
        }
        attacked = {"distance": torch.linspace(0.5, 4, 30), "label": label, "prediction": (label + 1) % 10}
        attacked = filled(Attacked, attacked)
        for name, tensors in (("clean", filled(Clean, clean)), ("attack/pgd-untargeted", attacked)):
            artifacts[f"{model}/{name}"] = SimpleNamespace(tensors=tensors, tables={}, facts={})
    return FakeBundle("mnist", artifacts)


@pytest.fixture
def results(mnist: FakeBundle) -> Results:
    return Results([mnist])


@pytest.fixture
def svhn(monkeypatch: pytest.MonkeyPatch) -> FakeBundle:
    """SVHN as two images, and what three models made of them; only some perturbations are stored."""
    images = torch.zeros(20, 3, 8, 8, dtype=torch.uint8)
    monkeypatch.setattr(
        "precompute.papers.qin2020.pictures._copy",
        lambda results, name: SimpleNamespace(test=SimpleNamespace(images=images)),
    )
    artifacts = {}
    for model in MODELS:
        clean = {"validation_distance": torch.linspace(1, 2, 100)}
        matrix = {
            "index": torch.arange(20),
            "label": torch.full((20,), 3),
            "target": torch.tensor([0, 1]).repeat(10),
            "prediction": torch.tensor([0, 1]).repeat(10),
            "distance": torch.tensor([1.0] * 18 + [9.0, 9.0]),
            "perturbation": torch.full((4, 3, 8, 8), 7, dtype=torch.int8),
            "kept": torch.tensor([2, 4, 5, 18]),
        }
        for name, tensors in (("clean", filled(Clean, clean)), ("matrix", matrix)):
            artifacts[f"{model}/{name}"] = SimpleNamespace(tensors=tensors, tables={}, facts={})
    return FakeBundle("svhn", artifacts)
