"""Whether cameras show today what they, or a training set, showed before. Pure: vectors in, a report out.

Two figures stand side by side. The cosine of the two mean vectors sees what is shown on average. The squared maximum
mean discrepancy (MMD²) sees the whole distribution, its spread too. Each comes with what chance alone would give.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hub.drift_groups import MIN_FRAMES, group, left_out
from hub.drift_periods import Increment, bounds, periods_of
from hub.snapshots import Snapshots
from hub.two_samples import Grouped, bandwidth, compare_distributions, compare_means, false_discoveries, witness

ALL_TIME = "All time"

MAX_FRAMES = 1000
"""Frames of either side that are compared; more are drawn from at random. Two sides of 1,000 take half a second."""

MAX_CAMERAS = 100
_SHOWN_FRAMES = 10
_FALSE_ALARMS = 0.05
_SEEN_S = 0.75 * 86400
"""A period of which less was seen has just begun: a morning is no day."""

_ALIKE = 1.5
"""Stretches of both sides are exchangeable while neither has so many times the frames of the other."""

_SHORT_S = 3600.0
"""Shorter stretches of time depend on each other."""


@dataclass(frozen=True)
class DriftRow:
    """A period against the reference.

    frames: it has. cosine: of the two mean vectors, Roboflow Collect's figure. low, high: its 95 % interval. expected:
    the cosine that so few frames would have on average had nothing changed. mmd2: 0 for no drift, 2 for nothing in
    common. p: how often chance gives as much. stretch_s: seconds whose frames count as one draw, 0 where each frame
    does. drifted: significant among the periods; for All time, by its own p. All are None, and drifted False, where too
    few frames can be compared.
    """

    period: str
    frames: int
    cosine: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    mmd2: float | None = None
    p: float | None = None
    stretch_s: float | None = None
    drifted: bool = False


@dataclass(frozen=True)
class CameraDrift:
    """A camera in the latest period. own: whether it was compared with its own frames of the reference, or with all.
    mmd2, p, drifted: as in DriftRow, drifted among cameras."""

    camera: str
    frames: int
    own: bool
    mmd2: float
    p: float
    drifted: bool = False


@dataclass(frozen=True)
class FrameDrift:
    """A frame of the latest period that is typical of it and not of the reference. witness: how much likelier such a
    frame is now, in units of the kernel (−1 to 1). id: of the frame, or the sample."""

    camera: str
    taken_at: float
    id: str
    witness: float


@dataclass(frozen=True)
class DriftReport:
    """What `measure` found. rows: a period each, oldest first, and All time last. latest: the period that cameras and
    frames are of, and alarms go by; "" for none. cameras, frames: those that drifted most first. notes: what is to be
    known when reading it. cannot_tell: why no period could be compared, "" where one could. width: of the kernel, the
    median distance within the reference."""

    increment: Increment
    reference: str
    reference_frames: int
    rows: tuple[DriftRow, ...] = ()
    latest: str = ""
    cameras: tuple[CameraDrift, ...] = ()
    frames: tuple[FrameDrift, ...] = ()
    notes: tuple[str, ...] = field(default=())
    cannot_tell: str = ""
    width: float = 0.0

    @property
    def now(self) -> DriftRow | None:
        """The row of the latest period."""
        return next((row for row in self.rows if row.period == self.latest), None)


def measure(
    reference: Snapshots,
    now: Snapshots,
    *,
    increment: Increment,
    timezone: str = "",
    rng: np.random.Generator,
    reference_name: str = "the reference",
) -> DriftReport:
    """Compare each period of `now`, and all of it, with the reference. The two must share no frame.

    Frames of a stretch of time (an eighth of a side, or less) are resampled and permuted together, since they are not
    independent: see hub/two_samples.py. Cameras on both sides are each compared with themselves, and count in the
    reference as much as in the period, so that a camera that was off is no drift. Rows are marked as drifted at a false
    discovery rate of 5 % over the periods (Benjamini-Hochberg); All time where its own p-value is 5 % or less.
    """
    report = DriftReport(increment, reference_name, len(reference))
    if len(reference) < MIN_FRAMES:
        frames = f"{len(reference)} {'frame' if len(reference) == 1 else 'frames'}"
        return replace(
            report, cannot_tell=f"the reference ({reference_name}) has {frames}, and at least {MIN_FRAMES} are needed"
        )
    now = now.pick(np.argsort(now.taken_at, kind="stable"))
    period = periods_of(now.taken_at, increment, timezone)
    names = list(dict.fromkeys(period.tolist()))
    then = _some(reference, rng)
    width = bandwidth(then.vectors)
    rows = [_row(name, now.pick(period == name), then, width, rng) for name in names]
    rows = _marked(rows)
    if len(now):
        total = _row(ALL_TIME, now, then, width, rng)
        rows.append(replace(total, drifted=total.p is not None and total.p <= _FALSE_ALARMS))
    latest = _latest(rows, now, period, timezone)
    report = replace(report, rows=tuple(rows), latest=latest, width=width)
    if latest:
        of_latest = now.pick(period == latest)
        report = replace(
            report,
            cameras=tuple(_cameras(of_latest, reference, width, rng)),
            frames=tuple(_frames(_some(of_latest, rng), then, width, rng)),
        )
    else:
        report = replace(report, cannot_tell=_why_not(increment, rows))
    return replace(report, notes=tuple(_notes(report, now, reference)))


def _some(all_: Snapshots, rng: np.random.Generator) -> Snapshots:
    """Up to MAX_FRAMES of them, drawn at random."""
    return all_ if len(all_) <= MAX_FRAMES else all_.pick(np.sort(rng.permutation(len(all_))[:MAX_FRAMES]))


def _row(period: str, now: Snapshots, reference: Snapshots, width: float, rng: np.random.Generator) -> DriftRow:
    found = group(_some(now, rng), reference, rng)
    if found is None:
        return DriftRow(period, len(now))
    groups, stretch_s, _ = found
    means = compare_means(groups, rng)
    distance = compare_distributions(groups, width, rng, exchangeable=_of_a_kind(groups, now, reference))
    return DriftRow(
        period, len(now), means.cosine, *means.interval, means.expected, distance.mmd2, distance.p, stretch_s
    )  # fmt: skip


def _of_a_kind(groups: Grouped, now: Snapshots, reference: Snapshots) -> bool:
    """Whether a stretch might have been of either side: both are of the same cameras, with about as many frames."""
    timed = not np.isnan(reference.taken_at).any() and not np.isnan(now.taken_at).any()
    side = groups.now[groups.stretch]
    of_now = groups.size[side].sum() / groups.now.sum()
    of_reference = groups.size[~side].sum() / (~groups.now).sum()
    alike = 1 / _ALIKE < of_now / of_reference < _ALIKE
    return timed and alike and bool(np.intersect1d(now.camera, reference.camera).size)


def _marked(rows: Sequence[DriftRow]) -> list[DriftRow]:
    """With what drifted among them."""
    p = np.array([1.0 if row.p is None else row.p for row in rows])
    tested = np.array([row.p is not None for row in rows], np.bool_)
    found = np.zeros(len(rows), np.bool_)
    found[tested] = false_discoveries(p[tested], _FALSE_ALARMS)
    return [replace(row, drifted=bool(is_one)) for row, is_one in zip(rows, found, strict=True)]


def _latest(rows: Sequence[DriftRow], now: Snapshots, period: NDArray[np.str_], timezone: str) -> str:
    """The newest period that could be compared and has not just begun; else the newest that could be."""
    able = [row.period for row in rows if row.p is not None and row.period != ALL_TIME]
    seen = [name for name in able if now.taken_at[period == name].max() - bounds(name, timezone)[0] >= _SEEN_S]
    return (seen or able or [""])[-1]


def _cameras(now: Snapshots, reference: Snapshots, width: float, rng: np.random.Generator) -> list[CameraDrift]:
    """The cameras with the most frames, those that drifted most first. Frames of no named camera are of none."""
    names, counts = np.unique(now.camera[now.camera != ""], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MAX_CAMERAS]
    found = []
    for name in names[order]:
        mine, own = now.pick(now.camera == name), reference.pick(reference.camera == name)
        has_own = len(own) >= MIN_FRAMES
        # Without a name it is compared with all of the reference, and not left out as a new one.
        theirs = own if has_own else replace(reference, camera=np.full(len(reference), "", np.str_))
        grouped = group(_some(mine, rng), _some(theirs, rng), rng)
        if grouped is None:
            continue
        groups = grouped[0]
        distance = compare_distributions(groups, width, rng, exchangeable=_of_a_kind(groups, mine, theirs))
        found.append(CameraDrift(str(name), len(mine), has_own, distance.mmd2, distance.p))
    marks = false_discoveries(np.array([camera.p for camera in found]), _FALSE_ALARMS)
    marked = [replace(camera, drifted=bool(is_one)) for camera, is_one in zip(found, marks, strict=True)]
    return sorted(marked, key=lambda camera: -camera.mmd2)


def _frames(now: Snapshots, reference: Snapshots, width: float, rng: np.random.Generator) -> list[FrameDrift]:
    """One of each camera and stretch of time, so that one odd hour does not fill the list."""
    found = group(now, reference, rng)
    if found is None:
        return []
    groups, _, index = found
    value = witness(groups, width)
    best: dict[int, FrameDrift] = {}
    for row in np.argsort(-np.where(np.isnan(value), -np.inf, value), kind="stable"):
        if np.isnan(value[row]) or value[row] <= 0 or len(best) == _SHOWN_FRAMES:
            break
        i = index[row]
        frame = FrameDrift(str(now.camera[i]), float(now.taken_at[i]), str(now.id[i]), float(value[row]))
        best.setdefault(int(groups.cell[row]), frame)
    return list(best.values())


def _why_not(increment: Increment, rows: Sequence[DriftRow]) -> str:
    """Of rows of which none but All time could be compared."""
    if not rows:
        return "there are no frames but those of the reference"
    return f"no {increment} has at least {MIN_FRAMES} frames of cameras that the reference has, too"


def _notes(report: DriftReport, now: Snapshots, reference: Snapshots) -> list[str]:
    notes = []
    few = [row.period for row in report.rows if row.p is None]
    if few:
        notes.append(f"not compared, with under {MIN_FRAMES} frames of cameras that the reference has: {_named(few)}")
    hasty = [row.period for row in report.rows if row.stretch_s is not None and row.stretch_s < _SHORT_S]
    if hasty:
        notes.append(f"frames so close in time resemble each other, so p may be too small: {_named(hasty)}")
    if new := sorted(set(now.camera[left_out(now, reference)].tolist())):
        notes.append(f"cameras that the reference lacks, so left out of the first table: {_named(new)}")
    if gone := sorted(set(reference.camera[left_out(reference, now)].tolist())):
        notes.append(f"cameras that only the reference has, so left out of it: {_named(gone)}")
    return notes


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
