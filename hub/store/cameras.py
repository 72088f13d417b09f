"""Statements on cameras and their health."""

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa

from hub.store.statements import bump_revision, upsert
from hub.store.tables import camera_health, camera_memory, cameras
from hub.types import Camera, CameraHealth
from shared.errors import AlreadyExists, NotFound


def add(connection: sa.Connection, camera: Camera) -> None:
    """AlreadyExists when the name is taken."""
    if camera.name in _names(connection):
        raise AlreadyExists("camera", camera.name, hint=f"Remove it first: hub cameras remove {camera.name!r}")
    connection.execute(cameras.insert().values(asdict(camera)))
    bump_revision(connection)


def update(connection: sa.Connection, camera: Camera) -> None:
    """NotFound when there is none of that name."""
    _must_exist(connection, camera.name)
    connection.execute(cameras.update().where(cameras.c.name == camera.name).values(asdict(camera)))
    bump_revision(connection)


def remove(connection: sa.Connection, name: str) -> None:
    """With what judging remembers of it. NotFound when there is none of that name."""
    _must_exist(connection, name)
    connection.execute(camera_memory.delete().where(camera_memory.c.camera == name))
    connection.execute(cameras.delete().where(cameras.c.name == name))
    bump_revision(connection)


def all_(connection: sa.Connection) -> list[Camera]:
    """By name."""
    return [Camera(**row) for row in connection.execute(cameras.select().order_by(cameras.c.name)).mappings()]


def record_health(connection: sa.Connection, health: Sequence[CameraHealth]) -> None:
    """Replace what was reported before. Cameras removed meanwhile are left out."""
    names = _names(connection)
    upsert(connection, camera_health, [asdict(each) for each in health if each.camera in names])


def health(connection: sa.Connection) -> dict[str, CameraHealth]:
    """By camera."""
    rows = connection.execute(camera_health.select()).mappings()
    return {row["camera"]: CameraHealth(**row) for row in rows}


def _names(connection: sa.Connection) -> set[str]:
    return set(connection.scalars(sa.select(cameras.c.name)))


def _must_exist(connection: sa.Connection, name: str) -> None:
    names = _names(connection)
    if name not in names:
        raise NotFound("camera", name, names)
