"""The time machine: campaigns over what was seen before, as if they had run then."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hub.appraise import Appraiser, Statistics
from hub.archive import Archive
from hub.budget import Ledger, rank
from hub.memory import recall
from hub.pictures import Pictures
from hub.pipeline import MAX_CROPS, Memory, confident, decode_all, needs_of, perceive
from hub.protocols import Detector, Embedder, Store, Target
from hub.scope import covers
from hub.score import elements_of
from hub.types import Batch, Budget, Counts, Detections, Frame, Needs, Observation, Sample, Scope, Version
from shared.errors import InvalidInput, NotFound

PAGE = 1_000
"""Frames read at once."""

WRITTEN = 5_000
"""Frames counted at once, so that no other writer waits long."""

LISTED = 1_000
"""Samples that an answer holds at most, the best."""

_TOGETHER = 16
"""Pictures looked at again at once."""


@dataclass(frozen=True)
class Span:
    """What is run over. Unix seconds, `until` excluded; no camera means all."""

    since: float = 0.0
    until: float = float("inf")
    cameras: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """How. threshold: in place of the campaigns' own. best: no thresholds and no budgets, the best so many of all
    frames whose picture is kept. dry: nothing is stored. look_again: frames that lack what a campaign needs are looked
    at again, where their picture is kept."""

    threshold: float | None = None
    best: int | None = None
    dry: bool = False
    look_again: bool = False


@dataclass(frozen=True)
class Models:
    """Asked for only when frames are looked at again."""

    detector: Callable[[], Detector]
    embedder: Callable[[], Embedder]


@dataclass(frozen=True, eq=False)
class Replayed:
    """What came of it.

    frames: that were there. statistics: by campaign, over those that could be judged; `collected` are the new samples.
    samples: of these the best, at most LISTED. taken: how many there are, delivered (or, in a dry run, that would be).
    known: that fit, but were taken before. gone: that fit, but their pictures are no longer kept; the best of
    `gone_count`. lacking: frames that a campaign could not judge, by what they lack. looked_again: frames that were.
    """

    frames: int
    statistics: tuple[Statistics, ...]
    samples: tuple[Sample, ...]
    taken: int
    known: int
    gone: tuple[Sample, ...]
    gone_count: int
    lacking: Mapping[str, int]
    looked_again: int


@dataclass(frozen=True)
class Places:
    """Where things are."""

    store: Store
    pictures: Pictures

    @property
    def archive(self) -> Archive:
        """What was seen."""
        return self.store.archive


def replay(
    targets: Sequence[Target],
    of: Places,
    embedding_version: str,
    span: Span = Span(),
    rules: Rules = Rules(),
    *,
    models: Models | None = None,
    clock: Callable[[], float] = time.time,
    progress: Callable[[int, float], None] = lambda frames, taken_at: None,
) -> Replayed:
    """Judge what was seen in frames with campaigns, in the order of time; deliver what fits and is still at hand.

    Frames whose picture is gone are judged apart, so that they use up nothing of a budget. What campaigns took before
    counts for their budgets, and no frame is taken twice. progress: frames so far, capture time of the last.
    InvalidInput when a campaign's seeds were embedded by another embedder than `embedding_version`.
    """
    _check(targets, embedding_version)
    run = _Run(targets, of, span, rules, models, clock)
    for page in _pages(of.archive, embedding_version, span):
        run.add(page)
        progress(run.frames, page[-1].frame.taken_at)
    return run.finish()


def _check(targets: Sequence[Target], embedding_version: str) -> None:
    if not targets:
        raise InvalidInput("no campaign to run", hint="Name one: hub campaigns list")
    for version in (target.version for target in targets):
        if version.embedding_version not in (None, embedding_version):
            raise InvalidInput(
                f"the seeds of {version.campaign!r} were embedded by another model than what was seen",
                hint=f"Embed them anew: hub campaigns commit {version.campaign!r} --re-embed",
            )


def _pages(archive: Archive, embedding_version: str, span: Span) -> Iterator[list[Observation]]:
    after: tuple[float, str] | None = None
    while page := archive.observations(
        embedding_version, since=span.since, until=span.until, cameras=span.cameras, after=after, limit=PAGE
    ):
        yield page
        after = (page[-1].frame.taken_at, page[-1].frame.id)


class _Best:
    """The best of many samples, and how many there were."""

    def __init__(self) -> None:
        self.count = 0
        self._some: list[Sample] = []

    def add(self, samples: Sequence[Sample]) -> None:
        self.count += len(samples)
        self._some += samples
        if len(self._some) > 2 * LISTED:
            self._some = self.listed()

    def listed(self) -> list[Sample]:
        return sorted(self._some, key=rank)[:LISTED]


class _Run:
    """One pass over the frames."""

    def __init__(
        self,
        targets: Sequence[Target],
        of: Places,
        span: Span,
        rules: Rules,
        models: Models | None,
        clock: Callable[[], float],
    ) -> None:
        self._of, self._rules, self._models, self._clock = of, rules, models, clock
        self._targets = list(targets)
        taken = recall(of.store, [target.version for target in targets], [])
        ledgers = {
            version.campaign_id: _before(taken.ledgers[version.campaign_id], version.budget, span)
            for version in (target.version for target in targets)
        }
        self._parties = [
            _Party(each, rules, Memory(ledgers), clock) for each in _alike(self._targets, rules.best is not None)
        ]
        self.frames = 0
        self._looked_again = self._known = 0
        self._lacking: Counter[str] = Counter()
        self._collected: Counter[str] = Counter()
        self._samples, self._gone = _Best(), _Best()

    def add(self, page: Sequence[Observation]) -> None:
        """Judge the next frames."""
        self.frames += len(page)
        page = self._seen_again(page)
        self._lacking.update(what for seen in page for what in self._reasons(seen))
        for party in self._parties:
            ready = [seen for seen in page if not _lacks(seen, party.needs)]
            # Of the others it is of no consequence, and looking for pictures takes as long as reading what was seen.
            held = self._of.pictures.held(party.promising(ready))
            self._take(party.held.add([seen for seen in ready if seen.frame.id in held]))
            self._gone.add(party.gone.add([seen for seen in ready if seen.frame.id not in held]))
            self._write(party, ready)

    def finish(self) -> Replayed:
        """What was held back until all was known, and how it went."""
        for party in self._parties:
            taken = party.held.finish()
            self._take(taken)
            self._gone.add(_rivals(party.gone.finish(), taken, self._rules.best))
            self._write(party, [], last=True)
        statistics = {each.campaign: each for party in self._parties for each in party.statistics()}
        names = [target.version.campaign for target in self._targets]
        return Replayed(
            frames=self.frames,
            statistics=tuple(replace(statistics[name], collected=self._collected[name]) for name in names),
            samples=tuple(self._samples.listed()),
            taken=self._samples.count,
            known=self._known,
            gone=tuple(self._gone.listed()),
            gone_count=self._gone.count,
            lacking=dict(self._lacking),
            looked_again=self._looked_again,
        )

    def _reasons(self, seen: Observation) -> set[str]:
        return {what for party in self._parties if (what := _lacks(seen, party.needs))}

    def _take(self, samples: Sequence[Sample]) -> None:
        """Deliver: pictures first, then the rows that name them."""
        if self._rules.dry:
            kept = list(samples)
            known = _taken_before(self._of.store, samples)
            new = [sample for sample in samples if sample.id not in known]
        else:
            secured = self._of.pictures.secure([sample.frame_id for sample in samples])
            kept = [sample for sample in samples if sample.frame_id in secured]
            self._gone.add([sample for sample in samples if sample.frame_id not in secured])
            new = self._of.store.write(Batch(samples=kept)) if kept else []
        self._known += len(kept) - len(new)
        self._collected.update(sample.campaign for sample in new)
        self._samples.add(new)

    def _write(self, party: "_Party", ready: Sequence[Observation], *, last: bool = False) -> None:
        """Count frames as processed; the store leaves out those that a campaign judged before."""
        if self._rules.dry:
            return
        for scope, versions in party.scopes.items():
            waiting = party.waiting[scope]
            inside = [seen for seen in ready if covers(scope, seen.frame.camera, seen.frame.taken_at)]
            waiting += [_mark(seen, self._clock()) for seen in inside]
            if len(waiting) >= (1 if last else WRITTEN):
                by_camera = Counter(seen.frame.camera for seen in waiting)
                counts = [
                    Counts(version.campaign_id, version.number, camera, processed=n, collected=0)
                    for version in versions
                    for camera, n in by_camera.items()
                ]
                self._of.store.write(Batch(counts=counts, judged=waiting))
                party.waiting[scope] = []

    def _seen_again(self, page: Sequence[Observation]) -> Sequence[Observation]:
        """The page, with what its held frames lacked."""
        if not self._rules.look_again or self._models is None:
            return page
        needs = needs_of([target.version for target in self._targets])
        lacking = _needs(self._targets)
        wanting = [seen for seen in page if _lacks(seen, lacking)]
        held = self._of.pictures.held([seen.frame.id for seen in wanting])
        wanting = [seen for seen in wanting if seen.frame.id in held]
        anew: dict[str, Observation] = {}
        for start in range(0, len(wanting), _TOGETHER):
            anew |= self._look(wanting[start : start + _TOGETHER], needs)
        self._looked_again += len(anew)
        return [anew.get(seen.frame.id, seen) for seen in page]

    def _look(self, some: Sequence[Observation], needs: Needs) -> dict[str, Observation]:
        assert self._models is not None
        frames = []
        for seen in some:
            try:
                data = self._of.pictures.picture(seen.frame.id)
            except NotFound:
                continue  # it has just gone
            frames.append(Frame(seen.frame.camera, 0, seen.frame.taken_at, data, digest=seen.frame.id))
        decoded, _ = decode_all(frames)
        detector = self._models.detector() if needs.detections else None
        embedder = self._models.embedder() if needs.frame_vector or needs.crop_vectors else None
        found = perceive(decoded, needs, detector, embedder)
        without = [replace(seen, frame=_bare(seen.frame)) for seen in found]
        if not self._rules.dry:
            self._of.archive.add_frames([], without)
        return {seen.frame.id: seen for seen in without}


def _before(ledger: Ledger, budget: Budget, span: Span) -> Ledger:
    """What a campaign took, as its budget must know it.

    What live judging remembers of a camera is of now, and nothing to judge the past by. Where the best of an event or a
    window is chosen, it is chosen again among all, those taken before included: it must not fall to the next best.
    """
    ledger = replace(ledger, tallies={})
    if not budget.burst_s and budget.target is None:
        return ledger
    outside = (ledger.times < span.since) | (ledger.times >= span.until)
    return replace(
        ledger,
        frames={frame: None for frame, keep in zip(ledger.frames, outside, strict=True) if keep},
        times=ledger.times[outside],
        cameras=tuple(camera for camera, keep in zip(ledger.cameras, outside, strict=True) if keep),
        vectors=ledger.vectors[outside[len(outside) - len(ledger.vectors) :]],
    )


def _bare(frame: Frame) -> Frame:
    """Without its bytes."""
    return Frame(frame.camera, frame.seq, frame.taken_at, b"", digest=frame.id)


class _Party:
    """Campaigns that need the same of a frame. Frames whose picture is held, and those whose is gone, are judged apart.

    waiting: frames that are still to be counted, by scope.
    """

    def __init__(self, targets: Sequence[Target], rules: Rules, memory: Memory, clock: Callable[[], float]) -> None:
        self._targets, self._rules = targets, rules
        self.needs = _needs(targets)
        self.held, self.gone = (
            Appraiser(targets, clock=clock, threshold=rules.threshold, best=rules.best, memory=each)
            for each in (memory, None)
        )
        self.scopes: dict[Scope, list[Version]] = {}
        for version in (target.version for target in targets):
            self.scopes.setdefault(version.scope, []).append(version)
        self.waiting: dict[Scope, list[Observation]] = {scope: [] for scope in self.scopes}

    def promising(self, seen: Sequence[Observation]) -> list[str]:
        """Ids of the frames that may be taken: all but those whose best match is certain to be too little."""
        bars = [_bar(target.version, self._rules) for target in self._targets]
        elements = elements_of(seen)
        frame_of_row = np.repeat(np.arange(len(seen)), np.diff(elements.starts))
        may = np.zeros(len(seen), bool)
        for target, bar in zip(self._targets, bars, strict=True):
            if bar <= 0.0:
                return [each.frame.id for each in seen]
            may[frame_of_row[target.match(elements.rows).value >= bar]] = True
        return [each.frame.id for each, is_likely in zip(seen, may, strict=True) if is_likely]

    def statistics(self) -> list[Statistics]:
        """Of both."""
        return [together(a, b) for a, b in zip(self.held.statistics, self.gone.statistics, strict=True)]


def _bar(version: Version, rules: Rules) -> float:
    """The least match of a frame that is taken, 0 where any may be."""
    is_capped = version.trigger.wants_seeds and version.trigger.capped_by_matches
    if rules.best is not None or not is_capped or version.budget.alarms:
        return 0.0
    return version.budget.threshold if rules.threshold is None else rules.threshold


def _needs(targets: Sequence[Target]) -> Needs:
    total = Needs()
    for target in targets:
        total |= target.version.trigger.needs
    return total


def _rivals(gone: Sequence[Sample], taken: Sequence[Sample], best: int | None) -> Sequence[Sample]:
    """Of the best frames whose picture is gone, those that would have been among the best of all."""
    if best is None or len(taken) < best:
        return gone
    least = min(sample.score.value for sample in taken)
    return [sample for sample in gone if sample.score.value > least]


def together(a: Statistics, b: Statistics) -> Statistics:
    """The statistics of two parts as those of the whole (Chan, Golub, LeVeque 1979)."""
    if not a.seen or not b.seen:
        return a if a.seen else b
    n = a.seen + b.seen
    apart = b.mean - a.mean
    squares = a.seen * a.deviation**2 + b.seen * b.deviation**2 + apart**2 * a.seen * b.seen / n
    return replace(
        a,
        seen=n,
        collected=a.collected + b.collected,
        least=min(a.least, b.least),
        most=max(a.most, b.most),
        mean=a.mean + apart * b.seen / n,
        deviation=float(np.sqrt(squares / n)),
        best=a.best if a.most >= b.most else b.best,
    )


def _alike(targets: Sequence[Target], one: bool) -> list[list[Target]]:
    """Targets by what they need; all in one where they compete."""
    if one:
        return [list(targets)]
    groups: dict[Needs, list[Target]] = {}
    for target in targets:
        groups.setdefault(target.version.trigger.needs, []).append(target)
    return list(groups.values())


def _lacks(seen: Observation, needs: Needs) -> str:
    """What a frame lacks to be judged, or ""."""
    if needs.detections and not seen.detector and not len(seen.detections):
        return "detections"
    if (needs.frame_vector or needs.crop_vectors) and not len(seen.vectors):
        return "a vector of this embedder"
    if needs.crop_vectors and len(seen.vectors) < 1 + _crops(seen.detections, needs.crop_confidence):
        return "vectors of its crops"
    return ""


def _crops(found: Detections, confidence: float) -> int:
    return min(MAX_CROPS, len(confident(found, confidence)))


def _mark(seen: Observation, now: float) -> Observation:
    """That a frame was judged now, without what is stored of it already: retention must not forget that at once."""
    frame = replace(seen.frame, taken_at=now)
    return Observation(frame, seen.size_wh, Detections.empty(), np.zeros((0, 0), np.float32))


def _taken_before(store: Store, samples: Sequence[Sample]) -> set[str]:
    found = set()
    for sample in samples:
        try:
            found.add(store.sample(sample.id).id)
        except NotFound:
            continue
    return found
