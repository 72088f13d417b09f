"""What a search looks through: parts that are on disk, and the delta in memory. Both know which elements are dead.

An element that was deleted stays in its segment, so it is buried: it takes no place among what is found any more.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from hub.archive import ANY, Filter
from hub.corpus import exact
from hub.corpus.exact import Found
from hub.corpus.segments import EXACT_UP_TO, Segment
from hub.corpus.tuning import cost, projected
from hub.neighbours import NEIGHBOURS
from hub.types import Vectors

EXACT_ROWS = 5_000
"""Up to this many elements that pass a filter are always compared one by one: 5 ms."""

_FILTERS = 8
"""Filters whose outcome is remembered for each segment; pages and refinements ask the same again."""

_AS_MEASURED = 16
"""Neighbours asked for with the effort that was measured for 10; more take more."""


class IndexedPart:
    """A segment, and its dead. May be used from several threads."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.dead = np.zeros(len(segment.ids), np.bool_)
        self._whole: Vectors | None = None
        self._passing: OrderedDict[Filter, NDArray[np.bool_]] = OrderedDict()
        self._lock = Lock()
        if segment.neighbours is None and len(segment.ids) <= EXACT_UP_TO:
            self._whole = np.asarray(segment.vectors, np.float32)

    def __len__(self) -> int:
        return len(self.segment.ids)

    @property
    def dim(self) -> int:
        """Of its vectors."""
        return self.segment.facts.dim

    @property
    def span(self) -> tuple[int, int]:
        """Its first and last id."""
        return int(self.segment.ids[0]), int(self.segment.ids[-1])

    def holds(self, element_id: int) -> bool:
        """Whether an element is in it, and not known to be dead."""
        at = int(np.searchsorted(self.segment.ids, element_id))
        return at < len(self) and bool(self.segment.ids[at] == element_id) and not self.dead[at]

    def bury(self, ids: NDArray[np.int64]) -> int:
        """Elements that are gone; returns how many of them were here."""
        at = np.searchsorted(self.segment.ids, ids)
        here = at[(at < len(self)) & (self.segment.ids[np.minimum(at, len(self) - 1)] == ids)]
        self.dead[here] = True
        return len(here)

    def bury_all_but(self, living: NDArray[np.int64]) -> None:
        """Every element that is not among the living, rising ids."""
        self.dead |= ~np.isin(self.segment.ids, living, assume_unique=True)

    def nearest(self, queries: Vectors, n: int, where: Filter = ANY) -> list[Found]:
        """Ids and cosines of the n nearest that pass and live, for each of queries (q, d)."""
        found = self._nearest(queries, n, where)
        return [(np.asarray(self.segment.ids[rows], np.int64), cosines) for rows, cosines in found]

    def _nearest(self, queries: Vectors, n: int, where: Filter) -> list[Found]:
        passing = None if where == ANY and not self.dead.any() else self._mask(where) & ~self.dead
        if passing is not None and passing.all():
            passing = None
        count = len(self) if passing is None else int(np.count_nonzero(passing))
        if self.segment.neighbours is None or (passing is not None and count <= max(EXACT_ROWS, self._cost(n, count))):
            return self._exact(queries, n, passing)
        found = [self._approximate(query, n, passing, count) for query in queries]
        short = [i for i, each in enumerate(found) if each is None]
        for i, each in zip(short, self._exact(queries[short], n, passing) if short else (), strict=True):
            found[i] = each
        return [each for each in found if each is not None]

    def _exact(self, queries: Vectors, n: int, passing: NDArray[np.bool_] | None) -> list[Found]:
        rows = None if passing is None else np.flatnonzero(passing)
        return exact.nearest(queries, self.segment.vectors if self._whole is None else self._whole, n, rows)

    def _approximate(
        self, query: NDArray[np.float32], n: int, passing: NDArray[np.bool_] | None, count: int
    ) -> Found | None:
        """None where the index comes up with none that is near, or too few that pass, for those lie elsewhere."""
        facts, neighbours = self.segment.facts, self.segment.neighbours
        assert neighbours is not None
        more = self._more(n, count)
        depth, effort = math.ceil(facts.depth * more), math.ceil(facts.effort * more)
        if depth > len(self) // 4:
            return None
        rows = neighbours.candidates(projected(query, self.segment.projection), depth, effort)
        rows, cosines = exact.rescored(query, self.segment.vectors, rows)
        if cosines.max(initial=-1) < facts.near:
            return None
        if passing is not None:
            left = passing[rows]
            rows, cosines = rows[left], cosines[left]
        return None if len(rows) < min(n, count) else (rows[:n], cosines[:n])

    def _more(self, n: int, count: int) -> float:
        """How much more must be looked at, so that as many are that pass as were when the recall was measured."""
        return max(1.0, n / _AS_MEASURED) * len(self) / max(count, 1)

    def _cost(self, n: int, count: int) -> float:
        """Of an approximate search, in elements compared one by one."""
        facts = self.segment.facts
        return self._more(n, count) * cost(NEIGHBOURS[facts.kind], facts)

    def _mask(self, where: Filter) -> NDArray[np.bool_]:
        with self._lock:
            if where in self._passing:
                self._passing.move_to_end(where)
                return self._passing[where]
        mask = self.segment.columns.passing(where)
        with self._lock:
            self._passing[where] = mask
            while len(self._passing) > _FILTERS:
                self._passing.popitem(last=False)
        return mask
