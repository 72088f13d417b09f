"""From cosines to scores, and from an observation and a target to a score. Pure."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hub.protocols import Target
from hub.types import Calibration, Matches, Observation, Score, State

FALSE_POSITIVE_RATE = 0.01
"""Share of what the cameras normally show that may reach a calibrated score of 0.5."""

LEAST_BACKGROUND = 200
"""Fewer background elements than this say nothing about a tail of 1 %."""


def calibrated(cosine: NDArray[np.float32], calibration: Calibration) -> NDArray[np.float32]:
    """Scores in [0, 1] for cosines: 0 up to the floor, 0.5 at the boundary, 1 at cosine 1, linear between."""
    xp = [calibration.floor, calibration.boundary, 1.0]
    return np.interp(cosine, xp, [0.0, 0.5, 1.0]).astype(np.float32)


def calibrate(background: NDArray[np.float32], fallback: Calibration) -> Calibration:
    """Where a campaign's boundary lies, from the best cosine to its seeds of each background element, (n,).

    The boundary lets FALSE_POSITIVE_RATE of the background through, the floor is its median. With too little
    background it is `fallback`, the embedder's own typical figures.
    """
    if len(background) < LEAST_BACKGROUND:
        return fallback
    floor, boundary = (float(q) for q in np.quantile(background, [0.5, 1.0 - FALSE_POSITIVE_RATE]))
    boundary = min(max(boundary, floor + 1e-3), 1.0 - 1e-3)
    return Calibration(
        min(floor, boundary - 1e-3),
        boundary,
        f"lets {FALSE_POSITIVE_RATE:.0%} of {len(background)} elements these cameras showed reach 0.5",
    )


def score(
    seen: Sequence[Observation], target: Target, states: Mapping[str, State]
) -> tuple[list[Score], dict[str, State]]:
    """Score frames, in order, with one target. states: by camera; the new ones come back.

    All rows of all frames are matched with the seeds in one product.
    """
    trigger = target.version.trigger
    matches = _match(seen, target) if trigger.wants_seeds else [None] * len(seen)
    new: dict[str, State] = dict(states)
    scores = []
    for observation, match in zip(seen, matches, strict=True):
        camera = observation.frame.camera
        value, new[camera] = trigger.score(observation, match, new.get(camera, {}))
        scores.append(value)
    return scores, new


def _match(seen: Sequence[Observation], target: Target) -> list[Matches | None]:
    if not seen:
        return []
    rows = np.concatenate([observation.vectors for observation in seen])
    found = target.nearest(rows)
    ends = np.cumsum([len(observation.vectors) for observation in seen])
    starts = [0, *ends[:-1]]
    return [Matches(found.value[a:b], found.cosine[a:b], found.seed[a:b]) for a, b in zip(starts, ends, strict=True)]
