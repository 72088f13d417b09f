"""The pictures of the frames seen last: kept as they came, then as thumbnails, then not at all.

A picture is stored before the row that names it, and deleted before the row says that it is gone. So whatever moment
the process is killed at, the worst is a row without its picture, which reads as one that is no longer kept and is put
right when its turn to fade comes, or a picture without a row, which the next sweep takes.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hub.archive import SeenFrame
from hub.blobs import YOUNG_S
from hub.protocols import Blobs, Store
from hub.room import HALF_A_BLOCK, Filled, Lagging, Space, budget_bytes, excess, room_for_more, size_of
from hub.types import Observation
from hub.vision import encode, reduced
from shared.errors import ImageError, NotFound, StorageFull, StoreError
from shared.image import image_facts

_log = logging.getLogger(__name__)

THUMBNAIL = 256
"""Pixels of the longest side."""

QUALITY = 70
MEASURE_S = 300.0
"""How often what is kept is counted anew; between, it is known from what came and went."""

SWEEP_S = 86400.0
ROUND_S = 0.5
"""How long one round of upkeep may take, about."""

AT_ONCE = 64
"""Frames put away in one transaction."""

PRUNED_AT_ONCE = 1000


def thumbnail_of(picture: bytes) -> bytes:
    """A small JPEG of a picture. ImageError when it can't be read."""
    return encode(reduced(picture, THUMBNAIL), QUALITY)


def is_whole(data: bytes, size: int = 0) -> bool:
    """Whether a picture was not cut short by a power cut. size: bytes it must have, 0 where that is not known."""
    try:
        return (not size or len(data) == size) and image_facts(data).complete
    except ImageError:
        return False


