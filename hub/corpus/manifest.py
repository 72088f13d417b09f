"""Which segments are in use: one small file that is replaced whole, and the locks of those who replace it."""

from __future__ import annotations

import fcntl
import itertools
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from hub.corpus.delta import Span
from hub.corpus.segments import PART
from shared.errors import StorageFull, StoreError

_log = logging.getLogger(__name__)

_FILE, _BUILDING, _CHANGING = "manifest.json", "build.lock", "change.lock"
_FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """A segment in use. It covers the ids in (after, last]."""

    name: str
    after: int
    last: int


@dataclass(frozen=True)
class Manifest:
    """The segments in use, by id; no two cover the same id. token: changes with the file; None when there is none."""

    entries: tuple[Entry, ...] = ()
    token: tuple[int, ...] | None = None

    @property
    def last(self) -> int:
        """The highest id that is covered."""
        return self.entries[-1].last if self.entries else 0

    def holes(self) -> list[Span]:
        """The spans of ids below `last` that no segment covers."""
        ends = [0, *(entry.last for entry in self.entries)]
        return [(end, entry.after) for end, entry in zip(ends, self.entries, strict=False) if end < entry.after]

    def without(self, name: str) -> Manifest:
        """With a hole where a segment was."""
        return Manifest(tuple(entry for entry in self.entries if entry.name != name), self.token)


def token(folder: Path) -> tuple[int, ...] | None:
    """What tells one manifest of a folder from the next, without reading it."""
    try:
        found = (folder / _FILE).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def read(folder: Path, embedding_version: str) -> Manifest:
    """The manifest; an unreadable one, or that of another embedding version, is as none, with a warning."""
    seen = token(folder)  # before reading: when it is replaced meanwhile, the next look tells
    if seen is None:
        return Manifest()
    try:
        said = json.loads((folder / _FILE).read_text())
        if (said["format"], said["embedding_version"]) != (_FORMAT, embedding_version):
            raise ValueError("it is of something else")
        entries = sorted((Entry(**each) for each in said["segments"]), key=lambda entry: entry.after)
        if any(one.last > other.after for one, other in itertools.pairwise(entries)):
            raise ValueError("segments overlap")
    except FileNotFoundError:
        return Manifest()
    except (OSError, ValueError, TypeError, KeyError) as error:
        _log.warning("the index in %s is left out, and must be built again: %s can't be used: %s", folder, _FILE, error)
        return Manifest((), seen)
    return Manifest(tuple(entries), seen)


def replace(folder: Path, embedding_version: str, span: Span, new: Sequence[Entry]) -> None:
    """Put segments where others were, and delete those. Only while `changing`.

    What of the others lies outside the span becomes a hole, to be read from the archive again.
    """
    after, last = span
    before = read(folder, embedding_version).entries
    kept = [entry for entry in before if entry.last <= after or entry.after >= last]
    _write(folder, embedding_version, sorted([*kept, *new], key=lambda entry: entry.after))
    for entry in set(before) - set(kept):
        _delete(folder / entry.name)


def sweep(folder: Path, embedding_version: str) -> None:
    """Delete what killed builders left. Only while `building` and `changing`: what is new is not in a manifest yet."""
    used = {entry.name for entry in read(folder, embedding_version).entries}
    for path in folder.iterdir():
        if path.is_dir() and path.name not in used:
            _delete(path)


def _delete(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)  # readers that have it open keep what they mapped


@contextmanager
def building(folder: Path) -> Iterator[None]:
    """One builder at a time; held for minutes. StoreError when there is one."""
    with _locked(folder / _BUILDING, wait=False):
        yield


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """One who replaces the manifest at a time; held for seconds."""
    with _locked(folder / _CHANGING, wait=True):
        yield


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise StorageFull(
            f"the index folder {path.parent} can't be written: {error.strerror or error}",
            hint="Free some space, or make the data directory writable.",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise StoreError("the index is being built by another process", hint="Wait until it is done.") from error
        yield


def _write(folder: Path, embedding_version: str, entries: Sequence[Entry]) -> None:
    said = {
        "format": _FORMAT,
        "embedding_version": embedding_version,
        "segments": [asdict(entry) for entry in entries],
    }
    part = folder / f"{_FILE}{PART}"
    try:
        with part.open("w") as file:
            json.dump(said, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / _FILE)
    except OSError as error:
        raise StorageFull(
            f"the index in {folder} can't be written: {error.strerror or error}", hint="Free some space."
        ) from error
