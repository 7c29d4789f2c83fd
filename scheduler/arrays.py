"""What a cycle asks of many at once: the facts of a snapshot as tables, kept current fact by fact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from quotas.allocations import Allocation
from quotas.grants import NOBODY, Grants, Structure
from quotas.tree import Share
from registry.axes import PLACES, PLENTY, Axes, Ints
from registry.centers import Node
from registry.ids import AllocationId, PersonId, PoolId, RequestId, ShareId
from scheduler.clusters import Part, Process
from scheduler.estimates import Outcome
from scheduler.facts import DayOfUse
from scheduler.fitting import Gang
from scheduler.forecasting import LEARNT_COLUMNS, learnt_row
from scheduler.ground import Ground
from scheduler.names import UNKNOWN, Names, Priced, Vertex, shape_of
from scheduler.requests import Request, RequestClass, State
from scheduler.tables import ALIVE, Table

__all__ = ["ALIVE", "CLASSES", "UNKNOWN"]

CLASSES: Final = tuple(RequestClass)
WHOLE_RATIO: Final = 1000
NOWHERE: Final = -1
"""The row of a node that is not there."""

# The columns of a pending request; the total of its gang follows.
POOL, CLASS, BY_PERSON, SHARE, INSTITUTION, PAYER, WALLTIME, SINCE = range(1, 9)
SUBMITTED, HELD, NOT_BEFORE, CODES, SHAPE, PRICED, PROMISED, SPOT, REQUEUED, GROWS, OVERTAKING = range(9, 20)
RUNS, TOTAL = 20, 21
HELD_BY_USER, HELD_BY_OPERATOR = 1, 2

# The columns of a process of a running cluster; its shape follows.
NODE, COUNTED_SINCE, ENDING, DEADLINE, LENT = 6, 7, 8, 9, 10
SHAPE_OF_PROCESS: Final = 11
KEPT, ELASTIC, LEAVING = 0, 1, 2
"""Whether a process stays to the end of its time, may be taken back, or was told to leave."""

# The columns of a running cluster: how many workers it wants and has, and what sharing asks of it.
PERSON_OF, CLOSING, RUNS_UNTIL = 2, 3, 4
WANTED, HAS, LEAST, OWNER, GANG, PARALLEL, SPARED, SPARED_SINCE, PLACE, PLACED_AT, CLASS_OF, SURE_UNTIL = range(5, 17)
RUNNING_COLUMNS: Final = 17


class Arrays:
    """The tables of one snapshot. Once it is finished they stay as they are: the next one has copies of what changes.

    `shares` are the rows of `structure` and `granted`.
    """

    def __init__(self, axes: Axes) -> None:
        self.axes: Final = axes
        self.names = Names()
        self.queue: Table[RequestId] = Table(TOTAL + axes.width)
        self.processes: Table[tuple[RequestId, int]] = Table(SHAPE_OF_PROCESS + axes.width)
        self.running: Table[RequestId] = Table(RUNNING_COLUMNS)
        self.days: Table[tuple[ShareId, PoolId, int]] = Table(4)
        self.credit: Table[AllocationId] = Table(5)
        self.outcomes: Table[tuple[PoolId, int]] = Table(2 + LEARNT_COLUMNS)
        self.grounds: Mapping[PoolId, Ground] = {}
        self.ratios: Ints = np.zeros(0, dtype=np.int64)
        self.shares: tuple[Share, ...] = ()
        self.structure = Structure((), axes)
        self.granted: Ints = np.zeros((0, axes.width), dtype=np.int64)

    def branch(self, *tables: str) -> Arrays:
        """Return arrays of their own in which these tables may be changed."""
        after = Arrays.__new__(Arrays)
        after.__dict__.update(self.__dict__)
        for table in tables:
            setattr(after, table, getattr(self, table).copy())
        return after

    def apart(self) -> Arrays:
        """Return the same tables for somebody who asks what would be if: what is named there is named nowhere else."""
        twin = self.branch()
        twin.names = self.names.apart()
        return twin

    def put_request(self, request: Request, slots: Iterable[Process]) -> None:
        """Write a request where it belongs by its state, with its slots."""
        if request.state is not State.PENDING:
            self.queue.drop(request.id)
        else:
            self.queue.put(request.id, _pending_row(request, self.axes, self.names))
        if request.state is not State.PLACED:
            self.running.drop(request.id)
            return
        own = tuple(slots)
        self.running.put(request.id, _running_row(request, own, self.names))
        for slot in own:
            self.put_process(request, slot)

    def put_process(self, request: Request, slot: Process) -> None:
        """Write a slot of a placed request; one that was told to leave is gone earlier than the others."""
        row = self.grounds[request.pool].row_of.get(slot.node, NOWHERE) if request.pool in self.grounds else NOWHERE
        since = slot.charged_until or slot.started or 0
        deadline = request.deadline or 0
        leaves = deadline if slot.wanted or slot.stop_by is None else min(deadline, slot.stop_by)
        life = row, since, int(request.ending is not None), leaves, _lent(request, slot)
        columns = (*_belongs(request, self.names), *life, *self.axes.row(slot.shape, 1))
        self.processes.put((request.id, slot.ordinal), columns)

    def put_nodes(self, nodes: Sequence[Node]) -> bool:
        """Write nodes; tell whether any of them is new in its pool, so that rows of nodes have moved."""
        if not nodes:
            return False
        by_pool: dict[PoolId, list[Node]] = {pool: [] for pool in self.grounds}
        for node in nodes:
            by_pool.setdefault(node.pool, []).append(node)
        names = {node.id for node in nodes}
        moved = False
        for pool, some in by_pool.items():
            before = self.ground(pool)
            left = names.intersection(before.nodes).difference(node.id for node in some)
            staying = before.without(left, self.axes) if left else before
            after = staying.with_nodes(some, self.axes) if some else staying
            moved = moved or after.ids != before.ids
            self.grounds = {**self.grounds, pool: after}
        return moved

    def put_shares(self, shares: Mapping[Vertex, Share], news: Sequence[Share]) -> None:
        """Write what is granted of some shares; all anew where quotas changed, too."""
        if not news:
            return
        before = self.structure.row_of
        known = [(before.get((share.id, share.pool)), share) for share in news]
        if any(row is None or _differs(self.shares[row], share) for row, share in known):
            self.shares = tuple(shares.values())
            self.structure = Structure(self.shares, self.axes)
            rows = [self.axes.row(share.granted) for share in self.shares]
            self.granted = np.array(rows, dtype=np.int64).reshape(-1, self.axes.width)
            return
        self.granted = self.granted.copy()
        for row, share in known:
            assert row is not None, share
            self.granted[row] = self.axes.row(share.granted)

    def put_allocation(self, allocation: Allocation) -> None:
        """Write what an allocation has."""
        payer = self.names.payers.of(allocation.project)
        self.credit.put(allocation.id, (payer, allocation.begins, allocation.ends, allocation.available))

    def put_day(self, day: DayOfUse) -> None:
        """Write what a share used on a day."""
        vertex = self.names.vertices.of((day.share, day.pool))
        self.days.put((day.share, day.pool, day.day), (vertex, day.day, day.ppm_seconds))

    def put_ratios(self, person: PersonId, permille: int) -> None:
        """Write which part of what it had asked for a person's work ran lately, in thousandths, whatever its class."""
        numbers = [self.names.by_person.of((person, one)) for one in CLASSES]
        self.ratios = self._ratios_of_all()
        self.ratios[numbers] = permille

    def ratios_of(self, by_person: Ints) -> Ints:
        """Return that part for numbers of people with their class: all of it of whom nothing is known."""
        known = self.ratios if len(self.ratios) >= len(self.names.by_person) else self._ratios_of_all()
        return np.asarray(known[by_person])

    def _ratios_of_all(self) -> Ints:
        more = np.full(len(self.names.by_person) - len(self.ratios), WHOLE_RATIO, dtype=np.int64)
        return np.concatenate((self.ratios, more))

    def put_outcome(self, outcome: Outcome) -> None:
        """Write what an estimate came to, in place of the oldest one that is kept of its pool."""
        row = (self.names.pools.of(outcome.pool), *learnt_row(outcome))
        self.outcomes.put((outcome.pool, outcome.slot), row)

    def learnt(self, pool: PoolId) -> Ints:
        """Return what is to be learnt from in a pool, one row an outcome as a `Forecaster` takes them."""
        cells = self.outcomes.cells
        mine = (cells[:, ALIVE] == 1) & (cells[:, POOL] == self.names.pools.of(pool))
        return np.asarray(cells[mine, POOL + 1 :])

    def lent(self) -> Ints:
        """Return the elastic workers of all pools, and everything that was told to leave, as rows of processes."""
        cells = self.processes.cells
        return np.asarray(cells[(cells[:, ALIVE] == 1) & (cells[:, LENT] > 0)])

    def held_by_lent(self) -> Ints:
        """Return by vertex what elastic workers of an institution hold, and who was told to leave."""
        cells = self.lent()
        found = np.zeros((len(self.names.vertices), self.axes.width), dtype=np.int64)
        np.add.at(found, cells[:, INSTITUTION], cells[:, SHAPE_OF_PROCESS:])
        return found

    def own_left(self, granted: Ints, lent: Ints) -> Ints:
        """Return by vertex what of its effective nominal quota an institution is not guaranteed, of what is `granted`.

        Elastic workers, which hold what is `lent`, take none of it. It is below zero where an institution borrows, or
        owns nothing.
        """
        rows = self.names.rows_of(self.structure)[: len(lent)]
        left = np.asarray(self.structure.effective[rows] - granted[rows] + lent)
        left[:, PLACES] = PLENTY
        left[rows == NOBODY] = -1
        return left

    def wholes(self) -> Ints:
        """Return what the center has in each pool, one row for each pool's number: the quota of its own share."""
        known, found = self.names.wholes
        if known is not self.structure or len(found) < len(self.names.pools):
            roots = self.structure.levels[0] if self.structure.levels else np.zeros(0, dtype=np.int64)
            pools = [self.names.pools.of(self.structure.keys[row][1]) for row in roots]
            found = np.zeros((len(self.names.pools), self.axes.width), dtype=np.int64)
            found[pools] = self.structure.nominal[roots] if pools else 0
            self.names.wholes = self.structure, found
        return found

    def ground(self, pool: PoolId) -> Ground:
        """Return the nodes of a pool, which may be none."""
        return self.grounds.get(pool) or Ground((), self.axes)

    def gang(self, shape: int) -> Gang:
        """Return the gang of a shape by its number, in rows that nobody changes."""
        return self.names.gang(shape, self.axes)

    def grants(self) -> Grants:
        """Return what is granted, for a plan to add to."""
        return Grants.of(self.structure, self.granted)


