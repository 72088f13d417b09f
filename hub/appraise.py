"""Campaigns over frames that are there already: what they score, what would be taken. Pure.

Scans, runs over the corpus and the client all go through an `Appraiser`: it judges as the collector does, on the
clock of the frames, and keeps the statistics that Aquarium's `dry_run` gives.
"""

import heapq
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hub.pipeline import Memory, candidate, judge
from hub.protocols import Target
from hub.scope import covers
from hub.triggers.detection import Detection
from hub.triggers.everything import Everything
from hub.triggers.random import Random
from hub.triggers.similarity import Similarity
from hub.types import Budget, Counts, Matches, Observation, Sample, Score, Vectors, Version

_PLAIN = Budget(threshold=0.0)


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


class _Best:
    """The `most` samples that score most of all that are added, the earlier of equals; a frame is in it once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[float, int, Sample]] = []
        self._frames: set[str] = set()
        self._count = 0

    def admits(self, value: float, frame_id: str) -> bool:
        """Whether a sample of that score would stay. A score of 0 fits not at all."""
        if value <= 0 or not self._most or frame_id in self._frames:
            return False
        return len(self._heap) < self._most or self._heap[0][0] < value

    def add(self, sample: Sample) -> None:
        """One that is admitted, in place of the least."""
        self._count += 1
        entry = (sample.score.value, -self._count, sample)
        self._frames.add(sample.frame_id)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        else:
            self._frames.discard(heapq.heapreplace(self._heap, entry)[2].frame_id)

    def listed(self) -> list[Sample]:
        """The best first."""
        return [sample for _, _, sample in sorted(self._heap, reverse=True)]


def goes_by_time(version: Version, *, best: bool = False) -> bool:
    """Whether what a campaign takes depends on the order of the frames, or on what else it takes.

    best: without budgets, for the best of all.
    """
    trigger = version.trigger
    if isinstance(trigger, Detection):
        remembers = "flicker" in trigger.disagreement
    else:
        remembers = not isinstance(trigger, Similarity | Random | Everything)
    return remembers or (not best and replace(version.budget, threshold=0.0, control=0.0) != _PLAIN)


def _waits(budget: Budget) -> bool:
    return budget.target is not None or budget.burst_s > 0


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
    `best` frames of all that score more than 0, each for the campaign it fits best; they come with `finish`. memory:
    what the campaigns took before and remember of cameras. top: how many of each campaign's best frames to remember,
    taken or not. clock: Unix seconds, becomes the samples' created_at.

    Time is that of the frames: a window or a burst ends when a frame comes that was taken after its end. So frames must
    come in the order of their time where `goes_by_time` says so; within one call they are put in order here.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        clock: Callable[[], float],
        threshold: float | None = None,
        best: int | None = None,
        memory: Memory | None = None,
        top: int = 0,
    ) -> None:
        self._targets = [adjusted(each, threshold) for each in targets]
        self._clock, self._best = clock, best
        self._memory = memory or Memory()
        self._running = {each.version.campaign_id: _Running() for each in targets}
        self._chosen = _Best(best or 0)
        self._top = {each.version.campaign_id: _Best(top) for each in targets}
        self._at = -math.inf
        self._waits = best is None and any(_waits(each.version.budget) for each in self._targets)

    @property
    def statistics(self) -> list[Statistics]:
        """By campaign, in the order of the targets."""
        return [self._running[each.version.campaign_id].said(each.version) for each in self._targets]

    @property
    def top(self) -> dict[int, list[Sample]]:
        """By campaign id: its best frames, as the samples they would be, the best first."""
        return {campaign: best.listed() for campaign, best in self._top.items()}

    def add(self, seen: Sequence[Observation]) -> list[Sample]:
        """Judge frames; returns what was taken."""
        in_time = sorted(seen, key=lambda each: each.frame.taken_at)
        # What waits is closed by the clock, so that must not run ahead of the frames.
        stretches = [[each] for each in in_time] if self._waits else [in_time] if in_time else []
        taken: list[Sample] = []
        for stretch in stretches:
            self._at = max(self._at, stretch[-1].frame.taken_at)
            taken += self._judge(stretch, self._at)
        return taken

    def finish(self) -> list[Sample]:
        """What was held back until all is known: the best of windows and bursts, or the best of all."""
        if self._best is None:
            return self._judge([], math.inf)
        chosen = self._chosen.listed()
        self._chosen = _Best(self._best)
        return self._taken([replace(each, reason=self._why(each, i + 1)) for i, each in enumerate(chosen)])

    def counts(self, seen: Sequence[Observation], taken: Sequence[Sample]) -> list[Counts]:
        """What is to be added to the campaigns' counters: frames in their scope, and samples."""
        counts = []
        for version in (each.version for each in self._targets):
            frames = [each.frame for each in seen if covers(version.scope, each.frame.camera, each.frame.taken_at)]
            processed = Counter(frame.camera for frame in frames)
            collected = Counter(each.camera for each in taken if each.campaign_id == version.campaign_id)
            counts += [
                Counts(version.campaign_id, version.number, camera, processed[camera], collected[camera])
                for camera in sorted({*processed, *collected})
            ]
        return counts

    def _judge(self, seen: Sequence[Observation], now: float) -> list[Sample]:
        judged = judge(seen, self._targets, self._memory, now=now, every=True)
        self._memory = judged.memory
        for version in (each.version for each in self._targets):
            for each, score in judged.scores[version.campaign_id]:
                if score is not None:
                    self._running[version.campaign_id].add(score.value, each.frame.id)
                    self._compete(self._top[version.campaign_id], each, score, version)
        if self._best is None:
            return self._taken([sample for sample in judged.samples if not sample.control])
        for fits in self._fitting(judged.scores):
            self._compete(self._chosen, *fits)
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

    def _compete(self, best: "_Best", seen: Observation, score: Score, version: Version) -> None:
        if best.admits(score.value, seen.frame.id):
            best.add(candidate(seen, score, version, self._clock()))

    def _taken(self, samples: Sequence[Sample]) -> list[Sample]:
        for each in samples:
            self._running[each.campaign_id].collected += 1
        return [replace(each, created_at=self._clock()) for each in samples]

    def _why(self, sample: Sample, place: int) -> str:
        seen = max(running.seen for running in self._running.values())
        return (
            f"number {place:,} of the best among {seen:,} frames (score {sample.score.value:.3f}): {sample.score.why}"
        )


def adjusted(target: Target, threshold: float | None) -> Target:
    """A target with another threshold, in place of its alarms and its target as well; None leaves it as it is."""
    if threshold is None:
        return target
    version = target.version
    budget = replace(version.budget, threshold=threshold, alarms=None, target=None, per_camera=None, variety=0.0)
    return _Stricter(replace(version, budget=budget), target)
