"""How much a campaign takes: threshold, limits, near-duplicates. Pure: a ledger goes in, a decision comes out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from hub.types import Budget, Decision, RateLimit, Sample, Score, Vectors
from shared.errors import InvalidInput

_PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}

REMEMBERED = 1024
"""How many of its newest samples a campaign compares a candidate with."""


@dataclass(frozen=True, eq=False)
class Ledger:
    """What a campaign has taken, as far as its budget must know.

    taken: samples ever. frames: ids of the newest ones. times: their capture times, Unix seconds, oldest first.
    vectors: of the newest ones, (m, d) unit float32.
    """

    taken: int = 0
    frames: tuple[str, ...] = ()
    times: tuple[float, ...] = ()
    vectors: Vectors = field(default_factory=lambda: np.zeros((0, 0), np.float32))


def parse_limit(text: str) -> RateLimit:
    """`20/hour` or `1/10s` style text: a count, a slash, a period (second, minute, hour, day) or seconds."""
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(?:per\s+)?(\d+(?:\.\d+)?)?\s*([a-z]+)\s*", text.lower())
    if found:
        count, times, unit = int(found[1]), float(found[2] or 1), found[3]
        for name, seconds in _PERIODS.items():
            if unit in (name, name + "s", name[0], name[:3]) and count > 0 and times > 0:
                return RateLimit(count, times * seconds)
    raise InvalidInput(f"{text!r} is not a limit", hint="Write a count and a period, such as 20/hour or 5/minute.")


def format_limit(limit: RateLimit) -> str:
    """The inverse of `parse_limit`: `20/hour`."""
    for name, seconds in reversed(_PERIODS.items()):
        if limit.per_s >= seconds and limit.per_s % seconds == 0:
            times = int(limit.per_s // seconds)
            return f"{limit.count}/{name}" if times == 1 else f"{limit.count}/{times} {name}s"
    return f"{limit.count}/{limit.per_s:g} seconds"


def decide(
    score: Score, budget: Budget, ledger: Ledger, *, frame_id: str, taken_at: float, vector: np.ndarray | None
) -> Decision:
    """Whether to take an element. taken_at: capture time, Unix seconds. vector: (d,) unit, for near-duplicates."""
    said = f"score {score.value:.3f}"
    if score.value < budget.threshold:
        return Decision(False, f"{said} is below the threshold {budget.threshold:.3f}: {score.why}")
    if frame_id in ledger.frames:
        return Decision(False, "this very frame was taken before")
    if budget.stop_after is not None and ledger.taken >= budget.stop_after:
        return Decision(False, f"the campaign has its {budget.stop_after} samples")
    for limit in budget.limits:
        # Both ways, since frames of several cameras do not come in the order they were taken.
        recent = sum(1 for at in ledger.times if abs(taken_at - at) < limit.per_s)
        if recent >= limit.count:
            return Decision(False, f"the limit of {format_limit(limit)} is reached")
    distance = _nearest_distance(vector, ledger) if budget.duplicate_distance > 0 else None
    if distance is not None and distance < budget.duplicate_distance:
        return Decision(
            False,
            f"near-duplicate: distance {distance:.3f} to a sample taken before, below {budget.duplicate_distance}",
        )
    return Decision(True, f"{said} reaches the threshold {budget.threshold:.3f}: {score.why}")


def add(ledger: Ledger, budget: Budget, *, frame_id: str, taken_at: float, vector: np.ndarray | None) -> Ledger:
    """The ledger after one more sample."""
    most = max([REMEMBERED, *(limit.count for limit in budget.limits)])
    vectors = ledger.vectors
    if vector is not None and budget.duplicate_distance > 0:
        row = vector[None].astype(np.float32)
        vectors = np.concatenate([vectors[-(REMEMBERED - 1) :], row]) if vectors.size else row
    return replace(
        ledger,
        taken=ledger.taken + 1,
        frames=(*ledger.frames, frame_id)[-most:],
        times=(*ledger.times, taken_at)[-most:],
        vectors=vectors,
    )


def ledger_of(samples: Iterable[Sample], budget: Budget, *, taken: int) -> Ledger:
    """A ledger from stored samples, oldest first, for a restarted collector. taken: samples ever."""
    ledger = Ledger()
    for sample in samples:
        ledger = add(ledger, budget, frame_id=sample.frame_id, taken_at=sample.taken_at, vector=sample.vector)
    return replace(ledger, taken=taken)


def remembered(budget: Budget) -> int:
    """How many of its newest samples a campaign with this budget must remember."""
    return max([REMEMBERED, *(limit.count for limit in budget.limits)])


def _nearest_distance(vector: np.ndarray | None, ledger: Ledger) -> float | None:
    """Cosine distance to the nearest remembered sample; None when there is nothing to compare."""
    if vector is None or not ledger.vectors.size or ledger.vectors.shape[1] != len(vector):
        return None
    return float(1.0 - np.max(ledger.vectors @ vector))
