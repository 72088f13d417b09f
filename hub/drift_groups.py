"""Which frames belong together when two sides are compared: stretches of time, strata of cameras. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.snapshots import Snapshots, together
from hub.two_samples import Flags, Grouped, Index

MIN_FRAMES = 5
"""Fewer say nothing of a period."""

MIN_STRETCHES = 8
"""On either side; with fewer, a p-value can't be small."""

_MAX_SINGLE = 64
"""Frames that are independent are dealt into so many lots at most."""

_DAY_S = 86400.0
_LENGTHS_S = (
    30 * _DAY_S,
    14 * _DAY_S,
    7 * _DAY_S,
    3 * _DAY_S,
    2 * _DAY_S,
    _DAY_S,
    43200.0,
    21600.0,
    10800.0,
    3600.0,
    600.0,
    60.0,
    0.0,
)
"""Lengths of a stretch. 0: every frame by itself."""


def group(now: Snapshots, reference: Snapshots, rng: np.random.Generator) -> tuple[Grouped, float, Index] | None:
    """Both sides in stretches and strata; the length of a stretch in seconds; and (n,) which frame each vector is,
    counted over `now` and then the reference. None when too few can be compared.

    Stretches are as long as leaves MIN_STRETCHES on both sides: the longer, the less they depend on each other. A
    camera with MIN_FRAMES on both sides is a stratum; the others are one together.
    """
    both = together([now, reference])
    is_now = np.arange(len(both)) < len(now)
    inside, stratum = _strata(now, reference)
    if min((inside & is_now).sum(), (inside & ~is_now).sum()) < MIN_FRAMES:
        return None
    kept = np.flatnonzero(inside)
    both, is_now, stratum = both.pick(kept), is_now[kept], stratum[kept]
    for length in _LENGTHS_S:
        stretch = _stretches(both.taken_at, is_now, length, rng)
        _, first, stretch = np.unique(stretch, return_index=True, return_inverse=True)
        side = is_now[first]
        if length == 0 or min(side.sum(), (~side).sum()) >= MIN_STRETCHES:
            break
    timed = ~np.isnan(both.taken_at)
    in_order = (length >= _DAY_S and bool(timed[is_now].all()), length >= _DAY_S and bool(timed[~is_now].all()))
    cells, cell = np.unique(np.stack([stratum, stretch]), axis=1, return_inverse=True)
    groups = Grouped(both.vectors, cell.reshape(-1), _renumbered(cells[0]), cells[1], side, in_order)
    return groups, length, kept


def left_out(these: Snapshots, others: Snapshots) -> Flags:
    """(n,) whose camera has no frame among the others though it has MIN_FRAMES here: it is new, or gone. None at all
    where the two sides have no camera in common, as a training set and cameras have not."""
    if not np.intersect1d(these.camera, others.camera).size:
        return np.zeros(len(these), np.bool_)
    names, which, counts = np.unique(these.camera, return_inverse=True, return_counts=True)
    out: Flags = ((counts >= MIN_FRAMES) & ~np.isin(names, others.camera))[which]
    return out


def _strata(now: Snapshots, reference: Snapshots) -> tuple[Flags, Index]:
    """(n,) whether a frame can be compared, and its stratum: its camera, or −1 for the rest together."""
    names, camera = np.unique(np.concatenate([now.camera, reference.camera]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(names)) for part in np.split(camera, [len(now)])]
    alone: Flags = np.min(counts, axis=0) >= MIN_FRAMES
    stratum = np.where(alone[camera], camera, -1)
    inside = ~np.concatenate([left_out(now, reference), left_out(reference, now)])
    rest = inside & (stratum == -1)
    if min(rest[: len(now)].sum(), rest[len(now) :].sum()) < MIN_FRAMES:
        inside &= ~rest
    return inside, stratum


def _stretches(taken_at: NDArray[np.float64], is_now: Flags, length_s: float, rng: np.random.Generator) -> Index:
    """(n,) labels that differ between the sides. Frames of no time, or all for a length of 0, are dealt into lots."""
    alone = np.isnan(taken_at) | (length_s == 0)
    label = np.zeros(len(taken_at), np.int64)
    label[~alone] = np.unique(taken_at[~alone] // (length_s or 1.0), return_inverse=True)[1]
    for side in (is_now, ~is_now):
        which = np.flatnonzero(alone & side)
        label[which] = -1 - rng.permutation(len(which)) % _MAX_SINGLE
    return 2 * label + is_now


def _renumbered(labels: NDArray[Any]) -> Index:
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)
