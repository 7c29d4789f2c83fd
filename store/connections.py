"""Connections to the two databases, and one transaction on one of them as the nouns see it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from sqlalchemy import Connection, Engine, Executable, Row, Select, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import RowMapping
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.selectable import TypedReturnsRows

from operations.events import Event
from operations.ports.store import StoreUnavailableError

SQLITE: Final = "sqlite"
_BUSY_MILLISECONDS: Final = 5_000
_CONFLICTS: Final = frozenset({"40001", "40P01"})
_WROTE: Final = "wrote"

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class OvertakenError(Exception):
    """Another transaction committed first what this one was about to do: run it again on what is there now."""


def is_conflict(error: Exception) -> bool:
    """Tell whether a transaction lost against another one and may simply be run again."""
    if isinstance(error, OvertakenError):
        return True
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.OperationalError):
        return cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    return isinstance(cause, psycopg.Error) and cause.sqlstate in _CONFLICTS


def is_loss(error: Exception) -> bool:
    """Tell whether the database went away, could not be reached at all, or has no connection left for us."""
    return isinstance(error, PoolTimeout) or (
        isinstance(error, DBAPIError)
        and (
            error.connection_invalidated
            or (isinstance(error.orig, psycopg.OperationalError) and not error.orig.sqlstate)
        )
    )


def shown(url: str) -> str:
    """Return an address without its passwords."""
    target = make_url(url)
    hidden = {name: "***" for name in target.query if "password" in name}
    return target.update_query_dict(hidden).render_as_string()


def flaw(url: str) -> str | None:
    """Return what is wrong with how an address is written, and nothing of it: a part may be a password."""
    try:
        host = make_url(url).host or ""
    except (ArgumentError, ValueError):
        return "is not postgresql://USER:PASSWORD@HOST:PORT/NAME"
    return "has an @ in its user or password, which has to be written %40" if "@" in host else None


def complaint(error: Exception) -> str:
    """Return what a database or its driver says, in one line and without the statement that it says it of."""
    cause = getattr(error, "orig", None) or error
    return f"the database does not answer: {str(cause).strip().partition(chr(10))[0]}"


@contextmanager
def answering() -> Iterator[None]:
    """Let whatever goes wrong with a database at a start be one sentence."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreUnavailableError(complaint(error)) from error


def engine_for(url: str, *, reads: bool = False) -> Engine:
    """Return an engine whose transactions write at READ COMMITTED, or only read on one consistent state."""
    target = make_url(url)
    if target.get_backend_name() == SQLITE:
        return _sqlite_engine(create_engine(target, pool_size=32), reads=reads)
    engine = create_engine(
        target.set(drivername="postgresql+psycopg"),
        isolation_level="REPEATABLE READ" if reads else "READ COMMITTED",
        pool_size=16,
        max_overflow=16,
    )
    if reads:
        event.listen(engine, "connect", _only_read_on_postgresql)
    event.listen(engine, "after_cursor_execute", _note_writes)
    return engine


def _sqlite_engine(engine: Engine, *, reads: bool) -> Engine:
    def connect(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # the driver would begin by itself, and too late
        for pragma in (
            f"busy_timeout = {_BUSY_MILLISECONDS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            f"query_only = {int(reads)}",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    def begin(connection: Connection) -> None:
        # A transaction that begins by reading and then wants to write cannot wait for its turn: it would fail.
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", connect)
    event.listen(engine, "begin", begin)
    event.listen(engine, "after_cursor_execute", _note_writes)
    return engine


def _only_read_on_postgresql(connection: psycopg.Connection[Any], _entry: ConnectionPoolEntry) -> None:
    connection.read_only = True


def _note_writes(connection: Connection, cursor: Any, *context: Any) -> None:  # noqa: ANN401
    """Remember that a row was written; the last argument but one is the statement's execution context.

    Statements as text are not recognized: whatever writes in a transaction is built from its table.
    """
    execution = context[-2]
    if (execution.isinsert or execution.isupdate or execution.isdelete) and cursor.rowcount != 0:
        connection.info[_WROTE] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One open transaction; `writes` tells whether what it reads must stay as it is until it ends.

    `told` are the events it adds to the journal, those of an undone savepoint too: they are a hint to listeners.
    """

    connection: Connection
    writes: bool
    told: list[Event] = field(default_factory=list)

    @property
    def on_sqlite(self) -> bool:
        """Tell which of the two databases it is."""
        return self.connection.dialect.name == SQLITE

    def rows(self, query: TypedReturnsRows[Any], parameters: Parameters = None) -> Sequence[RowMapping]:
        """Return all rows by column name."""
        return self.connection.execute(query, parameters).mappings().all()

    def row(self, query: Select[Any], parameters: Parameters = None) -> RowMapping | None:
        """Return the first row by column name, if there is one."""
        return self.connection.execute(query, parameters).mappings().first()

    def first(self, query: Select[Any], parameters: Parameters = None) -> Row[Any] | None:
        """Return the first row by position, if there is one."""
        return self.connection.execute(query, parameters).first()

    def run(self, statement: Executable, parameters: Parameters = None) -> int:
        """Run a statement and return how many rows it changed."""
        # Without the option psycopg does not say how many rows an insert that may do nothing has inserted.
        done = self.connection.execute(statement, parameters, execution_options={"preserve_rowcount": True})
        # Python's driver of SQLite counts only where the statement begins with its verb, not after WITH.
        assert done.rowcount >= 0, statement
        return done.rowcount

    def locked(self, query: Select[Any]) -> Select[Any]:
        """Return the query so that it locks what it finds, where that is kept until the end of the transaction.

        On SQLite the transaction already excludes every other writer. On PostgreSQL the lock lets rows that refer
        to the locked one be inserted.
        """
        return query.with_for_update(key_share=True) if self.writes else query

    def insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """Return an insert that can be told what to do about a conflict, in the database's own dialect."""
        return sqlite.insert(table) if self.on_sqlite else postgresql.insert(table)

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Open a savepoint; an exception that leaves it undoes what was done inside."""
        with self.connection.begin_nested():
            yield

    @property
    def wrote(self) -> bool:
        """Tell whether a row was written on this connection since `forget_writes`."""
        return bool(self.connection.info.get(_WROTE))

    def forget_writes(self) -> None:
        """Begin to remember anew."""
        self.connection.info[_WROTE] = False
