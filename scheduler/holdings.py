"""What people run, classes hold and projects may still pay while a plan is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from quotas.allocations import Allocation, covering, most_available
from registry.axes import PLENTY, Ints
from registry.ids import AllocationId, MicroCredits, ProjectId, Seconds
from scheduler import arrays as columns
from scheduler.arrays import CLASSES
from scheduler.requests import Request
from scheduler.snapshot import Snapshot

_Places = int | Ints | tuple[int, int] | tuple[Ints, Ints]


class _Sums:
    """Sums that are worked out when somebody asks for them first: until then changes are noted."""

    def __init__(self, first: Callable[[], Ints]) -> None:
        self._first: Final = first
        self._noted: list[tuple[_Places, Ints | int]] = []
        self._found: Ints | None = None

    def add(self, at: _Places, amount: Ints | int) -> None:
        """Add an amount in one place, or one in each of several."""
        if self._found is None:
            self._noted.append((at, amount))
        else:
            np.add.at(self._found, at, amount)

    def get(self) -> Ints:
        """Return them as they are now."""
        if self._found is None:
            self._found = self._first().copy()
            for at, amount in self._noted:
                np.add.at(self._found, at, amount)
        return self._found


class Holdings:
    """Counts and sums that begin as the snapshot has them and grow with each decision."""

    def __init__(self, snapshot: Snapshot, now: Seconds) -> None:
        self._snapshot: Final = snapshot
        self._now: Final = now
        self._running: Final = _Sums(lambda: _running(snapshot))
        self._granted: Final = _Sums(lambda: _granted(snapshot))
        self._more: Final[defaultdict[AllocationId, int]] = defaultdict(int)
        self._payers: Final[set[ProjectId]] = set()
        self._available: Ints | None = None

    @property
    def running(self) -> Ints:
        """Return how many requests run, by the number of a person in a class."""
        return self._running.get()

    @property
    def granted(self) -> Ints:
        """Return what is granted, by the numbers of a pool and a class."""
        return self._granted.get()

    @property
    def available(self) -> Ints:
        """Return the largest sum that an open allocation of each payer could still hold."""
        if self._available is None:
            self._available = _open(self._snapshot, self._now).most
        if self._payers:
            # Other rooms of this snapshot, and of those that follow, look at the very same: it is never written to.
            self._available = self._available.copy()
        for project in self._payers:
            number = self._snapshot.arrays.names.payers.of(project)
            self._available[number] = most_available(self._of(project), self._now, self._more)
        self._payers.clear()
        return self._available

    @property
    def poorest(self) -> int:
        """Return the least that any payer had before anything was held in this cycle."""
        return _open(self._snapshot, self._now).least

    def begin(self, request: Request) -> None:
        """Count a request among those that its person runs."""
        self._running.add(self._snapshot.arrays.names.by_person.of((request.person, request.request_class)), 1)

    def grant(self, request: Request, amount: Ints) -> None:
        """Add to what the request's class holds of its pool."""
        pool = self._snapshot.arrays.names.pools.of(request.pool)
        self._granted.add((pool, CLASSES.index(request.request_class)), amount)

    def count(self, people: Ints, at: tuple[Ints, Ints], amounts: Ints) -> None:
        """`begin` and `grant` many requests, by the numbers of their people, pools and classes."""
        self._running.add(people, 1)
        self._granted.add(at, amounts)

    def hold(self, request: Request, allocation: AllocationId, amount: MicroCredits) -> None:
        """Set credit of an allocation aside."""
        self._more[allocation] += amount
        self._payers.add(request.project)

    def forget(self, request: Request, allocation: AllocationId, amount: Ints, credit: MicroCredits) -> None:
        """Undo `begin`, `grant` and `hold` of a request that was only promised something."""
        self._running.add(self._snapshot.arrays.names.by_person.of((request.person, request.request_class)), -1)
        self.grant(request, -amount)
        self.hold(request, allocation, MicroCredits(-credit))

    def covering(self, request: Request, needed: MicroCredits, now: Seconds) -> Allocation | None:
        """Return the allocation that new credit for the request would be held of, if one covers it."""
        return covering(self._of(request.project), needed, now, self._more)

    def covering_all(self, requests: Sequence[Request], needed: Sequence[int]) -> list[AllocationId] | None:
        """Return what allocation new credit for each would be held of, after those before; None if any has none."""
        more, found = dict(self._more), list[AllocationId]()
        by_end: dict[ProjectId, list[Allocation]] = {}
        for request, amount in zip(requests, needed, strict=True):
            able = by_end.get(request.project)
            if able is None:
                able = sorted(self._of(request.project), key=lambda one: (one.ends, one.id))
                able = by_end[request.project] = [one for one in able if one.open_at(self._now)]
            one = next((one.id for one in able if one.available - more.get(one.id, 0) >= amount), None)
            if one is None:
                return None
            more[one] = more.get(one, 0) + amount
            found.append(one)
        return found

    def most_available(self, request: Request, now: Seconds) -> MicroCredits:
        """Return the largest sum that one allocation of the project could hold now."""
        return most_available(self._of(request.project), now, self._more)

    def left(self, request: Request, allocation: AllocationId, now: Seconds) -> MicroCredits:
        """Return what may still be held of an allocation of the request's project; nothing outside its period."""
        found = self._snapshot.credit.get(request.project, {}).get(allocation)
        return most_available((found,), now, self._more) if found else MicroCredits(0)

    def _of(self, project: ProjectId) -> Iterable[Allocation]:
        return self._snapshot.credit.get(project, {}).values()


