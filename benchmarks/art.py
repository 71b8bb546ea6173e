"""ART's universal perturbation, timed in an environment of its own: `-m benchmarks.art FILE THREADS`."""

import json
import sys
import time

import torch
from torch import nn


def main() -> None:
    """Load the network and the images, make one perturbation, print what it took."""
    import art
    import numpy as np
    from art.attacks.evasion import UniversalPerturbation
    from art.estimators.classification import PyTorchClassifier

    from core.models import build
    from core.runtime import configure

    configure()
    torch.set_num_threads(int(sys.argv[2]))
    given = torch.load(sys.argv[1])
    x, y = given["x"].numpy(), given["y"].numpy()
    model = build("capsnet", x.shape[1:]).eval()
    model.load_state_dict(given["weights"])
    classifier = PyTorchClassifier(model, nn.CrossEntropyLoss(), x.shape[1:], 10, clip_values=(0.0, 1.0))
    # As much as nothing bounds it, FGSM of 0.03, until half are misread: what ours does.
    attack = UniversalPerturbation(
        classifier,
        "fgsm",
        {"eps": 0.03},
        delta=0.5,
        max_iter=250,
        eps=1e6,
        norm=2,
        batch_size=1,
        verbose=False,
    )
    began = time.perf_counter()
    x_adv = attack.generate(x, y=np.eye(10, dtype=np.float32)[y])
    took = time.perf_counter() - began
    accuracy = float((classifier.predict(x_adv).argmax(1) == y).mean())
    sys.stdout.write(json.dumps({"seconds": took, "accuracy": accuracy, "version": art.__version__}) + "\n")


if __name__ == "__main__":
    main()
