"""From a scorer's raw values to scores that mean a rarity among what the cameras normally show. Pure.

The background's own values say how rare each value is: by rank where there are enough of them, by an exponential tail
beyond. The tail is fitted to the 10th and 2nd per cent, not to the very highest values, since among these may be the
very things that are sought.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.rarity import FALSE_POSITIVE_RATE, score_of_decades

LEAST_BACKGROUND = 200
"""Fewer background elements than this say nothing about a tail of 1 %."""

SHARES = (1.0, 0.9, 0.75, 0.5, 0.35, 0.25, 0.18, 0.13, 0.1)
"""Where the ranks are read: the share of the background at or above a value."""

TAIL_FROM, TAIL_TO = 0.1, 0.02
TAIL_MARGIN = 1.05
"""Tails are heavier than exponential more often than lighter."""

UNDER_ONE = np.float32(1.0 - 1e-6)
"""The highest score of what is not the same as a seed."""


@dataclass(frozen=True, eq=False)
class Rarities:
    """values: (m,) rising, with decades (m,): 1 in 10^decades of the background reaches them. per_decade: by how much
    values rise for each further factor of ten. known: background elements it was made from."""

    values: NDArray[np.float64]
    decades: NDArray[np.float64]
    per_decade: float
    known: int

    def of(self, raw: NDArray[np.float32]) -> NDArray[np.float64]:
        """Decades of rarity, from 0; rising with raw without end."""
        inside = np.interp(raw, self.values, self.decades)
        beyond = self.decades[-1] + (raw - self.values[-1]) / self.per_decade
        return np.where(raw > self.values[-1], beyond, inside)

    def score(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores below 1."""
        return np.minimum(score_of_decades(self.of(raw)), UNDER_ONE).astype(np.float32)

    @property
    def boundary(self) -> float:
        """The raw value that scores 0.5."""
        return float(self.values[-1] + (-np.log10(FALSE_POSITIVE_RATE) - self.decades[-1]) * self.per_decade)


def rarities(background: NDArray[np.floating]) -> Rarities:
    """How rare values are, from those of the background, (n,)."""
    at = np.quantile(background.astype(np.float64), 1.0 - np.array(SHARES))
    tail = float(np.quantile(background, 1.0 - TAIL_TO))
    spread = max(float(at[-1] - at[0]), 1e-6)
    per_decade = max(TAIL_MARGIN * (tail - at[-1]) / np.log10(TAIL_FROM / TAIL_TO), 1e-3 * spread)
    values = np.maximum.accumulate(at + np.arange(len(at)) * 1e-9 * spread)
    return Rarities(values, -np.log10(np.array(SHARES)), per_decade, len(background))
