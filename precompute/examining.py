"""The step that runs the checks of attack health on one model."""

from typing import Any

from core import data
from core.detectors import ReconstructionDetector
from core.health import CHECKS, Bench, Check, Clean
from core.runtime import describe, device, dtype_name, network_precision
from core.selection import select
from precompute.artifact import Artifact
from precompute.loading import load_model
from precompute.work import Job, Outcome


def examine(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """The fifteen checks on one model; every attack that they run is kept, so that a killed step goes on."""
    where, checks = device(), list[Check]()
    model, dataset = load_model(params, inputs["weights"]), data.load(params["dataset"])
    rows, facts = select(dataset.test.labels, params["rows"]), inputs["clean"].facts
    assert rows.target is not None
    names = ("validation_distance", "test_distance", "test_prediction", "test_label")
    beta = {mode: inputs[mode].facts["best_beta"] for mode in ("targeted", "untargeted")}
    bench = Bench(
        model,
        dataset.test.x(rows.index).to(where),
        rows.label.to(where),
        rows.target.to(where),
        rows.index,
        **params["fields"],
        n_classes=len(dataset.spec.classes),
        beta=beta,
        detector=ReconstructionDetector(model),
        threshold=facts["threshold"],
        clean=Clean(*(inputs["clean"].tensors[name] for name in names)),
        others={
            name: load_model({**params, "model": name}, inputs[f"other-{name}"]) for name in params["others"]
        },
        undefended=params["undefended"],
        seed=params["seed"],
        changed={**params["changed"], "r-fgsm": {"beta": inputs["one_step"].facts["best_beta"]}},
        kept=job.workspace.shard,
        on_run=lambda name: job.progress(len(checks), len(CHECKS), name),
    )
    for check in CHECKS.values():
        checks.append(check(bench))
        job.progress(len(checks), len(CHECKS), checks[-1].name)
    facts = {
        "checks": [check.record() for check in checks],
        "fields": params["fields"],
        "beta": beta,
        "n": len(rows.index),
        "rows": params["rows"],
        "seed": params["seed"],
        "device": describe(where),
        "gradients": dtype_name(network_precision(where)),
    }
    return Outcome(facts=facts)
