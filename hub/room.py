"""How much disk the hub takes unasked, and what of it must go."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 50 * 10**9
LEAST_FREE_BYTES = 2 * 10**9
SHARE = 0.1
"""Of the disk, where no budget is set."""

LEAST_FREE_SHARE = 0.05
"""Of a disk so small that this is less than LEAST_FREE_BYTES."""

THUMBNAILS_SHARE = 0.25
VECTORS_SHARE = 0.5
"""Of the budget: more than that for vectors and their indexes, and the oldest of them go; pictures keep the rest."""

STALE_SHARE = 0.05
"""Of its size: something has grown or shrunk when it has by more than that."""

HALF_A_BLOCK = 2048
"""Bytes that the end of a file wastes on average: thumbnails are so small that it matters."""


@dataclass(frozen=True)
class Space:
    """Bytes of a disk."""

    total: int
    free: int

    @property
    def least_free(self) -> int:
        """What must be left free."""
        return min(LEAST_FREE_BYTES, int(self.total * LEAST_FREE_SHARE))


@dataclass(frozen=True)
class Filled:
    """What is kept unasked, and its budget. Bytes; index_bytes: of index files; database_bytes: pages in use."""

    budget: int
    pictures: int = 0
    picture_bytes: int = 0
    thumbnails: int = 0
    thumbnail_bytes: int = 0
    database_bytes: int = 0
    index_bytes: int = 0

    @property
    def of_pictures(self) -> int:
        """Bytes of pictures on the disk."""
        return self.picture_bytes + HALF_A_BLOCK * self.pictures

    @property
    def of_thumbnails(self) -> int:
        """Bytes of thumbnails on the disk."""
        return self.thumbnail_bytes + HALF_A_BLOCK * self.thumbnails

    @property
    def of_vectors(self) -> int:
        """Bytes of the database and the indexes."""
        return self.database_bytes + self.index_bytes

    @property
    def total(self) -> int:
        """All of them."""
        return self.of_pictures + self.of_thumbnails + self.of_vectors


@dataclass(frozen=True)
class Excess:
    """Bytes that must go. of_vectors: as a share of those there are."""

    of_pictures: int = 0
    of_thumbnails: int = 0
    of_vectors: float = 0.0


class Lagging:
    """The size of something that does not shrink with what it holds: an index until it is built anew, a database that
    keeps its pages. Taken to shrink in proportion until its own size tells."""

    def __init__(self) -> None:
        self._size, self._holding = 0, 0

    def now(self, size: int, holding: int) -> int:
        """Bytes for so many elements. size: as it is on the disk."""
        if abs(size - self._size) > STALE_SHARE * self._size:
            self._size, self._holding = size, holding
        return int(self._size * min(1.0, holding / self._holding)) if self._holding else size


def space_at(folder: Path) -> Space:
    """Of the disk that a folder is on."""
    disk = shutil.disk_usage(folder)
    return Space(disk.total, disk.free)


def size_of(folder: Path | None) -> int:
    """Bytes of the files in a folder; 0 where there is none."""
    total = 0
    for path in folder.rglob("*") if folder is not None else ():
        with suppress(FileNotFoundError):  # an index was swapped for a new one meanwhile
            total += path.stat().st_size if path.is_file() else 0
    return total


def budget_bytes(max_disk_gb: float, space: Space) -> int:
    """What HUB_MAX_DISK_GB means; 0 is a tenth of the disk, at most 50 GB."""
    return int(max_disk_gb * 1e9) if max_disk_gb > 0 else min(MOST_BYTES, int(space.total * SHARE))


def room_for_more(filled: Filled, space: Space) -> int:
    """Bytes that may still be kept; negative for what is too much."""
    return min(filled.budget - filled.total, space.free - space.least_free)


def excess(filled: Filled, space: Space, *, reserve: int = 0) -> Excess:
    """What must go so that `reserve` bytes can come. Pictures make room first, since a thumbnail of each is left."""
    vectors = filled.of_vectors
    too_many = max(0.0, 1 - filled.budget * VECTORS_SHARE / vectors) if vectors else 0.0
    over = max(0, reserve - room_for_more(filled, space))
    of_pictures = min(over, filled.of_pictures)
    of_thumbnails = max(
        filled.of_thumbnails - int(filled.budget * THUMBNAILS_SHARE), min(over - of_pictures, filled.of_thumbnails), 0
    )
    return Excess(of_pictures, of_thumbnails, too_many)
