"""The events of one request as they happen: by a stream, taken up again where it broke, else by polls."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from functools import partial
from itertools import cycle
from typing import Final, TypeAlias

from haidang.answers import Event, Page
from haidang.errors import BusyError, CenterFailedError, HaidangError, NoCenterError, UnreachableError
from haidang.transport import NOTHING_MORE, Transport, segment

QUIET_SECONDS: Final = 45.0
"""Longer than a center's stream is ever silent, so that a connection which died without a word is noticed."""

FIRST_PAUSE_SECONDS: Final = 0.25
LONGEST_PAUSE_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 300.0
"""How long a center may be away, to be started again for example, before following it is given up."""

POLL_ITEMS: Final = 200
ENDED: Final = "ended"
_DATA: Final = "data:"

_Way: TypeAlias = Callable[[Transport, str, str | None], Generator[Event]]
"""How events are asked for: by a path, after the event with an id."""

_PASSING: Final = (UnreachableError, CenterFailedError, BusyError, NoCenterError)


def always() -> bool:
    """Tell that events are wanted to the end."""
    return True


def follow(
    transport: Transport, request_id: str, since: str | None = None, *, wanted: Callable[[], bool] = always
) -> Generator[Event]:
    """Yield the events of a request from the first, or after the one with the id `since`, until it has ended.

    A stream comes first; when it breaks, one poll and a pause, then the next stream. Where streams never come
    through, what is left are polls with pauses that grow. Some seconds after nothing is `wanted` any more it ends, too.

    Raises:
        UnreachableError: the center was away for longer than `PATIENCE_SECONDS`.
        RefusedError: the center does not tell this caller.
    """
    path = _path(request_id)
    failures = 0
    heard = time.monotonic()
    ways: tuple[_Way, ...] = (partial(_stream, wanted), _poll)
    for ask in cycle(ways):
        try:
            for event in ask(transport, path, since):
                since, failures = event.id, 0
                yield event
                if event.kind == ENDED:
                    return
            heard = time.monotonic()
        except _OverError:
            return
        except _PASSING:
            failures += 1
            if time.monotonic() - heard > PATIENCE_SECONDS:
                raise
        if not wanted():
            return
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**failures)
        time.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - spreads load only


def so_far(transport: Transport, request_id: str, since: str | None = None) -> Generator[Event]:
    """Yield the events of a request that have happened already, without waiting for more."""
    return _poll(transport, _path(request_id), since)


class _OverError(Exception):
    """The request had ended before, and its end was heard already."""


class EventQueue:
    """The events of one request, read in a thread of their own, so that whoever waits can also look at the clock.

    The thread ends, and its connection with it, at the first event of a kind in `until`, with the request, or some
    seconds after nobody listens any more.
    """

    def __init__(self, transport: Transport, request_id: str, until: frozenset[str]) -> None:
        self._news: queue.SimpleQueue[Event | HaidangError] = queue.SimpleQueue()
        self._until = until
        self._left = threading.Event()
        events = follow(transport, request_id, wanted=lambda: not self._left.is_set())
        threading.Thread(target=self._read, args=(events,), name="haidang-events", daemon=True).start()

    def next(self, patience_seconds: float) -> Event | None:
        """Return the next event, or None if none comes in time.

        Raises:
            HaidangError: what following the events raised.
        """
        try:
            news = self._news.get(timeout=max(0.0, patience_seconds))
        except queue.Empty:
            return None
        if isinstance(news, HaidangError):
            raise news
        return news

    def leave(self) -> None:
        """Listen no longer."""
        self._left.set()

    def _read(self, events: Generator[Event]) -> None:
        try:
            with closing(events):
                for event in events:
                    self._news.put(event)
                    if event.kind in self._until:
                        return
        except HaidangError as error:
            self._news.put(error)


def _stream(wanted: Callable[[], bool], transport: Transport, path: str, since: str | None) -> Generator[Event]:
    """Yield what a stream tells. Its heartbeats are read, too: with each it is found out whether it is still wanted."""
    with transport.stream(path, _headers("text/event-stream", since), QUIET_SECONDS) as response:
        if response.status_code == NOTHING_MORE:
            raise _OverError
        for line in response.iter_lines():
            if not wanted():
                return
            if line.startswith(_DATA):
                yield transport.read(Event, line.removeprefix(_DATA))


def _poll(transport: Transport, path: str, since: str | None) -> Generator[Event]:
    more = True
    while more:
        told = transport.get(path, {"limit": POLL_ITEMS}, headers=_headers("application/json", since))
        page = transport.read(Page, told)
        for item in page.items:
            event = transport.read(Event, item)
            since = event.id
            yield event
        more = page.next is not None


def _path(request_id: str) -> str:
    return f"/v1/requests/{segment(request_id)}/events"


def _headers(accept: str, since: str | None) -> dict[str, str]:
    return {"Accept": accept} | ({} if since is None else {"Last-Event-ID": since})
