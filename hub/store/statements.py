"""Inserts that do the right thing when the row is there already, on both databases."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hub.store.tables import facts

T = TypeVar("T")

AT_ONCE = 500
"""Values given to one IN clause, rows to one insert."""


def chunks(values: Sequence[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """`values` in lists of at most `size`; none at all for no values."""
    for start in range(0, len(values), size):
        yield list(values[start : start + size])


def insert(connection: sa.Connection, table: sa.Table) -> Any:
    """The dialect's own insert, which knows ON CONFLICT."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows that are not there yet."""
    if rows:
        connection.execute(insert(connection, table).on_conflict_do_nothing(), rows)


def upsert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, or replace those with the same primary key."""
    if not rows:
        return
    statement = insert(connection, table)
    keys = [column.name for column in table.primary_key]
    new = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=new), rows)


def bump_revision(connection: sa.Connection) -> None:
    """Tell a running collector that cameras or campaigns changed."""
    statement = insert(connection, facts).values(name="revision", value=1)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"value": facts.c.value + 1}))
