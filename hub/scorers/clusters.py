"""Groups of like vectors. Pure: the same rows give the same groups, in whatever order they come."""

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 25
_LEARN_FROM = 10_000
"""Of more points than these, as many are learned from, evenly picked; all are assigned."""


def cluster(points: NDArray[np.floating], k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """k-means of points (n, d): at most k centres (m, d), and the centre of each point, (n,).

    Starts from points far from each other (the first is the one nearest to the mean), so that no chance is in it.
    """
    every = max(1, -(-len(points) // _LEARN_FROM))
    some = np.asarray(points[::every], np.float64)
    centres = _far_apart(some, min(k, len(some)))
    for _ in range(_ROUNDS):
        member = _distances(some, centres).argmin(axis=1)
        moved = np.stack([some[member == j].mean(axis=0) for j in np.unique(member)])
        if moved.shape == centres.shape and np.allclose(moved, centres):
            break
        centres = moved
    member = np.concatenate([_distances(part, centres).argmin(axis=1) for part in np.array_split(points, every)])
    used, member = np.unique(member, return_inverse=True)
    return centres[used], member.astype(np.int64)


def _far_apart(points: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    first = int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmin())
    chosen = [first]
    away = np.linalg.norm(points - points[first], axis=1)
    while len(chosen) < k and away.max() > 0:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return points[chosen]


def _distances(points: NDArray[np.floating], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared, (n, m)."""
    points = np.asarray(points, np.float64)
    squares = (points * points).sum(axis=1)[:, None] + (centres * centres).sum(axis=1)[None]
    return np.asarray(squares - 2.0 * points @ centres.T, np.float64)
