"""The best of each window of time: which window a frame belongs to, what is held in it, and what it gives. Pure."""

import math
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from hub.budget import GRACE_S
from hub.scope import window_of
from hub.types import Budget, Held, RateLimit, Sample, Vectors

POOL = 4
MOST_POOLED = 2000
"""With variety a window holds so many times its target, and no more than these many, to choose from at its close."""


def end_of(taken_at: float, target: RateLimit, timezone: str, now: float, held: Collection[float]) -> float:
    """The end of the window a frame belongs to, Unix seconds: its own while that is open, else the present one.

    held: ends of the windows in which something is held; they are open until they are closed. So nothing waits for
    longer than a window, whatever the clocks of cameras say.
    """
    start, end = window_of(taken_at, target.per_s, timezone)
    is_open = end + GRACE_S > now and start <= now + GRACE_S
    if is_open or end in held or not math.isfinite(now):
        return end
    return window_of(now, target.per_s, timezone)[1]


def is_over(until: float, target: RateLimit | None, timezone: str, now: float) -> bool:
    """Whether a window has ended, or ends later than any can that begins now: the hub's clock was set back, or the
    target is another."""
    if target is None or now >= until + GRACE_S:
        return True
    return until > window_of(now + GRACE_S, target.per_s, timezone)[1]


def rivals(group: Sequence[Held], budget: Budget, target: RateLimit, camera: str) -> Sequence[Held]:
    """Those of whom the last must go when a sample of a camera comes; none while there is room.

    group: what is held in the window, the best first. The N best with a share for each camera are found one by one,
    since what once was not among them never will be.
    """
    most, own = target.count, _share(budget, target)
    if budget.variety > 0:
        most, own = (max(n, min(POOL * n, MOST_POOLED)) for n in (most, own))
    if target.per_camera or own < most:
        same = [held for held in group if held.sample.camera == camera]
        if target.per_camera or len(same) >= own:
            return same if len(same) >= own else ()
    return group if len(group) >= most else ()


def _share(budget: Budget, target: RateLimit) -> int:
    """The most a window gives of one camera."""
    return min(budget.per_camera or target.count, target.count)


def chosen(pool: Sequence[Sample], budget: Budget, target: RateLimit, taken: Vectors) -> list[Sample]:
    """What a window gives of those held in it, the best first: as many as the target says, none above their share.

    pool: the best first. taken: (m, d) vectors of samples taken before. With variety v the next one is always that of
    the greatest score − v · (cosine to the nearest of those chosen or taken before): maximal marginal relevance
    (Carbonell and Goldstein, 1998). Without, it is the N best.
    """
    most, own = math.inf if target.per_camera else target.count, _share(budget, target)
    vectors = _rows(pool) if budget.variety > 0 else np.zeros((len(pool), 0), np.float32)
    nearest = _nearest(vectors, taken)
    score, free = np.array([s.score.value for s in pool]), np.ones(len(pool), bool)
    camera = np.array([s.camera for s in pool])
    picked: list[Sample] = []
    shares: Counter[str] = Counter()
    while len(picked) < most and free.any():
        i = int(np.argmax(np.where(free, score - budget.variety * nearest, -np.inf)))
        picked.append(pool[i])
        free[i] = False
        nearest = np.maximum(nearest, vectors @ vectors[i])
        shares[pool[i].camera] += 1
        if shares[pool[i].camera] >= own:
            free &= camera != pool[i].camera
    return picked


def _rows(pool: Sequence[Sample]) -> Vectors:
    """(n, d) vectors; zeros, which are like nothing, where a sample has none of that length."""
    d = next((len(s.vector) for s in pool if s.vector is not None), 0)
    rows = np.zeros((len(pool), d), np.float32)
    for row, sample in zip(rows, pool, strict=True):
        if sample.vector is not None and len(sample.vector) == d:
            row[:] = sample.vector
    return rows


def _nearest(vectors: Vectors, taken: Vectors) -> NDArray[np.float32]:
    """(n,) cosine of each to the nearest of those taken, 0 where there are none to compare with."""
    if vectors.shape[1] != taken.shape[1]:
        return np.zeros(len(vectors), np.float32)
    nearest: NDArray[np.float32] = np.max(vectors @ taken.T, axis=1, initial=0.0)
    return nearest
