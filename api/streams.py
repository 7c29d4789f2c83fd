"""Streams of events: told soon after each commit, bounded in number, and ended with their token."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import RLock
from typing import Final, Protocol

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.problems import refused
from api.schemas.events import EventOut
from operations.permitted import Place, Story
from operations.reasons import TooManyStreams
from registry.ids import PersonId

_READERS: Final = 4
"""Threads that read for all streams, so that many of them never keep a route from its thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """The times of a stream, in seconds, and how many one person may have open.

    A stream looks for news when the store has written, at most once in `gap_seconds`, and also without a sign that
    often in vain: at first soon, then every `poll_seconds`.
    """

    gap_seconds: float = 0.03
    poll_seconds: float = 2.0
    heartbeat_seconds: float = 15.0
    recheck_seconds: float = 30.0
    most_per_person: int = 16


STEADY: Final = Rhythm()


class Streams:
    """The open streams of one application."""

    def __init__(self, rhythm: Rhythm) -> None:
        self.rhythm: Final = rhythm
        self._lock: Final = RLock()  # a signal may close the streams while its own thread counts them
        self._open: Counter[PersonId] = Counter()
        self._sleepers: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._readers: Final = ThreadPoolExecutor(_READERS, thread_name_prefix="streams")
        self.closing = False

    def wake(self) -> None:
        """Have every stream look for news, from whatever thread."""
        with self._lock:
            sleepers = list(self._sleepers.items())
        for woken, loop in sleepers:
            if not loop.is_closed():
                loop.call_soon_threadsafe(woken.set)

    def close(self) -> None:
        """End every stream soon, as a server does that wants to stop."""
        self.closing = True
        self.wake()

    def sit(self, person: PersonId) -> None:
        """Count one more stream of a person.

        Raises:
            RefusedError: they have as many as one person may.
        """
        with self._lock:
            if self._open[person] >= self.rhythm.most_per_person:
                raise refused(TooManyStreams(most=self.rhythm.most_per_person))
            self._open[person] += 1

    def leave(self, person: PersonId) -> None:
        """Count one stream less."""
        with self._lock:
            self._open[person] -= 1
            if not self._open[person]:
                del self._open[person]

    @contextmanager
    def woken(self) -> Iterator[asyncio.Event]:
        """Give an event that is set at each wake."""
        woken = asyncio.Event()
        with self._lock:
            self._sleepers[woken] = asyncio.get_running_loop()
        try:
            yield woken
        finally:
            with self._lock:
                del self._sleepers[woken]

    async def read(self, look: Callable[[], Story | None]) -> Story | None:
        """Look for news without holding up anybody else."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, look)


class Look(Protocol):
    """Reads what a stream has not told yet."""

    def __call__(self, place: Place, *, anew: bool) -> Story | None:
        """Return the news after a place, or None once the caller may not see them; `anew` asks again who calls."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a stream tells, and to whom."""

    look: Look
    person: PersonId


class EventStream(StreamingResponse):
    """A stream of one request's events, from its first one on or after a place, to its end."""

    media_type = "text/event-stream"

    def __init__(self, streams: Streams, reading: Reading, place: Place, first: Story) -> None:
        super().__init__(
            _told(streams, reading, place, first), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        self._streams = streams
        self._person = reading.person
        streams.sit(reading.person)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until the end, or until the listener leaves."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.leave(self._person)


async def _told(streams: Streams, reading: Reading, place: Place, first: Story) -> AsyncIterator[bytes]:
    """Yield what is new, as long as there can be more and the caller may hear it."""
    rhythm, clock = streams.rhythm, asyncio.get_running_loop().time
    story: Story | None = first
    said = checked = looked = clock()
    patience = rhythm.gap_seconds
    with streams.woken() as woken:
        while story is not None:
            for told in story.told:
                yield _event(EventOut.from_told(told))
                place = Place(mark=told.mark, number=told.number)
            if story.ended or streams.closing:
                return
            if story.told:
                said, patience = clock(), rhythm.gap_seconds
            elif clock() - said >= rhythm.heartbeat_seconds:
                yield KEEPALIVE_COMMENT
                said = clock()
            if not story.more:
                patience = await _rest(woken, rhythm, looked, patience)
            woken.clear()
            looked = clock()
            anew = looked - checked >= rhythm.recheck_seconds
            checked = looked if anew else checked
            story = await streams.read(partial(reading.look, place, anew=anew))


async def _rest(woken: asyncio.Event, rhythm: Rhythm, looked: float, patience: float) -> float:
    """Wait for a sign, but not for ever; return how long to wait next time.

    A sign may come before what it tells of can be read, and so each is followed by a few looks, ever rarer.
    """
    try:
        async with asyncio.timeout(patience):
            await woken.wait()
    except TimeoutError:
        return min(2 * patience, rhythm.poll_seconds)
    await asyncio.sleep(looked + rhythm.gap_seconds - asyncio.get_running_loop().time())
    return rhythm.gap_seconds


def _event(event: EventOut) -> bytes:
    return format_sse_event(data_str=event.model_dump_json(), event=event.kind.value, id=event.id)
