"""Connections and transactions: SQLite with one writer at a time, PostgreSQL as it comes."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.errors import InvalidInput, StorageFull, StoreError
from shared.log import redact

BUSY_S = 30.0
"""How long a writer waits for the one before it."""


class Database:
    """An engine, and the two kinds of transaction. All our errors, none of SQLAlchemy's, come out."""

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            self._engine = sa.create_engine(url, pool_pre_ping=not url.startswith("sqlite"), json_serializer=_json)
        except (SQLAlchemyError, ModuleNotFoundError) as error:
            raise InvalidInput(
                f"{redact(url)} is no database we can use: {redact(str(error)).splitlines()[0]}",
                hint="Write sqlite:///path/hub.sqlite or postgresql+psycopg://user@host/name "
                "(which needs: pip install 'bowerbird[postgres]').",
            ) from error
        if self.is_sqlite:
            event.listen(self._engine, "connect", _on_connect)
            event.listen(self._engine, "begin", _on_begin)

    @property
    def is_sqlite(self) -> bool:
        """Whether there is one writer at a time."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with translated(self.url), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that writes. On SQLite it holds the write lock from the start: a reader that turns writer
        half-way would decide on what another is changing."""
        with translated(self.url), self._engine.connect() as connection:
            connection.execution_options(immediate=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _json(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise StoreError(f"not stored: a number that is not finite, in {value}", hint="Give a number.") from error


def _on_connect(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
    _use_wal(cursor)
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _use_wal(cursor: Any) -> None:
    """Two processes that open a fresh file at once can find it locked here, whatever the busy timeout."""
    for wait_s in (0.01, 0.05, 0.2, 0.5, 1.0, 0.0):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except Exception as error:
            if "locked" not in str(error) or not wait_s:
                raise
            time.sleep(wait_s)


def _on_begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextmanager
def translated(url: str) -> Iterator[None]:
    """SQLAlchemy's errors as ours, with what to do."""
    try:
        yield
    except NoSuchModuleError as error:
        raise InvalidInput(f"{redact(url)}: {error}") from error
    except DBAPIError as error:
        raise _ours(str(error.orig), url) from error
    except StatementError as error:
        if isinstance(error.orig, StoreError):  # of `_json`
            raise error.orig from error
        raise
    except PoolTimeout as error:
        raise StoreError(
            f"the database {redact(url)} is busy: every connection is in use", hint="Try again."
        ) from error


def _ours(said: str, url: str) -> StoreError:
    said = redact(said).strip().splitlines()[0] if said.strip() else "no reason given"
    where = redact(url)
    low = said.lower()
    if "disk is full" in low or "no space" in low or "disk i/o error" in low:
        return StorageFull(f"the database {where} can't grow: {said}", hint="Free some space; nothing stored is lost.")
    if "readonly" in low or "read-only" in low:
        return StorageFull(f"the database {where} is read-only", hint="Make the file and its folder writable.")
    if "unable to open" in low:
        return StoreError(f"the database {where} can't be opened: {said}", hint="Check that the folder exists.")
    if "not a database" in low or "malformed" in low:
        return StoreError(
            f"{where} is not a database of ours, or is damaged: {said}",
            hint="Move the file away to start afresh, or restore a backup.",
        )
    if "locked" in low:
        return StoreError(f"the database {where} is busy: another process holds it", hint="Try again.")
    return StoreError(f"the database {where} failed: {said}")
