"""A random draw of stored elements, by random ids, so that no table is too large for it."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from hub.store.codec import from_halves
from hub.store.statements import chunks
from hub.store.tables import elements
from hub.types import Background, ElementKind

_NEWEST = 1_000_000
"""Elements that are looked through for what a random draw did not find enough of: about a second's work."""

Where = sa.ColumnElement[bool]

_found = elements.alias("found")


def draw(
    connection: sa.Connection,
    embedding_version: str,
    element: ElementKind,
    limit: int,
    cameras: Sequence[str],
    labels: Sequence[str],
    confidence: float,
) -> Background:
    """Elements of up to `limit` random frames that have any: the frame itself, or all of its crops that qualify."""
    wanted = _wanted(embedding_version, element, labels, confidence)
    frames = _frames(connection, _frames_having(wanted, embedding_version, element, cameras), limit)
    place = {frame_id: i for i, frame_id in enumerate(frames)}
    rows = []
    for some in chunks(frames):
        columns = sa.select(_found.c.frame_id, _found.c.row, _found.c.vector)
        rows += [
            (place[f], row, v) for f, row, v in connection.execute(columns.where(wanted, _found.c.frame_id.in_(some)))
        ]
    rows.sort(key=lambda each: each[:2])
    return Background(from_halves([v for _, _, v in rows]), np.array([frame for frame, _, _ in rows], np.int64))


def _wanted(embedding_version: str, element: ElementKind, labels: Sequence[str], confidence: float) -> Where:
    """Of an element: that it is of the kind asked for."""
    ours = _found.c.embedding_version == embedding_version
    if element is ElementKind.FRAME:
        return sa.and_(ours, _found.c.row == 0)
    any_label = _found.c.label.in_(list(labels)) if labels else sa.true()
    return sa.and_(ours, _found.c.row > 0, _found.c.confidence >= confidence, any_label)


def _frames_having(wanted: Where, embedding_version: str, element: ElementKind, cameras: Sequence[str]) -> Any:
    """Row 0 of each frame that has a wanted element, so that no frame is likelier for having many."""
    whole = sa.select(elements.c.id, elements.c.frame_id).where(
        elements.c.row == 0, elements.c.embedding_version == embedding_version
    )
    if cameras:
        whole = whole.where(elements.c.camera.in_(list(cameras)))
    if element is ElementKind.CROP:
        whole = whole.where(sa.select(_found.c.id).where(_found.c.frame_id == elements.c.frame_id, wanted).exists())
    return whole


def _frames(connection: sa.Connection, having: Any, limit: int) -> list[str]:
    """Ids of up to `limit` frames, drawn at random."""
    low, high = connection.execute(sa.select(sa.func.min(elements.c.id), sa.func.max(elements.c.id))).one()
    if low is None:
        return []
    if high - low < 20 * limit:
        return _ids(connection, having.order_by(sa.func.random()).limit(limit))
    found: dict[str, None] = {}
    for some in chunks(random.sample(range(low, high + 1), 10 * limit)):
        hits = _ids(connection, having.where(elements.c.id.in_(some)))
        random.shuffle(hits)  # they come by age, and the last of them may be cut off
        found |= dict.fromkeys(hits)
        if len(found) >= limit:
            return list(found)[:limit]
    # Few of the table are of this kind, as just after a change of model: then its newest are added.
    newest = having.where(elements.c.id > high - _NEWEST).order_by(elements.c.id.desc())
    found |= dict.fromkeys(_ids(connection, newest.limit(limit)))
    return list(found)[:limit]


def _ids(connection: sa.Connection, statement: Any) -> list[str]:
    return [frame_id for _, frame_id in connection.execute(statement)]
