"""What Dask schedulers say of themselves, each a tenant's program that may answer anything, slowly or never."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from backends.door import Address, Door, NoAnswerError
from operations.ports.backend import Credentials
from registry.ids import RequestId, Seconds
from scheduler.observed import HeadClaim, WorkerClaim
from scheduler.requests import MOST_WORKERS

BUSY_SECONDS: Final = 1.0
IDLE_SECONDS: Final = 2.0
STALE_SECONDS: Final = 10.0
LONGEST_SILENCE_SECONDS: Final = 60.0
REST_FACTOR: Final = 10
"""How much longer a head is left alone than it took to answer: slow ones must not keep the threads from the others."""
SLOW_SECONDS: Final = 1.0
LONGEST_LOGGED: Final = 1000
THREADS: Final = 8
LARGEST_NAME: Final = 64
_MOST: Final = 2**53

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class _Head:
    """What is known of one head between two looks."""

    door: Door
    address: Address
    due: float = 0.0
    asking: bool = False
    draining: bool = False
    leaving: dict[str, float] = field(default_factory=dict)
    silences: int = 0
    took: float = 0.0
    drain_due: float = 0.0
    drain_silences: int = 0
    drain_took: float = 0.0
    answered: float = float("-inf")
    claim: HeadClaim | None = None


class _Threads:
    """A few threads that ask heads, at most half of them those that let one wait the last time.

    However many tenants let their heads be silent or slow, there is a thread for those of others.
    """

    def __init__(self, name: str) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=name)
        self._for_slow = threading.Semaphore(THREADS // 2)

    def begin(self, ask: Callable[[], None], *, is_slow: bool) -> bool:
        """Ask soon; False if enough of the slow are being asked."""
        if is_slow and not self._for_slow.acquire(blocking=False):
            return False
        self._threads.submit(partial(self._ask_slow, ask) if is_slow else ask)
        return True

    def close(self) -> None:
        """Return when nobody is being asked any more."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _ask_slow(self, ask: Callable[[], None]) -> None:
        try:
            ask()
        finally:
            self._for_slow.release()


def _pause(silences: int) -> float:
    return min(2.0**silences, LONGEST_SILENCE_SECONDS)


