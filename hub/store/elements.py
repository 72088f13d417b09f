"""Statements on elements: by id, by key, by frame, and what is brought in from elsewhere."""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hub.archive import Element, Newcomer, Rows, Stored
from hub.store.codec import from_halves, half
from hub.store.statements import chunks, insert
from hub.store.tables import elements
from shared.errors import InvalidInput

EXTERNAL_IDS = 2**62
"""External ids are below this, so that the hub's own, which go on above them, have room."""

_PROBES = 20


def rows(connection: sa.Connection, embedding_version: str, after: int, limit: int) -> Rows:
    """By id, above `after`."""
    c = elements.c
    columns = sa.select(c.id, c.vector, c.taken_at, c.row, c.camera, c.label)
    wanted = columns.where(c.embedding_version == embedding_version, c.id > after).order_by(c.id).limit(limit)
    found = connection.execute(wanted).all()
    return Rows(
        np.array([each[0] for each in found], np.int64),
        from_halves([each[1] for each in found]),
        np.array([each[2] for each in found], np.float64),
        np.array([each[3] for each in found], np.int32),
        [each[4] for each in found],
        [each[5] for each in found],
    )


def living(connection: sa.Connection, embedding_version: str, first: int, last: int) -> NDArray[np.int64]:
    """Ids between two, both included."""
    c = elements.c
    ids = sa.select(c.id).where(c.embedding_version == embedding_version, c.id.between(first, last)).order_by(c.id)
    return np.fromiter((each[0] for each in connection.execute(ids)), np.int64)


def last_id(connection: sa.Connection, embedding_version: str) -> int:
    """0 for none."""
    ours = sa.select(sa.func.max(elements.c.id)).where(elements.c.embedding_version == embedding_version)
    return connection.scalar(ours) or 0


def stored(connection: sa.Connection, ids: Sequence[int]) -> list[Stored]:
    """In the order of ids."""
    found: dict[int, Stored] = {}
    for some in chunks(ids):
        found |= {s.element.id: s for s in _stored(connection, elements.c.id.in_(some))}
    return [found[each] for each in ids if each in found]


def by_key(connection: sa.Connection, keys: Sequence[int], embedding_version: str) -> list[Stored]:
    """In the order of keys."""
    found: dict[int, Stored] = {}
    for some in chunks(keys):
        found |= {s.element.key: s for s in _stored(connection, _keyed(some), _of(embedding_version))}
    return [found[each] for each in keys if each in found]


def of_frames(connection: sa.Connection, frame_ids: Sequence[str], embedding_version: str) -> dict[str, list[Stored]]:
    """By frame, in the order of rows."""
    found: dict[str, list[Stored]] = {}
    for some in chunks(frame_ids):
        for each in _stored(connection, elements.c.frame_id.in_(some), _of(embedding_version)):
            found.setdefault(each.element.frame_id, []).append(each)
    return {frame: sorted(group, key=lambda s: s.element.row) for frame, group in found.items()}


def vectors_of_frames(
    connection: sa.Connection, frame_ids: Sequence[str], embedding_version: str
) -> dict[str, list[tuple[int, NDArray[np.float32]]]]:
    """The same, only row and vector: all that a long pass over frames reads."""
    c = elements.c
    found: dict[str, list[tuple[int, NDArray[np.float32]]]] = {}
    for some in chunks(frame_ids):
        wanted = sa.select(c.frame_id, c.row, c.vector).where(c.frame_id.in_(some), _of(embedding_version))
        rows = connection.execute(wanted.order_by(c.frame_id, c.row)).all()
        for (frame, row, _), vector in zip(rows, from_halves([each[2] for each in rows]), strict=True):
            found.setdefault(frame, []).append((row, vector))
    return found


def keys(connection: sa.Connection, embedding_version: str, after: int, limit: int) -> list[int]:
    """In order."""
    # Two walks along an index each, and not one over all keys.
    external, own = elements.c.external_id, elements.c.id
    brought = sa.select(external).where(_of(embedding_version), external > after).order_by(external).limit(limit)
    others = sa.select(own).where(_of(embedding_version), own > after, external.is_(None)).order_by(own).limit(limit)
    return sorted([*connection.scalars(brought), *connection.scalars(others)])[:limit]


def count(connection: sa.Connection, embedding_version: str) -> int:
    """How many."""
    return connection.scalar(sa.select(sa.func.count()).where(_of(embedding_version))) or 0


def any_one(connection: sa.Connection, embedding_version: str) -> Stored | None:
    """A random one, by random ids, so that no table is too large for it."""
    c = elements.c
    ends = [connection.scalar(sa.select(end(c.id)).where(_of(embedding_version))) for end in (sa.func.min, sa.func.max)]
    if ends[0] is None or ends[1] is None:
        return None
    at = random.randint(ends[0], ends[1])
    number = connection.scalar(sa.select(sa.func.min(c.id)).where(_of(embedding_version), c.id >= at))
    return _stored(connection, c.id == number)[0]


