"""Bringing a database to the schema that this code expects."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from store.connections import engine_for

_LOCK: Final = 0x4861_6944_616E_67
"""The number of the lock that everybody who migrates a PostgreSQL database takes first: the name in ASCII."""


def migrate(url: str) -> None:
    """Run every migration that the database lacks, all in one transaction, while others who try the same wait."""
    engine = engine_for(url)
    try:
        with engine.begin() as connection:
            # On SQLite the transaction excludes every other writer from its beginning.
            if connection.dialect.name == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            command.upgrade(_config(connection), "head")
    finally:
        engine.dispose()


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
