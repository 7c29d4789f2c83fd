"""Requests and the slots of their clusters, in memory."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, Final, Literal, TypeVar

from operations.ports.store import Waiting
from registry.ids import Mark, PoolId, RequestId
from scheduler.clusters import Cluster, Process
from scheduler.requests import Draft, Request, RequestClass, State
from store.memory.shelves import FollowedShelf, History, Notes, Shelf

T = TypeVar("T", Request, Process)
_Crowd = tuple[Literal["person", "institution"], str, RequestClass]


def _versioned(kind: type[T]) -> Callable[[T, int], T]:
    """Return what copies such a thing under another version, and so checks nothing again that was just checked."""
    others: list[str] = [field.name for field in fields(kind) if field.name != "version"]
    read: Callable[[T], tuple[Any, ...]] = attrgetter(*others)
    writes = [getattr(kind, name).__set__ for name in (*others, "version")]

    def under(thing: T, version: int) -> T:
        copy = object.__new__(kind)
        for write, value in zip(writes, (*read(thing), version), strict=True):
            write(copy, value)
        return copy

    return under


_request_under: Final = _versioned(Request)
_slot_under: Final = _versioned(Process)


class MemoryRequests:
    """`Requests` in memory, where a transaction has everything for itself."""

    def __init__(self, history: History) -> None:
        self._requests: FollowedShelf[RequestId, Request] = FollowedShelf(history)
        self._placed: Shelf[RequestId, None] = Shelf(history)
        self._extended: Shelf[RequestId, None] = Shelf(history)
        self._waiting: Shelf[_Crowd, int] = Shelf(history)

    def add(self, request: Request) -> None:
        assert request.tags.pool == request.pool, request
        assert request.id not in self._requests, request
        self._keep(request)

    def get(self, request: RequestId) -> Request | None:
        return self._requests.get(request)

    def lock(self, requests: Iterable[RequestId]) -> None:
        """Return at once: nobody else is here."""

    def swap(self, before: Request, after: Request) -> bool:
        assert (before.id, before.version) == (after.id, after.version), (before, after)
        assert before.state is after.state or before.may_move(after.state), (before, after)
        now = self._requests.get(before.id)
        if now is None or now.version != before.version:
            return False
        self._keep(_request_under(after, before.version + 1))
        return True

    def waiting(self, draft: Draft) -> Waiting:
        of_person, of_institution = (self._waiting.get(key) or 0 for key in _crowds(draft))
        return Waiting(of_person=of_person, of_institution=of_institution)

    def placed(self) -> list[Request]:
        """Return the placed requests by id."""
        found = (self._requests.get(request) for request, _ in sorted(self._placed.items()))
        return [request for request in found if request is not None]

    def extended(self) -> list[Request]:
        """Return the placed requests that may run for longer than their walltimes, by id."""
        found = (self._requests.get(request) for request, _ in sorted(self._extended.items()))
        return [request for request in found if request is not None]

    def live(self) -> list[Request]:
        """Return the requests that have not ended."""
        return [request for request in self._requests if request.state is not State.ENDED]

    def changed(self, since: Mark) -> list[Request]:
        """Return the requests that changed since a mark."""
        return self._requests.changed(since)

    def forget(self, requests: Collection[RequestId]) -> None:
        """Leave nothing of requests that have ended."""
        assert all(one.state is State.ENDED for request in requests if (one := self._requests.get(request)))
        self._requests.drop(requests)

    def _keep(self, request: Request) -> None:
        before = self._requests.get(request.id)
        waited = before is not None and before.state is State.PENDING
        if waited != (request.state is State.PENDING):
            for key in _crowds(request):
                self._waiting.put(key, (self._waiting.get(key) or 0) + (-1 if waited else 1))
        self._requests.put(request.id, request)
        if request.state is State.PLACED:
            self._placed.put(request.id, None)
        else:
            self._placed.remove(request.id)
        if request.state is State.PLACED and request.extended_seconds:
            self._extended.put(request.id, None)
        else:
            self._extended.remove(request.id)


def _crowds(draft: Draft) -> tuple[_Crowd, _Crowd]:
    """Return with whom of its class a request waits: with those of its person, and those of its institution."""
    return ("person", draft.person, draft.request_class), ("institution", draft.institution, draft.request_class)


class MemoryClusters:
    """`Clusters` in memory."""

    def __init__(self, history: History, requests: MemoryRequests) -> None:
        self._requests = requests
        self._slots: FollowedShelf[tuple[RequestId, int], Process] = FollowedShelf(history)
        self._ordinals: Shelf[RequestId, tuple[int, ...]] = Shelf(history)
        self._live: Notes[RequestId, Cluster] = Notes(history)

    def add(self, processes: Iterable[Process]) -> None:
        for process in processes:
            key = (process.request, process.ordinal)
            earlier = self._slots.get(key)
            assert earlier is None or earlier.released is not None, process
            self._put(process if earlier is None else replace(process, version=earlier.version + 1))
            ordinals = self._ordinals.get(process.request) or ()
            if process.ordinal not in ordinals:
                self._ordinals.put(process.request, tuple(sorted((*ordinals, process.ordinal))))

    def slots(self, request: RequestId) -> tuple[Process, ...]:
        found = (self._slots.get((request, ordinal)) for ordinal in self._ordinals.get(request) or ())
        return tuple(slot for slot in found if slot is not None)

    def live(self) -> tuple[Cluster, ...]:
        return tuple(self._cluster(request) for request in self._requests.placed())

    def extended(self, pools: Collection[PoolId]) -> tuple[Request, ...]:
        return tuple(request for request in self._requests.extended() if request.pool in pools)

    def swap(self, before: Process, after: Process) -> bool:
        key = (before.request, before.ordinal)
        assert (*key, before.version) == (after.request, after.ordinal, after.version), (before, after)
        now = self._slots.get(key)
        if now is None or now.version != before.version:
            return False
        self._put(_slot_under(after, before.version + 1))
        return True

    def held(self) -> list[Process]:
        """Return the slots that are not released."""
        return [slot for slot in self._slots if slot.released is None]

    def changed(self, since: Mark) -> list[Process]:
        """Return the slots that changed since a mark."""
        return self._slots.changed(since)

    def forget(self, requests: Collection[RequestId]) -> None:
        """Leave nothing of the slots of requests that have ended."""
        for request in requests:
            self._slots.drop([(request, ordinal) for ordinal in self._ordinals.get(request) or ()])
            self._live.drop(request)
        self._ordinals.drop(requests)

    def _put(self, slot: Process) -> None:
        self._slots.put((slot.request, slot.ordinal), slot)
        self._live.forget(slot.request)

    def _cluster(self, request: Request) -> Cluster:
        """Return a placed request with its slots that are not released."""
        known = self._live.get(request.id)
        if known is not None and known.request is request:
            return known
        slots = tuple(slot for slot in self.slots(request.id) if slot.released is None)
        cluster = Cluster(request=request, processes=slots)
        self._live.know(request.id, cluster)
        return cluster
