"""The delta: elements that no segment holds yet, in memory, searched exactly. It follows the archive as it grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hub.archive import ANY, Archive, Filter, Rows
from hub.corpus import exact
from hub.corpus.exact import Found
from hub.corpus.segments import Columns, codes
from hub.types import Vectors

AT_ONCE = 5_000
"""Elements read in one transaction."""

LATE_S = 60.0
"""For so long an id that was passed over is looked for again: its transaction may end after one with a higher id."""

LOOK_AGAIN_S = 1.0
_LATE_IDS = 1_000

Span = tuple[int, int]
"""Ids: (after, last]."""

PassedOver = tuple[float, NDArray[np.int64]]
"""Ids that may still come, and until when."""


@dataclass(frozen=True, eq=False)
class DeltaPart:
    """The delta as it is now. Later additions do not change it; `dead` does, which is shared."""

    ids: NDArray[np.int64]
    vectors: Vectors
    columns: Columns
    dead: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """Of its vectors."""
        return int(self.vectors.shape[1])

    @property
    def span(self) -> tuple[int, int]:
        """Its first and last id."""
        return int(self.ids.min()), int(self.ids.max())

    def bury(self, ids: NDArray[np.int64]) -> int:
        """Elements that are gone; returns how many of them were here."""
        gone = np.isin(self.ids, ids)
        self.dead[gone] = True
        return int(np.count_nonzero(gone))

    def bury_all_but(self, living: NDArray[np.int64]) -> None:
        """Every element that is not among the living."""
        self.dead[~np.isin(self.ids, living)] = True

    def nearest(self, queries: Vectors, n: int, where: Filter = ANY) -> list[Found]:
        """Ids and cosines of the n nearest that pass and live, for each of queries (q, d)."""
        passing = ~self.dead if where == ANY else self.columns.passing(where) & ~self.dead
        rows = None if passing.all() else np.flatnonzero(passing)
        return [(self.ids[at], cosines) for at, cosines in exact.nearest(queries, self.vectors, n, rows)]


class Delta:
    """Reads what the archive has outside the segments. One thread at a time; `part` may be searched by any."""

    def __init__(
        self,
        archive: Archive,
        embedding_version: str,
        holes: Sequence[Span],
        after: int,
        *,
        passed_over: Sequence[PassedOver] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """holes: spans of ids below that no segment covers. after: the last id that one does. passed_over: what the
        delta before this one still waited for."""
        self._archive, self._version, self._clock = archive, embedding_version, clock
        self._holes = list(holes)
        self._last = after
        self._passed_over = list(passed_over)
        self._look_again_at = 0.0
        self._cameras: dict[str, int] = {}
        self._labels: dict[str, int] = {}
        self._buffers: dict[str, NDArray[np.generic]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def refresh(self, limit: int) -> bool:
        """Read what is new; returns False, with some unread perhaps, once there are more than `limit` elements."""
        while self._holes and self._count <= limit:
            after, last = self._holes.pop()
            rows = self._read(after, last)
            if len(rows) == AT_ONCE:
                self._holes.append((int(rows.id[-1]), last))
            self._append(rows)
        self._read_late()
        while self._count <= limit:
            rows = self._archive.rows(self._version, after=self._last, limit=AT_ONCE)
            self._note_passed_over(rows)
            self._append(rows)
            self._last = int(rows.id[-1]) if len(rows) else self._last
            if len(rows) < AT_ONCE:
                break
        return self._count <= limit

    @property
    def passed_over(self) -> list[PassedOver]:
        """What it still waits for."""
        return list(self._passed_over)

    def part(self) -> DeltaPart | None:
        """What it holds now, None for nothing."""
        n = self._count
        if n == 0:
            return None
        b = {name: buffer[:n] for name, buffer in self._buffers.items()}
        columns = Columns(b["taken_at"], b["row"], b["camera"], b["label"], dict(self._cameras), dict(self._labels))  # type: ignore[arg-type]
        return DeltaPart(b["id"], b["vectors"], columns, b["dead"])  # type: ignore[arg-type]

    def _append(self, rows: Rows) -> None:
        if not len(rows):
            return
        new: dict[str, NDArray[np.generic]] = {
            "id": rows.id, "vectors": rows.vectors, "taken_at": rows.taken_at, "row": rows.row,
            "camera": codes(self._cameras, rows.camera), "label": codes(self._labels, rows.label),
            "dead": np.zeros(len(rows), np.bool_),
        }  # fmt: skip
        n = self._count + len(rows)
        for name, column in new.items():
            self._buffers[name] = _with_room(self._buffers.get(name), column, self._count, n)
            self._buffers[name][self._count : n] = column
        self._count = n

    def _read(self, after: int, last: int) -> Rows:
        return only(self._archive.rows(self._version, after=after, limit=min(AT_ONCE, last - after)), last)

    def _note_passed_over(self, rows: Rows) -> None:
        """Ids that are missing in between: on PostgreSQL, perhaps those of a transaction that has not ended yet."""
        if not len(rows) or not self._last:
            return
        newest = int(rows.id[-1])
        missing = np.setdiff1d(np.arange(max(self._last, newest - _LATE_IDS) + 1, newest), rows.id)
        if len(missing):
            self._passed_over.append((self._clock() + LATE_S, missing))

    def _read_late(self) -> None:
        now = self._clock()
        self._passed_over = [(until, ids) for until, ids in self._passed_over if until > now]
        if not self._passed_over or now < self._look_again_at:
            return
        self._look_again_at = now + LOOK_AGAIN_S
        missing = np.unique(np.concatenate([ids for _, ids in self._passed_over]))
        living = self._archive.living(self._version, first=int(missing[0]), last=int(missing[-1]))
        late = np.intersect1d(missing, living)
        for number in late.tolist():
            self._append(self._read(number - 1, number))
        self._passed_over = [(until, np.setdiff1d(ids, late)) for until, ids in self._passed_over]
        self._passed_over = [(until, ids) for until, ids in self._passed_over if len(ids)]


def only(rows: Rows, last: int) -> Rows:
    """Those up to an id."""
    n = int(np.searchsorted(rows.id, last, "right"))
    return Rows(rows.id[:n], rows.vectors[:n], rows.taken_at[:n], rows.row[:n], rows.camera[:n], rows.label[:n])


def _with_room(
    buffer: NDArray[np.generic] | None, like: NDArray[np.generic], filled: int, wanted: int
) -> NDArray[np.generic]:
    """The buffer, or a larger copy: parts that were given out go on with the old one."""
    if buffer is not None and len(buffer) >= wanted:
        return buffer
    larger = np.empty((max(wanted, 2 * filled, 256), *like.shape[1:]), like.dtype)
    if buffer is not None:
        larger[:filled] = buffer[:filled]
    return larger
