"""Connections to the API: so many at once, and each says and takes within a time what it wants."""

import asyncio
import re
import resource
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

ARRIVAL_SECONDS: Final = 10.0
TAKING_SECONDS: Final = 10.0
LEAST_TAKEN_BYTES: Final = 64 * 1024
"""What has to be taken of an answer in that time, unless less is left of it: as fast as the largest call arrives."""
MOST_BLANKS: Final = 256

_TOO_BLANK: Final = re.compile(rb"(?<![ \t\r\n])[ \t\r\n]{%d}" % (MOST_BLANKS + 1))


def most_connections() -> int:
    """Return how many connections leave the loops of the center as many files to open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2


class Connection(H11Protocol):
    """A connection that is cut if a call does not arrive whole in time, its answer is not taken, or there are too many.

    Whoever reaches the port needs no token to connect, tenants' code on the same machine does reach it, and a center
    without files left to open starts and settles nothing. A stream that waits for news has nothing left to be taken.
    """

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **options)
        self._overdue: asyncio.TimerHandle | None = None
        self._untaken: asyncio.TimerHandle | None = None
        self._most = most_connections()
        self._end = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        # From the first byte that the other side does not take until the last: each piece waits for the one before.
        transport.set_write_buffer_limits(high=0)
        if len(self.connections) > self._most:
            transport.abort()
        self._look()

    def data_received(self, data: bytes) -> None:
        if self._is_too_blank(data):
            self.transport.abort()
            return
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()
        self._stop_serving()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._serve_on()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_serving()

    def _is_too_blank(self, data: bytes) -> bool:
        """Tell whether more blanks came in a row than anybody writes.

        The parser of headers tries each way to divide them: as many as arrive at once are minutes of work for it.
        """
        seen = self._end + data
        self._end = seen[-MOST_BLANKS:]
        return _TOO_BLANK.search(seen) is not None

    def _look(self) -> None:
        """Begin to wait for a whole call, go on waiting, or stop because it is there."""
        # Before the first call there is none, whatever uvicorn's type says.
        waits = self.cycle is None or self.cycle.response_complete or self.cycle.more_body  # type: ignore[redundant-expr]
        if not waits:
            self._stop_waiting()
        elif self._overdue is None and not self.transport.is_closing():
            self._overdue = self.loop.call_later(ARRIVAL_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _serve_on(self) -> None:
        """Wait for the other side to take what is left of an answer, or enough of it to wait once more."""
        left = self.transport.get_write_buffer_size()
        self._untaken = self.loop.call_later(TAKING_SECONDS, self._weigh, left)

    def _weigh(self, before: int) -> None:
        if before - self.transport.get_write_buffer_size() < LEAST_TAKEN_BYTES:
            self.transport.abort()
        else:
            self._serve_on()

    def _stop_serving(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None
