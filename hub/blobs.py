"""Pictures by content hash, behind fsspec: a folder, memory, or a bucket."""

import errno
import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec

from hub.protocols import Blobs
from shared.errors import InvalidInput, NotFound, StorageFull, StoreError
from shared.log import redact

YOUNG_S = 3600.0
"""A blob this young is never swept: the row that names it may be about to be written."""

PARTS = ".parts"
"""The folder of files that are being written."""

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
    """Blobs as files, in folders by the first two characters of their key."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._parts = root / PARTS
        with storing(str(root)):
            clear_parts(self._parts, older_than_s=YOUNG_S, now=time.time())

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Store whole or not at all; storing a key again is free. StorageFull when there is no room.

        durable: whether it must outlive a power cut. Without, it is not waited for the disk, and a file may be found
        cut short after one: whoever reads compares its length with what the row says.
        """
        path = self._path(key)
        with storing(str(self._root)):
            if not _touch(path, len(data)):
                write_whole(path, [data], parts=self._parts, durable=durable)

    def get(self, key: str) -> bytes:
        """NotFound when absent, StoreError when it can't be read."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise NotFound("picture", key) from None
        except OSError as error:
            raise StoreError(f"picture {key} at {self._root} can't be read: {error.strerror}") from error

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._path(key).exists()

    def delete(self, key: str) -> None:
        """Absent is fine."""
        with storing(str(self._root)):
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

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        """Store whole or not at all; storing a key again is free. What is stored is durable either way."""
        with storing(self._root):
            # One that is about to be old enough for a sweep is written again, which makes it young.
            if key not in self or self.age_s(key, time.time()) > YOUNG_S / 2:
                self._system.pipe_file(self._path(key), data)

    def get(self, key: str) -> bytes:
        """NotFound when absent, StoreError when it can't be read."""
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
        with storing(self._root):
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
    """Delete the blobs that no row names, but for young ones; returns how many.

    in_use: what rows named before this call. A blob that is stored again since then is young again, so it stays.
    """
    swept = 0
    stored = blobs.keys()
    for key in stored:
        if key not in in_use and blobs.age_s(key, time.time() if now is None else now) > YOUNG_S:
            blobs.delete(key)
            swept += 1
    return swept


def write_whole(path: Path, data: Iterable[bytes], *, parts: Path, durable: bool = True) -> None:
    """Write a file so that whoever looks sees all of it or nothing, even after a power cut.

    data: its bytes in pieces. parts: a folder on the same file system, for what is not whole yet. durable: False saves
    the wait for the disk; the file is then whole unless the power is cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    parts.mkdir(parents=True, exist_ok=True)
    part = parts / uuid4().hex
    try:
        with part.open("wb") as file:
            file.writelines(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        _keep_name(path.parent)


def clear_parts(parts: Path, *, older_than_s: float, now: float) -> None:
    """Remove what writers that were killed left in their folder of parts."""
    for part in parts.glob("*"):
        with suppress(FileNotFoundError):  # its writer lives, and is done
            if now - part.stat().st_mtime >= older_than_s:
                part.unlink()


def _keep_name(folder: Path) -> None:
    """Make a rename survive a power cut: the name is the folder's, not the file's."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _touch(path: Path, size: int) -> bool:
    """Whether a file is there whole; makes it young, so that no sweep takes what a row is about to name."""
    try:
        os.utime(path)
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


@contextmanager
def storing(where: str) -> Iterator[None]:
    """An OSError while writing as StorageFull (no room, read-only, not allowed) or StoreError."""
    try:
        yield
    except OSError as error:
        said = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageFull(f"no room left at {where}", hint="Free some space; nothing stored is lost.") from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            raise StorageFull(f"{where} can't be written: {said}", hint="Make it writable.") from error
        raise StoreError(f"{where} can't be written: {said}") from error


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidInput(f"{key!r} is no id of a picture")
    return key
