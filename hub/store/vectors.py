"""Random draws of frames by time, the same for the same seed, for reports over months."""

import random
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hub.snapshots import Snapshots, snapshots
from hub.store.codec import from_halves, sample_of
from hub.store.statements import chunks
from hub.store.tables import campaigns, elements, samples
from hub.types import Sample, Vectors

_PRIME = 2**31 - 1

_SMALL = 20
"""A stretch of ids up to so many times what is drawn is looked through whole; a longer one is probed."""

Row = sa.Row[Any]


def taken_between(
    connection: sa.Connection, embedding_version: str, campaign: str | None, camera: str | None
) -> tuple[float, float] | None:
    """When the first and the last frame were taken, None for no frame."""
    table = elements if campaign is None else samples
    where = _frames_of(embedding_version, camera) if campaign is None else _samples_of(connection, campaign, camera)
    # One at either end of the index on time, instead of a look at every row.
    ends = [
        connection.scalar(sa.select(table.c.taken_at).where(where).order_by(order).limit(1))
        for order in (table.c.taken_at, table.c.taken_at.desc())
    ]
    return None if ends[0] is None or ends[1] is None else (ends[0], ends[1])


def draw_frames(
    connection: sa.Connection,
    embedding_version: str,
    since: float,
    until: float,
    limit: int,
    seed: int,
    camera: str | None,
) -> Snapshots:
    """Up to `limit` frames taken from `since` on and before `until`, oldest first."""
    wanted = sa.and_(_frames_of(embedding_version, camera), elements.c.taken_at >= since, elements.c.taken_at < until)
    rows: list[Row] = []
    for some in chunks(_drawn(connection, wanted, since, until, limit, seed)):
        columns = sa.select(elements.c.camera, elements.c.taken_at, elements.c.frame_id, elements.c.vector)
        rows += connection.execute(columns.where(elements.c.id.in_(some)))
    rows.sort(key=lambda row: (row.taken_at, row.frame_id))
    return snapshots(
        from_halves([row.vector for row in rows]),
        camera=[row.camera for row in rows],
        taken_at=[row.taken_at for row in rows],
        id=[row.frame_id for row in rows],
    )


def draw_samples(
    connection: sa.Connection, campaign: str, since: float, until: float, limit: int, seed: int, camera: str | None
) -> list[Sample]:
    """Up to `limit` samples of a campaign taken from `since` on and before `until`, oldest first."""
    statement = (
        sa.select(samples, campaigns.c.name.label("campaign"))
        .join(campaigns, campaigns.c.id == samples.c.campaign_id)
        .where(_samples_of(connection, campaign, camera), samples.c.taken_at >= since, samples.c.taken_at < until)
        .order_by(_lot(samples.c.position, seed), samples.c.position)
        .limit(limit)
    )
    drawn = [sample_of(row) for row in connection.execute(statement).mappings()]
    return sorted(drawn, key=lambda sample: (sample.taken_at, sample.id))


def of_frames(connection: sa.Connection, embedding_version: str, frame_ids: Sequence[str]) -> dict[str, Vectors]:
    """The vector (d,) of each frame, as a whole, that has one."""
    found: dict[str, Vectors] = {}
    for some in chunks(frame_ids):
        columns = sa.select(elements.c.frame_id, elements.c.vector)
        rows = connection.execute(
            columns.where(_frames_of(embedding_version, None), elements.c.frame_id.in_(some))
        ).all()
        found |= dict(zip([row.frame_id for row in rows], from_halves([row.vector for row in rows]), strict=True))
    return found


def _frames_of(embedding_version: str, camera: str | None) -> sa.ColumnElement[bool]:
    ours = sa.and_(elements.c.row == 0, elements.c.embedding_version == embedding_version)
    return ours if camera is None else sa.and_(ours, elements.c.camera == camera)


def _samples_of(connection: sa.Connection, campaign: str, camera: str | None) -> sa.ColumnElement[bool]:
    number = sa.select(campaigns.c.id).where(campaigns.c.name == campaign).scalar_subquery()
    ours = samples.c.campaign_id == number
    return ours if camera is None else sa.and_(ours, samples.c.camera == camera)


def _drawn(
    connection: sa.Connection, wanted: sa.ColumnElement[bool], since: float, until: float, limit: int, seed: int
) -> list[int]:
    """Ids of up to `limit` elements. Ids grow with time, nearly: of a long time, random ones are probed, so that no
    table is too large. Where few of these are wanted, all are looked through."""
    in_time = sa.and_(elements.c.taken_at >= since, elements.c.taken_at < until)
    ends = [
        connection.scalar(sa.select(elements.c.id).where(in_time).order_by(order, elements.c.id).limit(1))
        for order in (elements.c.taken_at, elements.c.taken_at.desc())
    ]
    if ends[0] is None or ends[1] is None:
        return []
    low, high = sorted((ends[0], ends[1]))
    lots = random.Random(seed)
    if high - low >= _SMALL * limit:
        found: list[int] = []
        for some in chunks(lots.sample(range(low, high + 1), _SMALL * limit)):
            found += sorted(connection.scalars(sa.select(elements.c.id).where(wanted, elements.c.id.in_(some))))
            if len(found) >= 2 * limit:
                break
        if len(found) >= limit:
            return lots.sample(found, limit)
    whole = sa.select(elements.c.id).where(wanted).order_by(_lot(elements.c.id, seed), elements.c.id).limit(limit)
    return list(connection.scalars(whole))


def _lot(number: Any, seed: int) -> sa.ColumnElement[int]:
    """A number that looks random and is the same on every database: x⁵ modulo 2³¹ − 1, a permutation, of a line in the
    id. No step is beyond 63 bits."""
    lots = random.Random(seed)
    x = (sa.cast(number, sa.BigInteger) % _PRIME * lots.randrange(1, _PRIME) + lots.randrange(_PRIME)) % _PRIME
    square = x * x % _PRIME
    lot: sa.ColumnElement[int] = square * square % _PRIME * x % _PRIME
    return lot
