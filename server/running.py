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
from exporters.app import Condition
from exporters.app import serve as serve_metrics
from exporters.collector import Collector, LoopCollector
from operations.explaining import Explainer
from operations.founding import found_center, is_founded
from registry.ids import CenterId
from server.announcing import Announcer, Opened
from server.connections import Connection
from server.founding import first_admin, founding
from server.ports import first_open_port, warn_of_open_ports
from server.settings import Part, Settings, make_data_folder
from server.wiring import Center, wire
from store.connections import shown
from store.migrating import is_current, migrate

log = structlog.get_logger()

_LOCK: Final = "serve.lock"
_OPEN_CALLS_SECONDS: Final = 3
_ACCEPTED_AT_ONCE: Final = 128


class AddressTakenError(Exception):
    """An address to listen at is somebody else's, or not this machine's; the message says which."""


class NotFoundedError(Exception):
    """The database has no center, or one of another version; the message says which database."""


class AlreadyServedError(Exception):
    """Another process serves from the same data folder."""


def run(settings: Settings, announcer: Announcer) -> None:
    """Serve until told to stop, as a whole center or a part of one. Clusters outlive every process of it.

    Raises:
        AlreadyServedError: another process serves from the data folder.
        NotFoundedError: a part by itself finds no center of this version in the database.
        OtherCenterError: the database is another center's.
        StoreUnavailableError: the database cannot be reached.
        BackendUnavailableError: processes cannot be started on this machine.
        AddressTakenError: somebody else listens where this is to listen.
    """
    # To be told to stop is the usual end, by whichever of the two signals and however far the start has come. A shell
    # lets what it starts in the background ignore one of them, which the HTTP server hears as soon as it runs.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt), ExitStack() as stack:
        serve = _whole if settings.part is Part.ALL else _part
        serve(settings, announcer, stack)


def _whole(settings: Settings, announcer: Announcer, stack: ExitStack) -> None:
    make_data_folder(settings.data)
    stack.enter_context(_alone(settings.data))
    # Before anything is made: a token that is told by a start which then fails cannot be told again.
    listening = stack.enter_context(_listen(settings.host, settings.port, "--port"))
    scraped = stack.enter_context(_listen(settings.host, settings.metrics_port, "--metrics-port"))
    migrate(settings.database_url)
    center = wire(settings)
    stack.callback(center.stop)
    ids, clock = center.inside.ids, center.inside.clock
    secret = ids.secret()
    admin = first_admin(ids, secret, clock.now())
    if center.store.transact(found_center, founding(settings, center.site, admin)):
        announcer.founded(secret)
    center.start()
    metrics = stack.enter_context(serve_metrics(_collector(center), scraped, _condition(center)))
    if settings.site is None and center.site.keeps_apart and not settings.trust_everyone:
        warn_of_open_ports(listening.getsockname()[1], metrics.port, first=first_open_port())
    announcer.opened(_opened(center, settings, listening, scraped))
    _answer(center, listening)


def _part(settings: Settings, announcer: Announcer, stack: ExitStack) -> None:
    """Serve one part; what it lacks is made by `haidang migrate`, once for all of them."""
    if not is_current(settings.database_url):
        raise NotFoundedError(shown(settings.database_url))
    is_api = settings.part is Part.API
    number, option = (settings.port, "--port") if is_api else (settings.metrics_port, "--metrics-port")
    listening = stack.enter_context(_listen(settings.host, number, option))
    center = wire(settings)
    stack.callback(center.stop)
    if not center.store.read(is_founded, CenterId(settings.center)):
        raise NotFoundedError(shown(settings.database_url))
    center.start()
    if is_api:
        announcer.opened(_opened(center, settings, listening, None))
        _answer(center, listening)
        return
    collector = (
        _collector(center) if settings.part is Part.EXPORTER else LoopCollector(center.pulse, center.inside.clock)
    )
    stack.enter_context(serve_metrics(collector, listening, _condition(center)))
    announcer.opened(_opened(center, settings, None, listening))
    while True:
        signal.pause()


def _answer(center: Center, listening: socket.socket) -> None:
    # asyncio sets this only on sockets that name their protocol, which `create_server` does not: without it every
    # answer on a kept connection waits 40 ms for the other side's acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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


def _opened(center: Center, settings: Settings, api: socket.socket | None, metrics: socket.socket | None) -> Opened:
    def address(listening: socket.socket | None, path: str = "") -> str | None:
        return f"http://{settings.host}:{listening.getsockname()[1]}{path}" if listening else None

    return Opened(api=address(api), metrics=address(metrics, METRICS_PATH), tenants=center.site.apart)


def _http_server(center: Center) -> uvicorn.Server:
    app = create_app(
        center.inside,
        Explainer(center.follower, center.inside.clock, nanoseconds=time.monotonic_ns),
        center.policy,
        pulse=center.pulse,
        keeps_apart=center.site.keeps_apart,
        own_nodes=center.site.node is not None,
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


def _condition(center: Center) -> Condition:
    return Condition(is_well=center.is_well, is_alive=center.is_alive)


def _collector(center: Center) -> Collector:
    return Collector(
        center.store,
        center.follower,
        clock=center.inside.clock,
        nanoseconds=time.monotonic_ns,
        pulse=center.pulse,
    )