def _running(snapshot: Snapshot) -> Ints:
    table = snapshot.arrays.running
    people = table.cells[table.alive(), columns.PERSON_OF]
    return np.bincount(people, minlength=len(snapshot.arrays.names.by_person))


@dataclass(frozen=True, slots=True)
class _Open:
    """The largest sum that an open allocation of each payer has, the least of them, and from when until when."""

    begins: int
    ends: int
    most: Ints
    least: int


def _open(snapshot: Snapshot, now: Seconds) -> _Open:
    """Return what is available of each payer, as long as no allocation begins or ends worked out but once."""
    credit, payers = snapshot.arrays.credit, len(snapshot.arrays.names.payers)
    known = credit.found("open", (), lambda: [_opened(snapshot, now)])
    if not known[0].begins <= now < known[0].ends or len(known[0].most) < payers:
        known[0] = _opened(snapshot, now)
    return known[0]


def _opened(snapshot: Snapshot, now: Seconds) -> _Open:
    table = snapshot.arrays.credit
    payer, begins, ends, available = table.cells[table.alive(), 1:5].T
    is_open = (begins <= now) & (now < ends)
    most = np.zeros(len(snapshot.arrays.names.payers), dtype=np.int64)
    np.maximum.at(most, payer, np.where(is_open, available, 0))
    moments = np.concatenate((begins, ends))
    later = moments[moments > now]
    return _Open(now, int(later.min()) if len(later) else PLENTY, most, int(most.min(initial=PLENTY)))


def _granted(snapshot: Snapshot) -> Ints:
    """Return what each class holds of each pool; nothing is added up where every class may hold all."""
    arrays = snapshot.arrays
    granted = np.zeros((len(arrays.names.pools), len(CLASSES), arrays.axes.width), dtype=np.int64)
    cells = arrays.processes.cells
    limited = np.array([not snapshot.policy.classes[one].takes_all for one in CLASSES])
    cells = cells[(cells[:, columns.ALIVE] == 1) & limited[cells[:, columns.CLASS]]]
    if len(cells):
        key = cells[:, columns.POOL] * len(CLASSES) + cells[:, columns.CLASS]
        flat = granted.reshape(-1, arrays.axes.width)
        for column in range(arrays.axes.width):
            shapes = cells[:, columns.SHAPE_OF_PROCESS + column]
            flat[:, column] = np.bincount(key, weights=shapes, minlength=len(flat)).astype(np.int64)
    return granted
