"""Segments: parts of the index that never change once written, each a folder that is mapped into memory.

A segment holds the elements of a range of ids: vectors (float16), the columns that filters go by, a file of neighbours
where it is worth one, and a sidecar that says what must be there. It is written beside and renamed, so it is whole or
not there; what is damaged later, or belongs to something else, is noticed when it is opened.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from hub.archive import Filter, Rows
from hub.corpus import tuning
from hub.neighbours import METRIC, Neighbours, neighbour_kind
from hub.types import ElementKind, Vectors
from shared.errors import NotSetUp, StorageFull, StoreError

FORMAT = 1
EXACT = "exact"
EXACT_UP_TO = 10_000
"""Up to this many elements no file of neighbours is made: exact search takes a millisecond."""

PART = ".part-"
"""What the name of an unfinished folder begins with."""

_SIDECAR, _VERIFIED = "segment.json", "verified.json"
_NEIGHBOURS, _PROJECTION = "neighbours", "projection"
_COLUMNS: Mapping[str, str] = {
    "id": "<i8", "vector": "<f2", "taken_at": "<f8", "row": "<i4", "camera": "<i4", "label": "<i4",
}  # fmt: skip


class Damaged(StoreError):
    """A segment is not what it must be."""


@dataclass(frozen=True)
class Facts:
    """The sidecar. The segment holds what was stored of the ids in (after, last] when it was written.

    asked: the kind of neighbours that was wanted; kind: what it has, "exact" for none. size, dims, depth, effort,
    recall, near: as `hub.corpus.tuning.Tuned`. cameras, labels: what the codes stand for. files: name →
    (bytes, SHA-256).
    """

    embedding_version: str
    after: int
    last: int
    count: int
    dim: int
    asked: str
    kind: str = EXACT
    size: int = 0
    dims: int = 0
    depth: int = 0
    effort: int = 0
    recall: float = 1.0
    near: float = -1.0
    metric: str = METRIC
    format: int = FORMAT
    cameras: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """On disk."""
        return sum(size for size, _ in self.files.values())


@dataclass(frozen=True, eq=False)
class Columns:
    """What filters go by, of n elements. camera, label: codes, which `cameras` and `labels` name."""

    taken_at: NDArray[np.float64]
    row: NDArray[np.int32]
    camera: NDArray[np.int32]
    label: NDArray[np.int32]
    cameras: Mapping[str, int]
    labels: Mapping[str, int]

    def passing(self, where: Filter) -> NDArray[np.bool_]:
        """Which elements a filter leaves, (n,). Names that are not among ours match nothing."""
        passing = np.ones(len(self.row), np.bool_)
        if where.since is not None:
            passing &= self.taken_at >= where.since
        if where.until is not None:
            passing &= self.taken_at < where.until
        if where.cameras:
            passing &= np.isin(self.camera, [self.cameras[name] for name in where.cameras if name in self.cameras])
        if where.labels:
            passing &= np.isin(self.label, [self.labels[name] for name in where.labels if name in self.labels])
        if where.kind is not None:
            passing &= (self.row > 0) == (where.kind is ElementKind.CROP)
        return passing


@dataclass(frozen=True, eq=False)
class Segment:
    """A segment that is open. ids: (n,), rising. vectors: (n, dim). projection: (dim, dims).

    neighbours: None where search is exact.
    """

    name: str
    facts: Facts
    ids: NDArray[np.int64]
    vectors: NDArray[np.float16]
    columns: Columns
    projection: Vectors
    neighbours: Neighbours | None


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────


def write_segment(
    folder: Path,
    chunks: Iterable[Rows],
    embedding_version: str,
    span: tuple[int, int],
    *,
    kind: str,
    exact_up_to: int = EXACT_UP_TO,
    target: float = tuning.TARGET,
) -> str | None:
    """Write the elements of a span of ids, (after, last], as a folder in `folder`; returns its name, None for none.

    kind: of neighbours, or "exact". StorageFull when there is no room.
    """
    after, last = span
    name = f"{after}-{last}-{uuid4().hex[:8]}"
    part = folder / f"{PART}{name}"
    try:
        part.mkdir(parents=True)
        facts = _columns(part, chunks, Facts(embedding_version, after, last, 0, 0, kind))
        if facts.count == 0:
            return None
        if kind != EXACT and facts.count > exact_up_to:
            facts = _neighbours(part, facts, target)
        _finish(part, facts)
        part.rename(folder / name)
        _sync(folder)
    except OSError as error:
        raise StorageFull(
            f"the index in {folder} can't be written: {error.strerror or error}",
            hint="Free some space, or make the data directory writable. Search goes on, without it more slowly.",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)  # gone already when all went well
    return name


def _columns(part: Path, chunks: Iterable[Rows], facts: Facts) -> Facts:
    cameras: dict[str, int] = {}
    labels: dict[str, int] = {}
    count = dim = 0
    files = {name: (part / name).open("wb") for name in _COLUMNS}
    try:
        for rows in chunks:
            values = {
                "id": rows.id, "vector": rows.vectors, "taken_at": rows.taken_at, "row": rows.row,
                "camera": codes(cameras, rows.camera), "label": codes(labels, rows.label),
            }  # fmt: skip
            for name, column in values.items():
                files[name].write(np.ascontiguousarray(column, _COLUMNS[name]).tobytes())
            count, dim = count + len(rows), rows.vectors.shape[1] if len(rows) else dim
    finally:
        for file in files.values():
            file.close()
    return replace(facts, count=count, dim=dim, cameras=tuple(cameras), labels=tuple(labels))


def _neighbours(part: Path, facts: Facts, target: float) -> Facts:
    """With a file of neighbours, unless these would find too few."""
    kind = neighbour_kind(facts.asked)
    vectors = _map(part / "vector", "<f2", facts.count, facts.dim)
    tuned, projection = tuning.build(vectors, kind, part / _NEIGHBOURS, target=target)
    if tuning.exact_is_better(kind, tuned, facts.count):
        (part / _NEIGHBOURS).unlink()
        return facts
    (part / _PROJECTION).write_bytes(projection.astype("<f4").tobytes())
    return replace(facts, kind=facts.asked, **asdict(tuned))


def _finish(part: Path, facts: Facts) -> None:
    files = {path.name: (path.stat().st_size, _sha256(path)) for path in sorted(part.iterdir())}
    said = asdict(replace(facts, files=files))
    (part / _SIDECAR).write_text(json.dumps({"facts": said, "sha256": _digest(said)}))
    _note_verified(part, files)
    for path in part.iterdir():
        _sync(path)
    _sync(part)


def codes(known: dict[str, int], names: Iterable[str]) -> NDArray[np.int32]:
    """Each name's number; new ones are added to `known`."""
    return np.array([known.setdefault(name, len(known)) for name in names], np.int32)


