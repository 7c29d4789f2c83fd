"""What people run, classes hold and projects may still pay while a plan is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from quotas.allocations import Allocation, covering, most_available
from registry.axes import Ints
from registry.ids import AllocationId, MicroCredits, ProjectId, Seconds
from scheduler import arrays as columns
from scheduler.arrays import CLASSES
from scheduler.requests import Request
from scheduler.snapshot import Snapshot


class Holdings:
    """Counts and sums that begin as the snapshot has them and grow with each decision.

    `running` counts by the number of a person in a class, `granted` is by the numbers of a pool and a class, and
    `available` is the largest sum that an open allocation of each payer could still hold.
    """

    def __init__(self, snapshot: Snapshot, now: Seconds, sums: tuple[Ints, Ints, Ints] | None = None) -> None:
        """Take the sums as they are in the snapshot, unless they are given."""
        self._snapshot: Final = snapshot
        self._now: Final = now
        self.running, self.granted, self.available = sums or (
            _running(snapshot),
            _granted(snapshot),
            _open(snapshot, now),
        )
        self._changed: dict[ProjectId, dict[AllocationId, Allocation]] = {}

    def copy(self) -> Holdings:
        """Return holdings of their own that begin the same; only before anything was decided."""
        assert not self._changed
        sums = self.running.copy(), self.granted.copy(), self.available.copy()
        return Holdings(self._snapshot, self._now, sums)

    def begin(self, request: Request) -> None:
        """Count a request among those that its person runs."""
        number = self._snapshot.arrays.names.by_person.of((request.person, request.request_class))
        self.running[number] += 1

    def grant(self, request: Request, amount: Ints) -> None:
        """Add to what the request's class holds of its pool."""
        pool = self._snapshot.arrays.names.pools.of(request.pool)
        self.granted[pool, CLASSES.index(request.request_class)] += amount

    def hold(self, request: Request, allocation: AllocationId, amount: MicroCredits) -> None:
        """Set credit of an allocation aside."""
        own = self._changed.setdefault(request.project, dict(self._snapshot.credit.get(request.project, {})))
        left = MicroCredits(own[allocation].available - amount)
        own[allocation] = replace(own[allocation], available=left)
        payer = self._snapshot.arrays.names.payers.of(request.project)
        self.available[payer] = most_available(own.values(), self._now)

    def forget(self, request: Request, allocation: AllocationId, amount: Ints, credit: MicroCredits) -> None:
        """Undo `begin`, `grant` and `hold` of a request that was only promised something."""
        number = self._snapshot.arrays.names.by_person.of((request.person, request.request_class))
        self.running[number] -= 1
        self.grant(request, -amount)
        self.hold(request, allocation, MicroCredits(-credit))

    def covering(self, request: Request, needed: MicroCredits, now: Seconds) -> Allocation | None:
        """Return the allocation that new credit for the request would be held of, if one covers it."""
        return covering(self._of(request.project).values(), needed, now)

    def most_available(self, request: Request, now: Seconds) -> MicroCredits:
        """Return the largest sum that one allocation of the project could hold now."""
        return most_available(self._of(request.project).values(), now)

    def left(self, request: Request, allocation: AllocationId, now: Seconds) -> MicroCredits:
        """Return what may still be held of an allocation of the request's project; nothing outside its period."""
        found = self._of(request.project).get(allocation)
        return found.available if found and found.open_at(now) else MicroCredits(0)

    def _of(self, project: ProjectId) -> dict[AllocationId, Allocation]:
        return self._changed.get(project) or dict(self._snapshot.credit.get(project, {}))


def _running(snapshot: Snapshot) -> Ints:
    cells = snapshot.arrays.running.cells
    people = cells[:, 2][cells[:, columns.ALIVE] == 1]
    return np.bincount(people, minlength=len(snapshot.arrays.names.by_person))


def _open(snapshot: Snapshot, now: Seconds) -> Ints:
    cells = snapshot.arrays.credit.cells
    payer, begins, ends, available = (cells[:, column] for column in range(1, 5))
    is_open = (cells[:, columns.ALIVE] == 1) & (begins <= now) & (now < ends)
    most = np.zeros(len(snapshot.arrays.names.payers), dtype=np.int64)
    np.maximum.at(most, payer, np.where(is_open, available, 0))
    return most


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
