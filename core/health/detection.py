"""Check 7: anything that rejects shows its clean accuracy and its full ROC.

Source: carlini2019, *On Evaluating Adversarial Robustness*, section 4.
"""

from torch import Tensor

from core.health.bench import Bench
from core.health.check import ERROR, NOT_APPLICABLE, UNDETECTED, Check, Number, percent, verdict
from core.metrics import rate, threshold_at

FPR = 0.05
FACTOR = 2.0
"""False alarms on test images may be so many times what was asked for on validation images."""
TIED = 0.01
"""Share of clean scores that may be tied: a score that is clipped or squashed ties many at its end."""
POINTS = (0.01, 0.05, 0.1, 0.2, 0.5)
"""False-positive rates of the ROC that are stored."""


def auc(clean: Tensor, attacked: Tensor) -> float:
    """Chance that an attacked image scores above a clean one, ties counted half; the area under the ROC."""
    above = (attacked.unsqueeze(1) > clean).double() + 0.5 * (attacked.unsqueeze(1) == clean).double()
    return float(above.mean())


def detector_shows_its_roc(bench: Bench) -> Check:
    """7: finite and distinct scores, false alarms on test images as asked for, accuracy above chance."""
    if bench.detector is None or bench.clean is None:
        return Check(7, NOT_APPLICABLE, "nothing is rejected")
    clean = bench.clean
    right = rate(clean.test_prediction == clean.test_label)
    score = clean.test_score
    finite = bool(score.isfinite().all() & clean.validation_score.isfinite().all())
    tied = 1 - len(score.unique()) / len(score)
    alarms = rate(score > threshold_at(clean.validation_score, FPR))
    details = [
        Number.share(f"clean test images flagged at {percent(FPR)} asked for", alarms),
        Number.share("clean accuracy", right),
        Number("tied scores", tied, len(score)),
    ]
    for name in [n for n in ("pgd", "r-pgd") if n in bench.attacks]:
        run = bench.run(name)
        attacked = run.score.cpu()
        details.append(Number(f"area under the ROC, {name.upper()}", auc(score, attacked), len(attacked)))
        details += [
            Number.share(
                f"{name.upper()} flagged at {percent(fpr)} false alarms",
                attacked > threshold_at(clean.validation_score, fpr),
            )
            for fpr in POINTS
        ]
    holds = finite and tied <= TIED and alarms.low <= FACTOR * FPR and right.low > 1 / bench.n_classes
    areas = ", ".join(f"{n.value:.2f} {n.name}" for n in details if n.name.startswith("area"))
    return Check(
        7,
        verdict(holds),
        f"clean accuracy {100 * right.value:.1f} %, {100 * alarms.value:.1f} % false alarms at "
        f"{percent(FPR)} asked for, {areas} (n = {alarms.n:,})",
        tuple(details),
        (ERROR, UNDETECTED),
    )
