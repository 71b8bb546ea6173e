"""A live run as pictures, words and tables; nothing here draws on the page."""

from dataclasses import dataclass

import torch
from torch import Tensor

from app.live import Frame, Run
from app.ui import pictures
from app.ui.images import perturbation_png, png
from core.figures.logits import Answer, answer_table
from core.figures.path import PathPoint
from core.models import spec
from core.outcomes import Outcome, Verdict, outcomes

ANY = "Any other class"


@dataclass(frozen=True)
class Scene:
    """What a run is judged and named by.

    Attributes:
        model: Its name.
        classes: Names of the classes.
        threshold: theta of the detector.
    """

    model: str
    classes: tuple[str, ...]
    threshold: float

    @property
    def quantity(self) -> str:
        """What `scores` are, as an axis says it."""
        return "length of the class capsule" if spec(self.model).capsules else "probability"

    def scores(self, logits: Tensor) -> Tensor:
        """How much the network believes in each class, 0 to 1: lengths of capsules, or probabilities."""
        return logits.sigmoid() if spec(self.model).capsules else logits.softmax(-1)

    def target_name(self, target: int | None) -> str:
        """A target in words."""
        return ANY if target is None else self.classes[target]

    def verdict(self, run: Run, frame: Frame, row: int) -> Verdict:
        """The outcome for one target at one point of the path."""
        return Verdict(
            int(frame.prediction[row]),
            run.request.label,
            run.request.targets[row],
            float(frame.distance[row]),
            self.threshold,
            self.classes,
        )

    def answers(self, run: Run, frame: Frame, row: int) -> list[Answer]:
        """Scores before and after of the classes that matter most, the true one and the one aimed at."""
        target = run.request.targets[row]
        named = {run.request.label} if target is None else {run.request.label, target}
        before, after = self.scores(run.before.logits[0]), self.scores(frame.logits[row])
        return answer_table(before, after, self.classes, always=named)

    def path(self, run: Run) -> list[PathPoint]:
        """Every kept point of the path of every target."""
        targets = run.request.targets
        label = torch.full((len(targets),), run.request.label)
        target = None if targets[0] is None else torch.tensor(targets)
        points: list[PathPoint] = []
        for frame in run.frames:
            ends = outcomes(frame.prediction, label, target, frame.distance, self.threshold)
            points += [
                PathPoint(
                    frame.step,
                    self.target_name(targets[row]),
                    self.classes[int(frame.prediction[row])],
                    float(frame.distance[row]),
                    end.value,
                    float(run.request.attack.size(frame.x[row : row + 1] - run.before.x)),
                )
                for row, end in enumerate(ends)
            ]
        return points

    def effort(self, run: Run, frame: Frame, row: int) -> str:
        """What an attack without a bound has found so far, and what it has cost, in a sentence."""
        length = float(run.request.attack.size(frame.x[row : row + 1] - run.before.x))
        hit = self.verdict(run, frame, row).hit
        norm = getattr(run.request.attack, "norm", "l2")
        change = f"**{length:.3g}** in {norm}"
        if hit and length == 0:
            change = "none needed: the image is misread as it is"
        elif not hit:
            change = f"{change} on the way, not misread yet" if length else "none found yet"
        if frame.queries is None:
            return f"Smallest change: {change}."
        asked = int(frame.queries[row])
        if run.request.attack.unit == "answers":
            return f"**{asked:,}** answers asked for. Smallest change: {change}."
        return f"**{asked:,}** gradients taken. Smallest change: {change}."

    def words(self, run: Run, frame: Frame, row: int, note: str = "") -> str:
        """The verdict as HTML: on one target, or on all of them."""
        notes = [note] if note else []
        first = int(run.before.prediction[0])
        if first != run.request.label:
            right = self.classes[run.request.label]
            notes.append(f"Mind that it took the unharmed {right} for {self.classes[first]}.")
        verdicts = [self.verdict(run, frame, number) for number in range(len(run.request.targets))]
        if len(verdicts) == 1:
            return pictures.verdict_box(verdicts[0], " ".join(notes))
        hits = sum(verdict.hit for verdict in verdicts)
        unseen = sum(verdict.outcome is Outcome.UNDETECTED for verdict in verdicts)
        leading = Outcome.UNDETECTED if unseen else Outcome.FLAGGED if hits else Outcome.FAILED
        verdict = verdicts[row]
        return pictures.summary_box(
            leading,
            f"{hits} of {len(verdicts)} targets hit, {unseen} of them missed by the detector",
            f"Target {self.target_name(verdict.target)}: {verdict.sentence} {' '.join(notes)}",
        )

    def strip(self, run: Run, frame: Frame) -> str:
        """A card for each target, as HTML."""
        return pictures.strip(
            [
                pictures.Card(
                    self.target_name(target),
                    png(frame.x[row]),
                    png(frame.reconstruction[row]),
                    self.verdict(run, frame, row),
                )
                for row, target in enumerate(run.request.targets)
            ]
        )

    def row(self, run: Run, frame: Frame, row: int) -> str:
        """Reconstruction, original, perturbation, attacked image and its reconstruction, as HTML."""
        label, verdict = run.request.label, self.verdict(run, frame, row)
        clean, attacked = self.scores(run.before.logits[0]), self.scores(frame.logits[row])
        first = int(run.before.prediction[0])
        before, after = self.classes[first], self.classes[verdict.prediction]
        delta = frame.x[row] - run.before.x[0]
        colour = len(delta) == 3
        bound = run.request.attack.bound(frame.x)
        half = max(float(delta.abs().max() if bound is None else bound), 1 / 255)
        length = float(run.request.attack.size(delta.unsqueeze(0)))
        size = f"length {length:.3g}, " if bound is None else ""
        side = "above" if verdict.flagged else "within"
        return pictures.row(
            [
                pictures.Picture(
                    png(run.before.reconstruction[0]),
                    f"Rebuilt from class {before}",
                    f"distance {float(run.before.distance[0]):.2f}",
                    f"The network's reconstruction of the original, as {before}",
                ),
                pictures.Picture(
                    png(run.before.x[0]),
                    f"Original: {self.classes[label]}",
                    f"read as {before} ({float(clean[first]):.0%})",
                    f"The original image, {self.classes[label]}",
                ),
                pictures.Picture(
                    perturbation_png(delta, 1 / half),
                    "Perturbation",
                    f"{size}magnified {1 / half:.3g} times, up to ±{half:.2g}"
                    + ("; grey: none" if colour else ""),
                    f"What the attack changed, at most {float(delta.abs().max()):.2f} at a pixel",
                    diverging=not colour,
                ),
                pictures.Picture(
                    png(frame.x[row]),
                    "Attacked",
                    f"read as {after} ({float(attacked[verdict.prediction]):.0%})",
                    f"The attacked image, which the network reads as {after}",
                ),
                pictures.Picture(
                    png(frame.reconstruction[row]),
                    f"Rebuilt from class {after}",
                    f"distance {verdict.distance:.2f}, {side} θ = {self.threshold:.2f}",
                    f"The network's reconstruction of the attacked image, as {after}",
                ),
            ],
            ["←", "+", "=", "→"],
        )