def _pending_row(request: Request, axes: Axes, names: Names) -> tuple[int, ...]:
    shape = shape_of(request)
    return (
        *_belongs(request, names),
        names.payers.of(request.project),
        request.walltime_seconds,
        request.submitted + request.held_seconds,
        request.submitted,
        HELD_BY_USER * request.user_hold + HELD_BY_OPERATOR * request.operator_hold,
        request.not_before or 0,
        names.codes.of(request.reasons),
        names.shapes.of(shape),
        names.priced.of(Priced(shape, request.walltime_seconds, request.request_class)),
        request.promise.starts if request.promise else 0,
        names.spots.of((request.pool, request.booking)),
        int(request.is_requeued),
        int(request.workers_max > request.workers_min),
        UNKNOWN if request.overtaking_seconds is None else request.overtaking_seconds,
        request.estimate.run_seconds if request.estimate else 0,
        *axes.row(request.gang_total(), request.workers_min + 1),
    )


def _running_row(request: Request, slots: Iterable[Process], names: Names) -> tuple[int, ...]:
    return (
        names.pools.of(request.pool),
        names.by_person.of((request.person, request.request_class)),
        int(request.ending is not None or request.makes_way),
        request.deadline or 0,
        request.workers_wanted,
        sum(map(works, slots)),
        request.workers_min,
        names.vertices.of((ShareId(request.institution), request.pool)),
        names.shapes.of(shape_of(request)),
        UNKNOWN if request.parallel_fraction is None else request.parallel_fraction,
        request.spared_milliseconds,
        request.spared_since or 0,
        names.spots.of((request.pool, request.booking)),
        request.placed or 0,
        CLASSES.index(request.request_class),
        request.guaranteed_until or request.deadline or 0,
    )


def works(slot: Process) -> bool:
    """Tell whether a slot is a worker's that is to go on."""
    return slot.wanted and slot.part is not Part.HEAD


def _lent(request: Request, slot: Process) -> int:
    if request.makes_way or not slot.wanted:
        return LEAVING
    return ELASTIC if slot.part is Part.ELASTIC else KEPT


def _belongs(request: Request, names: Names) -> tuple[int, ...]:
    """Return the columns POOL to INSTITUTION."""
    return (
        names.pools.of(request.pool),
        CLASSES.index(request.request_class),
        names.by_person.of((request.person, request.request_class)),
        names.vertices.of((ShareId(request.project), request.pool)),
        names.vertices.of((ShareId(request.institution), request.pool)),
    )


def _differs(before: Share, after: Share) -> bool:
    return before.parent != after.parent or before.quota != after.quota
