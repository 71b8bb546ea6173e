"""The table of step functions: where each is, its version, and whether it gains from a GPU.

Functions are named, not imported: a build imports those that it runs. A version is raised when a change to
the code changes what comes out, see "Versions of steps" in CONTRIBUTING.md.
"""

from precompute.steps.job import StepFunction

STEPS = {
    "weights": StepFunction("precompute.steps.training:weights", 1, gpu=True),
    "clean": StepFunction("precompute.steps.detection:clean", 1, gpu=True),
    "attacked": StepFunction("precompute.steps.attacks:attacked", 1, gpu=True),
    "excerpt": StepFunction("precompute.steps.excerpts:excerpt", 1),
    "sweep": StepFunction("precompute.steps.detection:sweep", 1, gpu=True),
    "corrupted": StepFunction("precompute.steps.detection:corrupted", 1, gpu=True),
    "health": StepFunction("precompute.steps.health:examine", 1, gpu=True),
    "reconstructions": StepFunction("precompute.steps.detection:reconstructions", 1),
    "walkthrough": StepFunction("precompute.steps.walkthrough:walkthrough", 1, gpu=True),
    "judge": StepFunction("precompute.steps.judging:judge", 1, gpu=True),
    "similarity": StepFunction("precompute.steps.judging:similarity", 1),
    "judged": StepFunction("precompute.steps.judging:judged", 1),
    "readings": StepFunction("precompute.steps.predictions:readings", 1, gpu=True),
    "universal": StepFunction("precompute.steps.universal:universal", 2, gpu=True),
    "universal_transfer": StepFunction("precompute.steps.universal:universal_transfer", 1, gpu=True),
    "adversarial": StepFunction("precompute.steps.minimum:adversarial", 1, gpu=True),
    "minimum": StepFunction("precompute.steps.minimum:minimum", 1),
    "transfer": StepFunction("precompute.steps.minimum:transfer", 1, gpu=True),
    "fitted": StepFunction("precompute.steps.detectors:fitted", 1, gpu=True),
    "scored": StepFunction("precompute.steps.detectors:scored", 1, gpu=True),
    "embedding": StepFunction("precompute.steps.embedding:embed", 1),
}
