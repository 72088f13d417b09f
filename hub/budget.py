"""How much a campaign takes: threshold, limits, near-duplicates. Pure: a ledger goes in, a decision comes out.

`selection.py` builds on it what must wait for something better: bursts, windows, and the control draw.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.types import Budget, Decision, Held, RateLimit, Sample, Score, Stage, Tally, Vectors
from shared.errors import InvalidInput

_PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0}

REMEMBERED = 1024
"""How many of its newest samples a campaign compares a candidate with."""

GRACE_S = 5.0
"""How long bursts and windows wait for frames that are still on their way."""

_CAMERAS = 256
"""A limit per camera holds exactly for this many cameras that all reach it …"""

_MOST_REMEMBERED = 65_536
"""… as long as that is no more than these many samples."""


@dataclass(frozen=True, eq=False)
class Ledger:
    """What a campaign has taken, as far as its budget must know, and what it holds back. Control draws leave no trace.

    taken: samples ever. frames: ids of the newest ones, oldest first. times: (n,) their capture times, Unix seconds.
    cameras: n names. vectors: (m, d) of the newest m of them, m up to REMEMBERED, zeros where a sample has none of
    length d. held: in the order of `selection`. tallies: by camera.
    """

    taken: int = 0
    frames: Mapping[str, None] = field(default_factory=dict)
    times: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    cameras: tuple[str, ...] = ()
    vectors: Vectors = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    held: tuple[Held, ...] = ()
    tallies: Mapping[str, Tally] = field(default_factory=dict)


def parse_limit(text: str) -> RateLimit:
    """`20/hour`, `1/10s` or `5/hour/camera` (also `5/hour per camera`): a count, a period, and of what."""
    found = re.fullmatch(
        r"\s*(\d+)\s*/\s*(?:per\s+)?(\d+(?:\.\d+)?)?\s*([a-z]+)(\s*/\s*camera|\s+(?:per|a|each)\s+camera)?\s*",
        text.lower(),
    )
    if found:
        count, times, unit = int(found[1]), float(found[2] or 1), found[3]
        for name, seconds in _PERIODS.items():
            if unit in (name, name + "s", name[0], name[:3]) and count > 0 and times > 0:
                return RateLimit(count, times * seconds, per_camera=bool(found[4]))
    raise InvalidInput(
        f"{text!r} is not a limit", hint="Write a count and a period, such as 20/hour or 5/minute/camera."
    )


def format_limit(limit: RateLimit) -> str:
    """The inverse of `parse_limit`: `20/hour`, `5/hour/camera`."""
    return f"{limit.count}/{format_period(limit.per_s)}{'/camera' if limit.per_camera else ''}"


def format_period(per_s: float) -> str:
    """`hour`, `2 hours` or `90 seconds`."""
    for name, seconds in reversed(_PERIODS.items()):
        if per_s >= seconds and per_s % seconds == 0:
            times = int(per_s // seconds)
            return name if times == 1 else f"{times} {name}s"
    return f"{per_s:g} seconds"


def decide(
    score: Score,
    budget: Budget,
    ledger: Ledger,
    *,
    frame_id: str,
    taken_at: float,
    vector: NDArray[np.float32] | None,
    camera: str = "",
    threshold: float | None = None,
) -> Decision:
    """Whether to take an element. taken_at: capture time, Unix seconds. vector: (d,) unit, for near-duplicates.

    threshold: in place of the budget's own.
    """
    lowest = budget.threshold if threshold is None else threshold
    why_not = (
        below(score, lowest)
        or ("this very frame was taken before" if frame_id in ledger.frames else "")
        or refusal(budget, ledger, taken_at=taken_at, vector=vector, camera=camera)
    )
    return Decision(not why_not, why_not or f"score {score.value:.3f} reaches the threshold {lowest:.3f}: {score.why}")


def below(score: Score, threshold: float) -> str:
    """Why a score is too low, or ""."""
    if score.value >= threshold:
        return ""
    if score.value != score.value:  # NaN
        return f"the score is not a number: {score.why}"
    return f"score {score.value:.3f} is below the threshold {threshold:.3f}: {score.why}"


def refusal(budget: Budget, ledger: Ledger, *, taken_at: float, vector: NDArray[np.float32] | None, camera: str) -> str:
    """Why no element of that time, camera and look can be taken, whatever its score, or ""."""
    if budget.stop_after is not None and ledger.taken >= budget.stop_after:
        return f"the campaign has its {budget.stop_after} samples"
    for limit in budget.limits:
        if _is_reached(limit, ledger, taken_at, camera):
            return f"the limit of {format_limit(limit)} is reached"
    if budget.duplicate_distance <= 0 or vector is None:
        return ""
    times = ledger.times[len(ledger.times) - len(ledger.vectors) :]
    return near_duplicate(budget, ledger.vectors, times, vector, taken_at)


def _is_reached(limit: RateLimit, ledger: Ledger, taken_at: float, camera: str) -> bool:
    # Both ways, since frames of several cameras do not come in the order they were taken.
    recent = np.flatnonzero(np.abs(ledger.times - taken_at) < limit.per_s)
    if len(recent) < limit.count or not limit.per_camera:
        return len(recent) >= limit.count
    return [ledger.cameras[i] for i in recent.tolist()].count(camera) >= limit.count


def near_duplicate(
    budget: Budget, vectors: Vectors, times: NDArray[np.float64], vector: NDArray[np.float32], taken_at: float
) -> str:
    """Which of these samples an element is a near-duplicate of, as a sentence, or "".

    vectors: (m, d) unit, or zeros, which are like nothing. times: (m,) Unix seconds.
    """
    cosine = cosines(vectors, vector)
    if budget.duplicate_s > 0 and len(cosine):
        cosine = np.where(np.abs(times - taken_at) < budget.duplicate_s, cosine, 0.0)
    nearest = float(cosine.max(initial=0.0))
    if nearest <= 0 or 1.0 - nearest >= budget.duplicate_distance:
        return ""
    return (
        f"near-duplicate: distance {max(1.0 - nearest, 0.0):.3f} to a sample taken before, "
        f"below {budget.duplicate_distance}"
    )


def cosines(vectors: Vectors, vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """(m,) cosine of each row with a vector; none where their lengths differ."""
    return vectors @ vector if vectors.shape[1] == len(vector) else np.zeros(0, np.float32)


def add(
    ledger: Ledger,
    budget: Budget,
    *,
    frame_id: str,
    taken_at: float,
    vector: NDArray[np.float32] | None,
    camera: str = "",
) -> Ledger:
    """The ledger after one more sample."""
    most = remembered(budget)
    frames = {**ledger.frames, frame_id: None}
    if len(frames) > most:
        del frames[next(iter(frames))]
    return replace(
        ledger,
        taken=ledger.taken + 1,
        frames=frames,
        times=np.append(ledger.times, taken_at)[-most:],
        cameras=(*ledger.cameras, camera)[-most:],
        vectors=_with_row(ledger, vector) if _compares(budget) else ledger.vectors,
    )


def _with_row(ledger: Ledger, vector: NDArray[np.float32] | None) -> Vectors:
    """The vectors with one more row; after a change of their length only those of the new one are compared."""
    old = ledger.vectors[-(REMEMBERED - 1) :]
    d = old.shape[1] if vector is None else len(vector)
    if old.shape[1] != d:
        old = np.zeros((0, d), np.float32)
    row = np.zeros((1, d), np.float32) if vector is None else vector[None].astype(np.float32)
    return np.concatenate([old, row])


def ledger_of(
    samples: Iterable[Sample],
    budget: Budget,
    *,
    taken: int,
    held: Iterable[Held] = (),
    tallies: Mapping[str, Tally] | None = None,
) -> Ledger:
    """A ledger from what is stored, for a restarted collector: it decides as the one that was lost.

    samples: the newest `remembered(budget)` in the order they were taken, control draws left out. taken: samples ever,
    without control draws. held: in any order.
    """
    kept = [sample for sample in samples if not sample.control][-remembered(budget) :]
    return Ledger(
        taken=taken,
        frames=dict.fromkeys(sample.frame_id for sample in kept),
        times=np.array([sample.taken_at for sample in kept]),
        cameras=tuple(sample.camera for sample in kept),
        vectors=_rows_of(kept) if _compares(budget) else np.zeros((0, 0), np.float32),
        held=tuple(sorted(held, key=place)),
        tallies=dict(tallies or {}),
    )


def _rows_of(samples: Sequence[Sample]) -> Vectors:
    """What adding these samples one by one leaves of their vectors."""
    older, newest = samples[:-REMEMBERED], samples[-REMEMBERED:]
    d = next((len(s.vector) for s in reversed(older) if s.vector is not None), 0)
    rows: list[NDArray[np.float32]] = []
    for sample in newest:
        if sample.vector is not None and len(sample.vector) != d:
            rows, d = [], len(sample.vector)
        rows.append(np.zeros(d, np.float32) if sample.vector is None else sample.vector.astype(np.float32))
    return np.stack(rows) if rows else np.zeros((0, d), np.float32)


def _compares(budget: Budget) -> bool:
    return budget.duplicate_distance > 0 or budget.variety > 0


def remembered(budget: Budget) -> int:
    """How many of its newest samples a campaign with this budget must remember."""
    campaign = [limit.count for limit in budget.limits if not limit.per_camera]
    camera = [min(limit.count * _CAMERAS, _MOST_REMEMBERED) for limit in budget.limits if limit.per_camera]
    return max([REMEMBERED, *campaign, *camera])


def rank(sample: Sample) -> tuple[float, float, str]:
    """Sorts the best first: by score, then the earlier."""
    return -sample.score.value, sample.taken_at, sample.frame_id


def place(held: Held) -> tuple[Any, ...]:
    """Where a held sample stands among others: bursts by camera, then windows by their end, in each the best first."""
    if held.stage is Stage.BURST:
        return 0, held.sample.camera, rank(held.sample)
    return 1, held.until, rank(held.sample)
