"""Statements on samples that wait for their burst or their window."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from hub.store.codec import from_whole, sample_of, sample_row, whole
from hub.store.statements import chunks, insert
from hub.store.tables import campaigns, held
from hub.types import Held, Stage


def hold(connection: sa.Connection, some: Sequence[Held]) -> None:
    """Hold samples; those that are held already keep their place."""
    if not some:
        return
    statement = insert(connection, held)
    changed = {name: statement.excluded[name] for name in ("stage", "until", "sample", "vector")}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["id"], set_=changed),
        [_row(each) for each in sorted(some, key=lambda h: (h.sample.taken_at, h.sample.id))],
    )


def let_go(connection: sa.Connection, sample_ids: Sequence[str]) -> None:
    """Hold them no longer."""
    for some in chunks(sorted(set(sample_ids))):
        connection.execute(held.delete().where(held.c.id.in_(some)))


def all_(connection: sa.Connection) -> list[Held]:
    """Of all campaigns, in the order they came."""
    statement = sa.select(held, campaigns.c.name).join(campaigns, campaigns.c.id == held.c.campaign_id)
    rows = connection.execute(statement.order_by(held.c.position)).mappings()
    return [_held(row) for row in rows]


def _row(of: Held) -> dict[str, Any]:
    return {
        "id": of.sample.id,
        "campaign_id": of.sample.campaign_id,
        "frame_id": of.sample.frame_id,
        "stage": of.stage.value,
        "until": of.until,
        "sample": sample_row(replace(of.sample, vector=None)),
        # Exactly the same must come back, or a choice after a restart could differ from the one before it.
        "vector": whole(of.sample.vector),
    }


def _held(row: sa.RowMapping) -> Held:
    sample = sample_of({**row["sample"], "campaign": row["name"]})
    return Held(replace(sample, vector=from_whole(row["vector"])), Stage(row["stage"]), row["until"])
