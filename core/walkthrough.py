"""One image before a network and its detector, untouched and attacked: detection in one figure."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from core.attacks import ATTACKS, predict
from core.data import Split
from core.detectors import ReconstructionDetector
from core.images import from_uint8, to_uint8
from core.models import ReconstructingNet


@torch.no_grad()
def walkthrough(model: ReconstructingNet, test: Split, plan: Mapping[str, Any]) -> dict[str, Tensor]:
    """Attack an image once for every beta, and show it and the results to the network and the detector.

    Args:
        model: On the device to compute on.
        test: Where the image is from.
        plan: `index` of the image, `attack` with its `fields` and a list of `betas`, `target` and `seed`.
    Returns: `image` and `reconstruction` (1 + betas, C, H, W), 8-bit, the untouched one first; `prediction`
        and `distance` (1 + betas,), those of the 8-bit images.
    """
    where = next(model.parameters()).device
    index = torch.full((len(plan["betas"]),), plan["index"])
    x, y = test.x(index).to(where), test.labels[index].to(where)
    attack = ATTACKS[plan["attack"]](**plan["fields"] | {"beta": torch.tensor(plan["betas"])})
    detector = ReconstructionDetector(model)
    result = attack(model, x, y, detector=detector, target=plan["target"], index=index, seed=plan["seed"])
    images = torch.cat([test.images[index[:1]], to_uint8(result.x_adv.cpu())])
    seen = from_uint8(images).to(where)
    return {
        "image": images,
        "reconstruction": to_uint8(model.reconstruct(seen).cpu()),
        "prediction": predict(model, seen).cpu(),
        "distance": detector.score(seen).cpu(),
    }
