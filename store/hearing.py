"""What other processes of the center have just committed, told over PostgreSQL's own notifications.

All of it is a hint: a notification can be lost, and whoever waits for one also looks by the clock.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Final

import psycopg
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from operations.events import Event, EventKind
from operations.ports.store import Listener
from registry.ids import RequestId, Seconds

CHANNEL: Final = "haidang"
LARGEST_BYTES: Final = 7000
"""PostgreSQL takes up to 8000; a commit that told more is told as one that may have changed anything."""
_LOOK_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 5.0
_SILENT_MILLISECONDS: Final = 10_000


class Hearsay:
    """Tells the other processes on a database what this one commits, and `hear` what they do.

    Telling is done by a thread, after the commit and on a connection of its own: a notification inside the transaction
    would let all commits of the database wait for each other. `answers` tells whether the database did when it was
    last looked for, about a second ago.
    """

    def __init__(self, engine: Engine, hear: Listener) -> None:
        self._engine: Final = engine
        self._hear: Final = hear
        self._own_pid: int | None = None
        self.answers = True
        self._untold: Final[SimpleQueue[Sequence[Event]]] = SimpleQueue()
        self._closing: Final = threading.Event()
        self._threads: Final = [
            threading.Thread(target=self._until_closed, args=(run,), name=name, daemon=True)
            for run, name in ((self._tell, "telling"), (self._listen, "hearing"))
        ]
        for thread in self._threads:
            thread.start()

    def tell(self, told: Sequence[Event]) -> None:
        """Pass on what a commit told, soon."""
        self._untold.put(told)

    def close(self) -> None:
        """Let the threads end at their next look; not waited for is one that waits for a database without an answer."""
        self._closing.set()
        for thread in self._threads:
            thread.join(2 * _LOOK_SECONDS)

    def _until_closed(self, run: Callable[[], None]) -> None:
        while not self._closing.is_set():
            # Without hints everything comes a little later; that the database is away is said by whoever needs it.
            with suppress(SQLAlchemyError, psycopg.Error):
                run()
            self._closing.wait(_AGAIN_SECONDS)

    def _tell(self) -> None:
        statement = text("SELECT pg_notify(:channel, :message)")
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            self._own_pid = connection.scalar(text("SELECT pg_backend_pid()"))
            while not self._closing.is_set():
                with suppress(Empty):
                    told = self._untold.get(timeout=_LOOK_SECONDS)
                    connection.execute(statement, {"channel": CHANNEL, "message": written(told)})

    def _listen(self) -> None:
        try:
            self._hear_on()
        finally:
            self.answers = False

    def _hear_on(self) -> None:
        address = make_url(self._engine.url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address, autocommit=True, tcp_user_timeout=_SILENT_MILLISECONDS) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self._hear(())  # whatever was missed meanwhile
            while not self._closing.is_set():
                connection.execute("SELECT 1")  # a connection whose other end is gone is silent, too
                self.answers = True
                for notified in connection.notifies(timeout=_LOOK_SECONDS):
                    if notified.pid != self._own_pid:
                        self._hear(read(notified.payload))


def written(told: Sequence[Event]) -> str:
    """Return events as a message: of which requests they tell what."""
    message = json.dumps([[event.request, event.at, event.kind.value] for event in told])
    return message if len(message) <= LARGEST_BYTES else "[]"


def read(message: str) -> tuple[Event, ...]:
    """Return the events of a message, without their details; none if a newer version tells what this does not know."""
    with suppress(ValueError, TypeError):
        return tuple(
            Event(request=RequestId(request), at=Seconds(at), kind=EventKind(kind))
            for request, at, kind in json.loads(message)
        )
    return ()
