"""Pictures by content hash, behind fsspec: a folder, memory, or a bucket."""

import errno
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec

from hub.protocols import Blobs
from shared.errors import InvalidInput, NotFound, StorageFull, StoreError
from shared.log import redact

YOUNG_S = 3600.0
"""A blob this young is never swept: the row that names it may be about to be written."""

_KEY = re.compile(r"[0-9a-zA-Z_-]{3,128}")


def open_blobs(url: str) -> Blobs:
    """The blob store at an fsspec URL: file://…, memory://…, s3://bucket/prefix. InvalidInput for another."""
    try:
        system, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise InvalidInput(
            f"pictures can't be kept at {redact(url)}: {error}",
            hint="Write file:///folder, or s3://bucket/prefix (which needs: pip install s3fs).",
        ) from error
    return FileBlobs(Path(root)) if system.protocol in ("file", ("file", "local")) else RemoteBlobs(system, root)


class FileBlobs:
    """Blobs as files, in 256 folders by the first two characters of their key."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes) -> None:
        """Store whole or not at all; storing a key again is free. StorageFull when there is no room."""
        path = self._path(key)
        if path.exists():
            return
        with storing(str(self._root)):
            write_whole(path, data)

    def get(self, key: str) -> bytes:
        """NotFound when absent."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise NotFound("picture", key) from None

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._path(key).exists()

    def delete(self, key: str) -> None:
        """Absent is fine."""
        self._path(key).unlink(missing_ok=True)

    def keys(self) -> Sequence[str]:
        """All of them."""
        return [path.name for path in self._root.glob("??/*") if _KEY.fullmatch(path.name)]

    def age_s(self, key: str, now: float) -> float:
        """Seconds since it was stored; 0 when it is gone. now: Unix seconds."""
        try:
            return now - self._path(key).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _path(self, key: str) -> Path:
        return self._root / _checked(key)[:2] / key


class RemoteBlobs:
    """Blobs behind any other fsspec file system. Object stores write an object whole or not at all."""

    def __init__(self, system: Any, root: str) -> None:
        self._system, self._root = system, root.rstrip("/")

    def put(self, key: str, data: bytes) -> None:
        """Store whole or not at all; storing a key again is free."""
        if key not in self:
            with storing(self._root):
                self._system.pipe_file(self._path(key), data)

    def get(self, key: str) -> bytes:
        """NotFound when absent."""
        try:
            found: bytes = self._system.cat_file(self._path(key))
        except FileNotFoundError:
            raise NotFound("picture", key) from None
        except OSError as error:
            raise StoreError(f"{self._root} can't be read: {error}") from error
        return found

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and bool(self._system.exists(self._path(key)))

    def delete(self, key: str) -> None:
        """Absent is fine."""
        if key in self:
            self._system.rm_file(self._path(key))

    def keys(self) -> Sequence[str]:
        """All of them."""
        return [path.rsplit("/", 1)[-1] for path in self._system.find(self._root)]

    def age_s(self, key: str, now: float) -> float:
        """Seconds since it was stored; 0 when it is gone or its store does not say. now: Unix seconds."""
        try:
            return now - float(self._system.modified(self._path(key)).timestamp())
        except (FileNotFoundError, NotImplementedError):
            return 0.0

    def _path(self, key: str) -> str:
        return f"{self._root}/{_checked(key)[:2]}/{key}"


def sweep(blobs: Blobs, in_use: set[str], *, now: float | None = None) -> int:
    """Delete the blobs that no row names, but for young ones; returns how many."""
    at = time.time() if now is None else now
    stored = blobs.keys()
    orphans = [key for key in stored if key not in in_use and blobs.age_s(key, at) > YOUNG_S]
    for key in orphans:
        blobs.delete(key)
    return len(orphans)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that whoever looks sees all of it or nothing, even after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:80]}.{uuid4().hex[:8]}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def storing(where: str) -> Iterator[None]:
    """An OSError while writing as StorageFull (no room, read-only, not allowed) or StoreError."""
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(
                f"no room left at {where}", hint="Free some space; nothing stored is lost."
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR):
            raise StorageFull(f"{where} can't be written: {said}", hint="Make it writable.") from error
        raise StoreError(f"{where} can't be written: {said}") from error


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidInput(f"{key!r} is no id of a picture")
    return key
