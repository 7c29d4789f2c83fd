"""What a cycle asks of many at once: the facts of a snapshot as tables, kept current fact by fact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from quotas.allocations import Allocation
from quotas.grants import NOBODY, Grants, Structure
from quotas.rates import RateCard, price_of_all
from quotas.tree import Share
from registry.axes import Axes, Ints
from registry.centers import Node
from registry.ids import AllocationId, BookingId, PersonId, PoolId, ProjectId, RequestId, ShareId
from registry.resources import Resources
from scheduler.clusters import Part, Process
from scheduler.estimates import Outcome
from scheduler.facts import DayOfUse
from scheduler.fitting import Gang
from scheduler.forecasting import LEARNT_COLUMNS, learnt_row
from scheduler.ground import Ground
from scheduler.policy import ClassRule
from scheduler.requests import Draft, Request, RequestClass, State
from scheduler.tables import ALIVE, Numbers, Table

__all__ = ["ALIVE", "CLASSES"]

CLASSES: Final = tuple(RequestClass)
NOT_SOLD: Final = -1
UNKNOWN: Final = -1
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


class Prices:
    """What gangs cost by one rate card and the price factors of classes: each is worked out once."""

    def __init__(self, card: RateCard | None, classes: Mapping[RequestClass, ClassRule]) -> None:
        self.card: Final = card
        self.classes: Final = classes
        self.dearest = 0
        self.sells_all = True
        self._known: Ints = np.zeros(0, dtype=np.int64)

    def of(self, one: Priced) -> int:
        """Return the price of holding a gang for its time, NOT_SOLD where its pool has no rule."""
        pool, head, worker, count = one.shape
        rule = self.card.rule(pool) if self.card else None
        if rule is None:
            return NOT_SOLD
        percent = self.classes[one.request_class].price_percent
        return price_of_all(rule, (head,) + (worker,) * count, one.seconds, percent=percent)

    def of_all(self, gangs: Numbers[Priced]) -> Ints:
        """Return the price of each gang, by its number."""
        known = self._known
        if len(known) < len(gangs):
            # Of threads that find this out at the same time each adds to what it knew: nothing is added twice.
            more = [self.of(one) for one in gangs.since(len(known))]
            self.dearest, self.sells_all = max(self.dearest, *more), self.sells_all and NOT_SOLD not in more
            known = self._known = np.concatenate([known, np.array(more, dtype=np.int64)])
        return known

    def apart(self) -> Prices:
        """Return what is known for somebody who adds gangs that nobody else is to know."""
        twin = Prices(self.card, self.classes)
        twin.dearest, twin.sells_all, twin._known = self.dearest, self.sells_all, self._known
        return twin


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
        self._rows: tuple[Structure | None, Ints, bool] = None, np.zeros(0, dtype=np.int64), True
        self._gangs: dict[int, Gang] = {}
        self._totals: Ints = np.zeros(0, dtype=np.int64)
        self.memory: Final[dict[Spot, object]] = {}
        """What whoever sets things aside remembers of the last cycle."""
        self._codes_of_bits: Ints = np.zeros(0, dtype=np.int64)
        self._prices = Prices(None, {})

    def apart(self) -> Names:
        """Return the same numbers for somebody who adds some that nobody else is to know."""
        twin = Names.__new__(Names)
        for name, value in vars(self).items():
            kept = value.apart() if isinstance(value, Numbers | Prices) else value
            setattr(twin, name, dict(value) if isinstance(value, dict) else kept)
        return twin

    def rows_of(self, structure: Structure) -> Ints:
        """Return for each vertex that was mentioned its row in the structure, NOBODY for those that have none."""
        return self._rows_in(structure)[1]

    def all_have_shares(self, structure: Structure) -> bool:
        """Tell whether each vertex that was mentioned has a row in the structure."""
        return self._rows_in(structure)[2]

    def _rows_in(self, structure: Structure) -> tuple[Structure | None, Ints, bool]:
        known = self._rows
        if known[0] is not structure or len(known[1]) < len(self.vertices):
            found = [structure.row_of.get(vertex, NOBODY) for vertex in self.vertices]
            known = self._rows = structure, np.array(found, dtype=np.int64), NOBODY not in found
        return known

    def codes_of_bits(self, kinds: int) -> Ints:
        """Return a place for the number of the codes of every choice of so many kinds, UNKNOWN until it is filled."""
        if not len(self._codes_of_bits):
            self._codes_of_bits = np.full(1 << kinds, UNKNOWN, dtype=np.int64)
        return self._codes_of_bits

    def totals(self, axes: Axes) -> Ints:
        """Return what each gang takes altogether, by the number of its shape."""
        known = self._totals
        if len(known) < (count := len(self.shapes)):
            # Threads share names: what one adds meanwhile, another may work out again, and nothing is added twice.
            more = [self.gang(shape, axes).total for shape in range(len(known), count)]
            known = self._totals = np.concatenate((known.reshape(-1, axes.width), more))
        return known

    def gang(self, shape: int, axes: Axes) -> Gang:
        """Return the gang of a shape by its number; all who share these names have the same axes."""
        if (gang := self._gangs.get(shape)) is None:
            _, head, worker, count = self.shapes.key(shape)
            gang = self._gangs[shape] = Gang.of_shapes(head, worker, count, axes)
        return gang

    def prices_by(self, card: RateCard | None, classes: Mapping[RequestClass, ClassRule]) -> Prices:
        """Return what gangs cost by a card, as it was asked last if it was asked of the same."""
        if self._prices.card is not card or self._prices.classes is not classes:
            self._prices = Prices(card, classes)
        return self._prices


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
