"""Brings a database to the schema of this version, whoever else is opening it."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from hub.store.engine import Database
from shared.errors import DatabaseTooNew
from shared.log import redact

_LOCK = 0x626F776572  # any number that nobody else locks: "bower"


def migrate(database: Database) -> None:
    """Upgrade to the newest revision, in one transaction. DatabaseTooNew when a newer hub wrote it."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with database.reading() as connection:
        if _is_current(connection, config, database.url):
            return
    with database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if not _is_current(connection, config, database.url):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _is_current(connection: sa.Connection, config: Config, url: str) -> bool:
    scripts = ScriptDirectory.from_config(config)
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if current is not None and current not in known:
        raise DatabaseTooNew(
            f"the database {redact(url)} was written by a newer version (schema {current})",
            hint="Upgrade this hub, or give it another data directory with HUB_DATA_DIR.",
        )
    return current == scripts.get_current_head()
