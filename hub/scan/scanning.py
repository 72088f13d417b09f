"""Local pictures and films, embedded, judged by campaigns and remembered, so that a second scan costs only reading.

First all is looked at, in the order of the files, and stored as it comes; campaigns that take whatever reaches their
threshold are judged meanwhile. The others, whose choice depends on what was taken before (limits, windows, events,
near-duplicates, triggers with a memory), are judged at the end, in the order of time: so what they take depends
neither on the names of files nor on how often a scan was stopped and begun again.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from hub.appraise import Appraiser, adjusted, goes_by_time
from hub.archive import ScannedFile
from hub.footage.files import Unreadable, walk
from hub.footage.reading import FilmEnd, Reading, footage
from hub.pipeline import Memory
from hub.protocols import Target
from hub.scan.frame_order import FrameOrder
from hub.scan.known import Known
from hub.scan.side_by_side import Looked, Seen, look
from hub.scan.sight import sight_for
from hub.scan.taking import Taking, taken_elsewhere
from hub.scan.values import Best, Models, Places, Progress, Rules, Scanned
from hub.types import Sample

WRITTEN = 64
"""Frames stored in one transaction …"""

WRITE_S = 2.0
"""… and how long they wait for it."""

PAGE = 500
"""Frames judged together in the end."""

_READERS = 4


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
        self._sight = sight_for(targets, models, rules)
        self._known = Known(of.store.archive, self._sight)
        self._taking = Taking(of, dry=rules.dry)
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
            if not self._settle():
                stopped, unsettled = True, [target.version.campaign for target in self._late]
        return self._scanned(stopped, unsettled)

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────

    def _look_at_all(self, paths: Sequence[str | Path]) -> None:
        reading = Reading(self._rules.every_s, self._rules.camera)
        with ThreadPoolExecutor(_READERS, "read") as readers:
            items = footage(walk(paths), readers, reading, self._known.film)
            asked = self._known.recalled(items)
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
                renamed=now.renamed + (first and self._keeps_its_name(each)),
                repeated=now.repeated + (not first),
            )
        if len(self._batch) >= WRITTEN or time.monotonic() > self._written_at + WRITE_S:
            self._write()
        self._tell(self._progress)

    def _keeps_its_name(self, each: Seen) -> bool:
        """Whether it is known under another camera's name than is asked for."""
        wanted = self._rules.camera
        return bool(wanted) and not each.is_new and each.observation.frame.camera != wanted

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
        new = self._taking.take(batch, self._judges[which], taken)
        self._progress = replace(self._progress, samples=self._progress.samples + new)

    # ── what can only be judged in the end ───────────────────────────────────────────────────────────

    def _settle(self) -> bool:
        """Whether it came to its end, and was not stopped on the way."""
        if not self._late:
            return True
        judge = self._judges["late"] = self._appraiser(self._late, self._memory())
        before = self._stop.is_set()
        for page in self._order.pages(PAGE):
            known = self._of.store.archive.recall(page, self._version)
            seen = [Seen(known[frame_id], "", is_new=False) for frame_id in page if frame_id in known]
            self._take(seen, "late", judge.add([each.observation for each in seen]))
            self._progress = replace(self._progress, settling=True, settled=self._progress.settled + len(page))
            self._tell(self._progress)
            if self._stop.is_set() and not before:
                return False
        self._take([], "late", judge.finish())
        return True

    def _memory(self) -> Memory:
        return Memory() if self._rules.best is not None else taken_elsewhere(self._of.store, self._late, self._order)

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
            (*self._unreadable, *self._taking.missing),
            stopped,
            tuple(unsettled),
            {
                names[campaign]: [Best(each, places[each.frame_id].source) for each in best]
                for campaign, best in top.items()
            },
            self._order.span,
        )
