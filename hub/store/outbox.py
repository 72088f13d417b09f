"""Statements on deliveries."""

from collections.abc import Sequence

import sqlalchemy as sa

from hub.store.tables import deliveries
from hub.types import Delivery, DeliveryState

_COLUMNS = [deliveries.c[name] for name in (
    "id", "sample_id", "sink", "state", "attempts", "due_at", "remote_id", "error", "updated_at",
)]  # fmt: skip


def claim(connection: sa.Connection, sink: str, now: float, lease_s: float, limit: int) -> list[Delivery]:
    """Pending deliveries that are due and nobody else's, longest due first; ours until now + lease_s."""
    due = (
        sa.select(deliveries.c.id)
        .where(
            deliveries.c.state == DeliveryState.PENDING.value,
            deliveries.c.sink == sink,
            deliveries.c.due_at <= now,
            deliveries.c.claimed_until <= now,
        )
        .order_by(deliveries.c.due_at, deliveries.c.id)
        .limit(limit)
    )
    if connection.dialect.name != "sqlite":
        due = due.with_for_update(skip_locked=True)
    ids = list(connection.scalars(due))
    if not ids:
        return []
    ours = deliveries.c.id.in_(ids)
    connection.execute(deliveries.update().where(ours).values(claimed_until=now + lease_s))
    rows = connection.execute(
        sa.select(*_COLUMNS).where(ours).order_by(deliveries.c.due_at, deliveries.c.id)
    ).mappings()
    return [_delivery(row) for row in rows]


def settle(connection: sa.Connection, delivery: Delivery) -> None:
    """Record how an attempt ended. What is sent stays sent, even if a claim that ran out ends later."""
    connection.execute(
        deliveries.update()
        .where(deliveries.c.id == delivery.id, deliveries.c.state != DeliveryState.SENT.value)
        .values(
            state=delivery.state.value,
            attempts=delivery.attempts,
            due_at=delivery.due_at,
            claimed_until=0.0,
            remote_id=delivery.remote_id,
            error=delivery.error,
            updated_at=delivery.updated_at,
        )
    )


def some(connection: sa.Connection, state: DeliveryState | None, limit: int) -> list[Delivery]:
    """Newest first."""
    statement = sa.select(*_COLUMNS).order_by(deliveries.c.id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(deliveries.c.state == state.value)
    return [_delivery(row) for row in connection.execute(statement).mappings()]


def by_state(connection: sa.Connection) -> dict[DeliveryState, int]:
    """How many there are in each state."""
    statement = sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)
    found = {DeliveryState(state): count for state, count in connection.execute(statement)}
    return {state: found.get(state, 0) for state in DeliveryState}


def retry(connection: sa.Connection, ids: Sequence[int] | None, now: float) -> int:
    """Make parked and waiting deliveries due; returns how many."""
    statement = deliveries.update().where(deliveries.c.state != DeliveryState.SENT.value)
    if ids is not None:
        statement = statement.where(deliveries.c.id.in_(list(ids)))
    return connection.execute(statement.values(state=DeliveryState.PENDING.value, due_at=now)).rowcount


def _delivery(row: sa.RowMapping) -> Delivery:
    return Delivery(**{**row, "state": DeliveryState(row["state"])})