class Recent:
    """Keeps pictures within a budget. `keep` and `tend` may be called by two threads at once.

    pictures, thumbnails: where they are. max_disk_gb: for them, the database and the indexes; 0 is a tenth of the disk,
    at most 50. retention_s: how long anything is kept. indexes: the folder of index files. disk: how much of it there
    is, and is free.
    """

    def __init__(
        self,
        pictures: Blobs,
        thumbnails: Blobs,
        store: Store,
        *,
        disk: Callable[[], Space],
        max_disk_gb: float = 0.0,
        retention_s: float = 30 * 86400.0,
        indexes: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pictures, self.thumbnails = pictures, thumbnails
        self._store, self._archive = store, store.archive
        self._disk, self._max_disk_gb, self._retention_s = disk, max_disk_gb, retention_s
        self._indexes, self._clock = indexes, clock
        self._lock = threading.Lock()
        self._filled = Filled(budget_bytes(max_disk_gb, disk()))
        self._room = 0
        self._came = 0
        self._measured_at: float | None = None
        self._swept_at: float | None = None
        self._database, self._index = Lagging(), Lagging()
        self._elements = 0
        self._may_prune = False
        self.problem: StoreError | None = None

    @property
    def filled(self) -> Filled:
        """What is kept, as far as it is known without asking the database."""
        return self._filled

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────

    def keep(self, seen: Sequence[Observation]) -> list[SeenFrame]:
        """Keep the pictures of frames, to be recorded in the transaction that stores the frames. Where there is no room
        they are left out, and `problem` says why."""
        if self._measured_at is None:
            self._measure()
        kept: list[SeenFrame] = []
        for each in seen:
            jpeg = each.frame.jpeg
            if len(jpeg) > self._room:
                self.problem = self.problem or _no_room(self._disk(), self._filled)
                break
            try:
                self.pictures.put(each.frame.id, jpeg, durable=False)
            except StoreError as error:
                self.problem = error
                self._room = 0  # until the next round of upkeep has looked
                break
            self._count(pictures=1, picture_bytes=len(jpeg))
            kept.append(SeenFrame(each.frame.id, each.frame.camera, each.frame.taken_at, each.size_wh, "", len(jpeg)))
        else:
            if kept:
                self.problem = None
        return kept

    def discard(self, kept: Sequence[SeenFrame]) -> None:
        """Take back what `keep` kept: its rows were not stored."""
        for each in kept:
            with suppress(StoreError):  # the sweep will find it
                self.pictures.delete(each.id)
            self._count(pictures=-1, picture_bytes=-each.picture_bytes)

    def _count(self, **more: int) -> None:
        with self._lock:
            self._filled = replace(self._filled, **{k: max(0, getattr(self._filled, k) + n) for k, n in more.items()})
            came = more.get("picture_bytes", 0) + HALF_A_BLOCK * more.get("pictures", 0)
            if came > 0:
                self._came += came
                self._room -= came

    # ── upkeep ───────────────────────────────────────────────────────────────────────────────────────

    def tend(self, now: float) -> bool:
        """One bounded round of upkeep; whether there is more to do at once. now: Unix seconds."""
        until = self._clock() + ROUND_S
        if self._measured_at is None or self._clock() >= self._measured_at + MEASURE_S:
            self._measure()
        came, self._came = self._came, 0
        reserve = max(self._filled.budget // 50, min(2 * came, self._filled.budget // 10))
        more = self._expire(now - self._retention_s, until)
        more |= self._put_away(reserve, until)
        more |= self._prune(until)
        with self._lock:
            self._room = room_for_more(self._filled, self._disk())
        return more

    def _measure(self) -> None:
        usage, index_bytes = self._archive.usage(), size_of(self._indexes)
        with self._lock:
            self._elements, self._may_prune = usage.elements, True
            self._filled = Filled(
                budget_bytes(self._max_disk_gb, self._disk()),
                usage.pictures,
                usage.picture_bytes,
                usage.thumbnails,
                usage.thumbnail_bytes,
                self._database.now(usage.database_bytes, usage.elements),
                self._index.now(index_bytes, usage.elements),
            )
            self._room = room_for_more(self._filled, self._disk())
            self._measured_at = self._clock()

    def _expire(self, before: float, until: float) -> bool:
        """Put away what is older than anything is kept."""
        while frames := self._archive.expired(before, limit=AT_ONCE):
            self._drop(frames)
            if self._clock() >= until:
                return True
        return False

    def _put_away(self, reserve: int, until: float) -> bool:
        """Let pictures fade and thumbnails go until the rest fits. Where more is kept already than may be, there is no
        time for thumbnails."""
        while True:
            space = self._disk()
            over = excess(self._filled, space, reserve=reserve)
            pictures = self._archive.oldest_pictures(AT_ONCE) if over.of_pictures else []
            thumbnails = self._archive.oldest_thumbnails(AT_ONCE) if over.of_thumbnails else []
            put_away = self._fade if room_for_more(self._filled, space) >= 0 else self._drop
            put_away(_first(pictures, over.of_pictures, "picture_bytes"))
            self._drop(_first(thumbnails, over.of_thumbnails, "thumbnail_bytes"))
            if not pictures and not thumbnails:
                return False
            if self._clock() >= until:
                return True

    def _fade(self, frames: Sequence[SeenFrame]) -> None:
        """Leave a thumbnail of each picture."""
        sizes: dict[str, tuple[int, int]] = {}
        for each in frames:
            sizes[each.id] = 0, each.thumbnail_bytes or self._thumbnail(each)
            self.pictures.delete(each.id)
        self._archive.keep(sizes)
        made = [sizes[each.id][1] for each in frames if not each.thumbnail_bytes and sizes[each.id][1]]
        self._count(pictures=-len(frames), picture_bytes=-sum(each.picture_bytes for each in frames))
        self._count(thumbnails=len(made), thumbnail_bytes=sum(made))

    def _thumbnail(self, of: SeenFrame) -> int:
        """Make the thumbnail of a picture; its bytes, or 0 where the picture is gone or there is no room."""
        try:
            picture = self.pictures.get(of.id)
        except NotFound:  # deleted, and then killed before the row was written
            return len(self.thumbnails.get(of.id)) if of.id in self.thumbnails else 0
        except StoreError as error:
            _log.warning("a recent picture is given up: %s", error.message)
            return 0
        if not is_whole(picture, of.picture_bytes):
            return 0
        try:
            small = thumbnail_of(picture)
            self.thumbnails.put(of.id, small, durable=False)
        except (ImageError, StorageFull):  # the picture must go all the same
            return 0
        return len(small)

    def _drop(self, frames: Sequence[SeenFrame]) -> None:
        """Keep nothing of frames."""
        for each in frames:
            if each.picture_bytes:
                self.pictures.delete(each.id)
            self.thumbnails.delete(each.id)  # there may be one, left by a round that was killed
        self._archive.keep({each.id: (0, 0) for each in frames})
        self._count(
            pictures=-sum(each.picture_bytes > 0 for each in frames),
            picture_bytes=-sum(each.picture_bytes for each in frames),
            thumbnails=-sum(each.thumbnail_bytes > 0 for each in frames),
            thumbnail_bytes=-sum(each.thumbnail_bytes for each in frames),
        )

    def _prune(self, until: float) -> bool:
        """Delete the oldest unselected elements where vectors take more than their share."""
        before, left = self._elements, int(self._elements * excess(self._filled, self._disk()).of_vectors)
        if not left or not self._may_prune:
            return False
        while left > 0 and self._clock() < until:
            left -= PRUNED_AT_ONCE
            pruned = self._store.prune(float("inf"), limit=PRUNED_AT_ONCE)
            self._archive.forget_frames(float("inf"), limit=PRUNED_AT_ONCE)
            if not pruned:
                break
        self._measure()
        self._may_prune = self._elements < before  # else all that is left was selected
        return self._may_prune

    # ── orphans ──────────────────────────────────────────────────────────────────────────────────────

    def sweep(self, now: float) -> int:
        """Once a day, delete pictures that no row names; returns how many. Takes as long as listing them. now: Unix
        seconds."""
        if self._swept_at is not None and self._clock() < self._swept_at + SWEEP_S:
            return 0
        self._swept_at = self._clock()
        swept, keys = 0, self.pictures.keys()
        for start in range(0, len(keys), 500):
            some = keys[start : start + 500]
            known = self._archive.frames(some)
            for key in some:
                named = key in known and known[key].picture_bytes
                if not named and self.pictures.age_s(key, now) > YOUNG_S:
                    self.pictures.delete(key)
                    swept += 1
        return swept


def _first(frames: Sequence[SeenFrame], wanted: int, size: str) -> list[SeenFrame]:
    """As many of the first as make up the wanted bytes."""
    chosen: list[SeenFrame] = []
    for each in frames:
        if wanted <= 0:
            break
        chosen.append(each)
        wanted -= getattr(each, size) + HALF_A_BLOCK
    return chosen


def _no_room(space: Space, filled: Filled) -> StorageFull:
    if space.free <= space.least_free:
        said = f"recent pictures are not kept: less than {space.least_free / 1e9:.1f} GB are left on the disk"
        return StorageFull(said, hint="Free some space; nothing stored is lost.")
    said = f"recent pictures are not kept: {filled.budget / 1e9:.1f} GB are full"
    return StorageFull(said, hint="Raise HUB_MAX_DISK_GB.")
