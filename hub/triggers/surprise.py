"""How rare a score is among the scores before it, and what the triggers that ask this share. Pure.

A trigger scores each frame by how unlike the past it is, s ≥ 0, and asks how often a frame scores as high. While
there are few scores a parametric tail answers, fitted so that events among them do not spoil it; with a full history
the rank answers, nearly alone, which holds whatever the distribution: the share of frames with p ≤ α is about α.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hub.rarity import score_of_rarity
from hub.types import Observation, Score, State
from shared.errors import InvalidInput

Floats = NDArray[np.float64]

LEAST_SCORES = 8
"""Scores needed before anything is called rare."""

RANK_SHARE = 0.9
"""Weight of the rank with a full history. The rest parts frames of one rank: an event from the loudest of the noise."""

RESOLUTION = 1e-6
"""Cosine distances below this are the rounding of float32 vectors."""

LEAST_SPREAD = 0.1
"""Least spread of the scores, as a share of their median: equal pictures must not make every other one rare."""

LARGEST_ALPHA = 0.02
"""The rarest 1 in 50 is about the least that can still be called unusual."""


def rarity(score: float, past: Floats, history: int) -> float:
    """p in (0, 1]: the share of frames expected to score as high. past: (n,) scores before this one, all kept.

    log p = (1 − w)·log tail + w·log rank, w = RANK_SHARE·n/history, where tail is `tail_of` and
    rank = (#{past ≥ score} + tail)/(n + 1). That is the smoothed conformal p-value (Vovk, Gammerman and Shafer, 2005)
    with the tail in place of its random number, so that a record is told from a greater record.
    1 with fewer than LEAST_SCORES.
    """
    n = len(past)
    if n < LEAST_SCORES:
        return 1.0
    tail = tail_of(score, past)
    rank = min(1.0, (float(np.count_nonzero(past >= score)) + tail) / (n + 1))
    w = RANK_SHARE * min(1.0, n / history)
    return math.exp((1.0 - w) * math.log(tail) + w * math.log(rank))


def tail_of(score: float, past: Floats) -> float:
    """The parametric tail, (0, 1]: of one that reads the loud half of the scores and one that reads the quiet half,
    twice the lesser (Bonferroni). Each is blind where the other sees: the first when much of the past was events, the
    second when the quiet half says little of the loud one."""
    ordered = np.sort(np.maximum(past, RESOLUTION))
    score = max(score, RESOLUTION)
    lesser = min(_tail_of_excesses(score, ordered), _tail_of_quiet_half(score, ordered))
    return min(1.0, max(1e-300, 2.0 * lesser))


def _tail_of_excesses(score: float, ordered: Floats) -> float:
    """Excesses e_i over the median taken as exponential: the predictive tail ½(1 + x/Σe)^−k of k of them.

    Its power law is what is not known of the scale with few scores. Each e_i is cut at four times the robust scale,
    median(e)/ln 2, so that single events weigh little.
    """
    n = len(ordered)
    median = float(ordered[n // 2])
    excesses = ordered[n // 2 + 1 :] - median
    k = len(excesses)
    scale = max(float(excesses[k // 2]) / math.log(2.0), LEAST_SPREAD * median)
    total = max(float(np.minimum(excesses, 4.0 * scale).sum()), LEAST_SPREAD * median * k)
    return 0.5 * (1.0 + (score - median) / total) ** -k if score > median else 1.0


def _tail_of_quiet_half(score: float, ordered: Floats) -> float:
    """log score taken as symmetric: its deviation is median − 16 % quantile, its tail Student's t with 5 degrees."""
    n = len(ordered)
    median = math.log(ordered[n // 2])
    deviation = max(median - math.log(ordered[int(0.159 * (n - 1))]), LEAST_SPREAD)
    z = (math.log(score) - median) / (1.1 * deviation)
    return _student_5(z) if z > 0.0 else 1.0


def _student_5(t: float) -> float:
    """P(T > t), t > 0, for Student's t with 5 degrees of freedom, in closed form."""
    angle = math.atan2(math.sqrt(5.0), t)
    sine = math.sin(angle)
    return max((angle - sine * math.cos(angle) * (1.0 + 2.0 / 3.0 * sine * sine)) / math.pi, 1e-16)


def first(scorer: str) -> Score:
    """The score of a camera's first frame, which has nothing to be compared with."""
    return Score(0.0, scorer=scorer, why=f"warming up, 1 of {LEAST_SCORES + 1} frames")


def rated(p: float, alpha: float, scores: int, scorer: str, unlike: str) -> Score:
    """The score of a frame of rarity p: at least 0.5 exactly when p ≤ alpha; 0 with too few scores before it.

    unlike: what it was compared with, for the reason.
    """
    if scores < LEAST_SCORES:
        return Score(0.0, scorer=scorer, why=f"warming up, {scores + 2} of {LEAST_SCORES + 1} frames")
    below = math.nextafter(0.5, 0.0)
    value = float(score_of_rarity(p, alpha))
    if p <= alpha:
        often = f"{int(1.0 / p):,}" if p > 1e-6 else "a million"
        return Score(max(0.5, value), scorer=scorer, why=f"unlike {unlike}: rarer than 1 in {often} frames")
    return Score(min(below, value), scorer=scorer, why=f"like {unlike}: 1 frame in {1.0 / p:.0f} differs as much")


def still_warming(frames: int, needed: int) -> str:
    """`2 of 3 frames`, or "" when there were enough."""
    return f"{frames} of {needed} frames" if frames < needed else ""


def unit_vector(seen: Observation) -> tuple[Floats | None, str]:
    """The frame's vector, (d,) unit float64, or None and why there is none to compare."""
    if not seen.vectors.size:
        return None, "the frame was not embedded"
    x = np.asarray(seen.vectors[0], np.float64)
    if not np.isfinite(x).all():
        return None, "the frame's embedding is not finite"
    length = float(np.linalg.norm(x))
    return (x / length, "") if length > RESOLUTION else (None, "the frame's embedding is zero")


def remembered(state: State, rule: str, seen: Observation) -> State:
    """The state, or {} when it is of another rule or another embedder."""
    same = origin(rule, seen)
    return state if all(state.get(key) == value for key, value in same.items()) else {}


def origin(rule: str, seen: Observation) -> dict[str, Any]:
    """What a state was made by: kept in it, so that a change of it starts afresh."""
    return {"rule": rule, "dim": int(seen.vectors.shape[1]), "embedding_version": seen.embedding_version}


def appended(state: Mapping[str, Any], score: float, history: int) -> Floats:
    """The scores of a state with one more, the last `history` of them."""
    return np.append(past_scores(state, history), score)[-history:]


def past_scores(state: Mapping[str, Any], history: int) -> Floats:
    """The last `history` scores of a state, (n,)."""
    scores: Floats = state.get("scores", np.zeros(0))
    return scores[-history:]


def distances(x: Floats, rows: NDArray[Any]) -> Floats:
    """Cosine distance of a unit vector (d,) to each row of (n, d), of any length; 1 for a zero row."""
    lengths = np.linalg.norm(rows, axis=1)
    cosine = (rows @ x) / np.where(lengths > RESOLUTION, lengths, np.inf)
    return np.maximum(1.0 - cosine, 0.0).astype(np.float64)


def require(trigger: str, field: str, value: float, low: float, high: float) -> None:
    """InvalidInput unless a setting is a number in [low, high], and a whole one where both bounds are."""
    whole = isinstance(low, int) and isinstance(high, int)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high or (whole and int(value) != value):
        kind = "a whole number" if whole else "a number"
        raise InvalidInput(f"{trigger}: {field} is {value!r}", hint=f"Give {kind} from {low} to {high}.")


def require_one_of(trigger: str, field: str, value: str, choices: tuple[str, ...]) -> None:
    """InvalidInput unless a setting is one of the choices."""
    if value not in choices:
        raise InvalidInput(f"{trigger}: {field} is {value!r}", hint=f"It can be: {', '.join(choices)}.")