# ── opening ──────────────────────────────────────────────────────────────────────────────────────────


def open_segment(folder: Path, embedding_version: str, *, thorough: bool = False) -> Segment:
    """Open a segment. Damaged when it is not whole, not as written, or of another embedding version.

    Contents are compared with their checksums once, and again when a file's size, time or inode has changed, so that
    opening takes milliseconds; `thorough` always compares them.
    """
    facts = _read_sidecar(folder)
    if facts.format != FORMAT or facts.metric != METRIC:
        raise Damaged(f"segment {folder.name} is of another format")
    if facts.embedding_version != embedding_version:
        raise Damaged(f"segment {folder.name} is of another embedding version")
    if thorough or not _is_verified(folder, facts.files):
        _verify(folder, facts)
    return _mapped(folder, facts)


def _read_sidecar(folder: Path) -> Facts:
    try:
        sidecar = json.loads((folder / _SIDECAR).read_text())
        said = sidecar["facts"]
        if sidecar["sha256"] != _digest(said):
            raise Damaged(f"the sidecar of segment {folder.name} is damaged")
        said["cameras"], said["labels"] = tuple(said["cameras"]), tuple(said["labels"])
        said["files"] = {name: (int(size), str(digest)) for name, (size, digest) in said["files"].items()}
        return Facts(**said)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"segment {folder.name} has no readable sidecar") from error


def _verify(folder: Path, facts: Facts) -> None:
    missing = set(_COLUMNS) - set(facts.files)
    if missing:
        raise Damaged(f"segment {folder.name} lacks {', '.join(sorted(missing))}")
    for name, (size, digest) in facts.files.items():
        path = folder / name
        try:
            if path.stat().st_size != size or _sha256(path) != digest:
                raise Damaged(f"{name} of segment {folder.name} is damaged")
        except OSError as error:
            raise Damaged(f"{name} of segment {folder.name} can't be read: {error.strerror or error}") from error
    with suppress(OSError):  # a folder that is only read is verified each time
        _note_verified(folder, facts.files)


def _mapped(folder: Path, facts: Facts) -> Segment:
    try:
        column = {
            name: _map(folder / name, kind, facts.count, facts.dim if name == "vector" else 0)
            for name, kind in _COLUMNS.items()
        }
        projection = np.zeros((facts.dim, 0), np.float32)
        if facts.dims:
            projection = np.fromfile(folder / _PROJECTION, "<f4").reshape(facts.dim, facts.dims)
        neighbours = None
        if facts.kind != EXACT:
            neighbours = neighbour_kind(facts.kind).open(folder / _NEIGHBOURS, facts.dims or facts.dim)
    except (OSError, ValueError, RuntimeError, KeyError, NotSetUp) as error:
        raise Damaged(f"segment {folder.name} can't be opened: {error}") from error
    columns = Columns(
        column["taken_at"], column["row"], column["camera"], column["label"],
        {name: code for code, name in enumerate(facts.cameras)},
        {name: code for code, name in enumerate(facts.labels)},
    )  # fmt: skip
    return Segment(folder.name, facts, column["id"], column["vector"], columns, projection, neighbours)


def _map(path: Path, kind: str, count: int, dim: int) -> NDArray[Any]:
    return np.memmap(path, kind, "r", shape=(count, dim) if dim else (count,))


def _stamp(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]


def _note_verified(folder: Path, files: Iterable[str]) -> None:
    (folder / _VERIFIED).write_text(json.dumps({name: _stamp(folder / name) for name in files}))


def _is_verified(folder: Path, files: Iterable[str]) -> bool:
    try:
        noted = json.loads((folder / _VERIFIED).read_text())
        return bool(noted == {name: _stamp(folder / name) for name in files})
    except (OSError, ValueError):
        return False


def _digest(said: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """To disk, so that a name never outlives a crash that what it names did not."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