class Heads:
    """Asks all heads by a few threads of its own, so that nobody waits here for a tenant."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._credentials: dict[RequestId, Credentials] = {}
        self._heads: dict[RequestId, _Head] = {}
        self._departed: set[Door] = set()
        self._lock = threading.Lock()
        # Drains have threads of their own: however much there is to ask, a shrink does not wait for it.
        self._asking = _Threads("heads")
        self._draining = _Threads("drains")

    def know(self, request: RequestId, credentials: Credentials) -> None:
        """Learn how to reach a head."""
        with self._lock:
            self._credentials[request] = credentials

    def look(self, doors: Mapping[RequestId, Address]) -> dict[RequestId, HeadClaim]:
        """Begin to ask who is due and return what was answered lately; `doors` are all heads there are."""
        now = time.monotonic()
        with self._lock:
            for gone in self._heads.keys() - doors.keys():
                # Not here: it may be asked just now, and whoever closes its door waits for the answer.
                self._departed.add(door := self._heads.pop(gone).door)
                self._asking.begin(partial(self._leave, door), is_slow=False)
                self._credentials.pop(gone, None)
            for request, address in doors.items():
                head = self._head(request, address)
                if head is not None and not head.asking and head.due <= now:
                    is_slow = head.silences > 0 or head.took > SLOW_SECONDS
                    head.asking = self._asking.begin(partial(self._ask, request, head), is_slow=is_slow)
            return {
                request: head.claim
                for request, head in self._heads.items()
                if head.claim is not None and now - head.answered <= STALE_SECONDS
            }

    def drain(self, request: RequestId, address: Address, deadlines: Mapping[str, int]) -> bool:
        """Have a head asked to drain workers, in so many seconds each; False if nobody knows how to reach it.

        Whoever is named while the head is being asked is asked for next, in one question with all others that were. A
        head that did not answer is asked again after a while, which grows.
        """
        now = time.monotonic()
        with self._lock:
            head = self._head(request, address)
            if head is None:
                return False
            head.leaving |= {name: now + seconds for name, seconds in deadlines.items()}
            self._begin_to_drain(request, head)
            return True

    def close(self) -> None:
        """Let go of threads and connections."""
        for threads in (self._asking, self._draining):
            threads.close()
        for door in (*self._departed, *(head.door for head in self._heads.values())):
            door.close()

    def _leave(self, door: Door) -> None:
        door.close()
        with self._lock:
            self._departed.discard(door)

    def _head(self, request: RequestId, address: Address) -> _Head | None:
        known = self._heads.get(request)
        if known is not None and known.address == address:
            return known
        credentials = self._credentials.get(request)
        if credentials is None:
            return None
        door = Door(request=request, credentials=credentials, address=address)
        self._heads[request] = _Head(door=door, address=address)
        return self._heads[request]

    def _ask(self, request: RequestId, head: _Head) -> None:
        claim, asked = None, time.monotonic()
        try:
            claim = read_claim(head.door.ask("GET", "/state"), now=int(time.time()))
        except NoAnswerError as error:
            log.info("a head did not answer", request=request, error=str(error))
        with self._lock:
            head.asking = False
            changed = claim is not None and claim != head.claim
            if claim is None:
                head.silences += 1
                head.due = time.monotonic() + _pause(head.silences)
            else:
                head.silences, head.answered, head.claim = 0, time.monotonic(), claim
                head.took = head.answered - asked
                rest = BUSY_SECONDS if claim.idle_since is None else IDLE_SECONDS
                head.due = head.answered + max(rest, REST_FACTOR * head.took)
        if changed:
            self._changed()

    def _begin_to_drain(self, request: RequestId, head: _Head) -> None:
        """Have a head asked about all that leave it, unless it is being asked or was silent just before."""
        if head.leaving and not head.draining and head.drain_due <= time.monotonic():
            is_slow = head.drain_silences > 0 or head.drain_took > SLOW_SECONDS
            head.draining = self._draining.begin(partial(self._drain, request, head), is_slow=is_slow)

    def _drain(self, request: RequestId, head: _Head) -> None:
        with self._lock:
            leaving, head.leaving = head.leaving, {}
        asked, silences = time.monotonic(), 0
        try:
            for deadline, names in _by_deadline(leaving).items():
                self._ask_to_drain(request, head, names, deadline)
        except NoAnswerError as error:
            log.warning("a head did not answer to a drain", request=request, error=str(error))
            silences = head.drain_silences + 1
        with self._lock:
            now = time.monotonic()
            head.draining, head.drain_silences, head.drain_took = False, silences, now - asked
            head.drain_due = now + _pause(silences) if silences else now
            self._begin_to_drain(request, head)

    def _ask_to_drain(self, request: RequestId, head: _Head, names: list[str], deadline: float) -> None:
        seconds = max(0, round(deadline - time.monotonic()))
        question = {"workers": names, "deadline_seconds": seconds, "may_refuse": False}
        answer = str(head.door.ask("POST", "/drain", question))
        log.info("drain", request=request, answer=answer[:LONGEST_LOGGED])


def _by_deadline(leaving: Mapping[str, float]) -> dict[float, list[str]]:
    found: dict[float, list[str]] = {}
    for name, deadline in leaving.items():
        found.setdefault(deadline, []).append(name)
    return found


def read_claim(answer: Mapping[str, object], *, now: int) -> HeadClaim:
    """Return an answer to `/state` as a claim with its bounds.

    Raises:
        NoAnswerError: it is not one.
    """
    workers = answer.get("workers")
    idle_since = answer.get("idle_since")
    if not isinstance(workers, list):
        raise NoAnswerError("its workers are no list")
    return HeadClaim(
        desired_workers=_whole(answer, "desired_workers"),
        idle_since=None if idle_since is None else Seconds(min(now, _whole(answer, "idle_since"))),
        clients=_whole(answer, "clients"),
        tasks=_whole(answer, "tasks"),
        workers=tuple(_worker(worker) for worker in workers[:MOST_WORKERS]),
    )


def _worker(fields: object) -> WorkerClaim:
    if not isinstance(fields, dict):
        raise NoAnswerError("a worker is no object")
    return WorkerClaim(
        name=_text(fields, "name"),
        status=_text(fields, "status"),
        processing=_whole(fields, "processing"),
        stored_bytes=_whole(fields, "bytes"),
    )


def _whole(fields: Mapping[str, object], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int:
        raise NoAnswerError(f"{name} is not a whole number")
    return max(0, min(value, _MOST))


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise NoAnswerError(f"{name} is not a text")
    return value[:LARGEST_NAME]
