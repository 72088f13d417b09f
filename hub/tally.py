"""The recent scores of one camera in one campaign: the threshold an alarm budget makes of them, the control draw. Pure.

Scores are kept as a histogram that fades by half in `half_life_s`, so memory and time are the same on day 100 as on
day 1, and a camera that was turned is judged by what it shows now.
"""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.budget import format_limit
from hub.rarity import rarity_of_score, score_of_decades
from hub.types import Budget, RateLimit, Tally

BINS = 512
KNOWN = 200
"""Frames that must have been seen before a threshold follows from them."""

LONGEST_GAP_S = 86400.0
"""A camera that was away for longer faded no further: nights are part of its rate of frames, an outage is not."""

LATE_S = 60.0
"""A frame this much older than the newest is late; one older still means that the clock was set back."""

_ENOUGH = 20.0
"""Where as many frames as this are allowed the threshold is read off; for rarer ones the tail is extrapolated …"""

_TAIL_LEAST = 20.0
_TAIL_MOST = 60.0
"""… from the best 1 in 20, and of these no fewer and no more than so many."""

_EDGES = np.linspace(0.0, 1.0, BINS + 1)


def _decades(score: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return -np.log10(np.maximum(rarity_of_score(score), 1e-300))


_LOWER = _decades(_EDGES[:-1])
_MIDDLE = _decades((_EDGES[:-1] + _EDGES[1:]) / 2)
_MIDDLE[-1] = _LOWER[-1] + 1.0 / math.log(2.0)
"""Decades of a frame in each bin on average; the last bin reaches to infinity."""


@dataclass(frozen=True)
class Threshold:
    """The lowest score taken, and a sentence on where it comes from."""

    value: float
    source: str


def half_life_of(budget: Budget) -> float:
    """Seconds in which scores fade by half: three periods of the alarm budget, between an hour and a week."""
    return min(max(3.0 * budget.alarms.per_s, 3600.0), 7 * 86400.0) if budget.alarms else 86400.0


def seen(tally: Tally | None, score: float, at: float, half_life_s: float) -> Tally:
    """The tally after one more frame. score: in [0, 1]; NaN counts as seen, but not as a score. at: Unix seconds.

    A late frame fades nothing. Where the clock was set back, the time observed stays what it was.
    """
    if tally is None:
        tally = Tally(np.zeros(BINS), at, at, 0)
    counts, newest, since = tally.counts, tally.at, tally.since
    ahead = at - newest
    if ahead > 0:
        gap = min(ahead, LONGEST_GAP_S)
        counts, newest, since = counts * 0.5 ** (gap / half_life_s), at, since + (ahead - gap)
    else:
        counts = counts.copy()
        if ahead < -LATE_S:
            newest, since = at, since + ahead
    if score == score:  # not NaN
        counts[min(max(int(score * BINS), 0), BINS - 1)] += 1.0
    return Tally(counts, newest, since, tally.seen + 1)


def is_drawn(campaign_id: int, camera: str, number: int, control: float) -> bool:
    """Whether a frame is the one drawn of its block of 1 / control frames of its camera.

    number: of the camera's frames before it. The place in the block is a hash, so a restart draws the same frames.
    """
    length = block_length(control)
    block, at = divmod(number, length)
    key = f"{campaign_id}/{block}/{camera}".encode()
    return at == int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") % length


def block_length(control: float) -> int:
    """How many frames one is drawn of: 1 / control, the nearest whole number."""
    return max(1, round(1.0 / control))


def frames_per_s(tally: Tally, half_life_s: float) -> float:
    """Rate of frames: n frames a second for T seconds leave n·τ·(1 − exp(−T/τ)) in a tally, τ = half-life / ln 2."""
    fade_s = half_life_s / math.log(2.0)
    observed_s = fade_s * -math.expm1(-max(tally.at - tally.since, 0.0) / fade_s)
    return float(tally.counts.sum()) / max(observed_s, 1.0)


def threshold_for(tally: Tally | None, alarms: RateLimit, fallback: float, half_life_s: float) -> Threshold:
    """The score that as many frames of a camera reach as its alarm budget allows.

    Read off the histogram where enough frames were as rare. Beyond, the tail is taken to be exponential in
    log-rarity, with the mean excess of the best frames (peaks over threshold: Pickands, 1975), so that a budget of
    one a month has a threshold on the first day. fallback: the campaign's own, until KNOWN frames were seen.
    """
    known = tally.seen if tally else 0
    total = float(tally.counts.sum()) if tally else 0.0
    if tally is None or known < KNOWN or total <= 0:
        return Threshold(fallback, f"the campaign's own, {min(known, KNOWN)} of {KNOWN} frames known")
    rate = frames_per_s(tally, half_life_s)
    allowed = total * min(alarms.count / alarms.per_s / rate, 1.0)
    if allowed >= total:
        return Threshold(0.0, f"every frame: this camera has no more of them than {format_limit(alarms)}")
    reaching = np.cumsum(tally.counts[::-1])[::-1]
    decades = (
        _read_off(reaching, allowed)
        if allowed >= max(_ENOUGH, float(reaching[-1]))
        else _extrapolated(tally.counts, reaching, allowed)
    )
    value = float(score_of_decades(decades))
    return Threshold(value, f"1 in {total / allowed:,.0f} of this camera's frames reach it, for {format_limit(alarms)}")


def _read_off(reaching: NDArray[np.float64], allowed: float) -> float:
    """Decades that `allowed` frames reach. reaching: (bins,) how many reach the lower edge of each bin."""
    i = int(np.count_nonzero(reaching >= allowed)) - 1
    if i == BINS - 1:
        return float(_LOWER[i])
    share = (float(reaching[i]) - allowed) / max(float(reaching[i] - reaching[i + 1]), 1e-12)
    return float(_LOWER[i] + share * (_LOWER[i + 1] - _LOWER[i]))


def _extrapolated(counts: NDArray[np.float64], reaching: NDArray[np.float64], allowed: float) -> float:
    """Decades that `allowed` frames would reach, where too few were seen to tell.

    A lump of frames that score alike, mostly because nothing was found in them, says nothing of the tail above it.
    """
    unlike = float(reaching[0] - counts.max()) * (1.0 - 1e-9)  # rounding must not bring the lump back in
    tail = max(unlike / 20, min(_TAIL_LEAST, unlike))
    i = int(np.count_nonzero(reaching >= max(min(tail, _TAIL_MOST), allowed))) - 1
    excess = float(counts[i:] @ (_MIDDLE[i:] - _LOWER[i])) / float(reaching[i])
    return float(_LOWER[i] + excess * math.log(float(reaching[i]) / allowed))
