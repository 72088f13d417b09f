"""Statements on what judging remembers of cameras."""

from collections.abc import Sequence

import sqlalchemy as sa

from hub.packed import pack, unpack
from hub.store.statements import bump_revision, chunks, upsert
from hub.store.tables import camera_memory
from hub.types import Remembered, Tally


def remember(connection: sa.Connection, rows: Sequence[Remembered], now: float) -> None:
    """Replace what was saved of these cameras. now: Unix seconds."""
    for some in chunks(sorted(rows, key=lambda row: (row.campaign_id, row.camera))):
        upsert(connection, camera_memory, [_row(each, now) for each in some])


def remembered(connection: sa.Connection, campaign_id: int) -> list[Remembered]:
    """By camera. StoreError when something of it is damaged."""
    statement = camera_memory.select().where(camera_memory.c.campaign_id == campaign_id)
    return [
        Remembered(row.campaign_id, row.camera, unpack(row.state), row.tally and Tally(**unpack(row.tally)))
        for row in connection.execute(statement.order_by(camera_memory.c.camera))
    ]


def forget(connection: sa.Connection, campaign_id: int, camera: str | None) -> int:
    """Drop it, of one camera or of all; returns of how many."""
    statement = camera_memory.delete().where(camera_memory.c.campaign_id == campaign_id)
    if camera is not None:
        statement = statement.where(camera_memory.c.camera == camera)
    bump_revision(connection)
    return connection.execute(statement).rowcount


def _row(of: Remembered, now: float) -> dict[str, object]:
    return {
        "campaign_id": of.campaign_id,
        "camera": of.camera,
        "state": pack(of.state),
        "tally": None if of.tally is None else pack(vars(of.tally)),
        "updated_at": now,
    }
