"""From observations and a target to scores. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.protocols import Target
from hub.types import Matches, Observation, Score, State, Vectors


@dataclass(frozen=True, eq=False)
class Elements:
    """All elements of some frames, (n, d), and where each frame's begin (and the last one's end), (frames + 1,)."""

    rows: Vectors
    starts: NDArray[np.int64]


def elements_of(seen: Sequence[Observation]) -> Elements:
    """Gathered once, for all targets that look at the same frames."""
    rows = [each.vectors for each in seen if len(each.vectors)]
    starts = np.cumsum([0, *(len(each.vectors) for each in seen)], dtype=np.int64)
    return Elements(np.concatenate(rows) if rows else np.zeros((0, 0), np.float32), starts)


def score(
    seen: Sequence[Observation],
    target: Target,
    states: Mapping[str, State],
    *,
    bar: float = 0.0,
    elements: Elements | None = None,
) -> tuple[list[Score | None], dict[str, State]]:
    """Score frames, in order, with one target. states: by camera; the new ones come back.

    All rows of all frames are matched with the seeds at once. None for a frame that is certain to score below `bar`,
    and that nobody need explain. elements: of these frames, where they are gathered already.
    """
    trigger = target.version.trigger
    new: dict[str, State] = dict(states)
    scores: list[Score | None] = [None] * len(seen)
    matches, starts = None, np.zeros(len(seen) + 1, np.int64)
    if trigger.wants_seeds:
        known = elements or elements_of(seen)
        matches, starts = target.match(known.rows), known.starts
    for i in _worth_a_look(matches, starts, bar if trigger.capped_by_matches else 0.0):
        camera = seen[i].frame.camera
        own = None if matches is None else _of_frame(matches, int(starts[i]), int(starts[i + 1]))
        value, state = trigger.score(seen[i], own, new.get(camera, {}))
        scores[i] = value if np.isfinite(value.value) else Score(0.0, scorer=value.scorer, why="no usable score")
        if state or camera in new:
            new[camera] = state
    return scores, new


def _worth_a_look(matches: Matches | None, starts: NDArray[np.int64], bar: float) -> list[int]:
    """The frames whose best match reaches the bar."""
    n = len(starts) - 1
    if matches is None or bar <= 0.0 or not n:
        return list(range(n))
    reaching = np.flatnonzero(matches.value >= bar)
    return sorted(set((np.searchsorted(starts, reaching, side="right") - 1).tolist()))


def _of_frame(matches: Matches, start: int, end: int) -> Matches:
    return Matches(matches.value[start:end], lambda i: matches.nearest(start + i))
