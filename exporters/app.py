"""GET /metrics on a port of its own, answered by threads of its own."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Final, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from exporters.collector import Collector, LoopCollector
from operations.ports.store import StoreUnavailableError

PATH: Final = "/metrics"
HEALTH_PATH: Final = "/health"
ALIVE_PATH: Final = "/alive"

_AWAY: Final = "503 Service Unavailable"
_SILENT_CLIENT_SECONDS: Final = 10
_POLL_SECONDS: Final = 0.2
_MOST_CLIENTS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What whoever watches over a process is told: does it do its work in time, and could it, if nothing were away."""

    is_well: Callable[[], bool]
    is_alive: Callable[[], bool]


def make_metrics_app(collector: Collector | LoopCollector, condition: Condition) -> WSGIApplication:
    """Return the application that answers with the collector's metrics, in the format that the asker accepts.

    Beside them it tells in which condition the process is.

    It reads the store and blocks while it does: it belongs on a thread, never on an event loop.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    metrics: WSGIApplication = make_wsgi_app(registry)
    conditions = {HEALTH_PATH: (condition.is_well, "late"), ALIVE_PATH: (condition.is_alive, "stuck")}

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] in conditions:
            holds, otherwise = conditions[environ["PATH_INFO"]]
            holding = holds()
            return _say("200 OK" if holding else _AWAY, "ok" if holding else otherwise, start_response)
        if environ["PATH_INFO"] != PATH:
            return _say("404 Not Found", f"metrics are at {PATH}", start_response)
        try:
            return metrics(environ, start_response)
        except StoreUnavailableError:
            return _say(_AWAY, "the store does not answer", start_response)

    return answer


def serve(collector: Collector | LoopCollector, listening: socket.socket, condition: Condition) -> MetricsServer:
    """Begin to answer on a socket that listens already, and close it in the end."""
    server = _Server(listening)
    server.set_app(make_metrics_app(collector, condition))
    return MetricsServer(server)


class MetricsServer:
    """A port that answers until it is closed."""

    def __init__(self, server: WSGIServer) -> None:
        """Take a server that listens, and answer what asks there."""
        self._server: Final = server
        self._thread: Final = Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="metrics", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return self._server.server_port

    def close(self) -> None:
        """Stop listening; what is being answered is not waited for."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        """Answer inside the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each connection, so that a slow client keeps nobody waiting."""

    daemon_threads = True

    def __init__(self, listening: socket.socket) -> None:
        self._clients: dict[socket.socket, None] = {}
        self._changing = Lock()
        address = listening.getsockname()
        super().__init__(address, _Exchange, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.server_address = address
        # A name server who is asked who we are can take seconds, and answers nothing we use.
        self.server_name, self.server_port = address[:2]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as it is inherited
        """Answer on a new thread; where there are too many, who is there longest has to leave: no scrape lasts long."""
        with self._changing:
            if len(self._clients) >= _MOST_CLIENTS:
                oldest = next(iter(self._clients))
                del self._clients[oldest]
                with suppress(OSError):
                    oldest.shutdown(socket.SHUT_RDWR)
            self._clients[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as it is inherited
        """Close a connection and forget it."""
        with self._changing:
            self._clients.pop(request, None)
        super().shutdown_request(request)


class _Exchange(WSGIRequestHandler):
    """One connection: ended if its client falls silent or leaves, and not logged."""

    timeout = _SILENT_CLIENT_SECONDS

    def handle(self) -> None:
        try:
            super().handle()
        except (TimeoutError, ConnectionError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that is overridden
        """Log nothing: a scrape each few seconds would drown what matters."""


def _say(status: str, sentence: str, start_response: StartResponse) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{sentence}\n".encode()]
