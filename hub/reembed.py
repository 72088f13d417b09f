"""What was seen, by another embedder: kept pictures are embedded anew while the old one serves.

The new vectors are elements of their own, beside the old ones, so that to stop at any moment leaves all as it was, and
to go on passes over what is stored already. The oldest pictures come first: they are the next to fade, and what is
seen meanwhile comes last in any case.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hub.archive import Archive, Element, Newcomer, Stored
from hub.protocols import Embedder
from hub.types import Image
from hub.vision import crop, decode
from shared.errors import ImageError, NotFound

IDS_AT_ONCE = 1000
"""Elements looked up at once."""

FRAMES_AT_ONCE = 4
"""Frames embedded in one go: with their crops, a batch of a dozen pictures or so."""


class Kept(Protocol):
    """What pictures are there: hub.pictures.Pictures."""

    def picture(self, frame_id: str) -> bytes:
        """Its bytes. NotFound when it is not kept."""


@dataclass(frozen=True)
class Progress:
    """How far it is. Elements of the old version: stored: embedded anew now. known: embedded anew before. gone: their
    picture is not kept. broken: their picture can't be read, or has no vector. frames: looked at. total: elements."""

    total: int = 0
    frames: int = 0
    stored: int = 0
    known: int = 0
    gone: int = 0
    broken: int = 0

    @property
    def done(self) -> int:
        """Of total."""
        return self.stored + self.known + self.gone + self.broken

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(
            self.total + other.total,
            self.frames + other.frames,
            self.stored + other.stored,
            self.known + other.known,
            self.gone + other.gone,
            self.broken + other.broken,
        )


Show = Callable[[Progress], None]


@dataclass(frozen=True, eq=False)
class _Done:
    """A few frames embedded anew."""

    new: Sequence[Newcomer]
    progress: Progress


# ── elements ─────────────────────────────────────────────────────────────────────────────────────────


def re_embed(
    archive: Archive,
    kept: Kept,
    embedder: Embedder,
    old: str,
    *,
    workers: int = 1,
    show: Show | None = None,
    after: int = 0,
) -> tuple[Progress, int]:
    """Embed every element of an embedding version anew, if its picture is kept, and store it as one of the embedder's.

    workers: embeddings side by side. after: the id to go on after. Returns how it went, and the id of the last element
    that was looked at; with that as `after`, a second call does what came meanwhile.
    """
    ids = archive.living(old, first=after + 1, last=archive.last_id(old))
    so_far = Progress(total=len(ids))
    groups = _frames(archive, old, embedder.version, ids.tolist())
    with ThreadPoolExecutor(workers, thread_name_prefix="re-embed") as pool:
        for done in _side_by_side(pool, workers, groups, lambda some: _embed(some, kept, embedder)):
            if done.new:
                archive.add(done.new)
            so_far += done.progress
            if show is not None:
                show(so_far)
    return so_far, int(ids[-1]) if len(ids) else after


@dataclass(frozen=True, eq=False)
class _Frame:
    """The elements of a frame that are to be embedded anew, and how many were before."""

    id: str
    elements: Sequence[Element]
    known: int


def _frames(archive: Archive, old: str, new: str, ids: Sequence[int]) -> Iterator[Sequence[_Frame]]:
    """By a few frames, the elements with these ids."""
    for start in range(0, len(ids), IDS_AT_ONCE):
        of_frame: dict[str, list[Element]] = {}
        for each in archive.stored(ids[start : start + IDS_AT_ONCE]):
            of_frame.setdefault(each.element.frame_id, []).append(each.element)
        done = _rows(archive.of_frames(list(of_frame), new))
        frames = [
            _Frame(frame, to_do, len(elements) - len(to_do))
            for frame, elements in of_frame.items()
            for to_do in [[e for e in elements if e.row not in done.get(frame, ())]]
        ]
        known = sum(each.known for each in frames if not each.elements)
        if known:
            yield [_Frame("", (), known)]
        waiting = [each for each in frames if each.elements]
        for at in range(0, len(waiting), FRAMES_AT_ONCE):
            yield waiting[at : at + FRAMES_AT_ONCE]


def _rows(stored: Mapping[str, Sequence[Stored]]) -> dict[str, set[int]]:
    return {frame: {each.element.row for each in some} for frame, some in stored.items()}


def _side_by_side(
    pool: ThreadPoolExecutor,
    workers: int,
    groups: Iterable[Sequence[_Frame]],
    work: Callable[[Sequence[_Frame]], _Done],
) -> Iterator[_Done]:
    """What work makes of groups, in order, with twice as many under way as there are workers."""
    under_way: deque[Future[_Done]] = deque()
    try:
        for group in groups:
            under_way.append(pool.submit(work, group))
            if len(under_way) >= 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for each in under_way:
            each.cancel()


def _embed(frames: Sequence[_Frame], kept: Kept, embedder: Embedder) -> _Done:
    """Decode, crop and embed in one batch."""
    progress = Progress(frames=sum(1 for each in frames if each.id), known=sum(each.known for each in frames))
    elements: list[Element] = []
    images: list[Image] = []
    for frame in frames:
        if not frame.elements:
            continue
        picture = _picture(kept, frame.id)
        if isinstance(picture, str):
            count = len(frame.elements)
            progress += Progress(gone=count) if picture == "gone" else Progress(broken=count)
            continue
        elements += frame.elements
        images += [picture if each.row == 0 else crop(picture, each.box) for each in frame.elements]
    vectors = embedder.embed(images) if images else ()
    new = [
        _as_new(element, vector, embedder.version)
        for element, vector in zip(elements, vectors, strict=True)
        if vector.any() and np.isfinite(vector).all()
    ]
    return _Done(new, progress + Progress(stored=len(new), broken=len(elements) - len(new)))


def _picture(kept: Kept, frame_id: str) -> Image | str:
    """Decoded, or "gone", or "broken"."""
    try:
        return decode(kept.picture(frame_id))
    except NotFound:
        return "gone"
    except ImageError:
        return "broken"


def _as_new(element: Element, vector: np.ndarray, version: str) -> Newcomer:
    """The same element by another model. It is known by the same key as before."""
    return Newcomer(
        element.frame_id,
        element.row,
        version,
        element.camera,
        element.taken_at,
        element.box,
        vector,
        element.label,
        element.confidence,
        element.key,
        element.metadata,
    )


def try_some(archive: Archive, kept: Kept, embedder: Embedder, ids: Sequence[int]) -> int:
    """Embed some elements and forget their vectors; returns how many could be. For telling how long all will take."""
    by_frame: dict[str, list[Element]] = {}
    for each in archive.stored(ids):
        by_frame.setdefault(each.element.frame_id, []).append(each.element)
    return len(_embed([_Frame(key, some, 0) for key, some in by_frame.items()], kept, embedder).new)
