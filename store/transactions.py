"""The store in SQL: the only place that begins and ends a transaction."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from operations.events import Event
from operations.ports.office import Office
from operations.ports.store import Facts, Listener, StoreUnavailableError
from registry.ids import Mark
from store.connections import OvertakenError, Transaction, complaint, engine_for, is_conflict, is_loss
from store.doors import alone
from store.facts import read_facts
from store.hearing import Hearsay
from store.marks import ADVANCE_ON_SQLITE
from store.offices import office_in
from store.sealing import Seal
from store.turns import Turns

P = ParamSpec("P")
R = TypeVar("R")

_ATTEMPTS: Final = 10
_FIRST_PAUSE_SECONDS: Final = 0.002
_LONGEST_PAUSE_SECONDS: Final = 0.1


class SqlStore:
    """`Store` on SQLite or PostgreSQL, with the whole office.

    Any number of threads and processes may share one database; of one that is `shared` the listeners also hear what
    other processes commit. `url` is SQLAlchemy's, `sealing_key` 32 bytes in url-safe base64. The schema is brought up
    to date by `store.migrating.migrate`.
    """

    def __init__(self, url: str, *, sealing_key: str, shared: bool = False) -> None:
        """Take an address and connect to it when it is first needed."""
        self._writing = engine_for(url)
        self._reading = engine_for(url, reads=True)
        self._seal = Seal(sealing_key)
        self._listeners: list[Listener] = []
        on_sqlite = self._writing.dialect.name == "sqlite"
        # SQLite has one writer and lets others poll for their turn; threads that queue here get it at once, in order.
        self._turn: AbstractContextManager[None] = Turns() if on_sqlite else nullcontext()
        self._on_sqlite = on_sqlite
        self._others = Hearsay(self._writing, self._tell) if shared else None

    def transact(self, operation: Callable[Concatenate[Office, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run an operation in one transaction, again on a conflict; tell the listeners if it wrote."""

        def once() -> tuple[R, Sequence[Event] | None]:
            return self._write(lambda office: operation(office, *args, **kwargs))

        with alone():
            outcome, told = _until_alone(once)
        if told is not None:
            self._tell(told)
            if self._others is not None:
                self._others.tell(told)
        return outcome

    def read(self, query: Callable[Concatenate[Office, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query on one consistent state; the database refuses to let it write."""

        def once() -> R:
            return self._read(lambda transaction: query(office_in(transaction, self._seal), *args, **kwargs))

        with alone():
            return _until_alone(once)

    def facts(self, since: Mark) -> Facts:
        """Return what changed since a mark, with the mark to go on from."""
        with alone():
            return _until_alone(lambda: self._read(lambda transaction: read_facts(transaction, since)))

    def subscribe(self, hear: Listener) -> None:
        """Call `hear` after each commit of this store that wrote."""
        self._listeners.append(hear)

    @property
    def answers(self) -> bool:
        """Tell whether the database is known to answer; True where no others write it, for nothing is known there."""
        return self._others is None or self._others.answers

    def close(self) -> None:
        """Close every idle connection."""
        if self._others is not None:
            self._others.close()
        self._writing.dispose()
        self._reading.dispose()

    def _tell(self, told: Sequence[Event]) -> None:
        for hear in self._listeners:
            hear(told)

    def _read(self, query: Callable[[Transaction], R]) -> R:
        with self._reading.begin() as connection:
            return _rerunnable(lambda: query(Transaction(connection=connection, writes=False)))

    def _write(self, operation: Callable[[Office], R]) -> tuple[R, Sequence[Event] | None]:
        """Return what the operation returned, and the events it told if it wrote anything at all."""
        with self._turn, self._writing.connect() as connection, connection.begin() as ending:
            if self._on_sqlite:
                connection.exec_driver_sql(ADVANCE_ON_SQLITE)
            transaction = Transaction(connection=connection, writes=True)
            transaction.forget_writes()
            outcome = _rerunnable(lambda: operation(office_in(transaction, self._seal)))
            if not transaction.wrote:
                ending.rollback()  # a commit would write the advanced mark, and wait for the disk
                return outcome, None
            ending.commit()
            return outcome, transaction.told


def _rerunnable(operation: Callable[[], R]) -> R:
    """Run what comes before a commit: if the connection is lost here, nothing was done and all may be run again.

    Lost during the commit it may or may not have been done: that is for the caller to find out.
    """
    try:
        return operation()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise OvertakenError("the connection was lost") from error
        raise


def _until_alone(once: Callable[[], R]) -> R:
    """Run a transaction again while others get in its way.

    Raises:
        StoreUnavailableError: they always did, or the database cannot be reached.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return once()
        except (SQLAlchemyError, OvertakenError) as error:
            if is_loss(error) or (is_conflict(error) and attempt == _ATTEMPTS):
                raise StoreUnavailableError(complaint(error)) from error
            if not is_conflict(error):
                raise
        time.sleep(min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt))
