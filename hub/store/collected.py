"""Statements on what the collector leaves: elements, samples, counts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from hub.deliveries import DeliveryState
from hub.store.codec import half, sample_of, sample_row
from hub.store.held import hold, let_go
from hub.store.judged import count, forget_frames
from hub.store.statements import chunks, insert, insert_new
from hub.store.tables import campaigns, counts, deliveries, elements, frames, held, samples, seeds, version_seeds
from hub.types import Batch, Counts, Observation, Sample, SampleStatus
from shared.errors import InvalidInput, NotFound, StoreError


def write(connection: sa.Connection, batch: Batch) -> list[Sample]:
    """Elements, samples, deliveries, counters and what is held; returns the samples that were new."""
    # In one order for all writers: two that write the same rows then wait for each other, never crosswise.
    rows = [row for seen in sorted(batch.observations, key=lambda s: s.frame.id) for row in element_rows(seen)]
    insert_new(connection, elements, rows)
    added = {s.id for s in sorted(batch.samples, key=lambda s: (s.taken_at, s.id)) if _insert_sample(connection, s)}
    new = [sample for sample in batch.samples if sample.id in added]
    insert_new(
        connection,
        deliveries,
        [
            {"sample_id": s.id, "sink": sink, "state": DeliveryState.PENDING.value, "due_at": s.created_at}
            for s in new
            for sink in s.destinations
        ],
    )
    hold(connection, batch.held)
    let_go(connection, batch.let_go)
    judged = batch.observations if batch.judged is None else batch.judged
    count(connection, batch.counts, judged, new)
    return new


def check(batch: Batch) -> None:
    """StoreError for a sample with a number that is not finite: no page, export or choice could cope with it."""
    for sample in [*batch.samples, *(each.sample for each in batch.held)]:
        if name := _not_finite(sample):
            raise StoreError(
                f"a sample of campaign {sample.campaign!r} from camera {sample.camera!r} has a {name} "
                "that is not a finite number, so its batch was not stored",
                hint="This is a fault of its trigger, scorer or model. Run: hub doctor",
            )
    if any(np.isnan(each.until) for each in batch.held):
        raise StoreError("a sample is held until a time that is no number", hint="This is a fault of its budget.")


def _not_finite(sample: Sample) -> str:
    """What of a sample is NaN or infinite, or ""."""
    numbers: dict[str, Any] = {
        "score": sample.score.value,
        "cosine": sample.score.cosine or 0.0,
        "box": sample.box,
        "detection": sample.detections.xyxy,
        "confidence": sample.detections.confidence,
        "vector": 0.0 if sample.vector is None else sample.vector,
        "time": (sample.taken_at, sample.created_at),
        "linked score": [(each.value, each.taken_at) for each in sample.linked],
    }
    return next((name for name, value in numbers.items() if not np.isfinite(value).all()), "")


def element_rows(seen: Observation) -> list[dict[str, object]]:
    """An observation's vectors, those that are finite and not zero."""
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
        if np.isfinite(vector).all() and vector.any()
    ]


def _insert_sample(connection: sa.Connection, sample: Sample) -> bool:
    """Whether it was new."""
    statement = insert(connection, samples).values(sample_row(sample)).on_conflict_do_nothing(index_elements=["id"])
    return connection.execute(statement.returning(samples.c.position)).first() is not None


def _with_campaign() -> sa.Select[tuple[object, ...]]:
    return sa.select(samples, campaigns.c.name.label("campaign")).join(
        campaigns, campaigns.c.id == samples.c.campaign_id
    )


def page(
    connection: sa.Connection,
    campaign: str | None,
    status: SampleStatus | None,
    camera: str | None,
    control: bool | None,
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
    if control is not None:
        statement = statement.where(samples.c.control == control)
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


def full_id(connection: sa.Connection, beginning: str) -> str:
    """The id that begins so. NotFound for none, InvalidInput for several."""
    beginning_so = samples.c.id.startswith(beginning, autoescape=True)
    found = list(connection.scalars(sa.select(samples.c.id).where(beginning_so).order_by(samples.c.id).limit(2)))
    if not found:
        raise NotFound("sample", beginning, hint="List them: hub samples list")
    if len(found) > 1:
        raise InvalidInput(f"several samples begin with {beginning!r}", hint="Give more of its id.")
    return str(found[0])


def review(connection: sa.Connection, sample_ids: Sequence[str], status: SampleStatus) -> int:
    """Set the status of samples; returns how many changed. NotFound, and nothing changed, for an unknown id."""
    changed = 0
    for some in chunks(sample_ids):
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
    """The newest samples of a campaign that its budget took, newest first."""
    statement = _with_campaign().where(samples.c.campaign_id == campaign_id, ~samples.c.control)
    rows = connection.execute(statement.order_by(samples.c.position.desc()).limit(limit)).mappings()
    return [sample_of(row) for row in rows]


def collected(connection: sa.Connection, campaign_id: int) -> int:
    """Samples ever taken by a campaign's budget."""
    ours = sa.and_(samples.c.campaign_id == campaign_id, ~samples.c.control)
    return connection.scalar(sa.select(sa.func.count()).select_from(samples).where(ours)) or 0


def review_counts(connection: sa.Connection, campaign: str) -> dict[tuple[SampleStatus, bool], int]:
    """How many samples of a campaign have each status, control draws apart."""
    statement = (
        sa.select(samples.c.status, samples.c.control, sa.func.count())
        .join(campaigns, campaigns.c.id == samples.c.campaign_id)
        .where(campaigns.c.name == campaign)
        .group_by(samples.c.status, samples.c.control)
    )
    return {(SampleStatus(status), bool(control)): n for status, control, n in connection.execute(statement)}


def all_counts(connection: sa.Connection, campaign: str | None) -> list[Counts]:
    """Of one campaign, or of all."""
    statement = sa.select(counts).join(campaigns, campaigns.c.id == counts.c.campaign_id)
    if campaign is not None:
        statement = statement.where(campaigns.c.name == campaign)
    return [Counts(**row) for row in connection.execute(statement).mappings()]


def prune(connection: sa.Connection, before: float, limit: int) -> int:
    """Delete up to `limit` of the oldest elements that a camera showed before a time and whose frame is no sample, held
    or collected, and as many marks of frames that were judged; returns how many of the one or the other, whichever is
    more. What was scanned or brought in stays: nobody polls it again."""
    kept = sa.or_(
        sa.select(samples.c.position).where(samples.c.frame_id == frames.c.id).exists(),
        sa.select(held.c.position).where(held.c.frame_id == frames.c.id).exists(),
    )
    shown = sa.select(elements.c.id).join(frames, frames.c.id == elements.c.frame_id)
    old = shown.where(sa.text("frames.source = ''"), frames.c.taken_at < before, ~kept)
    old = old.order_by(frames.c.taken_at).limit(limit)
    gone = connection.execute(elements.delete().where(elements.c.id.in_(old))).rowcount
    return max(gone, forget_frames(connection, before, limit))


def blob_keys(connection: sa.Connection) -> set[str]:
    """Every blob some row names."""
    keys: set[str] = set()
    for column in (samples.c.frame_id, held.c.frame_id, seeds.c.blob, version_seeds.c.blob, deliveries.c.picture):
        keys.update(connection.scalars(sa.select(column).where(column != "").distinct()))
    return keys
