"""Streams of events: told soon after each commit, bounded in number, and ended with their token."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
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
from operations.events import Event
from operations.permitted import Story
from operations.ports.office import Place
from operations.reasons import TooManyStreams
from registry.ids import PersonId, RequestId

_READERS: Final = 4
"""Threads that read for all streams, so that many of them never keep a route from its thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """The times of a stream, in seconds, and how many one person may have open.

    A stream looks for news when a commit has told some of its request, at most once in `gap_seconds`, and also without
    a sign that often in vain: at first soon, then every `poll_seconds`.
    """

    gap_seconds: float = 0.01
    poll_seconds: float = 2.0
    heartbeat_seconds: float = 15.0
    recheck_seconds: float = 30.0
    most_per_person: int = 16


STEADY: Final = Rhythm()


class Listening:
    """What one open stream waits for.

    `promised` counts the events of which a commit was heard and which were not told yet: a commit may be heard of
    before it can be read.
    """

    def __init__(self, request: RequestId) -> None:
        self.request: Final = request
        self.woken: Final = asyncio.Event()
        self.promised = 0
        self._loop: Final = asyncio.get_running_loop()

    def hear(self, events: int) -> None:
        """Wake the stream for so many events, from whatever thread; for none it looks whether it has to end."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._promise, events)

    def _promise(self, events: int) -> None:
        self.promised += events
        self.woken.set()

    def complete(self, told: int) -> bool:
        """Note that so many events were told; return whether these are what was promised, no less and no more.

        More come when others write too, such as another process of the center, of whose commits nothing is heard here.
        """
        promised, self.promised = self.promised, max(0, self.promised - told)
        return told == promised


class Streams:
    """The open streams of one application."""

    def __init__(self, rhythm: Rhythm) -> None:
        self.rhythm: Final = rhythm
        self._lock: Final = RLock()  # a signal may close the streams while its own thread counts them
        self._open: Counter[PersonId] = Counter()
        self._listening: set[Listening] = set()
        self._readers: Final = ThreadPoolExecutor(_READERS, thread_name_prefix="streams")
        self.closing = False

    def hear(self, told: Sequence[Event]) -> None:
        """Have those streams look for news whose requests a commit has told something of, from whatever thread."""
        events = Counter(event.request for event in told)
        with self._lock:
            concerned = [one for one in self._listening if one.request in events] if events else []
        for listening in concerned:
            listening.hear(events[listening.request])

    def close(self) -> None:
        """End every stream soon, as a server does that wants to stop."""
        self.closing = True
        with self._lock:
            everybody = list(self._listening)
        for listening in everybody:
            listening.hear(0)

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
    def listening(self, request: RequestId) -> Iterator[Listening]:
        """Give what hears of each commit that tells something of a request."""
        listening = Listening(request)
        with self._lock:
            self._listening.add(listening)
        try:
            yield listening
        finally:
            with self._lock:
                self._listening.remove(listening)

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
    """What a stream tells, of which request, and to whom."""

    look: Look
    person: PersonId
    request: RequestId


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
    with streams.listening(reading.request) as listening:
        while story is not None:
            for told in story.told:
                yield _event(EventOut.from_told(told))
                place = Place(mark=told.mark, number=told.number)
            if story.ended or streams.closing:
                return
            if story.told:
                said = clock()
                patience = rhythm.poll_seconds if listening.complete(len(story.told)) else rhythm.gap_seconds
            elif clock() - said >= rhythm.heartbeat_seconds:
                yield KEEPALIVE_COMMENT
                said = clock()
            if not story.more:
                patience = await _rest(listening, rhythm, looked, patience)
            listening.woken.clear()
            looked = clock()
            anew = looked - checked >= rhythm.recheck_seconds
            checked = looked if anew else checked
            story = await streams.read(partial(reading.look, place, anew=anew))


async def _rest(listening: Listening, rhythm: Rhythm, looked: float, patience: float) -> float:
    """Wait for a sign, but not for ever; return how long to wait next time unless all that was promised is told.

    A sign may come before what it tells of can be read, and so it is followed by a few looks, ever rarer.
    """
    try:
        async with asyncio.timeout(patience):
            await listening.woken.wait()
    except TimeoutError:
        return min(2 * patience, rhythm.poll_seconds)
    await asyncio.sleep(looked + rhythm.gap_seconds - asyncio.get_running_loop().time())
    return rhythm.gap_seconds


def _event(event: EventOut) -> bytes:
    return format_sse_event(data_str=event.model_dump_json(), event=event.kind.value, id=event.id)
