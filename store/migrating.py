"""Bringing a database to the schema that this code expects."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, make_url, text

from store.connections import SQLITE, answering, engine_for

_LOCK: Final = 0x4861_6944_616E_67
"""The number of the lock that everybody who migrates a PostgreSQL database takes first: the name in ASCII."""


def migrate(url: str) -> None:
    """Run every migration that the database lacks, all in one transaction, while others who try the same wait.

    A newer version's database lacks none: migrations only add, so that the version before can go on and come back.

    Raises:
        StoreUnavailableError: the database does not answer, or lets us do nothing.
    """
    engine = engine_for(url)
    try:
        with answering(), engine.begin() as connection:
            # On SQLite the transaction excludes every other writer from its beginning.
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            if not _is_newer(connection):
                command.upgrade(_config(connection), "head")
    finally:
        engine.dispose()


def is_migrated(url: str) -> bool:
    """Tell whether there is a database that was ever migrated; looking makes none.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    file = make_url(url).database
    if make_url(url).get_backend_name() == SQLITE and not (file and Path(file).exists()):
        return False
    engine = engine_for(url, reads=True)
    try:
        with answering(), engine.connect() as connection:
            return inspect(connection).has_table("alembic_version")
    finally:
        engine.dispose()


def is_current(url: str) -> bool:
    """Tell whether a database has all of the schema of this version; a newer one has.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    engine = engine_for(url, reads=True)
    try:
        with answering(), engine.connect() as connection:
            newest = _scripts(connection).get_current_head()
            return _revision(connection) == newest or _is_newer(connection)
    finally:
        engine.dispose()


def _is_newer(connection: Connection) -> bool:
    """Tell whether a database has a revision that this version does not know."""
    known = {script.revision for script in _scripts(connection).walk_revisions()}
    revision = _revision(connection)
    return revision is not None and revision not in known


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _scripts(connection: Connection) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(connection))


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
