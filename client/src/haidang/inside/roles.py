"""The two things a process can be in a cluster: its Dask scheduler, or a worker of it."""

import asyncio
import contextlib
import os
import socket
import ssl
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partialmethod
from pathlib import Path
from typing import Any, Final

import dask
from distributed import Scheduler, Worker
from distributed.security import Security

from haidang.inside import preload

HEAD_SECONDS: Final = "30s"
HEARTBEAT_MILLISECONDS: Final = 2000


class OpenDoorError(Exception):
    """A process listens where it does not demand a certificate of its own cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """One process's credentials, PEM: the cluster's authority, its own leaf; the token opens the head's state."""

    authority: str
    certificate: str
    key: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where a process is to listen: on one address, for Dask's messages and a head for its state; 0 is any port."""

    host: str = "127.0.0.1"
    comm: int = 0
    state: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What Dask is told about one process."""

    name: str
    cores: int
    memory_bytes: int
    home: Path
    papers: Papers
    doors: Doors = Doors()


Tell = Callable[[int, int | None], None]
"""Hears once, when a process is ready and all its doors are locked, at which ports it listens."""


def be_head(identity: Identity, tell: Tell) -> None:
    """Be a Dask scheduler until it closes."""
    asyncio.run(_head(identity, tell))


def be_worker(identity: Identity, head: str, tell: Tell) -> None:
    """Be a worker of the Dask scheduler at an address until it closes or its scheduler is gone."""
    asyncio.run(_worker(identity, head, tell))


async def _head(identity: Identity, tell: Tell) -> None:
    files = _unfold(identity)
    # Dask takes the certificates of its HTTP server from its settings only.
    tls = {"cert": files["leaf"], "key": files["leaf"], "ca-file": files["authority"]}
    dask.config.set({f"distributed.scheduler.dashboard.tls.{part}": path for part, path in tls.items()})
    scheduler = Scheduler(
        host=identity.doors.host,
        port=identity.doors.comm,
        protocol="tls",
        security=_security("scheduler", files),
        dashboard=False,
        dashboard_address=f"{identity.doors.host}:{identity.doors.state}",
        preload=[preload.__name__],
        preload_argv=[["--token", identity.papers.token]],
    )
    # It listens already; nothing is accepted before the next await.
    http = _http_context(scheduler)
    http.verify_mode = ssl.CERT_REQUIRED
    http.minimum_version = ssl.TLSVersion.TLSv1_3
    async with scheduler:
        if not preload.is_open(scheduler):
            raise OpenDoorError("the state has no door")
        state: int = scheduler.services["dashboard"].port
        _demand_certificates(identity.doors.host, {scheduler.port: _context(scheduler), state: http})
        tell(scheduler.port, state)
        await _finished(scheduler)


class _Worker(Worker):
    """A worker whose process ends with it: it waits for no thread that still runs a task."""

    close = partialmethod(Worker.close, executor_wait=False)

    async def heartbeat(self) -> None:
        """Report as before, but not as often as a small cluster's Dask scheduler asks: it is half of what idling costs.

        That a worker is gone is noticed by its connection; heartbeats only carry figures.
        """
        await super().heartbeat()
        callback = self.periodic_callbacks["heartbeat"]
        callback.callback_time = max(callback.callback_time, HEARTBEAT_MILLISECONDS)


async def _worker(identity: Identity, head: str, tell: Tell) -> None:
    worker = _Worker(
        head,
        name=identity.name,
        host=identity.doors.host,
        port=identity.doors.comm,
        protocol="tls",
        nthreads=identity.cores,
        memory_limit=identity.memory_bytes,
        local_directory=str(identity.home),
        security=_security("worker", _unfold(identity)),
        death_timeout=HEAD_SECONDS,
        dashboard=False,
        preload=[preload.__name__],
    )
    async with worker:
        _demand_certificates(identity.doors.host, {worker.port: _context(worker)})
        tell(worker.port, None)
        await _finished(worker)


async def _finished(server: Scheduler | Worker) -> None:
    await server.finished()  # type: ignore[no-untyped-call]


def _unfold(identity: Identity) -> Mapping[str, str]:
    """Write the credentials where OpenSSL reads them, for the process's own uid only."""
    papers = identity.papers
    files = {"authority": papers.authority, "leaf": papers.certificate + papers.key}
    for name, content in files.items():
        (identity.home / f"{name}.pem").write_text(content)
    return {name: str(identity.home / f"{name}.pem") for name in files}


def _security(role: str, files: Mapping[str, str]) -> Security:
    # A worker's tasks may become clients of their own cluster: they come with the worker's leaf.
    leaves = {f"tls_{part}_{kind}": files["leaf"] for part in (role, "client") for kind in ("cert", "key")}
    return Security(
        tls_ca_file=files["authority"], require_encryption=True, tls_min_version=ssl.TLSVersion.TLSv1_3, **leaves
    )


def _context(server: Scheduler | Worker) -> ssl.SSLContext | None:
    listener: Any = server.listener
    context: ssl.SSLContext | None = listener.tcp_server.ssl_options
    return context


def _http_context(scheduler: Scheduler) -> ssl.SSLContext:
    context = scheduler.http_server.ssl_options
    if not isinstance(context, ssl.SSLContext):
        raise OpenDoorError("the state is not encrypted")
    return context


def _demand_certificates(own: str, known: Mapping[int, ssl.SSLContext | None]) -> None:
    """Refuse to be ready while any socket of this process would accept somebody without a certificate.

    Dask's own switches do not do that, and a later version may listen once more: what counts is what listens.
    """
    for host, port in _listening():
        context = known.get(port)
        if host != own or context is None or context.verify_mode != ssl.CERT_REQUIRED:
            raise OpenDoorError(f"port {port} of {host}")


def _listening() -> Iterator[tuple[str, int]]:
    for entry in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are wanted, not paths
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(entry)).st_mode):
                with socket.socket(fileno=os.dup(int(entry))) as stream:
                    if stream.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                        name = stream.getsockname()
                        yield name[:2] if isinstance(name, tuple) else (str(name), 0)
