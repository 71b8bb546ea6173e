"""The step that runs the checks of attack health on one model."""

from typing import Any

from core import data
from core.detectors import ReconstructionDetector
from core.health import CHECKS, Bench, Check, Clean
from core.runtime import describe, device, dtype_name, network_precision
from core.selection import select
from precompute.steps.job import Job, Outcome
from precompute.steps.loading import load_model
from precompute.steps.records import Clean as CleanRecord
from precompute.steps.records import Sweep
from precompute.store import Artifact


def examine(params: dict[str, Any], inputs: dict[str, Artifact], job: Job) -> Outcome:
    """The fifteen checks on one model; every attack that they run is kept, so that a killed step goes on."""
    where, checks = device(), list[Check]()
    model, dataset = load_model(params, inputs["weights"]), data.load(params["dataset"])
    rows = select(dataset.test.labels, params["rows"], dataset.spec.n_classes)
    clean = CleanRecord.of(inputs["clean"])
    assert rows.target is not None
    beta = {mode: Sweep.of(inputs[mode]).best_beta for mode in ("targeted", "untargeted")}
    bench = Bench(
        model,
        dataset.test.x(rows.index).to(where),
        rows.label.to(where),
        rows.target.to(where),
        rows.index,
        **params["fields"],
        n_classes=dataset.spec.n_classes,
        beta=beta,
        detector=ReconstructionDetector(model),
        threshold=clean.stored_threshold,
        clean=Clean(clean.validation_distance, clean.test_distance, clean.test_prediction, clean.test_label),
        others={
            name: load_model({**params, "model": name}, inputs[f"other-{name}"]) for name in params["others"]
        },
        undefended=params["undefended"],
        seed=params["seed"],
        changed={**params["changed"], "r-fgsm": {"beta": Sweep.of(inputs["one_step"]).best_beta}},
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
