"""Statements on deliveries, and on the destinations they go to."""

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa

from hub.deliveries import Delivery, DeliveryState, SinkHealth, SinkState
from hub.store.statements import upsert
from hub.store.tables import deliveries, sinks

_COLUMNS = [deliveries.c[name] for name in (
    "id", "sample_id", "sink", "state", "attempts", "due_at", "remote_id", "error", "updated_at", "picture",
    "redaction",
)]  # fmt: skip


def claim(
    connection: sa.Connection, sink: str, now: float, lease_s: float, limit: int, newest_first: bool
) -> list[Delivery]:
    """Pending deliveries that are due and nobody else's; ours until now + lease_s.

    Longest due first, or newest first.
    """
    order = [deliveries.c.id.desc()] if newest_first else [deliveries.c.due_at, deliveries.c.id]
    # The sum keeps the index on `due_at` from being taken where the order is another: it would sort all that wait.
    due_at = deliveries.c.due_at + 0 if newest_first else deliveries.c.due_at
    due = (
        sa.select(deliveries.c.id)
        .where(
            deliveries.c.state == DeliveryState.PENDING.value,
            deliveries.c.sink == sink,
            due_at <= now,
            deliveries.c.claimed_until <= now,
        )
        .order_by(*order)
        .limit(limit)
    )
    if connection.dialect.name != "sqlite":
        due = due.with_for_update(skip_locked=True)
    ids = list(connection.scalars(due))
    if not ids:
        return []
    ours = deliveries.c.id.in_(ids)
    connection.execute(deliveries.update().where(ours).values(claimed_until=now + lease_s))
    rows = connection.execute(sa.select(*_COLUMNS).where(ours).order_by(*order)).mappings()
    return [_delivery(row) for row in rows]


def note(connection: sa.Connection, delivery: Delivery) -> None:
    """Record how far an attempt got, which goes on."""
    if known := _known(delivery):
        connection.execute(deliveries.update().where(deliveries.c.id == delivery.id).values(known))


def settle(connection: sa.Connection, delivery: Delivery) -> None:
    """Record how an attempt ended. What is sent stays sent, even if a claim that ran out ends later; and what is known
    of it there, or was put in place of its picture, is never forgotten by somebody who knew less."""
    values = {
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "due_at": delivery.due_at,
        "claimed_until": 0.0,
        "error": delivery.error,
        "updated_at": delivery.updated_at,
    }
    connection.execute(
        deliveries.update()
        .where(deliveries.c.id == delivery.id, deliveries.c.state != DeliveryState.SENT.value)
        .values(values | _known(delivery))
    )


def _known(delivery: Delivery) -> dict[str, str]:
    known = {"remote_id": delivery.remote_id, "picture": delivery.picture, "redaction": delivery.redaction}
    return {name: value for name, value in known.items() if value}


def waiting_sinks(connection: sa.Connection) -> list[str]:
    """Destinations that pending deliveries go to. One look into the index for each, however many wait."""
    names: list[str] = []
    pending = deliveries.c.state == DeliveryState.PENDING.value
    first = sa.select(sa.func.min(deliveries.c.sink)).where(pending)
    name = connection.scalar(first)
    while name is not None:
        names.append(name)
        name = connection.scalar(first.where(deliveries.c.sink > name))
    return names


def some(connection: sa.Connection, state: DeliveryState | None, sink: str | None, limit: int) -> list[Delivery]:
    """Newest first."""
    statement = sa.select(*_COLUMNS).order_by(deliveries.c.id.desc()).limit(limit)
    if state is not None:
        statement = statement.where(deliveries.c.state == state.value)
    if sink is not None:
        statement = statement.where(deliveries.c.sink == sink)
    return [_delivery(row) for row in connection.execute(statement).mappings()]


def some_where(
    connection: sa.Connection, *wanted: sa.ColumnElement[bool], order_by: Sequence[sa.ColumnElement[object]], limit: int
) -> list[Delivery]:
    """Deliveries for which all of these hold."""
    statement = sa.select(*_COLUMNS).where(*wanted).order_by(*order_by).limit(limit)
    return [_delivery(row) for row in connection.execute(statement).mappings()]


def by_state(connection: sa.Connection) -> dict[DeliveryState, int]:
    """How many there are in each state."""
    statement = sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)
    found = {DeliveryState(state): count for state, count in connection.execute(statement)}
    return {state: found.get(state, 0) for state in DeliveryState}


def retry(connection: sa.Connection, ids: Sequence[int] | None, now: float) -> int:
    """Make parked and waiting deliveries due, and their destinations worth a try; returns how many."""
    statement = deliveries.update().where(deliveries.c.state != DeliveryState.SENT.value)
    if ids is not None:
        statement = statement.where(deliveries.c.id.in_(list(ids)))
    connection.execute(sinks.update().values(until=0.0))
    return connection.execute(statement.values(state=DeliveryState.PENDING.value, due_at=now)).rowcount


def discard(connection: sa.Connection, ids: Sequence[int] | None, sink: str | None) -> int:
    """Forget deliveries that were not sent, by id or destination; returns how many."""
    statement = deliveries.delete().where(deliveries.c.state != DeliveryState.SENT.value)
    if ids is not None:
        statement = statement.where(deliveries.c.id.in_(list(ids)))
    if sink is not None:
        statement = statement.where(deliveries.c.sink == sink)
    return connection.execute(statement).rowcount


def record_health(connection: sa.Connection, health: SinkHealth) -> None:
    """How a destination does now."""
    upsert(connection, sinks, [{**asdict(health), "state": health.state.value}])


def health(connection: sa.Connection) -> dict[str, SinkHealth]:
    """By destination."""
    rows = connection.execute(sa.select(sinks)).mappings()
    return {row["sink"]: SinkHealth(**{**row, "state": SinkState(row["state"])}) for row in rows}


def _delivery(row: sa.RowMapping) -> Delivery:
    return Delivery(**{**row, "state": DeliveryState(row["state"])})
