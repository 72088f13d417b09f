"""Score a frame by the objects found in it."""

from dataclasses import dataclass
from typing import ClassVar

from hub.types import ElementKind, Matches, Needs, Observation, Score, State


@dataclass(frozen=True)
class Detection:
    """The score is the confidence of the best detection with one of `labels` (any label when empty).

    confidence: the least the detector is asked for. A campaign whose threshold is lower can't be answered.
    """

    name: ClassVar[str] = "detection"

    labels: tuple[str, ...] = ()
    confidence: float = 0.1

    @property
    def element(self) -> ElementKind:
        """The frame is what is kept; the detection says where to look."""
        return ElementKind.FRAME

    @property
    def needs(self) -> Needs:
        """A detector, nothing else."""
        return Needs(detections=True, confidence=self.confidence)

    @property
    def wants_seeds(self) -> bool:
        """The labels say it all."""
        return False

    def score(self, seen: Observation, matches: Matches | None, state: State) -> tuple[Score, State]:
        """Detections come best first, so the first wanted one wins."""
        for i, label in enumerate(seen.detections.label):
            if not self.labels or label in self.labels:
                value = float(seen.detections.confidence[i])
                return Score(value, row=1 + i, scorer="confidence", why=f"{label} {value:.2f}"), state
        wanted = " or ".join(self.labels) or "object"
        return Score(0.0, scorer="confidence", why=f"no {wanted} found"), state
