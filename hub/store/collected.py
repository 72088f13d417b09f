"""Statements on what the collector leaves: elements, samples, counts."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hub.store.codec import from_halves, half, sample_of, sample_row
from hub.store.statements import insert, insert_new
from hub.store.tables import campaigns, counts, deliveries, elements, samples, seeds, version_seeds
from hub.types import (
    Batch,
    Counts,
    DeliveryState,
    ElementKind,
    Observation,
    Sample,
    SampleStatus,
    Vectors,
)
from shared.errors import NotFound

_IN = 500
"""Values given to one IN clause."""


def write(connection: sa.Connection, batch: Batch) -> list[Sample]:
    """Elements, samples, deliveries and counters; returns the samples that were new."""
    # In one order for all writers: two that write the same rows then wait for each other, never crosswise.
    rows = [row for seen in sorted(batch.observations, key=lambda s: s.frame.id) for row in _element_rows(seen)]
    insert_new(connection, elements, rows)
    new = [sample for sample in batch.samples if _insert_sample(connection, sample)]
    insert_new(
        connection,
        deliveries,
        [
            {"sample_id": s.id, "sink": sink, "state": DeliveryState.PENDING.value, "due_at": s.created_at}
            for s in new
            for sink in s.destinations
        ],
    )
    _count(connection, batch.counts, new)
    return new


def _element_rows(seen: Observation) -> list[dict[str, object]]:
    return [
        {
            "frame_id": seen.frame.id,
            "row": row,
            "embedding_version": seen.embedding_version,
            "camera": seen.frame.camera,
            "taken_at": seen.frame.taken_at,
            "box": [round(v, 2) for v in seen.box(row)],
            "label": seen.detections.label[row - 1] if row else "",
            "confidence": float(seen.detections.confidence[row - 1]) if row else 1.0,
            "vector": half(vector),
        }
        for row, vector in enumerate(seen.vectors)
    ]


def _insert_sample(connection: sa.Connection, sample: Sample) -> bool:
    """Whether it was new."""
    statement = insert(connection, samples).values(sample_row(sample)).on_conflict_do_nothing(index_elements=["id"])
    return connection.execute(statement.returning(samples.c.position)).first() is not None


def _count(connection: sa.Connection, more: Sequence[Counts], new: Sequence[Sample]) -> None:
    """Add to the counters; what was collected is what is new in the table, however often it was seen."""
    collected = Counter((sample.campaign_id, sample.version, sample.camera) for sample in new)
    rows = [
        {
            "campaign_id": each.campaign_id,
            "version": each.version,
            "camera": each.camera,
            "processed": each.processed,
            "collected": collected[each.campaign_id, each.version, each.camera],
        }
        for each in sorted(more, key=lambda c: (c.campaign_id, c.version, c.camera))
    ]
    if rows:
        statement = insert(connection, counts)
        added = {name: counts.c[name] + statement.excluded[name] for name in ("processed", "collected")}
        keys = ["campaign_id", "version", "camera"]
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=added), rows)


def _with_campaign() -> sa.Select[tuple[object, ...]]:
    return sa.select(samples, campaigns.c.name.label("campaign")).join(
        campaigns, campaigns.c.id == samples.c.campaign_id
    )


def page(
    connection: sa.Connection,
    campaign: str | None,
    status: SampleStatus | None,
    camera: str | None,
    limit: int,
    before: str | None,
) -> list[Sample]:
    """Samples, newest first, below the one named `before`."""
    statement = _with_campaign().order_by(samples.c.position.desc()).limit(limit)
    if campaign is not None:
        statement = statement.where(campaigns.c.name == campaign)
    if status is not None:
        statement = statement.where(samples.c.status == status.value)
    if camera is not None:
        statement = statement.where(samples.c.camera == camera)
    if before is not None:
        position = sa.select(samples.c.position).where(samples.c.id == before).scalar_subquery()
        statement = statement.where(samples.c.position < position)
    return [sample_of(row) for row in connection.execute(statement).mappings()]


def one(connection: sa.Connection, sample_id: str) -> Sample:
    """NotFound when there is none of that id."""
    row = connection.execute(_with_campaign().where(samples.c.id == sample_id)).mappings().first()
    if row is None:
        raise NotFound("sample", sample_id, hint="List them: hub samples list")
    return sample_of(row)


def review(connection: sa.Connection, sample_ids: Sequence[str], status: SampleStatus) -> int:
    """Set the status of samples; returns how many changed. NotFound, and nothing changed, for an unknown id."""
    changed = 0
    for start in range(0, len(sample_ids), _IN):
        some = list(sample_ids[start : start + _IN])
        known = set(connection.scalars(sa.select(samples.c.id).where(samples.c.id.in_(some))))
        for sample_id in some:
            if sample_id not in known:
                raise NotFound("sample", sample_id, hint="List them: hub samples list")
        done = connection.execute(
            samples.update().where(samples.c.id.in_(some), samples.c.status != status.value).values(status=status.value)
        )
        changed += done.rowcount
    return changed


def taken_by(connection: sa.Connection, campaign_id: int, limit: int) -> list[Sample]:
    """The newest samples of a campaign, newest first."""
    statement = _with_campaign().where(samples.c.campaign_id == campaign_id)
    rows = connection.execute(statement.order_by(samples.c.position.desc()).limit(limit)).mappings()
    return [sample_of(row) for row in rows]


def collected(connection: sa.Connection, campaign_id: int) -> int:
    """Samples ever taken by a campaign."""
    statement = sa.select(sa.func.count()).select_from(samples).where(samples.c.campaign_id == campaign_id)
    return connection.scalar(statement) or 0


def all_counts(connection: sa.Connection, campaign: str | None) -> list[Counts]:
    """Of one campaign, or of all."""
    statement = sa.select(counts).join(campaigns, campaigns.c.id == counts.c.campaign_id)
    if campaign is not None:
        statement = statement.where(campaigns.c.name == campaign)
    return [Counts(**row) for row in connection.execute(statement).mappings()]


def background(connection: sa.Connection, embedding_version: str, element: ElementKind, limit: int) -> Vectors:
    """A random draw of vectors, by random ids, so that no table is too large for it."""
    low, high = connection.execute(sa.select(sa.func.min(elements.c.id), sa.func.max(elements.c.id))).one()
    if low is None:
        return from_halves([])
    which = elements.c.row == 0 if element is ElementKind.FRAME else elements.c.row > 0
    ours = sa.select(elements.c.id, elements.c.vector).where(which, elements.c.embedding_version == embedding_version)
    if high - low < 20 * limit:
        return from_halves([vector for _, vector in _pairs(connection, ours.order_by(sa.func.random()).limit(limit))])
    found: dict[int, bytes] = {}
    ids = random.sample(range(low, high + 1), 10 * limit)
    for start in range(0, len(ids), _IN):
        found |= dict(_pairs(connection, ours.where(elements.c.id.in_(ids[start : start + _IN]))))
        if len(found) >= limit:
            return from_halves(list(found.values())[:limit])
    # Few of the table are of this kind, as just after a change of model: then its newest are added.
    found |= dict(_pairs(connection, ours.order_by(elements.c.id.desc()).limit(limit)))
    return from_halves(list(found.values())[:limit])


def _pairs(connection: sa.Connection, statement: sa.Select[Any]) -> list[tuple[int, bytes]]:
    return [(row[0], row[1]) for row in connection.execute(statement)]


def prune(connection: sa.Connection, before: float, limit: int) -> int:
    """Delete up to `limit` of the oldest elements taken before a time that no campaign selected."""
    kept = sa.select(samples.c.position).where(samples.c.frame_id == elements.c.frame_id).exists()
    old = sa.select(elements.c.id).where(elements.c.taken_at < before, ~kept).order_by(elements.c.taken_at).limit(limit)
    return connection.execute(elements.delete().where(elements.c.id.in_(old))).rowcount


def blob_keys(connection: sa.Connection) -> set[str]:
    """Every blob some row names."""
    keys: set[str] = set()
    for column in (samples.c.frame_id, seeds.c.blob, version_seeds.c.blob):
        keys.update(connection.scalars(sa.select(column).where(column != "").distinct()))
    return keys
