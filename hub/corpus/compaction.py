"""Making segments: of the delta, and of small ones that lie beside each other, so that few are searched and each
element is written again only a few times (a log-structured merge)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hub.archive import Archive, Rows
from hub.corpus import manifest
from hub.corpus.delta import AT_ONCE, Span, only
from hub.corpus.manifest import Entry, Manifest
from hub.corpus.segments import EXACT, EXACT_UP_TO, Damaged, open_segment, write_segment
from hub.corpus.tuning import TARGET

_log = logging.getLogger(__name__)

REWRITE_AT = 0.2
"""Share of dead elements from which a segment is written again."""

GROWTH = 2
"""A segment is merged into the one before it while that is at most so many times as large."""

Progress = Callable[[int, int], None]
"""Told how many elements are done, of how many."""


@dataclass(frozen=True)
class Limits:
    """Sizes in elements. exact_up_to: segments without an index. segment: the largest, which bounds the memory that
    building takes (2 GB). delta: kept in memory before it goes to disk. target: recall@10 of an index."""

    exact_up_to: int = EXACT_UP_TO
    segment: int = 500_000
    delta: int = 20_000
    target: float = TARGET


USUAL = Limits()


@dataclass(frozen=True)
class Piece:
    """A span of ids and how many elements live in it. stale: it must be written, whatever its size. is_new: no segment
    has it."""

    after: int
    last: int
    count: int
    stale: bool
    is_new: bool = False


def plan(pieces: Sequence[Piece], largest: int) -> list[list[Piece]]:
    """Which neighbouring pieces become one segment: groups that must be written, by id. Pure.

    Each group ends up more than GROWTH times as large as the next, unless `largest` forbids it, so there are few, and
    an element is written again only when its segment has grown by half at least.
    """
    groups: list[list[Piece]] = []
    for piece in pieces:
        groups.append([piece])
        while len(groups) > 1:
            one, other = (sum(each.count for each in group) for group in groups[-2:])
            if one > GROWTH * other or one + other > largest:
                break
            groups[-2:] = [groups[-2] + groups[-1]]
    return [group for group in groups if len(group) > 1 or group[0].stale]


def spill(archive: Archive, embedding_version: str, folder: Path, seen: Manifest, limits: Limits) -> None:
    """Write what no segment covers to disk, with no index: seconds where building takes minutes.

    seen: the segments that a reader can use. Where they have been replaced since, nothing is done.
    """
    with manifest.changing(folder):
        if manifest.token(folder) != seen.token:
            return
        for piece in list(_uncovered(archive, embedding_version, seen, limits.segment)):
            span = (piece.after, piece.last)
            manifest.replace(
                folder, embedding_version, span, _write(archive, embedding_version, folder, span, EXACT, limits)
            )


def compact(
    archive: Archive,
    embedding_version: str,
    folder: Path,
    kind: str,
    limits: Limits,
    *,
    progress: Progress,
    force: bool = False,
) -> int:
    """Bring everything that is stored into as few segments as pay, with their indexes. StoreError if another is at it.
    Returns how many elements were in no segment before.

    Search goes on meanwhile; each segment is swapped in when it is done, so a build that is killed loses only the one
    that it was at.
    """
    with manifest.building(folder):
        with manifest.changing(folder):
            manifest.sweep(folder, embedding_version)
            current = manifest.read(folder, embedding_version)
        pieces = _survey(archive, embedding_version, folder, current, kind, limits, force)
        groups = plan(pieces, limits.segment)
        total, done = sum(piece.count for group in groups for piece in group), 0
        progress(0, total)
        for group in groups:
            span = (group[0].after, group[-1].last)
            new = _write(archive, embedding_version, folder, span, kind, limits)
            with manifest.changing(folder):
                manifest.replace(folder, embedding_version, span, new)
            done += sum(piece.count for piece in group)
            progress(done, total)
    return sum(piece.count for piece in pieces if piece.is_new)


def _survey(
    archive: Archive,
    embedding_version: str,
    folder: Path,
    current: Manifest,
    kind: str,
    limits: Limits,
    force: bool,
) -> list[Piece]:
    """All that is stored, in pieces: the segments as they are, and what none of them covers."""
    pieces = []
    for entry in current.entries:
        ids = archive.living(embedding_version, first=entry.after + 1, last=entry.last)
        stale = force or _is_stale(folder / entry.name, embedding_version, ids, kind, limits)
        pieces.append(Piece(entry.after, entry.last, len(ids), stale))
    pieces += _uncovered(archive, embedding_version, current, limits.segment)
    return sorted(pieces, key=lambda piece: piece.after)


def _uncovered(archive: Archive, embedding_version: str, current: Manifest, largest: int) -> Iterator[Piece]:
    """What no segment covers, in spans that are not too large."""
    for after, last in [*current.holes(), (current.last, archive.last_id(embedding_version))]:
        ids = archive.living(embedding_version, first=after + 1, last=last)
        for start in range(0, len(ids), largest):
            some = ids[start : start + largest]
            yield Piece(after, int(some[-1]), len(some), stale=True, is_new=True)
            after = int(some[-1])


def _is_stale(folder: Path, embedding_version: str, living: NDArray[np.int64], kind: str, limits: Limits) -> bool:
    try:
        segment = open_segment(folder, embedding_version, thorough=True)
    except Damaged as error:
        _log.warning("%s: built again", error)
        return True
    wanted = kind if len(segment.ids) > limits.exact_up_to else EXACT
    held = np.isin(segment.ids, living, assume_unique=True)
    dead, late = np.count_nonzero(~held), len(living) - np.count_nonzero(held)
    return bool(dead > REWRITE_AT * len(segment.ids) or late or (wanted != EXACT and segment.facts.asked != kind))


def _write(
    archive: Archive,
    embedding_version: str,
    folder: Path,
    span: Span,
    kind: str,
    limits: Limits,
) -> list[Entry]:
    name = write_segment(
        folder,
        _rows(archive, embedding_version, span),
        embedding_version,
        span,
        kind=kind,
        exact_up_to=limits.exact_up_to,
        target=limits.target,
    )
    return [] if name is None else [Entry(name, *span)]


def _rows(archive: Archive, embedding_version: str, span: Span) -> Iterator[Rows]:
    """From the archive, not from the segments that are replaced: what is dead stays out, what is damaged is mended."""
    after, last = span
    while after < last:
        rows = only(archive.rows(embedding_version, after=after, limit=AT_ONCE), last)
        if not len(rows):
            return
        yield rows
        after = int(rows.id[-1])
