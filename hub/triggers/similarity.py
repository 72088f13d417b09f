"""Score a frame, or the best of its crops, by its likeness to seeds."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from hub.types import ElementKind, Matches, Needs, Observation, Score, State


@dataclass(frozen=True)
class Similarity:
    """The score is that of the element most like a seed.

    element: frame, or crop for the crops of detections. labels: only crops of these (any when empty).
    confidence: the least a detection must have to be cropped. scorer: of hub/scorers; `calibrated` gives scores that
    mean how rare such a likeness is on these cameras.
    """

    name: ClassVar[str] = "similarity"
    capped_by_matches: ClassVar[bool] = True

    element: ElementKind = ElementKind.FRAME
    labels: tuple[str, ...] = ()
    confidence: float = 0.25
    scorer: str = "calibrated"

    @property
    def needs(self) -> Needs:
        """Frames are embedded whole; crops need the detector first."""
        if self.element is ElementKind.FRAME:
            return Needs(frame_vector=True)
        return Needs(
            detections=True,
            frame_vector=True,
            crop_vectors=True,
            confidence=self.confidence,
            crop_confidence=self.confidence,
        )

    @property
    def wants_seeds(self) -> bool:
        """Likeness needs something to be like."""
        return True

    def score(self, seen: Observation, matches: Matches | None, state: State) -> tuple[Score, State]:
        """The best row of those that compete; 0 when none does."""
        if matches is None:
            raise ValueError("similarity needs the matches of every row")
        rows = self._rows(seen)
        if not len(rows):
            wanted = " or ".join(self.labels) or "object"
            return Score(0.0, scorer=self.scorer, why=f"no {wanted} found to compare"), state
        row = int(rows[np.argmax(matches.value[rows])])
        seed, cosine = matches.nearest(row)
        what = "frame" if row == 0 else f"{seen.detections.label[row - 1]} crop"
        return Score(
            float(matches.value[row]),
            row=row,
            seed=seed,
            cosine=cosine,
            scorer=self.scorer,
            why=f"{what} has cosine {cosine:.2f} to its nearest seed",
        ), state

    def _rows(self, seen: Observation) -> np.ndarray:
        if self.element is ElementKind.FRAME:
            return np.arange(min(1, len(seen.vectors)))
        found = seen.detections
        crops = len(seen.vectors) - 1
        return np.array(
            [
                1 + i
                for i in range(crops)
                if found.confidence[i] >= self.confidence and (not self.labels or found.label[i] in self.labels)
            ],
            np.int64,
        )
