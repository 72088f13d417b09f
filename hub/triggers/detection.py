"""Score a frame by the objects found in it, or by the doubt about them."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hub.triggers.region import ANCHORS, Polygon, anchors, check_region, contains, shares
from hub.types import ElementKind, Matches, Needs, Observation, Score, State
from shared.errors import InvalidInput

DISAGREEMENTS = ("missed", "unsure", "flicker")

LEAST_SEEN = 0.05
"""Detectors are asked for nothing less certain than this to tell what they are unsure of."""

_ORDINALS = ("", "", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_PLURALS = {"person": "people", "sheep": "sheep", "mouse": "mice", "knife": "knives", "fish": "fish", "deer": "deer"}


@dataclass(frozen=True)
class Detection:
    """The score is the confidence of the best detection with one of `labels` (any label when empty).

    confidence: the least the detector is asked for. A campaign whose threshold is lower can't be answered.
    min_count: so many are wanted; the score is the confidence of the last of them, best first. max_count: a frame
    with more scores 0. min_size, max_size: the share of the frame a box covers, 0 … 1. region: only detections within
    this polygon count; corners (x, y) in turn, 0 … 1 from the left and the top, none for the whole frame.
    region_anchor: "bottom" for where a thing stands (the middle of its box's bottom edge), "center" for the middle
    of its box.

    disagreement: score the doubt instead, the greatest of "missed" (the frame looks like a seed, but nothing was
    found), "unsure" (a confidence near unsure_at: 1 there, 0.5 at unsure_within from it, 0 at twice that) and
    "flicker" (found, not found and found again, or the reverse, in three frames of a camera within flicker_s seconds).
    """

    name: ClassVar[str] = "detection"
    capped_by_matches: ClassVar[bool] = False

    labels: tuple[str, ...] = ()
    confidence: float = 0.1
    min_count: int = 1
    max_count: int | None = None
    min_size: float = 0.0
    max_size: float = 1.0
    region: Polygon = ()
    region_anchor: str = "bottom"
    disagreement: tuple[str, ...] = ()
    unsure_at: float = 0.5
    unsure_within: float = 0.15
    flicker_s: float = 10.0

    def __post_init__(self) -> None:
        _check_labels(self.labels)
        _check_number("confidence", self.confidence, 0.0, 1.0)
        _check_counts(self.min_count, self.max_count)
        _check_number("min_size", self.min_size, 0.0, 1.0)
        _check_number("max_size", self.max_size, 0.0, 1.0)
        if self.min_size > self.max_size:
            raise InvalidInput(
                f"min_size {self.min_size:g} is above max_size {self.max_size:g}, so nothing can be of that size",
                hint="Both are shares of the frame: 0.01 is a hundredth of it, 1 all of it.",
            )
        if self.region != ():
            check_region(self.region)
        if self.region_anchor not in ANCHORS:
            raise InvalidInput(f"region_anchor is {self.region_anchor!r}", hint=f"It can be: {', '.join(ANCHORS)}.")
        self._check_disagreement()

    def _check_disagreement(self) -> None:
        kinds = self.disagreement
        if not isinstance(kinds, tuple) or any(kind not in DISAGREEMENTS for kind in kinds):
            raise InvalidInput(
                f"disagreement is {kinds!r}", hint=f"Choose one or more of: {', '.join(DISAGREEMENTS)}; or none."
            )
        if kinds and (self.min_count != 1 or self.max_count is not None):
            raise InvalidInput(
                "disagreement is about single objects and can't be counted",
                hint="Leave min_count at 1 and max_count empty, or make two campaigns.",
            )
        _check_number("unsure_at", self.unsure_at, 0.01, 0.99)
        _check_number("unsure_within", self.unsure_within, 0.001, 1.0)
        _check_number("flicker_s", self.flicker_s, 0.001, 86400.0, unit=" seconds")

    @property
    def element(self) -> ElementKind:
        """The frame is what is kept; the detection says where to look."""
        return ElementKind.FRAME

    @property
    def needs(self) -> Needs:
        """A detector, asked for less certain detections where doubt is looked for; the frame's vector for "missed"."""
        least = self.confidence
        if self.disagreement:
            least = max(LEAST_SEEN, min(least, self.unsure_at - 2 * self.unsure_within))
        return Needs(detections=True, frame_vector=self.wants_seeds, confidence=least)

    @property
    def wants_seeds(self) -> bool:
        """The labels say it all, except what the detector should have found."""
        return "missed" in self.disagreement

    def score(self, seen: Observation, matches: Matches | None, state: State) -> tuple[Score, State]:
        """By the detections of wanted label, size and place. state: the last frames' detections, for "flicker"."""
        if not self.disagreement:
            return self._count(seen), state
        found = self._wanted(seen, self.needs.confidence)
        scores = [self._no_doubt(seen, found)]
        if "missed" in self.disagreement:
            scores.append(self._missed(seen, matches))
        if "unsure" in self.disagreement:
            scores.append(self._unsure(seen, found))
        if "flicker" in self.disagreement:
            state = _remember(seen, found, state)
            scores.append(self._flicker(found, state))
        return max(scores, key=lambda score: score.value), state

    def _wanted(self, seen: Observation, least: float) -> NDArray[np.intp]:
        """Indices of the detections that count, best first, the earlier of equals first."""
        found = seen.detections
        fits = found.confidence >= least
        if self.labels:
            fits &= np.array([label in self.labels for label in found.label], np.bool_)
        if (self.min_size, self.max_size) != (0.0, 1.0):
            share = shares(found.xyxy, seen.size_wh)
            fits &= (share >= self.min_size) & (share <= self.max_size)
        if self.region:
            fits &= contains(self.region, anchors(found.xyxy, seen.size_wh, self.region_anchor))
        indices = np.flatnonzero(fits)
        return indices[np.argsort(-found.confidence[indices], kind="stable")]

    def _count(self, seen: Observation) -> Score:
        wanted, n = self._wanted(seen, self.confidence), self.min_count
        if not len(wanted):
            return Score(0.0, scorer="confidence", why=f"no {self._what()} found{self._where()}")
        row = 1 + int(wanted[0])
        names = {seen.detections.label[i] for i in wanted}
        if self.max_count is not None and len(wanted) > self.max_count:
            why = f"{_counted(len(wanted), names)}{self._where()}, more than {self.max_count}"
            return Score(0.0, row=row, scorer="confidence", why=why)
        if len(wanted) < n:
            why = f"{len(wanted)} of {_counted(n, set(self.labels) or names)}{self._where()}"
            return Score(0.0, row=row, scorer="confidence", why=why)
        value = float(seen.detections.confidence[wanted[n - 1]])
        if n == 1:
            return Score(value, row=row, scorer="confidence", why=f"{seen.detections.label[wanted[0]]} {value:.2f}")
        why = f"{_counted(len(wanted), names)}, the {_ordinal(n)} {value:.2f}"
        return Score(value, row=row, scorer="confidence", why=why)

    def _no_doubt(self, seen: Observation, found: NDArray[np.intp]) -> Score:
        if not len(found):
            return Score(
                0.0, scorer="disagreement", why=f"no {self._what()} found{self._where()}, and no doubt about it"
            )
        best = f"{seen.detections.label[found[0]]} {_confidence(seen, found):.2f}"
        return Score(0.0, row=1 + int(found[0]), scorer="disagreement", why=f"{best}, and no doubt about it")

    def _missed(self, seen: Observation, matches: Matches | None) -> Score:
        if matches is None:
            raise ValueError("a detection campaign for missed objects needs the matches of the frame")
        if not len(matches.value) or len(self._wanted(seen, max(self.confidence, LEAST_SEEN))):
            return Score(0.0)
        value = min(max(float(matches.value[0]), 0.0), 1.0)
        seed, cosine = matches.nearest(0)
        why = f"looks like {seed} ({value:.2f}) and no {self._what()} was found{self._where()}"
        return Score(value, seed=seed, cosine=cosine, scorer="missed", why=why)

    def _unsure(self, seen: Observation, found: NDArray[np.intp]) -> Score:
        if not len(found):
            return Score(0.0)
        confidence = _confidence(seen, found)
        value = max(0.0, 1.0 - abs(confidence - self.unsure_at) / (2 * self.unsure_within))
        why = f"unsure: {seen.detections.label[found[0]]} {confidence:.2f}, near {self.unsure_at:.2f}"
        return Score(value, row=1 + int(found[0]), scorer="unsure", why=why)

    def _flicker(self, found: NDArray[np.intp], state: State) -> Score:
        """0.5 where the first and the third frame are only just of one mind, 1 where both are certain."""
        at, confidence = state["flicker_at"], state["flicker_confidence"]
        there = confidence >= self.unsure_at
        if len(at) < 3 or at[2] - at[0] > self.flicker_s or there[0] != there[2] or there[0] == there[1]:
            return Score(0.0)
        room = 1.0 - self.unsure_at if there[0] else self.unsure_at
        sure = np.abs(confidence - self.unsure_at) / room
        how = "went and came back" if there[0] else "came and went"
        row = 1 + int(found[0]) if there[0] else 0
        value = 0.5 + 0.5 * min(float(sure[0]), float(sure[2]), 1.0)
        return Score(value, row=row, scorer="flicker", why=f"{self._what()} {how} within {at[2] - at[0]:.1f} s")

    def _what(self) -> str:
        return " or ".join(self.labels) or "object"

    def _where(self) -> str:
        sized = " at that size" if (self.min_size, self.max_size) != (0.0, 1.0) else ""
        return f"{sized} in the region" if self.region else sized


def _confidence(seen: Observation, found: NDArray[np.intp]) -> float:
    return float(seen.detections.confidence[found[0]]) if len(found) else 0.0


def _remember(seen: Observation, found: NDArray[np.intp], state: State) -> State:
    """The last three frames of a camera, this one last: when taken, (n,) Unix seconds, and the best confidence, (n,).

    A frame that is not later than the last one starts anew: what comes between two frames is then unknown.
    """
    at = np.asarray(state.get("flicker_at", ()), np.float64)
    confidence = np.asarray(state.get("flicker_confidence", ()), np.float64)
    if at.ndim != 1 or at.shape != confidence.shape or not len(at) or not seen.frame.taken_at > at[-1]:
        at = confidence = np.zeros(0)
    return {
        "flicker_at": np.append(at[-2:], seen.frame.taken_at),
        "flicker_confidence": np.append(confidence[-2:], _confidence(seen, found)),
    }


def _counted(n: int, names: set[str]) -> str:
    """ "3 birds", "2 birds or cats", "3 objects"."""
    what = sorted(names) or ["object"]
    return f"{n} {' or '.join(what if n == 1 else map(_plural, what))}"


def _plural(name: str) -> str:
    return _PLURALS.get(name) or name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")


def _ordinal(n: int) -> str:
    if n < len(_ORDINALS):
        return _ORDINALS[n]
    last = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th") if n % 100 not in (11, 12, 13) else "th"
    return f"{n}{last}"


def _check_labels(labels: Any) -> None:
    if not isinstance(labels, tuple) or not all(isinstance(label, str) and label for label in labels):
        raise InvalidInput(f"labels are {labels!r}", hint='Give a list of names, such as ["bird", "cat"].')


def _check_number(what: str, value: Any, low: float, high: float, *, unit: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInput(f"{what} is {value!r}, which is no number", hint=f"Give {low:g} to {high:g}{unit}.")
    if not low <= value <= high:
        raise InvalidInput(f"{what} lies between {low:g} and {high:g}{unit}, not at {value:g}")


def _check_counts(least: Any, most: Any) -> None:
    hint = "Give whole numbers: min_count from 1 up, max_count at least as large, or leave it empty."
    if type(least) is not int or least < 1:
        raise InvalidInput(f"min_count is {least!r}", hint=hint)
    if most is not None and (type(most) is not int or most < least):
        raise InvalidInput(f"max_count is {most!r} where min_count is {least}", hint=hint)
