"""Roboflow's Identify Changes and Identify Outliers, as formulas over one unit vector at a time. Pure.

Written from the behaviour of the two workflow blocks, for campaigns that must decide as those did. Where a block
would divide by zero the answer is the ordinary one: z = 0, percentile = 0.5.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Strategy = Literal["ema", "sma", "window"]
STRATEGIES: tuple[Strategy, ...] = ("ema", "sma", "window")

Floats = NDArray[np.float64]

LARGEST_WINDOW = 1_000
"""Frames a sliding window may hold. The blocks allow any number, and grow until memory ends."""

ROUNDING = 1e-12
"""Cosines nearer to each other than this are equal: float64 leaves about 1e-16 between equal pictures."""


@dataclass(frozen=True, eq=False)
class Change:
    """What Identify Changes says of a frame.

    percentile: 1 − Φ(z), so near 1 for a frame unlike the average. average, std: (d,) with this frame included.
    """

    is_outlier: bool
    percentile: float
    z_score: float
    average: Floats
    std: Floats
    warming_up: bool


@dataclass(frozen=True)
class Outlier:
    """What Identify Outliers says of a frame. percentile: share of the window less aligned with its mean."""

    is_outlier: bool
    percentile: float
    warming_up: bool


@dataclass(frozen=True, eq=False)
class Moments:
    """Running mean (k,) and spread of a (k,) value: the variance for EMA, Σ(x − mean)² for SMA.

    window: (n, k) the last values, without the very first, which the blocks only take as the mean.
    """

    mean: Floats
    spread: Floats
    window: Floats

    @classmethod
    def first(cls, x: Floats) -> "Moments":
        """Of a single value."""
        return cls(x, np.zeros_like(x), np.zeros((0, len(x))))


@dataclass(frozen=True)
class Running:
    """How a running mean forgets. smoothing_factor: of EMA. window_size: frames of the sliding window."""

    strategy: Strategy = "ema"
    smoothing_factor: float = 0.1
    window_size: int = 10

    def update(self, old: Moments, x: Floats, count: int) -> Moments:
        """Take in one more value, the `count`-th frame of the stream (SMA: Welford, 1962).

        Of the cosines there is one less than of frames, and the blocks count frames for both: the first cosine
        weighs twice in SMA.
        """
        if self.strategy == "window":
            window = np.concatenate([old.window, x[None]])[-self.window_size :]
            return Moments(window.mean(axis=0), window.var(axis=0), window)
        if self.strategy == "sma":
            mean = old.mean + (x - old.mean) / count
            return Moments(mean, old.spread + (x - old.mean) * (x - mean), old.window)
        keep, a = 1.0 - self.smoothing_factor, self.smoothing_factor
        mean = keep * old.mean + a * x
        return Moments(mean, keep * old.spread + a * (x - mean) ** 2, old.window)

    def std(self, moments: Moments, count: int) -> Floats:
        """Deviation after `count` frames: of the sample for SMA, of the population for the others."""
        if self.strategy == "sma":
            return np.sqrt(np.maximum(moments.spread, 0.0) / max(count - 1, 1))
        return np.sqrt(np.maximum(moments.spread, 0.0))


def identify_change(
    x: Floats, state: Mapping[str, Any], running: Running, warmup: int, threshold_percentile: float
) -> tuple[Change, dict[str, Any]]:
    """Judge one frame by the cosine to the average so far, then take it into the average.

    x: (d,) unit float64. state: what the last call returned, {} at first. With c = cos(x, average), mean m and
    deviation s of all c, this one included: z = (c − m)/s, percentile p = 1 − Φ(z), outlier past `warmup` frames
    when p ≤ t/2 or p ≥ 1 − t/2.
    """
    samples = int(state.get("frames", 0))
    vector, cosine = _moments(state, "vector"), _moments(state, "cosine")
    z = 0.0
    if vector is not None:
        c = np.array([_cosine(x, vector.mean)])
        cosine = Moments.first(c) if cosine is None else running.update(cosine, c, samples + 1)
        s = float(running.std(cosine, samples + 1)[0])
        z = float(c[0] - cosine.mean[0]) / s if s > ROUNDING else 0.0
    percentile = 1.0 - 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))
    half = threshold_percentile / 2.0
    warming_up = samples < warmup
    is_outlier = not warming_up and (percentile <= half or percentile >= 1.0 - half)
    vector = Moments.first(x) if vector is None else running.update(vector, x, samples + 1)
    std = running.std(vector, samples + 1)
    new = {"frames": samples + 1, **_plain("vector", vector)} | (_plain("cosine", cosine) if cosine else {})
    return Change(is_outlier, percentile, z, vector.mean, std, warming_up), new


def identify_outlier(
    x: Floats, state: Mapping[str, Any], window_size: int, warmup: int, threshold_percentile: float
) -> tuple[Outlier, dict[str, Any]]:
    """Judge one frame by the rank of its alignment with the mean direction of the last frames, itself included.

    x: (d,) unit float64. With μ = Σx/‖Σx‖ over the window and t_i = μ·x_i, percentile = #{t_i < μ·x}/n; outlier
    from frame `warmup` on when percentile < t or > 1 − t.
    """
    frames = int(state.get("frames", 0)) + 1
    window = np.concatenate([state.get("window", np.zeros((0, len(x)))), x[None]])[-window_size:]
    new = {"frames": frames, "window": window}
    if frames < warmup:
        return Outlier(False, 0.5, True), new
    total = window.sum(axis=0)
    length = float(np.linalg.norm(total))
    fits = len(window) >= 2 and length > ROUNDING
    alignment = window @ (total / length if fits else x)
    percentile = float(np.mean(alignment < alignment[-1] - ROUNDING))
    is_outlier = percentile < threshold_percentile or percentile > 1.0 - threshold_percentile
    return Outlier(is_outlier, percentile, False), new


def tail_score(percentile: float, limit: float, is_outlier: bool) -> float:
    """A percentile as a score in [0, 1], at least 0.5 exactly for an outlier, growing towards both ends.

    With tail = min(p, 1 − p): 1 − ½·tail/limit for an outlier, ½·(½ − tail)/(½ − limit) otherwise.
    limit: the tail at which a frame becomes an outlier.
    """
    tail = min(percentile, 1.0 - percentile)
    if is_outlier:
        return max(0.5, 1.0 - 0.5 * tail / limit) if limit > 0.0 else 1.0
    below = math.nextafter(0.5, 0.0)
    return min(below, 0.5 * (0.5 - tail) / (0.5 - limit)) if limit < 0.5 else 0.0


def _cosine(a: Floats, b: Floats) -> float:
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length > ROUNDING else 0.0


def _moments(state: Mapping[str, Any], of: str) -> Moments | None:
    if f"{of}_mean" not in state:
        return None
    return Moments(state[f"{of}_mean"], state[f"{of}_spread"], state[f"{of}_window"])


def _plain(of: str, moments: Moments) -> dict[str, Any]:
    return {f"{of}_mean": moments.mean, f"{of}_spread": moments.spread, f"{of}_window": moments.window}