def add(connection: sa.Connection, newcomers: Sequence[Newcomer]) -> int:
    """Store what is not there yet; the hub's own ids go on above all external ones."""
    _check(connection, newcomers)
    new = _unknown(connection, newcomers)
    if not new:
        return 0
    external = [each.external_id for each in new if each.external_id is not None]
    before = connection.scalar(sa.select(sa.func.max(elements.c.id))) or 0
    _begin_above(connection, max([before, *external]))
    statement = insert(connection, elements).on_conflict_do_nothing()
    added = 0
    for some in chunks(new):
        added += len(connection.execute(statement.returning(elements.c.id), [_row(each) for each in some]).all())
    return added


def remove(connection: sa.Connection, ids: Sequence[int]) -> int:
    """By their own ids."""
    return sum(connection.execute(elements.delete().where(elements.c.id.in_(some))).rowcount for some in chunks(ids))


def _of(embedding_version: str) -> sa.ColumnElement[bool]:
    return elements.c.embedding_version == embedding_version


def _keyed(some: Sequence[int]) -> sa.ColumnElement[bool]:
    own = sa.and_(elements.c.id.in_(some), elements.c.external_id.is_(None))
    return sa.or_(elements.c.external_id.in_(some), own)


def _stored(connection: sa.Connection, *wanted: sa.ColumnElement[bool]) -> list[Stored]:
    found = connection.execute(sa.select(elements).where(*wanted)).mappings().all()
    by_length: dict[int, list[sa.RowMapping]] = {}
    for row in found:
        by_length.setdefault(len(row["vector"]), []).append(row)
    return [
        Stored(_element(row), vector)
        for some in by_length.values()
        for row, vector in zip(some, from_halves([row["vector"] for row in some]), strict=True)
    ]


def _element(row: sa.RowMapping) -> Element:
    return Element(
        id=row["id"],
        frame_id=row["frame_id"],
        row=row["row"],
        embedding_version=row["embedding_version"],
        camera=row["camera"],
        taken_at=row["taken_at"],
        box=tuple(row["box"]),
        label=row["label"],
        confidence=row["confidence"],
        external_id=row["external_id"],
        metadata=row["metadata"] or {},
    )


def _row(of: Newcomer) -> dict[str, Any]:
    unit = of.vector / max(float(np.linalg.norm(of.vector)), 1e-12)
    return {
        "frame_id": of.frame_id,
        "row": of.row,
        "embedding_version": of.embedding_version,
        "camera": of.camera,
        "taken_at": of.taken_at,
        "box": [round(float(v), 2) for v in of.box],
        "label": of.label,
        "confidence": of.confidence,
        "vector": half(unit.astype(np.float32)),
        "external_id": of.external_id,
        "metadata": dict(of.metadata) or None,
    }


def _check(connection: sa.Connection, newcomers: Sequence[Newcomer]) -> None:
    """InvalidInput for what would make an index, or a later id, wrong."""
    lengths: dict[str, int] = {}
    own = connection.scalar(sa.select(sa.func.max(elements.c.id))) or 0
    for each in newcomers:
        version, vector = each.embedding_version, each.vector
        if version not in lengths:
            first = connection.scalar(sa.select(elements.c.vector).where(_of(version)).limit(1))
            lengths[version] = len(first) // 2 if first is not None else len(vector)
        if vector.ndim != 1 or len(vector) != lengths[version]:
            raise InvalidInput(
                f"a vector of shape {vector.shape} is not one of embedding version {version}, of ({lengths[version]},)"
            )
        if not np.isfinite(vector).all() or not vector.any():
            raise InvalidInput(f"the vector of frame {each.frame_id}, row {each.row}, is zero or not finite")
        # An element embedded anew is known by its old key, which may be one of our own ids above them.
        if each.external_id is not None and not 0 <= each.external_id <= max(EXTERNAL_IDS - 1, own):
            raise InvalidInput(f"the id {each.external_id} lies not between 0 and 2^62")


def _unknown(connection: sa.Connection, newcomers: Sequence[Newcomer]) -> list[Newcomer]:
    """Those whose external id is no element's key in their embedding version, each once."""
    known: set[tuple[str, int]] = set()
    key = sa.func.coalesce(elements.c.external_id, elements.c.id)
    for version in {each.embedding_version for each in newcomers}:
        ours = (each.external_id for each in newcomers if each.embedding_version == version)
        for some in chunks(sorted({number for number in ours if number is not None})):
            found = connection.scalars(sa.select(key).where(_keyed(some), _of(version)))
            known.update((version, number) for number in found)
    new: list[Newcomer] = []
    for each in newcomers:
        if each.external_id is None:
            new.append(each)
        elif (each.embedding_version, each.external_id) not in known:
            new.append(each)
            known.add((each.embedding_version, each.external_id))
    return new


def _begin_above(connection: sa.Connection, highest: int) -> None:
    """Let the next own id be above `highest`, so that it never is an external one."""
    if connection.dialect.name == "sqlite":
        known = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'elements'").scalar()
        if known is None:
            connection.exec_driver_sql("INSERT INTO sqlite_sequence (name, seq) VALUES ('elements', ?)", (highest,))
        elif known < highest:
            connection.exec_driver_sql("UPDATE sqlite_sequence SET seq = ? WHERE name = 'elements'", (highest,))
        return
    if highest:
        # nextval, so that of two that do this at once none sets it back.
        sequence = "pg_get_serial_sequence('elements', 'id')"
        connection.execute(
            sa.text(f"SELECT setval({sequence}, GREATEST(nextval({sequence}), :highest))"),
            {"highest": highest},
        )
