"""Campaigns over frames that are there already: what they score, what would be taken. Pure.

Scans, runs over the corpus and the client all go through an `Appraiser`: it judges as the collector does, on the
clock of the frames, and keeps the statistics that Aquarium's `dry_run` gives.
"""

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hub.pipeline import Memory, candidate, judge
from hub.protocols import Target
from hub.types import Matches, Observation, Sample, Score, Vectors, Version


@dataclass(frozen=True)
class Statistics:
    """The scores of one campaign over everything it was shown.

    seen: frames in its scope. collected: those taken. least, most, mean, deviation: of the scores in [0, 1] (population
    deviation), 0 where nothing was seen. best: id of the frame that scored most, "" for none.
    """

    campaign: str
    version: int
    seen: int = 0
    collected: int = 0
    least: float = 0.0
    most: float = 0.0
    mean: float = 0.0
    deviation: float = 0.0
    best: str = ""


@dataclass
class _Running:
    """Moments of scores as they come (Welford)."""

    seen: int = 0
    collected: int = 0
    least: float = math.inf
    most: float = -math.inf
    mean: float = 0.0
    squares: float = 0.0
    best: str = ""

    def add(self, value: float, frame_id: str) -> None:
        self.seen += 1
        before = value - self.mean
        self.mean += before / self.seen
        self.squares += before * (value - self.mean)
        self.least = min(self.least, value)
        if value > self.most:
            self.most, self.best = value, frame_id

    def said(self, version: Version) -> Statistics:
        if not self.seen:
            return Statistics(version.campaign, version.number)
        deviation = math.sqrt(max(0.0, self.squares / self.seen))
        return Statistics(
            version.campaign,
            version.number,
            self.seen,
            self.collected,
            self.least,
            self.most,
            self.mean,
            deviation,
            self.best,
        )


@dataclass(frozen=True)
class _Stricter:
    """A target whose budget was overridden."""

    version: Version
    inner: Target

    def match(self, rows: Vectors) -> Matches:
        return self.inner.match(rows)


class Appraiser:
    """Takes frames in batches, gives samples; `statistics` says how it went.

    threshold: in place of each campaign's own (its alarms and target included). best: no thresholds and no budgets: the
    `best` frames of all, each for the campaign it fits best; they come with `finish`. memory: what the campaigns took
    before and remember of cameras. clock: Unix seconds, becomes the samples' created_at.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        clock: Callable[[], float],
        threshold: float | None = None,
        best: int | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._targets = [_adjusted(each, threshold) for each in targets]
        self._clock, self._best = clock, best
        self._memory = memory or Memory()
        self._running = {each.version.campaign_id: _Running() for each in targets}
        self._heap: list[tuple[float, int, Sample]] = []
        self._at = 0.0
        self._count = 0

    @property
    def statistics(self) -> list[Statistics]:
        """By campaign, in the order of the targets."""
        return [self._running[each.version.campaign_id].said(each.version) for each in self._targets]

    def add(self, seen: Sequence[Observation]) -> list[Sample]:
        """Judge frames, best given in the order of their time; returns what was taken."""
        if not seen:
            return []
        self._at = max(self._at, max(each.frame.taken_at for each in seen))
        return self._judge(seen, self._at)

    def finish(self) -> list[Sample]:
        """What was held back until all is known: the best of windows and bursts, or the best of all."""
        if self._best is None:
            return self._judge([], math.inf)
        chosen = [sample for _, _, sample in sorted(self._heap, reverse=True)]
        self._heap = []
        return self._taken([replace(each, reason=self._why(each, i + 1)) for i, each in enumerate(chosen)])

    def _judge(self, seen: Sequence[Observation], now: float) -> list[Sample]:
        judged = judge(seen, self._targets, self._memory, now=now, every=True)
        self._memory = judged.memory
        for campaign, scores in judged.scores.items():
            for each, score in scores:
                if score is not None:
                    self._running[campaign].add(score.value, each.frame.id)
        if self._best is None:
            return self._taken([sample for sample in judged.samples if not sample.control])
        for fits in self._fitting(judged.scores):
            self._compete(*fits)
        return []

    def _fitting(
        self, scores: Mapping[int, Sequence[tuple[Observation, Score | None]]]
    ) -> list[tuple[Observation, Score, Version]]:
        """Of each frame, the campaign it fits best."""
        best: dict[str, tuple[Observation, Score, Version]] = {}
        for version in (each.version for each in self._targets):
            for each, score in scores[version.campaign_id]:
                rival = best.get(each.frame.id)
                if score is not None and (rival is None or score.value > rival[1].value):
                    best[each.frame.id] = (each, score, version)
        return list(best.values())

    def _compete(self, seen: Observation, score: Score, version: Version) -> None:
        assert self._best is not None
        self._count += 1
        if len(self._heap) == self._best and self._heap[0][0] >= score.value:
            return
        if any(seen.frame.id == sample.frame_id for _, _, sample in self._heap):
            return  # the same picture again
        entry = (score.value, -self._count, candidate(seen, score, version, self._clock()))
        if len(self._heap) < self._best:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heapreplace(self._heap, entry)

    def _taken(self, samples: Sequence[Sample]) -> list[Sample]:
        for each in samples:
            self._running[each.campaign_id].collected += 1
        return [replace(each, created_at=self._clock()) for each in samples]

    def _why(self, sample: Sample, place: int) -> str:
        seen = max(running.seen for running in self._running.values())
        return (
            f"number {place:,} of the best among {seen:,} frames (score {sample.score.value:.3f}): {sample.score.why}"
        )


def _adjusted(target: Target, threshold: float | None) -> Target:
    if threshold is None:
        return target
    version = target.version
    budget = replace(version.budget, threshold=threshold, alarms=None, target=None, per_camera=None, variety=0.0)
    return _Stricter(replace(version, budget=budget), target)
