"""Statements on campaigns, their seeds and versions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sqlalchemy as sa

from hub.store.codec import campaign_of, scorer_bytes, seed_of, seed_row, settings_row, version_of
from hub.store.statements import bump_revision, chunks, insert
from hub.store.tables import campaigns, seeds, version_seeds, versions
from hub.types import Campaign, CampaignState, Seed, Version
from shared.errors import AlreadyExists, InvalidInput, NotFound, StoreError


def add(connection: sa.Connection, campaign: Campaign, with_seeds: Sequence[Seed]) -> Campaign:
    """The campaign with its id. AlreadyExists when the name is taken."""
    if campaign.name in _names(connection):
        raise AlreadyExists("campaign", campaign.name, hint=f"See it with: hub campaigns show {campaign.name!r}")
    values = {
        "name": campaign.name,
        **settings_row(campaign),
        "state": campaign.state.value,
        "version": 0,
        "created_at": campaign.created_at,
    }
    key = connection.execute(campaigns.insert().values(values)).inserted_primary_key
    assert key is not None
    added = replace(campaign, id=key[0])
    _put_seeds(connection, added.id, with_seeds)
    bump_revision(connection)
    return added


def update(connection: sa.Connection, campaign: Campaign) -> None:
    """Change the settings of a campaign; its versions stay as they are."""
    connection.execute(campaigns.update().where(campaigns.c.id == campaign.id).values(settings_row(campaign)))
    bump_revision(connection)


def one(connection: sa.Connection, name: str) -> Campaign:
    """NotFound when there is none of that name."""
    row = connection.execute(campaigns.select().where(campaigns.c.name == name)).mappings().first()
    if row is None:
        raise NotFound("campaign", name, _names(connection))
    return campaign_of(row)


def all_(connection: sa.Connection) -> list[Campaign]:
    """In the order they were made."""
    rows = connection.execute(campaigns.select().order_by(campaigns.c.id)).mappings()
    return [campaign_of(row) for row in rows]


def set_state(connection: sa.Connection, name: str, state: CampaignState) -> None:
    """InvalidInput when it should be active and has no version."""
    campaign = one(connection, name)
    if state is CampaignState.ACTIVE and campaign.version == 0:
        raise InvalidInput(f"campaign {name!r} has no version yet", hint=f"Run: hub campaigns commit {name!r}")
    connection.execute(campaigns.update().where(campaigns.c.id == campaign.id).values(state=state.value))
    bump_revision(connection)


def add_seeds(connection: sa.Connection, name: str, new: Sequence[Seed]) -> int:
    """Add seeds, or replace those that are there by the same id; returns how many were not there."""
    campaign = one(connection, name)
    before = _lock_and_count(connection, campaign.id)
    _put_seeds(connection, campaign.id, new)
    return _seed_count(connection, campaign.id) - before


def remove_seeds(connection: sa.Connection, name: str, seed_ids: Sequence[str]) -> int:
    """Remove seeds; returns how many there were. Versions keep theirs."""
    campaign = one(connection, name)
    before = _lock_and_count(connection, campaign.id)
    # One by one, since PostgreSQL looks through the whole campaign for each list of ids.
    statement = seeds.delete().where(seeds.c.campaign_id == campaign.id, seeds.c.id == sa.bindparam("which"))
    for some in chunks(sorted(set(seed_ids))):
        connection.execute(statement, [{"which": seed_id} for seed_id in some])
    return before - _seed_count(connection, campaign.id)


def _lock_and_count(connection: sa.Connection, campaign_id: int) -> int:
    """How many seeds there are, and nobody else adds or removes any until we are done. Samples may still be added."""
    ours = sa.select(campaigns.c.id).where(campaigns.c.id == campaign_id)
    connection.execute(ours.with_for_update(key_share=True))
    return _seed_count(connection, campaign_id)


def _seed_count(connection: sa.Connection, campaign_id: int) -> int:
    statement = sa.select(sa.func.count()).select_from(seeds).where(seeds.c.campaign_id == campaign_id)
    return connection.scalar(statement) or 0


def _put_seeds(connection: sa.Connection, campaign_id: int, new: Sequence[Seed]) -> None:
    statement = insert(connection, seeds)
    changed = {name: statement.excluded[name] for name in ("vector", "embedding_version", "name", "negative", "box")}
    statement = statement.on_conflict_do_update(index_elements=["campaign_id", "id"], set_=changed)
    for some in chunks(new):
        connection.execute(statement, [{"campaign_id": campaign_id, **_finite(seed)} for seed in some])


def _finite(seed: Seed) -> dict[str, Any]:
    if seed.vector is not None and not np.isfinite(seed.vector).all():
        raise StoreError(
            f"the vector of seed {seed.name!r} is not finite",
            hint="Embed it anew; hub doctor tells whether the model works.",
        )
    return seed_row(seed)


def seeds_of(connection: sa.Connection, name: str) -> list[Seed]:
    """In the order they were added."""
    campaign = one(connection, name)
    statement = seeds.select().where(seeds.c.campaign_id == campaign.id).order_by(seeds.c.position)
    return [seed_of(row) for row in connection.execute(statement).mappings()]


def commit(connection: sa.Connection, version: Version) -> Version:
    """Store a version with a copy of its seeds; returns it with its id."""
    values = {
        "campaign_id": version.campaign_id,
        "number": version.number,
        **settings_row(version),
        "embedding_version": version.embedding_version,
        "calibrations": {},
        "scorer": scorer_bytes(version.scorer),
        "created_at": version.created_at,
    }
    # Locked, so that of two commits at once the second sees the first.
    current = sa.select(campaigns.c.version).where(campaigns.c.id == version.campaign_id)
    newest = connection.scalar(current.with_for_update(key_share=True))
    if newest != version.number - 1:
        raise InvalidInput(f"campaign {version.campaign!r} was committed meanwhile", hint="Commit again.")
    key = connection.execute(versions.insert().values(values)).inserted_primary_key
    assert key is not None
    for some in chunks(version.seeds):
        connection.execute(version_seeds.insert(), [{"version_id": key[0], **_finite(seed)} for seed in some])
    connection.execute(campaigns.update().where(campaigns.c.id == version.campaign_id).values(version=version.number))
    bump_revision(connection)
    return replace(version, id=key[0])


def versions_of(connection: sa.Connection, name: str) -> list[Version]:
    """Oldest first."""
    campaign = one(connection, name)
    statement = versions.select().where(versions.c.campaign_id == campaign.id).order_by(versions.c.number)
    rows = connection.execute(statement).mappings().all()
    return [version_of(row, name, _frozen_seeds(connection, row["id"])) for row in rows]


def active(connection: sa.Connection) -> list[Version]:
    """The newest version of each active campaign."""
    statement = (
        sa.select(versions, campaigns.c.name)
        .join(campaigns, campaigns.c.id == versions.c.campaign_id)
        .where(campaigns.c.state == CampaignState.ACTIVE.value, versions.c.number == campaigns.c.version)
        .order_by(campaigns.c.id)
    )
    rows = connection.execute(statement).mappings().all()
    return [version_of(row, row["name"], _frozen_seeds(connection, row["id"])) for row in rows]


def _frozen_seeds(connection: sa.Connection, version_id: int) -> tuple[Seed, ...]:
    statement = version_seeds.select().where(version_seeds.c.version_id == version_id)
    rows = connection.execute(statement.order_by(version_seeds.c.position)).mappings()
    return tuple(seed_of(row) for row in rows)


def _names(connection: sa.Connection) -> set[str]:
    return set(connection.scalars(sa.select(campaigns.c.name)))
