"""One center as one process: API, scheduling loop, reconciler and exporter, from its first line to its last."""

import fcntl
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

import structlog
import uvicorn

from api.app import create_app
from api.streams import Streams
from exporters.app import PATH as METRICS_PATH
from exporters.app import serve as serve_metrics
from exporters.collector import Collector
from operations.explaining import Explainer
from operations.founding import found_center
from operations.ports.outside import Pulse
from server.announcing import Announcer, Opened
from server.connections import Connection
from server.founding import founding
from server.ids import RandomIds
from server.ports import first_open_port, warn_of_open_ports
from server.settings import Settings, make_data_folder
from server.wiring import Center, wire
from store.migrating import migrate

log = structlog.get_logger()

_LOCK: Final = "serve.lock"
_OPEN_CALLS_SECONDS: Final = 3
_ACCEPTED_AT_ONCE: Final = 128


class AddressTakenError(Exception):
    """An address to listen at is somebody else's, or not this machine's; the message says which."""


class AlreadyServedError(Exception):
    """Another process serves from the same data folder."""


def run(settings: Settings, announcer: Announcer) -> None:
    """Serve until told to stop. Clusters outlive the process: the next start finds them and goes on.

    Raises:
        AlreadyServedError: another process serves from the data folder.
        StoreUnavailableError: the database cannot be reached.
        BackendUnavailableError: processes cannot be started on this machine.
        AddressTakenError: somebody else listens where this is to listen.
    """
    make_data_folder(settings.data)
    # To be told to stop is the usual end, by whichever of the two signals and however far the start has come. A shell
    # lets what it starts in the background ignore one of them, which the HTTP server hears as soon as it runs.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        stack.enter_context(_alone(settings.data))
        # Before anything is made: a token that is told by a start which then fails cannot be told again.
        listening = stack.enter_context(_listen(settings.host, settings.port, "--port"))
        scraped = stack.enter_context(_listen(settings.host, settings.metrics_port, "--metrics-port"))
        migrate(settings.database_url)
        center = wire(settings)
        stack.callback(center.stop)
        _found(center, settings, announcer)
        center.start()
        metrics = stack.enter_context(serve_metrics(_collector(center), scraped))
        # asyncio sets this only on sockets that name their protocol, which `create_server` does not: without it every
        # answer on a kept connection waits 40 ms for the other side's acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if center.site.grounds is None and center.site.keeps_apart and not settings.trust_everyone:
            warn_of_open_ports(listening.getsockname()[1], metrics.port, first=first_open_port())
        announcer.opened(_opened(center, settings, listening.getsockname()[1], metrics.port))
        _http_server(center).run(sockets=[listening])


def _listen(host: str, port: int, option: str) -> socket.socket:
    """Listen at an address, on any free port if that is 0."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise AddressTakenError(f"cannot listen at port {port} of {host} ({option}): {error.strerror}") from error


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Hold the data folder's lock, which ends with the process however it ends."""
    descriptor = os.open(data / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise AlreadyServedError(data) from error
    else:
        yield
    finally:
        os.close(descriptor)


def _found(center: Center, settings: Settings, announcer: Announcer) -> None:
    """Make a center of an empty store, and tell the token of its admin this once."""
    ids = RandomIds()
    secret = ids.secret()
    if center.store.transact(found_center, founding(settings, center.site, ids, secret, center.ports.clock.now())):
        announcer.founded(secret)


def _opened(center: Center, settings: Settings, port: int, metrics_port: int) -> Opened:
    return Opened(
        api=f"http://{settings.host}:{port}",
        metrics=f"http://{settings.host}:{metrics_port}{METRICS_PATH}",
        tenants=center.site.apart,
    )


def _http_server(center: Center) -> uvicorn.Server:
    app = create_app(
        center.ports,
        Explainer(center.follower, center.ports.clock, nanoseconds=time.monotonic_ns),
        center.policy,
        pulse=lambda: Pulse(cycle=center.cycle.last_success, reconciled=center.reconciler.last_success),
        keeps_apart=center.site.keeps_apart,
        own_nodes=center.site.grounds is None,
    )
    configuration = uvicorn.Config(
        app,
        http=Connection,
        backlog=_ACCEPTED_AT_ONCE,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_OPEN_CALLS_SECONDS,
    )
    return _Server(configuration, app.state.desk.streams)


class _Server(uvicorn.Server):
    """The HTTP server, which ends open streams of events as soon as it is told to stop: they last otherwise."""

    def __init__(self, configuration: uvicorn.Config, streams: Streams) -> None:
        super().__init__(configuration)
        self._streams = streams

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._streams.close()
        super().handle_exit(sig, frame)


def _collector(center: Center) -> Collector:
    return Collector(
        center.store,
        center.follower,
        clock=center.ports.clock,
        nanoseconds=time.monotonic_ns,
        last_cycle=lambda: center.cycle.last_success,
        last_reconcile=lambda: center.reconciler.last_success,
    )
