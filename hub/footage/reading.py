"""Local files as frames, in the order they were found, read ahead in threads and within bounds."""

import hashlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from hub.footage.files import Found, LocalFile, Unreadable, path_of, read_picture, taken_at
from hub.footage.video import LOOK_S, QUALITY, film_facts, sample
from hub.types import Frame
from shared.errors import ImageError, NotFound

T = TypeVar("T")

_AHEAD = 64
_AHEAD_BYTES = 256 * 2**20
"""Files that are read before they are asked for, and what they may weigh together."""

_FILMS_AHEAD = 2
_STILLS_AHEAD = 16
_PIECE = 2**22
_WAIT_S = 0.2


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame, and where it came from. size: bytes read for it."""

    frame: Frame
    source: str
    size: int


@dataclass(frozen=True)
class KnownFilm:
    """A film that was sampled before, in the same way. frames: ids, in order."""

    source: str
    frames: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class FilmEnd:
    """All of a film was sampled. id: of its content and of how it was sampled."""

    id: str
    source: str
    frames: tuple[str, ...]
    size: int


Item = Picture | KnownFilm | FilmEnd | Unreadable

Recall = Callable[[str], Sequence[str] | None]
"""The frames of a film by its id, None unless all is known of all of them."""


@dataclass(frozen=True)
class Reading:
    """How files are read. camera: in place of their folder's name, or "". threads: of a film's decoder."""

    every_s: float = 1.0
    camera: str = ""
    threads: int = 1


def footage(found: Iterable[Found], pool: Executor, reading: Reading, recall: Recall) -> Generator[Item, None, None]:
    """Frames in the order of the files. Close it to stop reading."""
    waiting: deque[tuple[int, Future[Item] | Ahead[Item] | Unreadable]] = deque()
    files = iter(found)
    try:
        more = True
        while more or waiting:
            while more and _has_room(waiting):
                file = next(files, None)
                if file is None:
                    more = False
                else:
                    waiting.append(_begin(file, pool, reading, recall))
            if waiting:
                yield from _items(waiting[0][1])
                waiting.popleft()
    finally:
        for _, each in waiting:
            if isinstance(each, Ahead):
                each.close()
            elif isinstance(each, Future):
                each.cancel()


def _has_room(waiting: Sequence[tuple[int, object]]) -> bool:
    films = sum(isinstance(each, Ahead) for _, each in waiting)
    return len(waiting) < _AHEAD and films < _FILMS_AHEAD and sum(size for size, _ in waiting) < _AHEAD_BYTES


def _begin(
    file: Found, pool: Executor, reading: Reading, recall: Recall
) -> "tuple[int, Future[Item] | Ahead[Item] | Unreadable]":
    if isinstance(file, Unreadable):
        return 0, file
    held = len(file.data or b"")
    if file.is_film:
        return held, Ahead(_film(file, reading, recall), _STILLS_AHEAD)
    return max(held, file.size), pool.submit(_picture, file, reading)


def _items(of: "Future[Item] | Ahead[Item] | Unreadable") -> Iterator[Item]:
    if isinstance(of, Unreadable):
        yield of
    elif isinstance(of, Future):
        yield of.result()
    else:
        yield from of


def _picture(file: LocalFile, reading: Reading) -> Item:
    try:
        data = read_picture(path_of(file)) if file.data is None else file.data
    except (ImageError, NotFound) as error:
        return Unreadable(file.source, error.message, file.size)
    frame = Frame(reading.camera or file.camera, 0, taken_at(data, file.modified_at), data)
    _ = frame.id  # hashed here, in a thread
    return Picture(frame, file.source, file.size)


def _film(file: LocalFile, reading: Reading, recall: Recall) -> Iterator[Item]:
    """Its frames, then its end, or what is wrong with it."""
    film = path_of(file) if file.data is None else file.data
    left = file.size
    try:
        film_id = _film_id(film, reading.every_s)
        if (known := recall(film_id)) is not None:
            yield KnownFilm(file.source, tuple(known), left)
            return
        facts = film_facts(film)
        began = file.modified_at - facts.duration_s if facts.created_at is None else facts.created_at
        frames, before = [], 0.0
        for still in sample(film, reading.every_s, threads=reading.threads):
            frame = Frame(reading.camera or file.camera, 0, began + still.at, still.jpeg)
            frames.append(frame.id)
            share = min(left, round(file.size * (still.at - before) / facts.duration_s)) if facts.duration_s else 0
            left, before = left - share, still.at
            yield Picture(frame, f"{file.source}#{still.at:.3f}", share)
        yield FilmEnd(film_id, file.source, tuple(frames), left)
    except ImageError as error:
        yield Unreadable(file.source, error.message, left)
    except OSError as error:
        yield Unreadable(file.source, f"it can't be read: {error.strerror}", left)


def _film_id(film: Path | bytes, every_s: float) -> str:
    """A hash of the content and of how it is sampled."""
    digest = hashlib.blake2b(digest_size=16)
    if isinstance(film, bytes):
        digest.update(film)
    else:
        with film.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    digest.update(f"every {every_s:g} s, looked at every {LOOK_S:g} s, quality {QUALITY}".encode())
    return digest.hexdigest()


class Ahead(Generic[T]):
    """An iterator that a thread of its own runs ahead of whoever reads it."""

    def __init__(self, items: Iterator[T], size: int) -> None:
        self._queue: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(size)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(items,), name="film", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        try:
            while True:
                item, error = self._queue.get()
                if error is not None:
                    raise error
                if item is None:
                    return
                yield item
        finally:
            self.close()

    def close(self) -> None:
        """Stop the thread, which may be in the middle of a frame."""
        self._closed.set()
        self._thread.join()

    def _run(self, items: Iterator[T]) -> None:
        try:
            for item in items:
                if not self._put((item, None)):
                    return
            self._put((None, None))
        except BaseException as error:  # noqa: BLE001  (handed to whoever reads)
            self._put((None, error))

    def _put(self, item: tuple[T | None, BaseException | None]) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_WAIT_S)
                return True
            except queue.Full:
                continue
        return False
