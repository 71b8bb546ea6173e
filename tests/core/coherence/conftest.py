from collections.abc import Callable

import numpy as np
import pytest
import torch

from core.coherence import PairOutcomes, pair_outcomes

Draw = Callable[..., PairOutcomes]


@pytest.fixture
def draw() -> Draw:
    """Attacks that succeed with known probabilities, (J, J); images differ in how easy they are."""

    def drawn(probability: np.ndarray, per_class: int, seed: int, uneven: float = 0.0) -> PairOutcomes:
        n_classes = len(probability)
        generator = np.random.default_rng(seed)
        pairs = [(s, i, t) for s in range(n_classes) for i in range(per_class) for t in range(n_classes)]
        source, image, target = torch.tensor([pair for pair in pairs if pair[0] != pair[2]]).unbind(1)
        index = source * per_class + image
        # The same draw for all attacks on an image moves them together.
        easy = generator.uniform(-uneven, uneven, n_classes * per_class)[index]
        hits = generator.random(len(index)) < probability[source, target] + easy
        return pair_outcomes(index, source, target, torch.from_numpy(hits), n_classes)

    return drawn


@pytest.fixture
def fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer resamples, for tests that need many intervals."""
    for module in ("ranking", "spread"):
        monkeypatch.setattr(f"core.coherence.{module}.RESAMPLES", 200)
        monkeypatch.setattr(f"core.coherence.{module}.SPLITS", 40)
    monkeypatch.setattr("core.coherence.ranking.PERMUTATIONS", 199)
