"""Pictures and films on disk: found, read, and read again by the name they are recorded with.

A source is `/path/a.jpg`, `/path/archive.zip!folder/a.jpg`, `/path/film.mp4#12.345` (seconds from its beginning) or
`/path/archive.zip!film.mp4#12.345`.
"""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from hub.footage.archives import Member, is_archive, members, portable, read_member
from hub.footage.video import frame_at
from hub.vision import LIMITS
from shared import exif
from shared import jpeg as jpeg_file
from shared.errors import ImageError, InvalidInput, NotFound

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
FILMS = frozenset({
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".wmv", ".flv", ".3gp",
    ".mjpeg", ".mjpg", ".asf", ".ogv",
})  # fmt: skip
FOREIGN = frozenset({
    ".heic", ".heif", ".avif", ".jxl", ".tif", ".tiff", ".gif", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".rw2",
    ".raf",
})  # fmt: skip
"""Pictures that nobody here can decode: told, not passed over in silence."""

MAX_ARCHIVED_FILM = 512 * 2**20
"""Bytes of a film within an archive: it is held in memory."""

_CAMERA = 100
"""Characters of a camera's name."""

_ORIGINAL, _OFFSET = 0x9003, 0x9011


@dataclass(frozen=True, eq=False)
class LocalFile:
    """A picture or a film that was found.

    source: as above, without a time. camera: the name of the folder, archive or film it was found by. modified_at: Unix
    seconds. size: bytes to be read. data: of a member of an archive, else None.
    """

    source: str
    camera: str
    modified_at: float
    size: int
    is_film: bool = False
    data: bytes | None = None


@dataclass(frozen=True)
class Unreadable:
    """What is no use, and why. size: bytes that need not be read."""

    source: str
    reason: str
    size: int = 0


Found = LocalFile | Unreadable


def walk(paths: Sequence[str | Path]) -> Iterator[Found]:
    """Every picture and film under files, folders, globs and archives; names in the order people count in.

    Hidden files are left out, and so are links to folders. InvalidInput for a path that leads nowhere.
    """
    for path in expand(paths):
        camera = _camera(path)
        if path.is_dir():
            yield from _in_folder(path, camera)
        else:
            yield from _file(path, camera)


def expand(paths: Sequence[str | Path]) -> list[Path]:
    """Absolute paths, globs resolved. InvalidInput for one that leads nowhere."""
    found: list[Path] = []
    for given in paths:
        path = Path(os.path.abspath(given))  # noqa: PTH100  (a link stays the name it was given by)
        if path.exists():
            found.append(path)
            continue
        matching = sorted(glob.glob(str(path), recursive=True), key=natural)  # noqa: PTH207  (absolute ones too)
        if not matching:
            raise InvalidInput(f"there is no file or folder {given}", hint="Check the path.")
        found += map(Path, matching)
    return found


def measure(paths: Sequence[str | Path]) -> Iterator[int]:
    """The bytes to be read, file by file: the sum is what `walk` comes to, with nothing opened."""
    for path in expand(paths):
        for file in _files(path) if path.is_dir() else [path]:
            if path == file or is_ours(file.name):
                yield _size(file)


def is_ours(name: str) -> bool:
    """Whether a file is a picture, a film or an archive, going by its name."""
    return _kind(name) in PICTURES | FILMS | FOREIGN or is_archive(name)


def read_source(source: str) -> bytes:
    """The picture of a source: a file's very bytes, or those that sampling made of a film's frame.

    NotFound when its file is gone, ImageError when it can't be read.
    """
    path, member, at = parse_source(source)
    if at is not None:
        film: Path | bytes = read_member(path, member, MAX_ARCHIVED_FILM) if member else path
        return frame_at(film, at)
    if member:
        return read_member(path, member, LIMITS.max_bytes)
    return read_picture(path)


def parse_source(source: str) -> tuple[Path, str, float | None]:
    """(file, member or "", seconds or None). NotFound when the file is gone."""
    if (path := _on_disk(source)).is_file():
        return path, "", None
    text, at = _split_time(source)
    for mark in (len(text), *(i for i, letter in enumerate(text) if letter == "!")):
        if (path := _on_disk(text[:mark])).is_file():
            return path, text[mark + 1 :], at
    raise NotFound("file", source, hint="It was moved or deleted since it was scanned.")


def read_picture(path: Path) -> bytes:
    """The bytes of a picture within the limits. ImageError, NotFound."""
    try:
        with path.open("rb") as file:
            data = file.read(LIMITS.max_bytes + 1)
    except FileNotFoundError:
        raise NotFound("file", str(path)) from None
    except OSError as error:
        raise ImageError("undecodable", f"it can't be read: {error.strerror}") from error
    if len(data) > LIMITS.max_bytes:
        raise ImageError("too-large", f"more than {LIMITS.max_bytes:,} bytes")
    return data


