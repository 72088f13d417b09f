"""All state, in one database: SQLite, or PostgreSQL. The only place that knows SQL."""

import time
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from hub.deliveries import Delivery, DeliveryState, FateCount, Outcome, Provenance, SinkHealth
from hub.snapshots import Snapshots
from hub.store import background, cameras, campaigns, collected, frames, held, memory, outbox, sent, vectors
from hub.store.archive import SqlArchive
from hub.store.engine import Database
from hub.store.migrate import migrate as bring_up_to_date
from hub.store.tables import facts
from hub.types import (
    Background,
    Batch,
    Camera,
    CameraHealth,
    Campaign,
    CampaignState,
    Counts,
    ElementKind,
    Held,
    Remembered,
    Sample,
    SampleStatus,
    Seed,
    Vectors,
    Version,
)


def open_store(url: str, *, migrate: bool = True) -> "SqlStore":
    """The store at a SQLAlchemy URL, its schema brought up to date. StoreError, DatabaseTooNew, InvalidInput."""
    database = Database(url)
    if migrate:
        try:
            bring_up_to_date(database)
        except BaseException:
            database.close()
            raise
    return SqlStore(database)


class SqlStore:
    """hub.protocols.Store; each method is one transaction. May be used from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.archive = SqlArchive(database)

    # ── cameras ──────────────────────────────────────────────────────────────────────────────────────

    def add_camera(self, camera: Camera) -> None:
        with self._database.writing() as connection:
            cameras.add(connection, camera)

    def update_camera(self, camera: Camera) -> None:
        with self._database.writing() as connection:
            cameras.update(connection, camera)

    def remove_camera(self, name: str) -> None:
        with self._database.writing() as connection:
            cameras.remove(connection, name)

    def cameras(self) -> list[Camera]:
        with self._database.reading() as connection:
            return cameras.all_(connection)

    def record_health(self, health: Sequence[CameraHealth]) -> None:
        with self._database.writing() as connection:
            cameras.record_health(connection, health)

    def health(self) -> dict[str, CameraHealth]:
        with self._database.reading() as connection:
            return cameras.health(connection)

    # ── campaigns ────────────────────────────────────────────────────────────────────────────────────

    def add_campaign(self, campaign: Campaign, seeds: Sequence[Seed]) -> Campaign:
        with self._database.writing() as connection:
            return campaigns.add(connection, campaign, seeds)

    def update_campaign(self, campaign: Campaign) -> None:
        with self._database.writing() as connection:
            campaigns.update(connection, campaign)

    def campaign(self, name: str) -> Campaign:
        with self._database.reading() as connection:
            return campaigns.one(connection, name)

    def campaigns(self) -> list[Campaign]:
        with self._database.reading() as connection:
            return campaigns.all_(connection)

    def set_campaign_state(self, name: str, state: CampaignState) -> None:
        with self._database.writing() as connection:
            campaigns.set_state(connection, name, state)

    def add_seeds(self, name: str, seeds: Sequence[Seed]) -> int:
        with self._database.writing() as connection:
            return campaigns.add_seeds(connection, name, seeds)

    def remove_seeds(self, name: str, seed_ids: Sequence[str]) -> int:
        with self._database.writing() as connection:
            return campaigns.remove_seeds(connection, name, seed_ids)

    def seeds(self, name: str) -> list[Seed]:
        with self._database.reading() as connection:
            return campaigns.seeds_of(connection, name)

    def commit(self, version: Version) -> Version:
        with self._database.writing() as connection:
            return campaigns.commit(connection, version)

    def versions(self, name: str) -> list[Version]:
        with self._database.reading() as connection:
            return campaigns.versions_of(connection, name)

    def active_versions(self) -> list[Version]:
        with self._database.reading() as connection:
            return campaigns.active(connection)

    def revision(self) -> int:
        with self._database.reading() as connection:
            return connection.scalar(sa.select(facts.c.value).where(facts.c.name == "revision")) or 0

    # ── what the collector leaves ────────────────────────────────────────────────────────────────────

    def write(self, batch: Batch) -> list[Sample]:
        collected.check(batch)
        with self._database.writing() as connection:
            frames.drop_outdated(connection, batch.observations)
            frames.add_frames(connection, batch.frames, batch.observations)
            return collected.write(connection, batch)

    def held(self) -> list[Held]:
        with self._database.reading() as connection:
            return held.all_(connection)

    def remember(self, rows: Sequence[Remembered]) -> None:
        with self._database.writing() as connection:
            memory.remember(connection, rows, time.time())

    def remembered(self, campaign_id: int) -> list[Remembered]:
        with self._database.reading() as connection:
            return memory.remembered(connection, campaign_id)

    def forget(self, campaign_id: int, camera: str | None = None) -> int:
        with self._database.writing() as connection:
            return memory.forget(connection, campaign_id, camera)

    def samples(
        self,
        *,
        campaign: str | None = None,
        status: SampleStatus | None = None,
        camera: str | None = None,
        control: bool | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[Sample]:
        with self._database.reading() as connection:
            return collected.page(connection, campaign, status, camera, control, limit, before)

    def sample(self, sample_id: str) -> Sample:
        with self._database.reading() as connection:
            return collected.one(connection, sample_id)

    def sample_id(self, beginning: str) -> str:
        with self._database.reading() as connection:
            return collected.full_id(connection, beginning)

    def review(self, sample_ids: Sequence[str], status: SampleStatus) -> int:
        with self._database.writing() as connection:
            return collected.review(connection, sample_ids, status)

    def review_counts(self, campaign: str) -> dict[tuple[SampleStatus, bool], int]:
        with self._database.reading() as connection:
            return collected.review_counts(connection, campaign)

    def taken_by(self, campaign_id: int, *, limit: int) -> list[Sample]:
        with self._database.reading() as connection:
            return collected.taken_by(connection, campaign_id, limit)

    def collected(self, campaign_id: int) -> int:
        with self._database.reading() as connection:
            return collected.collected(connection, campaign_id)

    def counts(self, campaign: str | None = None) -> list[Counts]:
        with self._database.reading() as connection:
            return collected.all_counts(connection, campaign)

    def background(
        self,
        embedding_version: str,
        element: ElementKind,
        *,
        limit: int,
        cameras: Sequence[str] = (),
        labels: Sequence[str] = (),
        confidence: float = 0.0,
    ) -> Background:
        with self._database.reading() as connection:
            return background.draw(connection, embedding_version, element, limit, cameras, labels, confidence)

    def taken_between(
        self, embedding_version: str, *, campaign: str | None = None, camera: str | None = None
    ) -> tuple[float, float] | None:
        with self._database.reading() as connection:
            return vectors.taken_between(connection, embedding_version, campaign, camera)

    def draw_frames(
        self,
        embedding_version: str,
        *,
        since: float,
        until: float,
        limit: int,
        seed: int,
        camera: str | None = None,
    ) -> Snapshots:
        with self._database.reading() as connection:
            return vectors.draw_frames(connection, embedding_version, since, until, limit, seed, camera)

    def draw_samples(
        self, campaign: str, *, since: float, until: float, limit: int, seed: int, camera: str | None = None
    ) -> list[Sample]:
        with self._database.reading() as connection:
            return vectors.draw_samples(connection, campaign, since, until, limit, seed, camera)

    def frame_vectors(self, embedding_version: str, frame_ids: Sequence[str]) -> dict[str, Vectors]:
        with self._database.reading() as connection:
            return vectors.of_frames(connection, embedding_version, frame_ids)

    def prune(self, before: float, *, limit: int) -> int:
        with self._database.writing() as connection:
            return collected.prune(connection, before, limit)

    def blob_keys(self) -> set[str]:
        with self._database.reading() as connection:
            return collected.blob_keys(connection)

    # ── the outbox ───────────────────────────────────────────────────────────────────────────────────

    def claim(self, sink: str, *, now: float, lease_s: float, limit: int, newest_first: bool = False) -> list[Delivery]:
        with self._database.writing() as connection:
            return outbox.claim(connection, sink, now, lease_s, limit, newest_first)

    def note(self, delivery: Delivery) -> None:
        with self._database.writing() as connection:
            outbox.note(connection, delivery)

    def settle(self, delivery: Delivery) -> None:
        with self._database.writing() as connection:
            outbox.settle(connection, delivery)

    def waiting_sinks(self) -> list[str]:
        with self._database.reading() as connection:
            return outbox.waiting_sinks(connection)

    def provenance(self, sample_id: str) -> Provenance:
        with self._database.reading() as connection:
            return sent.provenance(connection, sample_id)

    def deliveries(
        self, *, state: DeliveryState | None = None, sink: str | None = None, limit: int = 100
    ) -> list[Delivery]:
        with self._database.reading() as connection:
            return outbox.some(connection, state, sink, limit)

    def delivery_counts(self) -> Mapping[DeliveryState, int]:
        with self._database.reading() as connection:
            return outbox.by_state(connection)

    def retry(self, delivery_ids: Sequence[int] | None, *, now: float) -> int:
        with self._database.writing() as connection:
            return outbox.retry(connection, delivery_ids, now)

    def discard(self, delivery_ids: Sequence[int] | None, *, sink: str | None = None) -> int:
        with self._database.writing() as connection:
            return outbox.discard(connection, delivery_ids, sink)

    def record_sink_health(self, health: SinkHealth) -> None:
        with self._database.writing() as connection:
            outbox.record_health(connection, health)

    def sink_health(self) -> dict[str, SinkHealth]:
        with self._database.reading() as connection:
            return outbox.health(connection)

    def sink_counts(self) -> Mapping[tuple[str, DeliveryState], int]:
        with self._database.reading() as connection:
            return sent.by_sink(connection)

    # ── what became of deliveries ────────────────────────────────────────────────────────────────────

    def unread(self, sink_kind: str, *, read_before: float, limit: int) -> list[Delivery]:
        with self._database.reading() as connection:
            return sent.unread(connection, sink_kind, read_before, limit)

    def record_outcomes(self, outcomes: Sequence[Outcome]) -> None:
        with self._database.writing() as connection:
            sent.record(connection, outcomes)

    def fates(self, campaign: str | None = None) -> list[FateCount]:
        with self._database.reading() as connection:
            return sent.fates(connection, campaign)

    def close(self) -> None:
        self._database.close()
