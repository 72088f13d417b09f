"""hub.archive.Archive in a database: each method is one transaction."""

import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hub.archive import EmbeddingUse, Newcomer, Rows, ScannedFile, SeenFrame, Stored, Usage
from hub.store import elements, frames
from hub.store.engine import Database
from hub.types import Observation


class SqlArchive:
    """May be used from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ── elements ─────────────────────────────────────────────────────────────────────────────────────

    def rows(self, embedding_version: str, *, after: int, limit: int) -> Rows:
        with self._database.reading() as connection:
            return elements.rows(connection, embedding_version, after, limit)

    def living(self, embedding_version: str, *, first: int, last: int) -> NDArray[np.int64]:
        with self._database.reading() as connection:
            return elements.living(connection, embedding_version, first, last)

    def last_id(self, embedding_version: str) -> int:
        with self._database.reading() as connection:
            return elements.last_id(connection, embedding_version)

    def stored(self, ids: Sequence[int]) -> list[Stored]:
        with self._database.reading() as connection:
            return elements.stored(connection, ids)

    def by_key(self, keys: Sequence[int], embedding_version: str) -> list[Stored]:
        with self._database.reading() as connection:
            return elements.by_key(connection, keys, embedding_version)

    def of_frames(self, frame_ids: Sequence[str], embedding_version: str) -> dict[str, list[Stored]]:
        with self._database.reading() as connection:
            return elements.of_frames(connection, frame_ids, embedding_version)

    def keys(self, embedding_version: str, *, after: int = -1, limit: int = 1_000_000) -> list[int]:
        with self._database.reading() as connection:
            return elements.keys(connection, embedding_version, after, limit)

    def count(self, embedding_version: str) -> int:
        with self._database.reading() as connection:
            return elements.count(connection, embedding_version)

    def random(self, embedding_version: str) -> Stored | None:
        with self._database.reading() as connection:
            return elements.any_one(connection, embedding_version)

    def add(self, newcomers: Sequence[Newcomer]) -> int:
        with self._database.writing() as connection:
            return elements.add(connection, newcomers)

    def remove(self, ids: Sequence[int]) -> int:
        with self._database.writing() as connection:
            return elements.remove(connection, ids)

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────

    def add_frames(self, some: Sequence[SeenFrame], observations: Sequence[Observation] = ()) -> None:
        with self._database.writing() as connection:
            frames.add(connection, some, observations)

    def frames(self, ids: Sequence[str]) -> dict[str, SeenFrame]:
        with self._database.reading() as connection:
            return frames.known(connection, ids)

    def observations(
        self,
        embedding_version: str,
        *,
        since: float = 0.0,
        until: float = float("inf"),
        cameras: Sequence[str] = (),
        after: tuple[float, str] | None = None,
        limit: int = 500,
    ) -> list[Observation]:
        with self._database.reading() as connection:
            return frames.observations(connection, embedding_version, since, until, cameras, after, limit)

    def recall(self, frame_ids: Sequence[str], embedding_version: str) -> dict[str, Observation]:
        with self._database.reading() as connection:
            return frames.recall(connection, frame_ids, embedding_version)

    def first_and_last(self, cameras: Sequence[str] = ()) -> tuple[float, float] | None:
        with self._database.reading() as connection:
            return frames.first_and_last(connection, cameras)

    def cameras(self, sought: Sequence[str] = ()) -> set[str]:
        with self._database.reading() as connection:
            return frames.cameras(connection, sought)

    # ── the ring of recent pictures ──────────────────────────────────────────────────────────────────

    def oldest_pictures(self, limit: int) -> list[SeenFrame]:
        with self._database.reading() as connection:
            return frames.oldest_pictures(connection, limit)

    def oldest_thumbnails(self, limit: int) -> list[SeenFrame]:
        with self._database.reading() as connection:
            return frames.oldest_thumbnails(connection, limit)

    def keep(self, sizes: Mapping[str, tuple[int, int]]) -> None:
        with self._database.writing() as connection:
            frames.keep(connection, sizes)

    def expired(self, before: float, *, limit: int) -> list[SeenFrame]:
        with self._database.reading() as connection:
            return frames.expired(connection, before, limit)

    def forget_frames(self, before: float, *, limit: int) -> int:
        with self._database.writing() as connection:
            return frames.forget(connection, before, limit)

    def forget_scanned(self, *, limit: int) -> int:
        with self._database.writing() as connection:
            return frames.forget_scanned(connection, limit)

    def usage(self) -> Usage:
        with self._database.reading() as connection:
            return frames.usage(connection)

    # ── scans ────────────────────────────────────────────────────────────────────────────────────────

    def scanned(self, ids: Iterable[str]) -> dict[str, ScannedFile]:
        with self._database.reading() as connection:
            return frames.scanned(connection, ids)

    def add_scanned(self, files: Sequence[ScannedFile]) -> None:
        with self._database.writing() as connection:
            frames.add_scanned(connection, files)

    # ── embedding versions ───────────────────────────────────────────────────────────────────────────

    def record_embedder(self, version: str, name: str, dim: int) -> None:
        with self._database.writing() as connection:
            frames.record_embedder(connection, version, name, dim)

    def embedding_versions(self) -> list[EmbeddingUse]:
        with self._database.reading() as connection:
            return frames.embedding_versions(connection)

    def chosen_embedder(self) -> str:
        with self._database.reading() as connection:
            return frames.chosen(connection)

    def choose_embedder(self, version: str, loaded_as: str) -> None:
        with self._database.writing() as connection:
            frames.choose(connection, version, loaded_as, time.time())
