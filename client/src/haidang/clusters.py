"""A running Dask cluster in the hands of the person who asked for it."""

from __future__ import annotations

import atexit
import logging
import warnings
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from haidang.amounts import Walltime, read_seconds
from haidang.answers import ClusterState, Connection, Request
from haidang.errors import HaidangError, HaidangWarning, RefusedError, UnreachableError
from haidang.following import follow
from haidang.keys import key_of
from haidang.matching import need_match
from haidang.transport import Transport, segment
from haidang.watching import Watch
from haidang.words import Words

if TYPE_CHECKING:
    from distributed import Client as DaskClient

CONNECT_SECONDS = 20
GOODBYE_SECONDS = 5
NEWS_SECONDS = 3.0
"""Dask notices that its scheduler is gone a moment before or after the center writes down why."""


class Cluster:
    """A cluster of yours: `client` computes on it, `scale` and `extend` change it, `close` gives it back.

    Use it with `with`, or close it yourself. One that `owned` is cancelled by `close`, and when the program ends;
    one that was only attached to goes on.

    What a cluster sends back is unpickled in this process and nowhere else: the center never looks into it. So
    whoever can run code in your cluster can run code here. Its certificate is for you alone; do not hand it on.
    """

    def __init__(self, transport: Transport, request_id: str, words: Words, client: DaskClient, *, owned: bool) -> None:
        self._transport = transport
        self._words = words
        self._owned = owned
        self._closed = False
        self.id = request_id
        self.client = client
        self._watch = Watch(transport, request_id, words)
        if owned:
            atexit.register(self._close_at_exit)

    @property
    def request(self) -> Request:
        """The request of this cluster as it stands now."""
        return self._transport.read(Request, self._transport.get(f"/v1/requests/{segment(self.id)}"))

    def get_client(self) -> DaskClient:
        """Return the Dask client, by the name that Dask's own clusters have for it."""
        return self.client

    def scale(self, workers: int) -> ClusterState:
        """Say how many workers there should be, between the least and the most that were asked for.

        More come as far as there is room (`cluster.client.wait_for_workers(n)` waits for them); fewer finish what they
        are computing and hand over their results first.

        Raises:
            InvalidError: the number is outside the range.
            ConflictError: the cluster does not run any more.
        """
        told = self._transport.post(f"/v1/clusters/{segment(self.id)}/scale", {"workers": workers}, repeatable=True)
        return self._transport.read(ClusterState, told)

    def extend(self, walltime: Walltime, *, key: str | None = None) -> Request:
        """Let the cluster go on for so much longer than until its deadline; each call adds to it, unless its `key` did.

        Raises:
            ConflictError: it is not granted; `reasons` say what is in the way, the first one what would be: `longest`.
        """
        return extend(self._transport, self.id, walltime, key, self._words)

    def close(self, *, wait: bool = False) -> None:
        """Disconnect and, if it is yours, give the cluster back; `wait` returns when it is gone and billed."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self._close_at_exit)
        self._watch.leave()
        with _without_lost_connections():
            self.client.close(timeout=GOODBYE_SECONDS)
        if self._owned:
            self._transport.post(f"/v1/requests/{segment(self.id)}/cancel", repeatable=True)
        if wait:
            for _ in follow(self._transport, self.id):
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not self._closed:
            self._explain(error)
        try:
            self.close()
        except HaidangError as problem:
            # What went wrong inside the block is what its author has to see.
            if error is None:
                raise
            self._warn(problem)

    def __repr__(self) -> str:
        return f"<haidang.Cluster {self.id}{' closed' if self._closed else ''}>"

    def _explain(self, error: Exception) -> None:
        """Add to an error of the block why the cluster ended, if it did: Dask knows only that it is gone."""
        lost = self.client.status != "running"
        if why := self._watch.why_it_ends(NEWS_SECONDS if lost else 0.0):
            error.add_note(self._words("cluster_ended", id=self.id, why=why))

    def _close_at_exit(self) -> None:
        try:
            self.close()
        except (HaidangError, OSError) as problem:
            self._warn(problem)

    def _warn(self, problem: Exception) -> None:
        warnings.warn(self._words("left_running", id=self.id, problem=problem), HaidangWarning, stacklevel=3)


class Approach:
    """The way to a cluster's Dask scheduler, which answers before the workers do: who connects then has waited less."""

    def __init__(self, transport: Transport, request_id: str, words: Words) -> None:
        self._transport = transport
        self._path = f"/v1/clusters/{segment(request_id)}/connection"
        self._words = words
        self._client: DaskClient | None = None

    def try_early(self) -> None:
        """Connect if the Dask scheduler answers already; `client` connects if it does not.

        Raises:
            EnvironmentMismatchError: this Python cannot work with the cluster's.
        """
        with suppress(RefusedError, UnreachableError):
            _ = self.client()  # a Dask client can be awaited; this one is connected already

    def client(self) -> DaskClient:
        """Return the client, connected.

        Raises:
            ConflictError: the cluster does not run.
            EnvironmentMismatchError: this Python cannot work with the cluster's.
            UnreachableError: the cluster cannot be reached from here.
        """
        if self._client is None:
            connection = self._transport.read(Connection, self._transport.get(self._path))
            need_match(connection.environment, self._words)
            try:
                self._client = connect(connection)
            except OSError as error:
                sentence = self._words("cluster_unreachable", address=connection.address, cause=error)
                raise UnreachableError(sentence) from None
        return self._client

    def give_up(self) -> None:
        """Leave a connection that nobody will use."""
        if self._client is not None:
            self._client.close(timeout=GOODBYE_SECONDS)


def extend(transport: Transport, cluster_id: str, walltime: Walltime, key: str | None, words: Words) -> Request:
    """Let a cluster go on for so much longer, once for each key.

    Raises:
        ConflictError: it is not granted.
    """
    body = {"walltime_seconds": read_seconds(walltime, "walltime", words)}
    told = transport.post(f"/v1/requests/{segment(cluster_id)}/extend", body, key=key_of(key, words))
    return transport.read(Request, told)


def connect(connection: Connection) -> DaskClient:
    """Connect to the Dask scheduler of a cluster with its owner's certificate; the key is kept in memory.

    Dask is imported here and not before: who only submits and reads does without.
    """
    from distributed import Client, Security  # noqa: PLC0415 - as said above

    security = Security(
        require_encryption=True,
        tls_ca_file=connection.authority,
        tls_client_cert=connection.certificate,
        tls_client_key=connection.key,
    )
    return Client(connection.address, security=security, timeout=CONNECT_SECONDS)


def warm_up() -> None:
    """Load what connecting needs while the center starts the cluster, instead of after it.

    Each client tells the scheduler its packages' versions; reading them the first time is as slow as starting a
    cluster.
    """
    from distributed import versions  # noqa: PLC0415 - as in `connect`

    versions.get_versions()


@contextmanager
def _without_lost_connections() -> Iterator[None]:
    """Keep Dask from logging as an error, with a traceback, that it stops looking for a scheduler that has ended."""
    logger = logging.getLogger("distributed.client")
    logger.addFilter(_is_no_cancellation)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_cancellation)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], CancelledError))