def path_of(file: LocalFile) -> Path:
    """Where a file that is on disk is."""
    return _on_disk(file.source)


def taken_at(picture: bytes, modified_at: float) -> float:
    """When a picture was taken, Unix seconds: what its EXIF says, or else when its file was last written.

    Cameras that don't say in which time zone they are (most) are taken to be in this machine's.
    """
    if picture[:2] != b"\xff\xd8":
        return modified_at
    try:
        for marker, start, end in jpeg_file.segments(picture):
            if jpeg_file.is_exif(picture, marker, start):
                said = _original_time(exif.tags(picture[start + 10 : end]))
                return modified_at if said is None else said
    except ImageError:
        pass  # decoding it will say what is wrong
    return modified_at


def _original_time(found: exif.Tags) -> float | None:
    text = found.get(_ORIGINAL)
    if found.get(_OFFSET) or not isinstance(text, bytes):
        return exif.original_time(found)
    try:
        local = datetime.strptime(text.decode("ascii", "replace").strip(), "%Y:%m:%d %H:%M:%S").astimezone()
    except (ValueError, OverflowError, OSError):
        return None
    east = int(local.utcoffset().total_seconds() // 60)  # type: ignore[union-attr]  # (it is aware)
    offset = f"{'-' if east < 0 else '+'}{abs(east) // 60:02d}:{abs(east) % 60:02d}"
    return exif.original_time({**found, _OFFSET: offset.encode()})


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts img2 before img10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name)]


# ── walking ──────────────────────────────────────────────────────────────────────────────────────────


def _in_folder(folder: Path, camera: str) -> Iterator[Found]:
    for path in _files(folder):
        if is_ours(path.name):
            yield from _file(path, camera)


def _files(folder: Path) -> Iterator[Path]:
    """Those that are not hidden, to the bottom."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural)
        for name in sorted((name for name in names if not name.startswith(".")), key=natural):
            yield Path(here, name)


def _file(path: Path, camera: str) -> Iterator[Found]:
    source = portable(str(path))
    try:
        facts = path.stat()
    except OSError as error:
        yield Unreadable(source, f"it can't be read: {error.strerror}")
        return
    if not path.is_file():
        yield Unreadable(source, "it is no file")
    elif is_archive(path.name):
        yield from _in_archive(path, camera)
    elif _kind(path.name) in FOREIGN:
        yield Unreadable(source, _foreign(path.name), facts.st_size)
    else:
        yield LocalFile(source, camera, facts.st_mtime, facts.st_size, _kind(path.name) in FILMS)


def _in_archive(path: Path, camera: str) -> Iterator[Found]:
    source, before = portable(str(path)), 0
    for found in members(path, _most):
        name = f"{source}!{found.name}" if found.name else source
        if not isinstance(found, Member):
            yield Unreadable(name, found.reason)
            continue
        share, before = max(0, found.position - before), max(before, found.position)
        kind = _kind(found.name)
        if kind in PICTURES | FILMS:
            yield LocalFile(name, camera, found.modified_at, share, kind in FILMS, found.data)
        else:
            yield Unreadable(name, _foreign(found.name), share)


def _most(name: str) -> int:
    """Bytes that a member may have, 0 for what is none of ours or hidden."""
    if any(part.startswith(".") or part == "__MACOSX" for part in name.split("/") if part not in (".", "..")):
        return 0
    if _kind(name) in FILMS:
        return MAX_ARCHIVED_FILM
    return LIMITS.max_bytes if is_ours(name) else 0


def _foreign(name: str) -> str:
    if is_archive(name):
        return "an archive within an archive: unpack it"
    return f"{_kind(name) or 'this kind of file'} is not supported: convert it to JPEG or PNG"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _kind(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _camera(path: Path) -> str:
    """What pictures are named by that were found through a path: its folder, archive or film."""
    if path.is_dir():
        name = path.name
    elif is_archive(path.name) or _kind(path.name) in FILMS:
        name = re.sub(r"\.tar$", "", path.stem)
    else:
        name = path.parent.name
    return portable(name)[:_CAMERA] or "scan"


# ── names ────────────────────────────────────────────────────────────────────────────────────────────


def _on_disk(text: str) -> Path:
    """The inverse of `portable`."""
    path = Path(text)
    if "\\x" not in text or path.exists():
        return path
    parts = re.split(rb"\\x([0-9a-f]{2})", text.encode())
    return Path(os.fsdecode(b"".join(bytes([int(p, 16)]) if i % 2 else p for i, p in enumerate(parts))))


def _split_time(source: str) -> tuple[str, float | None]:
    """A source without its time, and the time."""
    text, _, seconds = source.rpartition("#")
    return (text, float(seconds)) if re.fullmatch(r"\d+(\.\d+)?", seconds) else (source, None)
