"""Statements on what was sent: why, and what became of it."""

from collections.abc import Sequence

import sqlalchemy as sa

from hub.deliveries import Delivery, DeliveryState, Fate, FateCount, Outcome, Provenance
from hub.store.outbox import some_where
from hub.store.tables import campaigns, deliveries, samples, version_seeds, versions
from shared.errors import NotFound


def provenance(connection: sa.Connection, sample_id: str) -> Provenance:
    """Why a sample was taken. NotFound when there is no such sample."""
    row = (
        connection.execute(
            sa.select(
                campaigns.c.name,
                samples.c.version,
                samples.c.score,
                samples.c.detector,
                samples.c.embedding_version,
                versions.c.id.label("version_id"),
                versions.c.trigger,
                versions.c.budget,
            )
            .join_from(samples, campaigns)
            .outerjoin(
                versions,
                (versions.c.campaign_id == samples.c.campaign_id) & (versions.c.number == samples.c.version),
            )
            .where(samples.c.id == sample_id)
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound("sample", sample_id)
    budget, trigger = row["budget"] or {}, row["trigger"] or {}
    by_number = not (budget.get("target") or budget.get("alarms"))
    return Provenance(
        campaign=row["name"],
        version=row["version"],
        trigger=trigger.get("name", ""),
        threshold=budget.get("threshold") if by_number else None,
        seed=_seed_name(connection, row["version_id"], row["score"].get("seed", "")),
        embedding_version=row["embedding_version"] or "",
        detector=row["detector"],
    )


def _seed_name(connection: sa.Connection, version_id: int | None, seed_id: str) -> str:
    if not seed_id or version_id is None:
        return ""
    named = sa.select(version_seeds.c.name).where(
        version_seeds.c.version_id == version_id, version_seeds.c.id == seed_id
    )
    return connection.scalar(named) or ""


def unread(connection: sa.Connection, sink_kind: str, read_before: float, limit: int) -> list[Delivery]:
    """Sent deliveries whose fate is worth another look, those never read first."""
    return some_where(
        connection,
        deliveries.c.state == DeliveryState.SENT.value,
        (deliveries.c.sink == sink_kind) | deliveries.c.sink.startswith(f"{sink_kind}:", autoescape=True),
        deliveries.c.checked_at < read_before,
        deliveries.c.fate != Fate.DELETED.value,
        order_by=(deliveries.c.checked_at, deliveries.c.id),
        limit=limit,
    )


def by_sink(connection: sa.Connection) -> dict[tuple[str, DeliveryState], int]:
    """How many deliveries of each destination are in which state."""
    keys = (deliveries.c.sink, deliveries.c.state)
    rows = connection.execute(sa.select(*keys, sa.func.count()).group_by(*keys))
    return {(sink, DeliveryState(state)): count for sink, state, count in rows}


def record(connection: sa.Connection, outcomes: Sequence[Outcome]) -> None:
    """What was read of deliveries."""
    if not outcomes:
        return
    connection.execute(
        deliveries.update().where(deliveries.c.id == sa.bindparam("of")),
        [
            {"of": each.delivery_id, "fate": each.fate.value, "split": each.split[:16], "checked_at": each.checked_at}
            for each in outcomes
        ],
    )


def fates(connection: sa.Connection, campaign: str | None) -> list[FateCount]:
    """How many deliveries of a campaign version, camera and destination met which fate."""
    keys = (campaigns.c.name, samples.c.version, samples.c.camera, deliveries.c.sink, deliveries.c.fate)
    statement = (
        sa.select(*keys, sa.func.count())
        .join_from(deliveries, samples, deliveries.c.sample_id == samples.c.id)
        .join(campaigns)
        .where(deliveries.c.fate != "")
        .group_by(*keys)
        .order_by(*keys)
    )
    if campaign is not None:
        statement = statement.where(campaigns.c.name == campaign)
    rows = connection.execute(statement)
    return [
        FateCount(name, version, camera, sink, Fate(fate), count) for name, version, camera, sink, fate, count in rows
    ]
