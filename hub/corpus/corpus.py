"""Search among every stored element of an embedding version.

Old elements lie in segments that never change, mapped into memory and shared between processes; new ones in the delta,
in memory. What is found is looked up in the archive before it is given out, so an element that anybody deleted is
never found, and the cosines are those of the stored vectors. Segments and delta follow the archive at each search.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from hub.archive import ANY, Archive, Filter, Hit, Stored
from hub.corpus import compaction, manifest
from hub.corpus.compaction import USUAL, Limits, Progress
from hub.corpus.delta import Delta, DeltaPart
from hub.corpus.exact import Found
from hub.corpus.manifest import Manifest
from hub.corpus.parts import IndexedPart
from hub.corpus.segments import EXACT, EXACT_UP_TO, Damaged, open_segment
from hub.neighbours import neighbour_kind
from hub.types import Vectors
from shared.errors import InvalidInput, StorageFull

_log = logging.getLogger(__name__)

MOST = 10_000
"""Results of one query."""

_MANY_DEAD = 32
"""So many dead among what one search found, and it is asked of all elements which of them live."""


@dataclass(frozen=True)
class SegmentStats:
    """One part of the index. kind: annoy, usearch or exact. asked: what it was to be; exact instead where so little
    structure is in the data that an index would have missed neighbours. recall: recall@10, measured when it was built.
    effort: of a search, in the unit of the kind. dead: deleted, but still in it. bytes: on disk.
    """

    name: str
    elements: int
    dead: int
    kind: str
    asked: str
    recall: float
    effort: int
    bytes: int


@dataclass(frozen=True)
class IndexStats:
    """What is searchable, and how.

    elements: stored. indexed: of these in a segment. delta: of these in memory. dead: deleted, but still in a segment.
    kind: of index that is built. bytes: of all segments on disk.
    """

    elements: int
    indexed: int
    delta: int
    dead: int
    kind: str
    bytes: int
    segments: tuple[SegmentStats, ...] = ()

    @property
    def waiting(self) -> int:
        """Elements that a build would put under an index: those in memory, and those a search wrote down without."""
        plain = (each for each in self.segments if each.asked == EXACT and each.elements > EXACT_UP_TO)
        return self.delta + sum(each.elements for each in plain)


@dataclass(frozen=True)
class Built:
    """What a build did. elements: indexed now. added: that no segment had before. segments: in use now."""

    elements: int
    added: int
    segments: int
    seconds: float


@dataclass(frozen=True, eq=False)
class _View:
    """What is searched, at one moment."""

    segments: tuple[IndexedPart, ...]
    delta: DeltaPart | None

    @property
    def parts(self) -> tuple[IndexedPart | DeltaPart, ...]:
        return self.segments if self.delta is None else (*self.segments, self.delta)

    def nearest(self, queries: Vectors, n: int, where: Filter) -> list[Found]:
        """Ids and cosines of the n nearest, best first, for each of queries."""
        each = [part.nearest(queries, n, where) for part in self.parts if len(part)]
        return [_merged([found[i] for found in each], n) for i in range(len(queries))]


class Corpus:
    """Every element of an embedding version, searchable. May be used from several threads, and by several processes."""

    def __init__(
        self,
        archive: Archive,
        embedding_version: str,
        folder: Path | None,
        *,
        index: str = "annoy",
        limits: Limits = USUAL,
    ) -> None:
        """folder: of the indexes of all versions; None to hold everything in memory and search it exactly.

        index: a name of `hub.neighbours.NEIGHBOURS`. NotSetUp when its library is not installed.
        """
        neighbour_kind(index)
        self._archive, self._version, self._index, self._limits = archive, embedding_version, index, limits
        self._folder = None if folder is None else folder / quote(embedding_version, safe="")
        self._lock = Lock()
        self._manifest = self._usable = Manifest()
        self._segments: tuple[IndexedPart, ...] = ()
        self._delta = Delta(archive, embedding_version, (), 0)
        self._is_open = False
        self._spills = folder is not None

    def search(self, vectors: Vectors, k: int, where: Filter = ANY) -> list[list[Hit]]:
        """The k nearest elements to each of vectors (q, d), unit, best first: a list for each. InvalidInput."""
        queries = np.atleast_2d(np.asarray(vectors, np.float32))
        _check(queries, k)
        view = self._view()
        _check_dim(queries, view)
        hits: dict[int, list[Hit]] = {}
        width = k + max(4, k // 4)  # what segments hold is rounded, so the order near the end may be another
        while waiting := [i for i in range(len(queries)) if i not in hits]:
            found = view.nearest(queries[waiting], width, where)
            stored = self._stored(found)
            for i, (ids, _) in zip(waiting, found, strict=True):
                living = [stored[number] for number in ids.tolist() if number in stored]
                if len(living) >= k or len(ids) < width:
                    hits[i] = _ranked(queries[i], living)[:k]
            self._bury(view, found, stored)
            width *= 2
        return [hits[i] for i in range(len(queries))]

    def build(self, *, progress: Progress | None = None, force: bool = False) -> Built:
        """Bring what is new into the index, and merge what is small. Search goes on meanwhile.

        progress: told how many elements are done, of how many. force: write everything again. InvalidInput without a
        folder, StoreError when another builds, StorageFull.
        """
        if self._folder is None:
            raise InvalidInput("this corpus is held in memory only: there is no index to build")
        start = time.monotonic()
        added = compaction.compact(
            self._archive,
            self._version,
            self._folder,
            self._index,
            self._limits,
            progress=progress or (lambda done, total: None),
            force=force,
        )
        after = self.stats()
        return Built(after.indexed, added, len(after.segments), time.monotonic() - start)

    def stats(self) -> IndexStats:
        """What is searchable, and how; asks the archive for every id, which takes a second for a million."""
        view = self._view()
        self._bury_all(view)
        segments = tuple(_stats_of(part) for part in view.segments)
        dead = sum(each.dead for each in segments)
        delta = 0 if view.delta is None else int(np.count_nonzero(~view.delta.dead))
        indexed = sum(each.elements for each in segments) - dead
        size = sum(each.bytes for each in segments)
        return IndexStats(self._archive.count(self._version), indexed, delta, dead, self._index, size, segments)

    def is_indexed(self, element_id: int) -> bool:
        """Whether an element is in a segment, rather than in the delta."""
        return any(part.holds(element_id) for part in self._view().segments)

    # ── following the archive ────────────────────────────────────────────────────────────────────────

    def _view(self) -> _View:
        with self._lock:
            self._follow()
            while not self._delta.refresh(self._limits.delta if self._spills else 2**62):
                self._spill()
                self._follow()
            return _View(self._segments, self._delta.part())

    def _follow(self) -> None:
        """Take up a new manifest."""
        if self._folder is None or (self._is_open and manifest.token(self._folder) == self._manifest.token):
            return
        opened = {part.segment.name: part for part in self._segments}
        while True:
            current = manifest.read(self._folder, self._version)
            parts, usable = self._open(self._folder, current, opened)
            if manifest.token(self._folder) == current.token:
                break  # or else what could not be opened was replaced meanwhile
        self._manifest, self._usable, self._segments, self._is_open = current, usable, parts, True
        self._delta = Delta(
            self._archive,
            self._version,
            usable.holes(),
            usable.last,
            passed_over=self._delta.passed_over,
        )

    def _open(
        self, folder: Path, current: Manifest, opened: dict[str, IndexedPart]
    ) -> tuple[tuple[IndexedPart, ...], Manifest]:
        """The segments that can be used, and the manifest without the others."""
        parts = []
        for entry in current.entries:
            try:
                parts.append(opened.get(entry.name) or IndexedPart(open_segment(folder / entry.name, self._version)))
            except Damaged as error:
                if manifest.token(folder) == current.token:
                    _log.warning("%s: its elements are read from the archive until the index is built again", error)
                current = current.without(entry.name)
        return tuple(parts), current

    def _spill(self) -> None:
        """The delta is too large for memory."""
        assert self._folder is not None
        try:
            compaction.spill(self._archive, self._version, self._folder, self._usable, self._limits)
        except StorageFull as error:
            _log.warning("all that is not indexed is held in memory: %s", error.told)
            self._spills = False

    # ── the dead ─────────────────────────────────────────────────────────────────────────────────────

    def _stored(self, found: Sequence[Found]) -> dict[int, Stored]:
        ids = sorted({number for ids, _ in found for number in ids.tolist()})
        return {each.element.id: each for each in self._archive.stored(ids)}

    def _bury(self, view: _View, found: Sequence[Found], stored: dict[int, Stored]) -> None:
        """Remember which of what was found is gone, and where these are many, ask for all at once."""
        gone = np.array(sorted({n for ids, _ in found for n in ids.tolist() if n not in stored}), np.int64)
        if len(gone) == 0:
            return
        for part in view.parts:
            if part.bury(gone) >= _MANY_DEAD:
                self._bury_all(_View((part,), None) if isinstance(part, IndexedPart) else _View((), part))

    def _bury_all(self, view: _View) -> None:
        for part in view.parts:
            first, last = part.span
            part.bury_all_but(self._archive.living(self._version, first=first, last=last))


def _merged(found: Sequence[Found], n: int) -> Found:
    """Of several parts, best first, each id once."""
    ids = np.concatenate([each[0] for each in found]) if found else np.zeros(0, np.int64)
    cosines = np.concatenate([each[1] for each in found]) if found else np.zeros(0, np.float32)
    order = np.argsort(-cosines, kind="stable")
    _, first = np.unique(ids[order], return_index=True)
    order = order[np.sort(first)][:n]
    return ids[order], cosines[order]


def _ranked(query: NDArray[np.float32], living: Sequence[Stored]) -> list[Hit]:
    hits = [Hit(each.element, float(each.vector @ query), each.vector) for each in living]
    return sorted(hits, key=lambda hit: (-hit.cosine, hit.element.id))


def _stats_of(part: IndexedPart) -> SegmentStats:
    facts = part.segment.facts
    dead = int(np.count_nonzero(part.dead))
    return SegmentStats(
        part.segment.name, facts.count, dead, facts.kind, facts.asked, facts.recall, facts.effort, facts.bytes
    )


def _check(queries: Vectors, k: int) -> None:
    if queries.ndim != 2 or not np.isfinite(queries).all():
        raise InvalidInput(f"queries must be finite vectors (q, d), got shape {queries.shape}")
    if not 1 <= k <= MOST:
        raise InvalidInput(f"{k} results can't be asked for: 1 to {MOST:,} can")


def _check_dim(queries: Vectors, view: _View) -> None:
    dims = {part.dim for part in view.parts}
    if dims and queries.shape[1] not in dims:
        raise InvalidInput(
            f"a query of {queries.shape[1]} dimensions can't be compared with elements of {min(dims)}",
            hint="Embed it with the model that embedded them.",
        )
