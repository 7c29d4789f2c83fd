"""Connections to the API: so many at once, and each says within a time what it wants."""

import asyncio
import resource
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

ARRIVAL_SECONDS: Final = 10.0


def most_connections() -> int:
    """Return how many connections leave the loops of the center as many files to open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2


class Connection(H11Protocol):
    """A connection that is closed if a call does not arrive whole in time, or if there are too many.

    Whoever reaches the port needs no token to connect, tenants' code on the same machine does reach it, and a center
    without files left to open starts and settles nothing.
    """

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **options)
        self._overdue: asyncio.TimerHandle | None = None
        self._most = most_connections()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > self._most:
            transport.abort()
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_waiting()

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
