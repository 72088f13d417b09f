"""Local pictures and films, embedded, judged by campaigns and remembered, so that a second scan costs only reading.

First all is looked at, in the order of the files, and stored as it comes; campaigns that take whatever reaches their
threshold are judged meanwhile. The others, whose choice depends on what was taken before (limits, windows, events,
near-duplicates, triggers with a memory), are judged at the end, in the order of time: so what they take depends
neither on the names of files nor on how often a scan was stopped and begun again.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from hub.appraise import Appraiser, adjusted, goes_by_time
from hub.archive import ScannedFile, SeenFrame
from hub.budget import ledger_of, remembered
from hub.campaigns import LEAST_CONFIDENCE
from hub.footage.files import Unreadable, parse_source, walk
from hub.footage.reading import FilmEnd, Item, KnownFilm, Picture, Reading, footage
from hub.pipeline import MAX_CROPS, Memory, confident, needs_of
from hub.protocols import Target
from hub.scan.frame_order import FrameOrder
from hub.scan.side_by_side import Looked, Seen, Sight, look
from hub.scan.values import Best, Models, Places, Progress, Rules, Scanned
from hub.types import Batch, Counts, Detections, Frame, Needs, Observation, Sample
from shared.errors import InvalidInput, NotFound

WRITTEN = 64
"""Frames stored in one transaction …"""

WRITE_S = 2.0
"""… and how long they wait for it."""

PAGE = 500
"""Frames judged together in the end."""

CROP_CONFIDENCE = 0.25
"""Least confidence of a detection to be embedded where no campaign says."""

_READERS = 4
_ASKED = 64
_ASKED_BYTES = 64 * 2**20
"""Frames that the store is asked about at once, and what their files may weigh."""


def scan(
    paths: Sequence[str | Path],
    targets: Sequence[Target],
    of: Places,
    models: Models,
    rules: Rules = Rules(),
    *,
    stop: threading.Event | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    clock: Callable[[], float] = time.time,
) -> Scanned:
    """Look at files and judge what they show. Set `stop` to end with what was done so far.

    A dry run stores what was seen, as that is what makes the run after it cheap, and nothing else. InvalidInput for a
    path that leads nowhere, or a campaign whose seeds are of another embedder; ModelError, StoreError.
    """
    return _Scan(targets, of, models, rules, stop or threading.Event(), progress, clock).run(paths)


def needs_for(targets: Sequence[Target], rules: Rules) -> Needs:
    """What is computed of each frame: its vector always, so that it can be found, and what campaigns need.

    All that the detector finds is stored, however unsure, since a later campaign may ask for it.
    """
    needs = needs_of([target.version for target in targets]) | Needs(frame_vector=True)
    if rules.crops:
        needs |= Needs(True, True, True, crop_confidence=CROP_CONFIDENCE)
    return replace(needs, confidence=min(needs.confidence, LEAST_CONFIDENCE))


class _Scan:
    def __init__(
        self,
        targets: Sequence[Target],
        of: Places,
        models: Models,
        rules: Rules,
        stop: threading.Event,
        progress: Callable[[Progress], None],
        clock: Callable[[], float],
    ) -> None:
        self._of, self._rules, self._stop, self._tell, self._clock = of, rules, stop, progress, clock
        self._sight = _sight(targets, models, rules)
        self._version = self._sight.embedder.version
        self._targets = [adjusted(target, rules.threshold) for target in targets]
        late = [each for each in self._targets if goes_by_time(each.version, best=rules.best is not None)]
        if late and rules.best is not None:
            late = self._targets  # they compete
        self._late = late
        self._early = [each for each in self._targets if each not in late]
        self._judges = {"early": self._appraiser(self._early, Memory())}
        self._order = FrameOrder()
        self._progress = Progress()
        self._batch: list[Seen] = []
        self._ends: list[FilmEnd] = []
        self._written_at = time.monotonic()
        self._unreadable: list[Unreadable] = []

    def run(self, paths: Sequence[str | Path]) -> Scanned:
        embedder = self._sight.embedder
        self._of.store.archive.record_embedder(embedder.version, embedder.name, embedder.dim)
        self._look_at_all(paths)
        stopped = self._stop.is_set()
        unsettled: list[str] = []
        if stopped and not self._rules.dry:
            # What is chosen among all can't be chosen yet.
            waiting = self._late if self._rules.best is None else self._targets
            unsettled = [target.version.campaign for target in waiting]
        else:
            self._take([], "early", self._judges["early"].finish())
            self._settle()
        return self._scanned(stopped, unsettled)

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────

    def _look_at_all(self, paths: Sequence[str | Path]) -> None:
        reading = Reading(self._rules.every_s, self._rules.camera)
        with ThreadPoolExecutor(_READERS, "read") as readers:
            items = footage(walk(paths), readers, reading, self._film)
            asked = self._recalled(items)
            looked = look(asked, self._sight)
            try:
                for each in looked:
                    self._note(each)
                    if self._stop.is_set():
                        break
            finally:
                looked.close()
                asked.close()
                items.close()
            self._write()

    def _film(self, film_id: str) -> Sequence[str] | None:
        """The frames of a film that was scanned before, if all of them are known well enough."""
        archive = self._of.store.archive
        film = archive.scanned([film_id]).get(film_id)
        if film is None:
            return None
        for some in _pieces(film.frames, PAGE):
            known = archive.recall(some, self._version)
            if not all(frame in known and self._is_enough(known[frame]) for frame in some):
                return None
        return film.frames

    def _recalled(self, items: Iterable[Item]) -> Generator[Picture | Looked, None, None]:
        """What is known of frames in place of their pictures."""
        waiting: list[Picture | FilmEnd | Unreadable] = []
        weight = 0
        for item in items:
            if isinstance(item, KnownFilm):
                yield from self._asked(waiting)
                yield from self._of_film(item)
                waiting, weight = [], 0
                continue
            waiting.append(item)
            weight += len(item.frame.jpeg) if isinstance(item, Picture) else 0
            if len(waiting) >= _ASKED or weight >= _ASKED_BYTES:
                yield from self._asked(waiting)
                waiting, weight = [], 0
        yield from self._asked(waiting)

    def _asked(self, some: Sequence[Picture | FilmEnd | Unreadable]) -> Iterator[Picture | Looked]:
        ids = [each.frame.id for each in some if isinstance(each, Picture)]
        known = self._of.store.archive.recall(ids, self._version)
        known = {frame_id: seen for frame_id, seen in known.items() if self._is_enough(seen)}
        places = self._of.store.archive.frames(list(known))
        for each in some:
            if isinstance(each, Picture) and each.frame.id in known:
                seen = known[each.frame.id]
                # Its time and camera stay as they were; its bytes are at hand.
                frame = replace(seen.frame, jpeg=each.frame.jpeg)
                moved = not _is_there(places[each.frame.id].source)
                yield Seen(replace(seen, frame=frame), each.source, each.size, is_new=False, is_moved=moved)
            else:
                yield each

    def _of_film(self, film: KnownFilm) -> Iterator[Looked]:
        archive = self._of.store.archive
        for some in _pieces(film.frames, PAGE):
            known, places = archive.recall(some, self._version), archive.frames(some)
            for frame_id in (each for each in some if each in known):
                before = places[frame_id].source
                source = f"{film.source}#{before.rpartition('#')[2]}"
                yield Seen(known[frame_id], source, is_new=False, is_moved=not _is_there(before))
        yield FilmEnd("", film.source, (), film.size)

    def _is_enough(self, seen: Observation) -> bool:
        """Whether a frame need not be looked at again."""
        needs, detector = self._sight.needs, self._sight.detector
        if needs.detections and detector is not None and seen.detector != f"{detector.name} {detector.version}"[:200]:
            return False
        crops = len(confident(seen.detections, needs.crop_confidence)) if needs.crop_vectors else 0
        return len(seen.vectors) >= 1 + min(crops, MAX_CROPS)

    # ── storing ──────────────────────────────────────────────────────────────────────────────────────

    def _note(self, each: Looked) -> None:
        now = self._progress
        if isinstance(each, Unreadable):
            self._unreadable.append(each)
            self._progress = replace(now, bytes=now.bytes + each.size, unreadable=now.unreadable + 1)
        elif isinstance(each, FilmEnd):
            self._ends.append(each)
            self._progress = replace(now, bytes=now.bytes + each.size)
        else:
            frame = each.observation.frame
            first = self._order.add(frame.id, frame.taken_at)
            if first:
                self._batch.append(each)
            self._progress = replace(
                now,
                bytes=now.bytes + each.size,
                frames=now.frames + first,
                known=now.known + (first and not each.is_new),
                repeated=now.repeated + (not first),
            )
        if len(self._batch) >= WRITTEN or time.monotonic() > self._written_at + WRITE_S:
            self._write()
        self._tell(self._progress)

    def _write(self) -> None:
        """What was seen, judged by those campaigns that can; films that ended with the batch are done."""
        seen = [each.observation for each in self._batch]
        judge = self._judges["early"]
        taken = judge.add(seen)
        self._take(self._batch, "early", taken)
        done = [each for each in self._ends if each.id]
        if done:
            files = [ScannedFile(each.id, each.source, each.frames, self._clock()) for each in done]
            self._of.store.archive.add_scanned(files)
        self._batch, self._ends, self._written_at = [], [], time.monotonic()

    def _take(self, batch: Sequence[Seen], which: str, taken: Sequence[Sample]) -> None:
        """Pictures first, then the rows that name them."""
        new = [_bare(each.observation) for each in batch if each.is_new]
        frames = [_place(each) for each in batch if each.is_new or each.is_moved]
        samples: list[Sample] = []
        counts: list[Counts] = []
        marks: list[Observation] = []
        if not self._rules.dry:
            pictures = {each.observation.frame.id: each.observation.frame.jpeg for each in batch}
            fresh = {each.frame.id for each in new}
            samples = [each for each in taken if self._keep(each, pictures, each.frame_id in fresh)]
            seen = [each.observation for each in batch]
            marks = [_mark(each.observation) for each in batch if not each.is_new]
            counts = self._judges[which].counts(seen, samples)
        if new or frames or samples or counts:
            written = self._of.store.write(Batch([*new, *marks], samples, counts=counts, frames=frames))
            self._progress = replace(self._progress, samples=self._progress.samples + len(written))

    def _keep(self, sample: Sample, pictures: dict[str, bytes], is_fresh: bool) -> bool:
        """Whether a sample is to be written: its picture is stored now, and it is none that was taken before."""
        if not is_fresh and self._is_stored(sample):
            return False
        try:
            data = pictures.get(sample.frame_id) or self._of.pictures.picture(sample.frame_id)
        except NotFound as error:
            self._unreadable.append(Unreadable(f"frame {sample.frame_id}", f"taken, but {error.told}"))
            return False
        self._of.blobs.put(sample.frame_id, data)
        return True

    def _is_stored(self, sample: Sample) -> bool:
        try:
            self._of.store.sample(sample.id)
        except NotFound:
            return False
        return True

    # ── what can only be judged in the end ───────────────────────────────────────────────────────────

    def _settle(self) -> None:
        if not self._late:
            return
        judge = self._judges["late"] = self._appraiser(self._late, self._elsewhere())
        before = self._stop.is_set()
        for page in self._order.pages(PAGE):
            known = self._of.store.archive.recall(page, self._version)
            seen = [Seen(known[frame_id], "", is_new=False) for frame_id in page if frame_id in known]
            self._take(seen, "late", judge.add([each.observation for each in seen]))
            self._progress = replace(self._progress, settling=True, settled=self._progress.settled + len(page))
            self._tell(self._progress)
            if self._stop.is_set() and not before:
                return
        self._take([], "late", judge.finish())

    def _elsewhere(self) -> Memory:
        """What campaigns took, but for frames of this scan: these are judged again, with the same result."""
        if self._rules.best is not None:
            return Memory()
        ledgers = {}
        for version in (target.version for target in self._late):
            most = max(remembered(version.budget), version.budget.stop_after or 0)
            taken = self._of.store.taken_by(version.campaign_id, limit=most)
            others = [each for each in reversed(taken) if each.frame_id not in self._order]
            count = self._of.store.collected(version.campaign_id) - (len(taken) - len(others))
            ledgers[version.campaign_id] = ledger_of(others, version.budget, taken=count)
        return Memory(ledgers)

    def _appraiser(self, targets: Sequence[Target], memory: Memory) -> Appraiser:
        return Appraiser(targets, clock=self._clock, best=self._rules.best, memory=memory, top=self._rules.top)

    def _scanned(self, stopped: bool, unsettled: Sequence[str]) -> Scanned:
        said = {each.campaign: each for judge in self._judges.values() for each in judge.statistics}
        names = {target.version.campaign_id: target.version.campaign for target in self._targets}
        top = {campaign: best for judge in self._judges.values() for campaign, best in judge.top.items()}
        places = self._of.store.archive.frames([each.frame_id for best in top.values() for each in best])
        return Scanned(
            self._progress,
            tuple(said[name] for name in names.values() if name in said),
            self._progress.samples,
            tuple(self._unreadable),
            stopped,
            tuple(unsettled),
            {
                names[campaign]: [Best(each, places[each.frame_id].source) for each in best]
                for campaign, best in top.items()
            },
        )


def _sight(targets: Sequence[Target], models: Models, rules: Rules) -> Sight:
    needs = needs_for(targets, rules)
    embedder = models.embedder()
    for version in (target.version for target in targets):
        if version.embedding_version not in (None, embedder.version):
            raise InvalidInput(
                f"the seeds of {version.campaign!r} were embedded by another model than {embedder.name}",
                hint=f"Embed them anew: hub campaigns commit {version.campaign!r} --re-embed",
            )
    return Sight(needs, models.detector() if needs.detections else None, embedder, models.batch, models.workers)


def _place(seen: Seen) -> SeenFrame:
    frame = seen.observation.frame
    return SeenFrame(frame.id, frame.camera, frame.taken_at, seen.observation.size_wh, seen.source)


def _bare(seen: Observation) -> Observation:
    """Without the picture's bytes."""
    return replace(seen, frame=_id_only(seen.frame))


def _mark(seen: Observation) -> Observation:
    """That a frame was judged, without what is stored of it already."""
    return Observation(_id_only(seen.frame), seen.size_wh, Detections.empty(), np.zeros((0, 0), np.float32))


def _id_only(frame: Frame) -> Frame:
    return Frame(frame.camera, frame.seq, frame.taken_at, b"", digest=frame.id)


def _is_there(source: str) -> bool:
    try:
        parse_source(source)
    except NotFound:
        return False
    return True


def _pieces(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
