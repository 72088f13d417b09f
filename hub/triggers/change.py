"""Score a frame by how suddenly the scene changed."""

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from hub.triggers import running, surprise
from hub.triggers.surprise import Floats
from hub.types import ElementKind, Matches, Needs, Observation, Score, State

RECENT_RATE = 0.5
"""Weight of a frame in the mean of the last two or three."""


@dataclass(frozen=True)
class Change:
    """The score is how rarely this camera's picture departs so far from its recent past: an event that lasts, or
    lights switched on, is one change.

    mode: `rarity` is ours; `compat` decides exactly as Roboflow's Identify Changes.
    Of rarity: alpha is the alarm budget, the share of frames that may score 0.5 or more, at most 0.02. history: past
    scores a frame is ranked among. rate: weight of a frame in the running mean.
    Of compat: strategy (`ema`, `sma`, `window`), smoothing_factor (of ema), window_size (of window, frames), warmup
    (frames that are never outliers), threshold_percentile (share of outliers wanted, at both ends together).
    """

    name: ClassVar[str] = "change"
    capped_by_matches: ClassVar[bool] = False

    mode: str = "rarity"
    alpha: float = 0.01
    history: int = 400
    rate: float = 0.1
    strategy: str = "ema"
    smoothing_factor: float = 0.1
    window_size: int = 10
    warmup: int = 3
    threshold_percentile: float = 0.2

    def __post_init__(self) -> None:
        surprise.require_one_of(self.name, "mode", self.mode, ("rarity", "compat"))
        surprise.require(self.name, "alpha", self.alpha, 1e-6, surprise.LARGEST_ALPHA)
        surprise.require(self.name, "history", self.history, 50, 10_000)
        surprise.require(self.name, "rate", self.rate, 0.001, 1.0)
        surprise.require_one_of(self.name, "strategy", self.strategy, running.STRATEGIES)
        surprise.require(self.name, "smoothing_factor", self.smoothing_factor, 0.0, 1.0)
        surprise.require(self.name, "window_size", self.window_size, 1, running.LARGEST_WINDOW)
        surprise.require(self.name, "warmup", self.warmup, 0, 100_000)
        surprise.require(self.name, "threshold_percentile", self.threshold_percentile, 0.0, 1.0)

    @property
    def element(self) -> ElementKind:
        """The scene as a whole."""
        return ElementKind.FRAME

    @property
    def needs(self) -> Needs:
        """The frame's vector."""
        return Needs(frame_vector=True)

    @property
    def wants_seeds(self) -> bool:
        """The camera's own past is what a frame is compared with."""
        return False

    def warming_up(self, state: State) -> str:
        """How far the warm-up of a camera is, "" when it is over."""
        if self.mode == "compat":
            return surprise.still_warming(int(state.get("frames", 0)), self.warmup)
        return surprise.still_warming(len(surprise.past_scores(state, self.history)) + 1, surprise.LEAST_SCORES + 1)

    def score(self, seen: Observation, matches: Matches | None, state: State) -> tuple[Score, State]:
        """A frame without a usable vector scores 0 and leaves the state as it was."""
        scorer = f"change/{self.strategy if self.mode == 'compat' else self.mode}"
        x, trouble = surprise.unit_vector(seen)
        if x is None:
            return Score(0.0, scorer=scorer, why=trouble), state
        known = surprise.remembered(state, scorer, seen)
        judged, new = self._compat(x, known, scorer) if self.mode == "compat" else self._rarity(x, known, scorer)
        return judged, {**new, **surprise.origin(scorer, seen)}

    def _rarity(self, x: Floats, state: State, scorer: str) -> tuple[Score, State]:
        """s = the lesser distance to two means: `mean` of the last 1/rate frames, `recent` of the last two or three.

        A single odd frame stands out against both, and the frame after it only against `recent`; an event that lasts
        is in `recent` two frames on. The influence of an odd frame on `mean` is clipped, not excluded: a reference
        that excludes what it flags runs away.
        """
        if "mean" not in state:
            return surprise.first(scorer), {"mean": x, "recent": x, "scores": np.zeros(0)}
        mean, recent = state["mean"], state["recent"]
        past = surprise.past_scores(state, self.history)
        to_mean, to_recent = (float(d) for d in surprise.distances(x, np.stack([mean, recent])))
        s = min(to_mean, to_recent)
        p = surprise.rarity(s, past, self.history)
        usual = float(np.quantile(past, 0.95)) if len(past) >= surprise.LEAST_SCORES else to_mean
        influence = min(1.0, max(usual, surprise.RESOLUTION) / max(to_mean, surprise.RESOLUTION))
        return surprise.rated(p, self.alpha, len(past), scorer, "the moments before"), {
            "mean": mean + self.rate * influence * (x - mean),
            "recent": recent + RECENT_RATE * (x - recent),
            "scores": surprise.appended(state, s, self.history),
        }

    def _compat(self, x: Floats, state: State, scorer: str) -> tuple[Score, State]:
        by = running.Running(cast(running.Strategy, self.strategy), self.smoothing_factor, self.window_size)
        says, new = running.identify_change(x, state, by, self.warmup, self.threshold_percentile)
        if says.warming_up:
            return Score(0.0, scorer=scorer, why=f"warming up, {new['frames']} of {self.warmup} frames"), new
        value = running.tail_score(says.percentile, self.threshold_percentile / 2.0, says.is_outlier)
        how = "unlike" if says.percentile > 0.5 else "like"
        why = f"{abs(says.z_score):.1f} deviations more {how} the running average than usual"
        return Score(value, scorer=scorer, why=why), new
