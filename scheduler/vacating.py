"""Whether a request could start within a notice if some running processes were gone by then."""

from __future__ import annotations

from typing import Final

import numpy as np

from quotas.grants import NOBODY
from registry.axes import Bools, Ints
from registry.ids import PoolId, Seconds
from scheduler import arrays as columns
from scheduler.bookings import is_over
from scheduler.fitting import Gang, Packing, place
from scheduler.floors import Floor
from scheduler.requests import Request
from scheduler.room import Room


class Vacating:
    """One gang, and nodes and quotas as they would be once some processes, rows of their table, have gone.

    A process counts as room only until it would have ended anyway, when its room is counted already: at each moment at
    which something that is promised takes room away.
    """

    def __init__(self, room: Room, request: Request, gang: Gang) -> None:
        self._room: Final = room
        self._gang: Final = gang
        self._then: Final = room.after_notice
        self._floor: Final[Floor] = room.floor_for(request)
        self._ends: Final = Seconds(room.after_notice + room.lasts(request))
        self._share: Final = room.grants.row(request.project, request.pool)
        timeline = self._floor.timeline
        starts = {hold.starts for hold in timeline.promised if self._then < hold.starts < self._ends}
        self._moments: Final = (self._then, *sorted(starts))
        self._free: Final = tuple(timeline.open_from(at, Seconds(at + 1)) for at in self._moments)
        self._usable: Final = usable(room, request.pool)

    def fits(self, rows: Ints) -> bool:
        """Tell whether it is enough that these go."""
        return self.packing(rows) is not None and self.has_quota(rows)

    def packing(self, rows: Ints) -> Packing | None:
        """Return where the gang goes once these have gone: first to nodes that need the fewest of them to go."""
        backs = [given_back(self._room, rows[self._there(rows, at)], self._usable) for at in self._moments]
        free = np.minimum.reduce([free + back for free, back in zip(self._free, backs, strict=True)])
        packing = place(self._gang, free, backs[0])
        return packing if isinstance(packing, Packing) else None

    def has_quota(self, rows: Ints) -> bool:
        """Tell whether quotas let the gang start once these have gone."""
        cells = self._room.arrays.processes.cells[rows]
        shares = shares_of(self._room, cells)
        shapes = cells[:, columns.SHAPE_OF_PROCESS :]
        less = [(int(one), shapes[shares == one].sum(axis=0)) for one in np.unique(shares) if one != NOBODY]
        return self._floor.dues.allows_without(self._share, self._gang.total, (self._then, self._ends), less)

    def needed(self, rows: Ints, packing: Packing) -> Ints:
        """Return which of some processes, in their order, have to go from the nodes that a packing uses."""
        cells = self._room.arrays.processes.cells
        taken = packing.taken(self._gang, self._free[0])
        lacks = [taken - free for free in self._free]
        there = [self._there(rows, at) for at in self._moments]
        found: list[int] = []
        for number, row in enumerate(rows):
            node = cells[row, columns.NODE]
            short = [lack for lack, holds in zip(lacks, there, strict=True) if holds[number]]
            if node >= 0 and any((lack[node] > 0).any() for lack in short):
                found.append(int(row))
                for lack in short:
                    lack[node] -= cells[row, columns.SHAPE_OF_PROCESS :]
        return np.array(found, dtype=np.int64)

    def _there(self, rows: Ints, at: Seconds) -> Bools:
        """Tell which of some processes would still be there at a moment if nobody told them to leave."""
        latest = self._room.arrays.processes.cells[rows, columns.DEADLINE]
        return np.asarray(np.maximum(latest + self._room.policy.termination_slack_seconds, self._room.now + 1) > at)


def given_back(room: Room, rows: Ints, there: Bools) -> Ints:
    """Return what each node has back once some processes have gone, of nodes that are `there` for others."""
    cells = room.arrays.processes.cells[rows]
    cells = cells[(cells[:, columns.NODE] >= 0) & there[cells[:, columns.NODE]]] if len(there) else cells[:0]
    back = np.zeros((len(there), room.arrays.axes.width), dtype=np.int64)
    np.add.at(back, cells[:, columns.NODE], cells[:, columns.SHAPE_OF_PROCESS :])
    return back


def shares_of(room: Room, cells: Ints) -> Ints:
    """Return the row of the share of each process, NOBODY where it has none."""
    return np.asarray(room.arrays.names.rows_of(room.arrays.structure)[cells[:, columns.SHARE]])


def usable(room: Room, pool: PoolId) -> Bools:
    """Tell which nodes of a pool take new work and are not booked, now or for later: those are nobody's to be had."""
    ground = room.arrays.grounds[pool]
    booked = np.zeros(len(ground.ids), dtype=bool)
    for booking in room.snapshot.bookings.values():
        if booking.pool == pool and not is_over(booking, room.now):
            booked[[ground.row_of[node] for node in booking.nodes if node in ground.row_of]] = True
    return np.asarray(ground.ready & ~booked)
