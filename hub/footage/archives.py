"""Files within zip and tar archives, read one after the other and never put on disk.

Archives are hostile until proven otherwise: what a member says of its size is not believed, what it unpacks to is
bounded, and so is what all of an archive unpacks to, in proportion to the archive.
"""

import bz2
import contextlib
import gzip
import lzma
import os
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from shared.errors import ImageError, NotFound

FREE_BYTES = 64 * 2**20
MOST_RATIO = 200
"""An archive may unpack to so many times its own size, and `FREE_BYTES`. Pictures and films hardly shrink at all."""

_MOST_HEADER = 2**20
"""Bytes of a tar header: a long name, extended attributes."""

_ZIPS = (".zip",)
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")
_UNPACKERS: dict[str, Callable[[Any], IO[bytes]]] = {"gz": gzip.open, "z2": bz2.open, "bz": bz2.open, "xz": lzma.open}  # type: ignore[dict-item]
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)
_UNUSABLE = (*_DAMAGE, NotImplementedError, RuntimeError)  # (an unknown compression, a password)


@dataclass(frozen=True)
class Member:
    """A file within an archive.

    name: `portable`. modified_at: Unix seconds. position: bytes of the archive up to its end.
    """

    name: str
    data: bytes
    modified_at: float
    position: int


@dataclass(frozen=True)
class Spoiled:
    """What can't be read; name "" for the archive itself from here on."""

    name: str
    reason: str


class _Bomb(Exception):
    """It unpacks to far more than it holds."""


def is_archive(name: str) -> bool:
    """Going by its name."""
    return name.lower().endswith(_ZIPS + _TARS)


def members(path: Path, most: Callable[[str], int]) -> Iterator[Member | Spoiled]:
    """The regular files of an archive, in its order. most: bytes a member of that name may have, 0 to leave it out."""
    read = _zip_members if path.name.lower().endswith(_ZIPS) else _tar_members
    try:
        yield from read(path, most)
    except _Bomb:
        yield Spoiled("", f"it unpacks to more than {MOST_RATIO} times its size, so no more of it was read")
    except _DAMAGE as error:
        yield Spoiled("", f"a damaged archive: {_said(error)}")


def portable(name: str) -> str:
    """A file name as text that any database takes: bytes that are no UTF-8 are written \\xff."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def read_member(path: Path, name: str, most: int) -> bytes:
    """One member. NotFound when there is none, ImageError when it can't be read."""
    for found in members(path, lambda each: most if portable(each) == name else 0):
        if isinstance(found, Member):
            return found.data
        raise ImageError("undecodable", f"{path}!{found.name or name}: {found.reason}")
    raise NotFound("file", name, hint=f"Was {path} changed?")


# ── zip ──────────────────────────────────────────────────────────────────────────────────────────────


def _zip_members(path: Path, most: Callable[[str], int]) -> Iterator[Member | Spoiled]:
    room = _room(path)
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            limit = 0 if info.is_dir() else most(info.filename)
            if not limit:
                continue
            found = _zip_member(archive, info, min(limit, room), limit)
            if isinstance(found, Member):
                room -= len(found.data)
            yield found


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, readable: int, limit: int) -> Member | Spoiled:
    if info.file_size > limit:
        return Spoiled(portable(info.filename), _too_large(info.file_size, limit))
    try:
        with archive.open(info) as file:
            data = file.read(readable + 1)
    except _UNUSABLE as error:
        return Spoiled(portable(info.filename), _said(error))
    if len(data) > readable:
        if readable < limit:
            raise _Bomb
        return Spoiled(portable(info.filename), _too_large(len(data), limit))
    return Member(portable(info.filename), data, _zip_time(info), info.header_offset + info.compress_size)


def _zip_time(info: zipfile.ZipInfo) -> float:
    """Zip keeps local times."""
    try:
        return time.mktime((*info.date_time, 0, 0, -1))
    except (ValueError, OverflowError):
        return 0.0


# ── tar ──────────────────────────────────────────────────────────────────────────────────────────────


class _Bounded:
    """An unpacked stream that ends in `_Bomb` where it grows past all bounds. most: bytes of one read."""

    def __init__(self, inner: IO[bytes], room: float) -> None:
        self._inner, self._room = inner, room
        self.most = _MOST_HEADER

    def read(self, n: int = -1) -> bytes:
        if n < 0 or n > self.most:
            raise tarfile.ReadError(f"a header of {n:,} bytes")
        data = self._inner.read(n)
        self._check(self._inner.tell())
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._check(offset if whence == 0 else 0)
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    def _check(self, position: int) -> None:
        if position > self._room:
            raise _Bomb


def _tar_members(path: Path, most: Callable[[str], int]) -> Iterator[Member | Spoiled]:
    unpack = _UNPACKERS.get(path.name.lower().rpartition(".")[2][-2:])
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(path.open("rb"))
        inner = stack.enter_context(unpack(raw)) if unpack else raw
        stream = _Bounded(inner, _room(path) if unpack else float("inf"))
        archive = stack.enter_context(tarfile.open(fileobj=stream, mode="r:"))  # type: ignore[call-overload]
        while (info := archive.next()) is not None:
            archive.members.clear()  # else it keeps all it ever saw
            limit = most(info.name) if info.isreg() else 0
            if limit and info.size > limit:
                yield Spoiled(portable(info.name), _too_large(info.size, limit))
            elif limit:
                stream.most = max(info.size, _MOST_HEADER)
                data = archive.extractfile(info).read()
                stream.most = _MOST_HEADER
                yield Member(portable(info.name), data, float(info.mtime), raw.tell())


def _room(path: Path) -> int:
    return FREE_BYTES + MOST_RATIO * path.stat().st_size


def _too_large(size: int, limit: int) -> str:
    return f"{size:,} bytes, the most is {limit:,}"


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
