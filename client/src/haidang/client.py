"""The door to a center: submit, estimate, follow, explain, cancel, read the bill, and get a Dask cluster."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import Final, Self, Unpack

from haidang.amounts import Bytes, Cores, Walltime, Workers, read_seconds
from haidang.answers import (
    Advice,
    Advices,
    ClusterState,
    Connection,
    Estimate,
    Event,
    Explanation,
    Log,
    Named,
    Page,
    Request,
    Statement,
)
from haidang.bookings import Bookings
from haidang.clusters import Approach, Cluster, extend, warm_up
from haidang.errors import ArgumentError, EndedError, HaidangError, HaidangWarning
from haidang.following import follow, so_far
from haidang.keys import key_of
from haidang.matching import need_dask
from haidang.progress import display_for
from haidang.settings import address_of, token_of
from haidang.transport import JsonObject, Params, Transport, segment
from haidang.waiting import Waiting
from haidang.wishes import Wish, Wishes
from haidang.words import LANGUAGES, Words

URL_VARIABLE: Final = "HAIDANG_URL"
TOKEN_VARIABLE: Final = "HAIDANG_TOKEN"  # noqa: S105 - the name of a variable, not a token
PROJECT_VARIABLE: Final = "HAIDANG_PROJECT"


class Client:
    """A center as one person sees it, safe to use from several threads.

    `url` and `token` come from HAIDANG_URL and HAIDANG_TOKEN, `project` (what is charged unless a call says otherwise)
    from HAIDANG_PROJECT, where they are not given. `language` ("vi", "en") is what the center's reasons and this
    package's errors are told in; it comes from HAIDANG_LANGUAGE or the locale.

    Raises:
        SettingsError: there is no address or no token, or it cannot be one.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        project: str | None = None,
        language: str | None = None,
    ) -> None:
        self.words: Final = Words(language)
        self.project = project or os.environ.get(PROJECT_VARIABLE) or None
        self._only_ones: dict[str, str] = {}
        if self.words.unspoken is not None:
            told = self.words("unspoken", asked=self.words.unspoken, choices=", ".join(LANGUAGES))
            warnings.warn(told, HaidangWarning, stacklevel=2)
        address = address_of(url or os.environ.get(URL_VARIABLE, ""), self.words)
        secret = token_of(token or os.environ.get(TOKEN_VARIABLE, ""), self.words)
        self._transport = Transport(address, secret, self.words)

    @property
    def url(self) -> str:
        """Return the address of the center."""
        return self._transport.url

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<haidang.Client {self.url}>"

    def close(self) -> None:
        """Let go of the connections to the center; clusters go on."""
        self._transport.close()

    # requests

    def submit(
        self,
        *,
        project: str | None = None,
        workers: Workers = (1, 4),
        cores: Cores = 1,
        memory: Bytes = "2GiB",
        gpus: Mapping[str, int] | None = None,
        walltime: Walltime | None = "1h",
        idle: Walltime | None = None,
        pool: str | None = None,
        request_class: str | None = None,
        environment: str | None = None,
        booking: str | None = None,
        parallel_fraction: int | None = None,
        head: tuple[Cores, Bytes] | None = None,
        name: str = "",
        key: str | None = None,
    ) -> Request:
        """Ask for a cluster and return at once; it runs when its turn comes.

        `workers` are the least, which stay until the end, and the most; each has `cores`, `memory` and `gpus`. It ends
        after `walltime` at the latest, or when nobody used it for `idle`. `project` and `pool` may be left out where
        there is one to choose. `head` is what the Dask scheduler gets, by default what suits the workers. With a
        `booking` it runs on the nodes of that booking and in its time. `parallel_fraction` is how many thousandths of
        its work several workers can share. Submitted again with the same `key`, it is the same request; without one,
        only this call's own retries share a key.

        Raises:
            ArgumentError: an amount cannot be read, or a project or pool has to be chosen.
            InvalidError: such a request could never run here; `reasons` say why.
        """
        wish = Wish(
            workers=workers,
            cores=cores,
            memory=memory,
            gpus=gpus,
            walltime=walltime,
            idle=idle,
            head=head,
            request_class=request_class,
            environment=environment,
            booking=booking,
            parallel_fraction=parallel_fraction,
            name=name,
        )
        return self._submit(wish, project, pool, key)

    def estimate(self, *, project: str | None = None, pool: str | None = None, **wishes: Unpack[Wishes]) -> Estimate:
        """Return when a cluster would start if you submitted it now with these arguments, and what it would cost.

        Raises:
            InvalidError: such a request would be refused; `reasons` say why.
        """
        body = self._body(Wish(**wishes), project, pool)
        return self._transport.read(Estimate, self._transport.post("/v1/requests/estimate", body, repeatable=True))

    def request(self, request_id: str) -> Request:
        """Return a request as it stands now."""
        return self._transport.read(Request, self._transport.get(_path(request_id)))

    def requests(
        self, *, state: str | None = None, project: str | None = None, mine: bool = False
    ) -> Iterator[Request]:
        """Yield the requests that you may see, the newest first; pages are fetched as they are reached."""
        wanted: dict[str, str | int | None] = {"state": state, "project": project, "mine": "true" if mine else None}
        for told in self._transport.items("/v1/requests", wanted):
            yield self._transport.read(Request, told)

    def cancel(self, request_id: str) -> Request:
        """End a request: at once if it waits, its cluster within seconds if it runs. Again changes nothing."""
        return self._do(request_id, "cancel")

    def extend(self, request_id: str, walltime: Walltime, *, key: str | None = None) -> Request:
        """Let a running cluster go on for so much longer than until its deadline; each call adds to it.

        It is granted if the credit is there and nobody waits for it who was promised a start, or has booked the nodes.
        Called again with the same `key` it adds nothing more; without one, only this call's own retries share a key.

        Raises:
            ConflictError: it is not granted; `reasons` say what is in the way, the first one what would be: `longest`.
        """
        return extend(self._transport, request_id, walltime, key, self.words)

    def hold(self, request_id: str) -> Request:
        """Keep a waiting request from starting until it is released."""
        return self._do(request_id, "hold")

    def release(self, request_id: str) -> Request:
        """Let a held request take its turn again."""
        return self._do(request_id, "release")

    def explain(self, request_id: str) -> Explanation:
        """Return why a request waits: its place, all its reasons in words, and the start that is protected for it."""
        return self._transport.read(Explanation, self._transport.get(f"{_path(request_id)}/explain"))

    def advise(self, request_id: str) -> tuple[Advice, ...]:
        """Return what alone would start a waiting request now, as the center has tried; that takes a while."""
        return self._transport.read(Advices, self._transport.get(f"{_path(request_id)}/advice")).items

    def events(self, request_id: str, since: str | None = None, *, wait: bool = True) -> Iterator[Event]:
        """Yield what happened to a request and, if you `wait`, what happens from now on, until it has ended.

        `since` is the id of the last event that was seen. A broken connection is taken up where it broke.
        """
        return (follow if wait else so_far)(self._transport, request_id, since)

    def logs(self, request_id: str) -> list[Log]:
        """Return which logs of the request's ended processes are kept, the newest first, without their text."""
        told = self._transport.get(f"{_path(request_id)}/logs")
        return [self._transport.read(Log, item) for item in self._transport.read(Page, told).items]

    def log(self, request_id: str, process: str) -> Log:
        """Return the end of what a process printed before it ended, with its text: a program's, not the center's."""
        return self._transport.read(Log, self._transport.get(f"{_path(request_id)}/logs/{segment(process)}"))

    # clusters

    def clusters(self) -> Iterator[ClusterState]:
        """Yield the clusters that you may see, the newest first, each with how many of its workers run."""
        for told in self._transport.items("/v1/clusters", {}):
            yield self._transport.read(ClusterState, told)

    def cluster(
        self,
        *,
        workers: Workers = (1, 4),
        cores: Cores = 1,
        memory: Bytes = "2GiB",
        walltime: Walltime | None = "1h",
        project: str | None = None,
        gpus: Mapping[str, int] | None = None,
        idle: Walltime | None = None,
        pool: str | None = None,
        request_class: str | None = None,
        environment: str | None = None,
        booking: str | None = None,
        head: tuple[Cores, Bytes] | None = None,
        name: str = "",
        progress: bool = True,
        patience: Walltime | None = None,
    ) -> Cluster:
        """Ask for a cluster, wait until it runs, and connect; use it with `with`, so that it ends with the block.

        The arguments are those of `submit`. While it waits, `progress` shows its place in the queue, the reasons and
        the expected start on stderr or in the notebook's cell. Ctrl-C cancels it, and so does `patience` when over.

        Raises:
            DaskMissingError: Dask is not installed here; nothing was asked for.
            EnvironmentMismatchError: this Python cannot work with the cluster's; the request was cancelled.
            EndedError: the request was ended by somebody else before it ran.
        """
        need_dask(self.words)
        patience_seconds = None if patience is None else read_seconds(patience, "patience", self.words)
        wish = Wish(
            workers=workers,
            cores=cores,
            memory=memory,
            gpus=gpus,
            walltime=walltime,
            idle=idle,
            head=head,
            request_class=request_class,
            environment=environment,
            booking=booking,
            name=name,
        )
        request = self._submit(wish, project, pool, None)
        return self._open_or_take_back(request.id, progress=progress, patience_seconds=patience_seconds)

    def connect(self, request_id: str, *, progress: bool = True, patience: Walltime | None = None) -> Cluster:
        """Wait until a cluster that was submitted runs, and connect to it; closing it leaves the cluster running.

        Raises:
            WaitedTooLongError: `patience` was over; the request goes on.
        """
        need_dask(self.words)
        patience_seconds = None if patience is None else read_seconds(patience, "patience", self.words)
        return self._open(request_id, progress=progress, patience_seconds=patience_seconds, owned=False)

    def wait(self, request_id: str, *, progress: bool = True, patience: Walltime | None = None) -> None:
        """Return when the cluster of a request runs; needs no Dask.

        Raises:
            EndedError: the request ended before.
            WaitedTooLongError: `patience` was over; the request goes on.
        """
        patience_seconds = None if patience is None else read_seconds(patience, "patience", self.words)
        display = display_for(self.words, progress=progress)
        Waiting(self._transport, request_id, display, self.words).until_running(patience_seconds)

    def connection(self, request_id: str) -> Connection:
        """Return how to reach a running cluster of yours: for other programs than this one; the key is a secret."""
        told = self._transport.get(f"/v1/clusters/{segment(request_id)}/connection")
        return self._transport.read(Connection, told)

    # bookings, accounts and everything else

    @property
    def bookings(self) -> Bookings:
        """The nodes that are fixed in advance, for a course, say, or for maintenance."""
        only_pool = partial(self._only_one, "pool", "/v1/pools")
        return Bookings(self._transport, self.words, project=self.project, only_pool=only_pool)

    def usage(self, project: str | None = None) -> Statement:
        """Return the bill of a project: what it was awarded, what it holds, what it used and paid."""
        chosen = self._project(project)
        return self._transport.read(Statement, self._transport.get("/v1/ledger/statement", {"project": chosen}))

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Params | None = None,
    ) -> JsonObject:
        """Make any other call of the center's interface and return its JSON, with this client's way of failing."""
        return self._transport.call(method, path, params=params, headers=headers, body=body, repeatable=method == "GET")

    # what the calls above ask themselves

    def _submit(self, wish: Wish, project: str | None, pool: str | None, key: str | None) -> Request:
        key = key_of(key, self.words)
        told = self._transport.post("/v1/requests", self._body(wish, project, pool), key=key)
        return self._transport.read(Request, told)

    def _body(self, wish: Wish, project: str | None, pool: str | None) -> dict[str, object]:
        return wish.body(self._project(project), pool or self._only_one("pool", "/v1/pools"), self.words)

    def _open(self, request_id: str, *, progress: bool, patience_seconds: float | None, owned: bool) -> Cluster:
        display = display_for(self.words, progress=progress)
        waiting = Waiting(self._transport, request_id, display, self.words)
        approach = Approach(self._transport, request_id, self.words)
        try:
            warm_up()
            waiting.until_running(patience_seconds, approach.try_early)
            return Cluster(self._transport, request_id, self.words, approach.client(), owned=owned)
        except BaseException:
            approach.give_up()
            raise

    def _open_or_take_back(self, request_id: str, *, progress: bool, patience_seconds: float | None) -> Cluster:
        try:
            return self._open(request_id, progress=progress, patience_seconds=patience_seconds, owned=True)
        except BaseException as error:
            # Nobody would use it: a Ctrl-C, a mismatch, too long a wait.
            if not isinstance(error, EndedError):
                self._take_back(request_id)
            raise

    def _take_back(self, request_id: str) -> None:
        """Cancel what nobody waits for any more, and say so: somebody pressed Ctrl-C and wonders what happens."""
        try:
            self.cancel(request_id)
        except HaidangError as problem:
            warnings.warn(self.words("left_running", id=request_id, problem=problem), HaidangWarning, stacklevel=4)
        else:
            sys.stderr.write(self.words("cancelled", id=request_id) + "\n")

    def _do(self, request_id: str, what: str) -> Request:
        return self._transport.read(Request, self._transport.post(f"{_path(request_id)}/{what}", repeatable=True))

    def _project(self, given: str | None) -> str:
        return given or self.project or self._only_one("project", "/v1/projects")

    def _only_one(self, argument: str, path: str) -> str:
        """Return the id of the only thing in a list: who has one project, or one pool to use, need not name it."""
        if argument not in self._only_ones:
            ids = [self._transport.read(Named, told).id for told in self._transport.items(path, {})]
            if len(ids) != 1:
                name = "choose_one" if ids else "none_to_choose"
                raise ArgumentError(argument, self.words(name, argument=argument, choices=", ".join(ids)))
            self._only_ones[argument] = ids[0]
        return self._only_ones[argument]


def _path(request_id: str) -> str:
    return f"/v1/requests/{segment(request_id)}"
