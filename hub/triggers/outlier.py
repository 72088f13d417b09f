"""Score a frame by how unlike anything of the last while it is."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hub.triggers import running, surprise
from hub.triggers.surprise import Floats
from hub.types import ElementKind, Matches, Needs, Observation, Score, State

RATE = 0.1
"""Least weight of a frame in the remembered scene it belongs to, so that a scene may drift."""

NOVEL = 2.0
"""A frame this many times further than usual from what is remembered is remembered as a scene of its own."""


@dataclass(frozen=True)
class Outlier:
    """The score is how rarely this camera shows something so unlike all it has shown of late. Unlike `change`, what
    comes back is no news: a scene that alternates between known states has no outliers.

    mode: `rarity` is ours; `compat` decides exactly as Roboflow's Identify Outliers.
    Of rarity: alpha is the alarm budget, the share of frames that may score 0.5 or more, at most 0.02. history: past
    scores a frame is ranked among. memory: scenes remembered; the one not seen for longest makes room.
    Of compat: window_size (frames), warmup (the first frame that is judged), threshold_percentile (at each end).
    """

    name: ClassVar[str] = "outlier"
    capped_by_matches: ClassVar[bool] = False

    mode: str = "rarity"
    alpha: float = 0.01
    history: int = 400
    memory: int = 64
    window_size: int = 32
    warmup: int = 3
    threshold_percentile: float = 0.05

    def __post_init__(self) -> None:
        surprise.require_one_of(self.name, "mode", self.mode, ("rarity", "compat"))
        surprise.require(self.name, "alpha", self.alpha, 1e-6, surprise.LARGEST_ALPHA)
        surprise.require(self.name, "history", self.history, 50, 10_000)
        surprise.require(self.name, "memory", self.memory, 1, 256)
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
        scorer = f"outlier/{'vmf' if self.mode == 'compat' else self.mode}"
        x, trouble = surprise.unit_vector(seen)
        if x is None:
            return Score(0.0, scorer=scorer, why=trouble), state
        known = surprise.remembered(state, scorer, seen)
        judged, new = self._compat(x, known, scorer) if self.mode == "compat" else self._rarity(x, known, scorer)
        return judged, {**new, **surprise.origin(scorer, seen)}

    def _rarity(self, x: Floats, state: State, scorer: str) -> tuple[Score, State]:
        """s = distance to the nearest of the remembered scenes, each the running mean of its frames."""
        if "scenes" not in state:
            return surprise.first(scorer), _first(x)
        past = surprise.past_scores(state, self.history)
        away = surprise.distances(x, state["scenes"])
        nearest = int(np.argmin(away))
        s = float(away[nearest])
        p = surprise.rarity(s, past, self.history)
        enough = len(past) >= surprise.LEAST_SCORES
        novel = enough and s > NOVEL * max(float(np.median(past)), surprise.RESOLUTION)
        scenes = _with_another(x, state, self.memory) if novel else _with_one_more(x, state, nearest)
        new = {**scenes, "scores": surprise.appended(state, s, self.history), "frames": int(state["frames"]) + 1}
        return surprise.rated(p, self.alpha, len(past), scorer, "anything of the last while"), new

    def _compat(self, x: Floats, state: State, scorer: str) -> tuple[Score, State]:
        says, new = running.identify_outlier(x, state, self.window_size, self.warmup, self.threshold_percentile)
        if says.warming_up:
            return Score(0.0, scorer=scorer, why=f"warming up, {new['frames']} of {self.warmup} frames"), new
        value = running.tail_score(says.percentile, self.threshold_percentile, says.is_outlier)
        why = f"{says.percentile:.0%} of the last {len(new['window'])} frames fit their mean less"
        return Score(value, scorer=scorer, why=why), new


# scenes: (n, d) float32 means. sizes: (n,) frames in each. last_seen: (n,) number of the frame last nearest to each.


def _first(x: Floats) -> dict[str, Any]:
    one = np.ones(1)
    return {"scenes": x[None].astype(np.float32), "sizes": one, "last_seen": one, "scores": np.zeros(0), "frames": 1}


def _with_one_more(x: Floats, state: State, nearest: int) -> dict[str, Any]:
    scenes, sizes, last_seen = state["scenes"].copy(), state["sizes"].copy(), state["last_seen"].copy()
    sizes[nearest] += 1
    scenes[nearest] += max(RATE, 1.0 / sizes[nearest]) * (x - scenes[nearest])
    last_seen[nearest] = state["frames"] + 1
    return {"scenes": scenes, "sizes": sizes, "last_seen": last_seen}


def _with_another(x: Floats, state: State, memory: int) -> dict[str, Any]:
    keep = np.sort(np.argsort(state["last_seen"], kind="stable")[max(0, len(state["last_seen"]) - memory + 1) :])
    return {
        "scenes": np.vstack([state["scenes"][keep], x[None].astype(np.float32)]),
        "sizes": np.append(state["sizes"][keep], 1.0),
        "last_seen": np.append(state["last_seen"][keep], state["frames"] + 1.0),
    }
