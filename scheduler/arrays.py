"""What a cycle asks of many at once: the facts of a snapshot as tables, kept current fact by fact."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Final

import numpy as np

from quotas.allocations import Allocation
from quotas.grants import NOBODY, Grants, Structure
from quotas.rates import RateRule, price_of_all
from quotas.tree import Share
from registry.axes import PLENTY, Axes, Bools, Ints
from registry.centers import Node, NodeState
from registry.ids import AllocationId, BookingId, NodeId, PersonId, PoolId, ProjectId, RequestId, ShareId
from registry.resources import Resources
from scheduler.clusters import Part, Process
from scheduler.facts import DayOfUse
from scheduler.requests import Draft, Request, RequestClass, State
from scheduler.tables import ALIVE, Numbers, Table

__all__ = ["ALIVE", "CLASSES"]

CLASSES: Final = tuple(RequestClass)
NOT_SOLD: Final = -1
UNKNOWN: Final = -1
NOWHERE: Final = -1
"""The row of a node that is not there."""

# The columns of a pending request; the total of its gang follows.
POOL, CLASS, BY_PERSON, SHARE, INSTITUTION, PAYER, WALLTIME, SINCE = range(1, 9)
SUBMITTED, HELD, NOT_BEFORE, CODES, SHAPE, PRICED, PROMISED, SPOT, REQUEUED = range(9, 18)
TOTAL: Final = 18
HELD_BY_USER, HELD_BY_OPERATOR = 1, 2

# The columns of a process of a running cluster; its shape follows.
NODE, COUNTED_SINCE, ENDING, DEADLINE, LENT = 6, 7, 8, 9, 10
SHAPE_OF_PROCESS: Final = 11
KEPT, ELASTIC, LEAVING = 0, 1, 2
"""Whether a process stays to the end of its time, may be taken back, or was told to leave."""

# The columns of a running cluster: how many workers it wants and has, and what sharing asks of it.
CLOSING, RUNS_UNTIL = 3, 4
WANTED, HAS, LEAST, OWNER, GANG, PARALLEL, SPARED, SPARED_SINCE, PLACE, PLACED_AT, CLASS_OF, SURE_UNTIL = range(5, 17)
RUNNING_COLUMNS: Final = 17

Spot = tuple[PoolId, BookingId | None]
"""Where requests may go: to the nodes of a pool, or to those of a booking there."""
Vertex = tuple[ShareId, PoolId]
ByPerson = tuple[PersonId, RequestClass]
Shape = tuple[PoolId, Resources, Resources, int]
"""All that matters of a gang to nodes: its pool, its head, its worker, and how many of them."""


@dataclass(frozen=True, slots=True)
class Priced:
    """All that matters of a gang to its price."""

    shape: Shape
    seconds: int
    request_class: RequestClass


@dataclass(frozen=True, slots=True)
class Prices:
    """What gangs cost by the rules in force."""

    rules: Mapping[PoolId, RateRule]
    percents: Mapping[RequestClass, int]

    def of(self, one: Priced) -> int:
        """Return the price of holding a gang for its time, NOT_SOLD where its pool has no rule."""
        pool, head, worker, count = one.shape
        rule = self.rules.get(pool)
        if rule is None:
            return NOT_SOLD
        return price_of_all(rule, (head,) + (worker,) * count, one.seconds, percent=self.percents[one.request_class])


class Ground:
    """The nodes of one pool, by id, and what is free on each: a row of nothing where one takes no new work."""

    def __init__(self, nodes: Iterable[Node], axes: Axes) -> None:
        self.nodes: Final = {node.id: node for node in sorted(nodes, key=lambda node: node.id)}
        self.ids: Final = tuple(self.nodes)
        self.row_of: Final = {node: row for row, node in enumerate(self.ids)}
        rows = [_free(node, axes) for node in self.nodes.values()]
        self.free: Final[Ints] = np.array(rows, dtype=np.int64).reshape(-1, axes.width)
        whole = [axes.row(node.capacity, _places(node)) for node in self.nodes.values()]
        self.capacity: Final[Ints] = np.array(whole, dtype=np.int64).reshape(-1, axes.width)
        self.ready: Final[Bools] = np.array([_is_ready(node) for node in self.nodes.values()], dtype=bool)
        self.emptied: Final[Bools] = np.array([_is_emptied(node) for node in self.nodes.values()], dtype=bool)

    def with_nodes(self, changed: Iterable[Node], axes: Axes) -> Ground:
        """Return the ground with some nodes in place of what they were; new ones make it anew."""
        news = {node.id: node for node in changed}
        if not news.keys() <= self.nodes.keys():
            return Ground((self.nodes | news).values(), axes)
        after = copy(self)
        after.nodes, after.ready = self.nodes | news, self.ready.copy()  # type: ignore[misc]
        after.emptied = self.emptied.copy()  # type: ignore[misc]
        after.free, after.capacity = self.free.copy(), self.capacity.copy()  # type: ignore[misc]
        for node in news.values():
            after.free[self.row_of[node.id]] = _free(node, axes)
            after.capacity[self.row_of[node.id]] = axes.row(node.capacity, _places(node))
            after.ready[self.row_of[node.id]] = _is_ready(node)
            after.emptied[self.row_of[node.id]] = _is_emptied(node)
        return after

    def without(self, left: Collection[NodeId], axes: Axes) -> Ground:
        """Return the ground without nodes that are in another pool now."""
        return Ground((node for node in self.nodes.values() if node.id not in left), axes)


class Names:
    """Numbers of everything that requests refer to, shared by all snapshots that come of one another."""

    def __init__(self) -> None:
        self.pools: Final[Numbers[PoolId]] = Numbers()
        self.spots: Final[Numbers[Spot]] = Numbers()
        self.vertices: Final[Numbers[Vertex]] = Numbers()
        self.payers: Final[Numbers[ProjectId]] = Numbers()
        self.by_person: Final[Numbers[ByPerson]] = Numbers()
        self.codes: Final[Numbers[tuple[str, ...]]] = Numbers()
        self.shapes: Final[Numbers[Shape]] = Numbers()
        self.priced: Final[Numbers[Priced]] = Numbers()
        self.wholes: tuple[Structure | None, Ints] = None, np.zeros((0, 0), dtype=np.int64)
        self._rows: tuple[Structure | None, Ints] = None, np.zeros(0, dtype=np.int64)
        self._prices: tuple[object, Ints] = None, np.zeros(0, dtype=np.int64)

    def rows_of(self, structure: Structure) -> Ints:
        """Return for each vertex that was mentioned its row in the structure, NOBODY for those that have none."""
        known, rows = self._rows
        if known is not structure or len(rows) < len(self.vertices):
            found = [structure.row_of.get(vertex, NOBODY) for vertex in self.vertices]
            rows = np.array(found, dtype=np.int64)
            self._rows = structure, rows
        return rows

    def prices(self, prices: Prices) -> Ints:
        """Return the price of each gang that was mentioned, NOT_SOLD where there is none for its pool."""
        known, found = self._prices
        if known != prices:
            found = found[:0]
        if len(found) < len(self.priced):
            more = [prices.of(one) for one in self.priced.since(len(found))]
            found = np.concatenate([found, np.array(more, dtype=np.int64)])
        self._prices = prices, found
        return found


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
        self.grounds: Mapping[PoolId, Ground] = {}
        self.shares: tuple[Share, ...] = ()
        self.structure = Structure((), axes)
        self.granted: Ints = np.zeros((0, axes.width), dtype=np.int64)

    def branch(self, *tables: str) -> Arrays:
        """Return arrays of their own in which these tables may be changed."""
        after = copy(self)
        for table in tables:
            setattr(after, table, getattr(self, table).copy())
        return after

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
        names, nobody = {node.id for node in nodes}, Ground((), self.axes)
        moved = False
        for pool, some in by_pool.items():
            before = self.grounds.get(pool, nobody)
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

    def grants(self) -> Grants:
        """Return what is granted, for a plan to add to."""
        return Grants.of(self.structure, self.granted)


def shape_of(draft: Draft) -> Shape:
    """Return all that matters of a gang to nodes."""
    return draft.pool, draft.head, draft.worker, draft.workers_min


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


def _places(node: Node) -> int:
    return PLENTY if node.places is None else node.places


def _is_ready(node: Node) -> bool:
    return node.state is NodeState.READY


def _is_emptied(node: Node) -> bool:
    return node.state is NodeState.DRAINING


def _free(node: Node, axes: Axes) -> tuple[int, ...]:
    if not _is_ready(node):
        return (0,) * axes.width
    return axes.row(node.free, _places(node))


def _differs(before: Share, after: Share) -> bool:
    return before.parent != after.parent or before.quota != after.quota
