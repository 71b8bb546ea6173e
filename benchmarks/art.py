"""ART's universal perturbation, timed in an environment of its own: `-m benchmarks.art FILE THREADS`."""

import json
import sys
import time

import torch
from torch import nn


def main() -> None:
    """Load the network and the images, take some epochs, print what they took."""
    import art
    import numpy as np
    from art.attacks.evasion import UniversalPerturbation
    from art.estimators.classification import PyTorchClassifier

    from core.models import build
    from core.runtime import configure

    configure()
    torch.set_num_threads(int(sys.argv[2]))
    given = torch.load(sys.argv[1], weights_only=True)
    x, y = given["x"].numpy(), given["y"].numpy()
    model = build("capsnet", x.shape[1:], 10).eval()
    model.load_state_dict(given["weights"])
    classifier = PyTorchClassifier(model, nn.CrossEntropyLoss(), x.shape[1:], 10, clip_values=(0.0, 1.0))
    # What ours does, but for a few epochs: nothing bounds it, FGSM of 0.03, until half are misread.
    attack = UniversalPerturbation(
        classifier, "fgsm", {"eps": 0.03}, delta=0.5, max_iter=3, eps=1e6, norm=2, batch_size=1, verbose=False
    )
    plainly, gradients = classifier.loss_gradient, 0

    def counted(images: np.ndarray, *arguments: object, **more: object) -> np.ndarray:
        nonlocal gradients
        gradients += len(images)
        return plainly(images, *arguments, **more)

    classifier.loss_gradient = counted
    began = time.perf_counter()
    attack.generate(x, y=np.eye(10, dtype=np.float32)[y])
    took = time.perf_counter() - began
    found = {"seconds": took, "gradients": gradients, "version": art.__version__}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
