"""How rare a thing is, as a score. Pure.

A score is the logarithm of a rarity: 0 for what is always seen, 0.25 for 1 in 10, 0.5 for 1 in 100, and beyond that
every factor of ten halves the distance to 1 (0.75 for 1 in 1,000, 0.875 for 1 in 10,000). So 0.5 means the same of
every campaign, a stricter threshold says what it costs, and no two rarities share a score.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FALSE_POSITIVE_RATE = 0.01
"""Share of what the cameras normally show that reaches a score of 0.5."""


def score_of_decades(decades: ArrayLike, boundary: float = FALSE_POSITIVE_RATE) -> NDArray[np.float64]:
    """Scores in [0, 1) for rarities of 1 in 10^decades. boundary: the rarity that scores 0.5."""
    z = np.maximum(np.asarray(decades, np.float64), 0.0)
    at = -np.log10(boundary)
    return np.asarray(np.where(z <= at, 0.5 * z / at, 1.0 - 0.5 * np.exp2(at - np.maximum(z, at))))


def score_of_rarity(p: ArrayLike, boundary: float = FALSE_POSITIVE_RATE) -> NDArray[np.float64]:
    """Scores in [0, 1) for p, the share of normal things that are as unusual or more, (0, 1]."""
    return score_of_decades(-np.log10(np.clip(np.asarray(p, np.float64), 1e-300, 1.0)), boundary)


def rarity_of_score(score: ArrayLike, boundary: float = FALSE_POSITIVE_RATE) -> NDArray[np.float64]:
    """The inverse of `score_of_rarity`; 0 for a score of 1."""
    value = np.clip(np.asarray(score, np.float64), 0.0, 1.0)
    at = -np.log10(boundary)
    with np.errstate(divide="ignore"):
        z = np.where(value <= 0.5, value / 0.5 * at, at - np.log2(np.maximum(2.0 * (1.0 - value), 0.0)))
    return np.asarray(np.power(10.0, -z))
