"""Idle capacity for running clusters that want more workers, shared out between institutions and inside them."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from quotas.grants import NOBODY
from registry.axes import Bools, Floats, Ints, parts
from registry.ids import PoolId, RequestId
from scheduler import arrays as columns
from scheduler.clearing import Bidders, cleared
from scheduler.clusters import Cluster, Part, Process
from scheduler.evacuation import staying, uprooted
from scheduler.fitting import times
from scheduler.names import UNKNOWN, Spot
from scheduler.plan import Growth
from scheduler.requests import Request
from scheduler.room import Room
from scheduler.scaling import WHOLE_FRACTION, gains, spared_milliseconds
from scheduler.snapshot import Snapshot

_ENOUGH: Final = 50
"""Halvings until it is clear what everybody gets."""


Spender = tuple[str, PoolId]
"""An institution in a pool."""


def asked_next(placed: Iterable[Request]) -> frozenset[Spender]:
    """Return the institutions of which somebody was just placed who wants more: they are asked in the next cycle."""
    return frozenset((one.institution, one.pool) for one in placed if one.workers_wanted > one.workers_min)


def share_out(room: Room, apart: Collection[RequestId], later: Collection[Spender] = frozenset()) -> Iterator[Growth]:
    """Give elastic workers, one at a time, to the institution that holds the least of its entitlement.

    Weighted max-min on dominant shares (Ghodsi et al., "Dominant Resource Fairness", NSDI 2011). Inside one
    institution a price says how many each of its clusters should have (`scheduler.clearing`); those below that come
    first, by the least estimated work left. Nobody gives back anything for others to grow, but what may pass on
    (`scheduler.leveling`). A cluster that cannot be given one more is not asked again, and those `apart` and of
    institutions that are asked `later` are not asked at all. What is given only ever raises an institution's part.
    """
    households = {one.name(room): one for one in _households(room, apart)}
    queue = [(one.satisfaction(room), name, one) for name, one in households.items() if name[:2] not in later]
    heapq.heapify(queue)
    while queue:
        _, name, household = queue[0]
        if not household.give(room, at_once=len(queue) == 1):
            heapq.heappop(queue)
            continue
        heapq.heapreplace(queue, (household.satisfaction(room), name, household))
    for _, household in sorted(households.items()):
        yield from household.growths(room)


@dataclass(slots=True)
class _Household:
    """The clusters of one institution in one spot that share what it gets: rows of `running`, in order.

    `steps` says how many more workers a row may get now, before the next step.
    """

    owner: int
    share: int
    spot: Spot
    steps: Iterator[tuple[int, int]]
    row: int = NOBODY
    left: int = 0
    given: dict[int, list[Process]] = field(default_factory=dict)
    clusters: dict[int, tuple[Cluster, int]] = field(default_factory=dict)
    refused: set[int] = field(default_factory=set)

    def name(self, room: Room) -> tuple[str, str, str]:
        """Return whose household it is, of what pool, and of which booking."""
        share, pool = room.arrays.names.vertices.key(self.owner)
        return share, pool, self.spot[1] or ""

    def satisfaction(self, room: Room) -> float:
        """Return what the institution holds as a multiple of its nominal quota."""
        held, entitled = held_and_entitled(room, self.share, self.spot)
        return held / entitled if entitled else float("inf")

    def give(self, room: Room, *, at_once: bool) -> bool:
        """Give a worker, or all at once, to the next cluster that can be given one; tell whether any could."""
        while True:
            if self.left and self.row not in self.refused:
                more = self._grown(room, self.left if at_once else 1)
                if more:
                    self.given.setdefault(self.row, []).extend(more)
                    self.left -= len(more)
                    return True
                self.refused.add(self.row)
            step = next(self.steps, None)
            if step is None:
                return False
            self.row, self.left = step

    def growths(self, room: Room) -> Iterator[Growth]:
        """Yield what each cluster was given."""
        for row, processes in self.given.items():
            cluster, _ = self.clusters[row]
            has = sum(worker.wanted for worker in cluster.workers)
            spared = spared_milliseconds(cluster.request, has, room.policy, room.now)
            yield Growth(request=cluster.request, processes=tuple(processes), spared_milliseconds=spared)

    def _grown(self, room: Room, count: int) -> tuple[Process, ...]:
        if self.row not in self.clusters:
            snapshot = room.snapshot
            cluster = snapshot.cluster(snapshot.requests[snapshot.arrays.running.key(self.row)])
            kept = [one for one in staying(snapshot, cluster) if one.wanted and one.part is Part.GUARANTEED]
            self.clusters[self.row] = cluster, cluster.request.workers_min - len(kept)
        cluster, owed = self.clusters[self.row]
        more = len(self.given.get(self.row, ()))
        part = Part.GUARANTEED if more < owed else Part.ELASTIC
        count = min(count, owed - more) if part is Part.GUARANTEED else count
        return room.grow(cluster, cluster.request.next_ordinal + more, part, count)


def _households(room: Room, apart: Collection[RequestId]) -> list[_Household]:
    """Return who wants more where something that fits is free, with what each cluster should be given."""
    table = room.arrays.running
    cells = table.cells
    has = staying_workers(room.snapshot, cells)
    hungry = (cells[:, columns.ALIVE] == 1) & (cells[:, columns.CLOSING] == 0) & (cells[:, columns.WANTED] > has)
    if not hungry.any():
        return []
    hungry[[table.row(one) for one in apart if one in table]] = False
    rows = np.flatnonzero(hungry)
    rows = rows[_fitting(room, cells[rows])]
    found: list[_Household] = []
    for number in np.unique(cells[rows, columns.PLACE]):
        here = rows[cells[rows, columns.PLACE] == number]
        found += _households_at(room, room.arrays.names.spots.key(int(number)), here, has)
    return found


def _households_at(room: Room, spot: Spot, rows: Ints, has: Ints) -> Iterator[_Household]:
    cells, names = room.arrays.running.cells, room.arrays.names
    numbers = [int(one) for one in np.unique(cells[rows, columns.OWNER])]
    groups = [rows[cells[rows, columns.OWNER] == number] for number in numbers]
    shares = [int(names.rows_of(room.arrays.structure)[number]) for number in numbers]
    demands = [
        float((worker_weights(room, cells[some]) * (cells[some, columns.WANTED] - has[some])).sum()) for some in groups
    ]
    held = [held_and_entitled(room, share, spot) for share in shares]
    budgets = _filled(held, demands, _free(room, spot))
    for number, share, some, more in zip(numbers, shares, groups, budgets, strict=True):
        yield _Household(number, share, spot, _steps(room, (number, spot), some, has, more))


def _steps(room: Room, whose: tuple[int, Spot], hungry: Ints, has: Ints, more: float) -> Iterator[tuple[int, int]]:
    """Yield which cluster gets how many workers, first up to what one price gives all of the institution, then beyond.

    `more` is the weight that the institution will get besides what its clusters have.
    """
    rows = sharing(room, *whose, has, hungry)
    targets = worth_the_same(room, rows, has, more)
    asks = np.isin(rows, hungry)
    wanted = room.arrays.running.cells[rows, columns.WANTED]
    for goal in (_least(room, rows), targets, wanted):
        for at in np.flatnonzero(asks & (goal > has[rows])):
            row = int(rows[at])
            yield row, int(goal[at] - has[row])
            has[row] = goal[at]


def sharing(room: Room, owner: int, spot: Spot, has: Ints, hungry: Ints) -> Ints:
    """Return the clusters of an institution in a spot among which workers can move, the least work left first.

    They are rows of `running`: those that want more than their least, and those that are `hungry`.
    """
    cells, place = room.arrays.running.cells, room.arrays.names.spots.of(spot)
    own = (cells[:, columns.OWNER] == owner) & (cells[:, columns.PLACE] == place) & (cells[:, columns.ALIVE] == 1)
    shares = own & (cells[:, columns.CLOSING] == 0) & (cells[:, columns.WANTED] > cells[:, columns.LEAST])
    shares[hungry] = True
    rows = np.flatnonzero(shares)
    return np.array(room.arrays.running.sorted(rows, (work_left(room, rows, has),)), dtype=np.int64)


def worth_the_same(room: Room, rows: Ints, has: Ints, more: float) -> Ints:
    """Return how many workers each of some clusters, in their order, should have if they get a weight `more`."""
    cells = room.arrays.running.cells[rows]
    bidders = Bidders(
        fraction=fractions(room, cells),
        weight=worker_weights(room, cells),
        least=_least(room, rows),
        most=cells[:, columns.WANTED],
    )
    return cleared(bidders, bidders.takes(has[rows]) + more)


def _least(room: Room, rows: Ints) -> Ints:
    cells = room.arrays.running.cells[rows]
    return np.asarray(np.minimum(cells[:, columns.LEAST], cells[:, columns.WANTED]))


def work_left(room: Room, rows: Ints, has: Ints) -> Floats:
    """Return an estimate of what some running clusters have left to do: what it takes on their smallest number.

    In millionths of the pool times seconds. A cluster is taken to need its walltime on that number.
    """
    cells = room.arrays.running.cells[rows]
    least, since = np.maximum(cells[:, columns.LEAST], 1), cells[:, columns.SPARED_SINCE]
    elapsed = np.where(since > 0, np.maximum(room.now - since, 0), 0)
    spared = cells[:, columns.SPARED] / 1000 + elapsed * gains(has[rows], least, fractions(room, cells))
    left = np.maximum(cells[:, columns.RUNS_UNTIL] - room.now - spared, 1.0)
    return np.asarray(left * least * worker_weights(room, cells))


def expected_seconds(room: Room, rows: Ints, has: Ints) -> Floats:
    """Return an estimate of how long some running clusters go on with the workers that they have."""
    cells = room.arrays.running.cells[rows]
    least = np.maximum(cells[:, columns.LEAST], 1)
    alone = work_left(room, rows, has) / (least * worker_weights(room, cells))
    return np.asarray(alone / (1 + gains(has[rows], least, fractions(room, cells))))


def fractions(room: Room, cells: Ints) -> Floats:
    """Return what part of its work each running cluster can share, as far as anybody knows."""
    said = cells[:, columns.PARALLEL]
    return np.asarray(np.where(said == UNKNOWN, room.policy.parallel_fraction, said) / WHOLE_FRACTION)


def worker_weights(room: Room, cells: Ints) -> Floats:
    """Return the dominant share of one worker of each running cluster, in millionths of its pool, at least 1."""
    if not len(cells):
        return np.zeros(0)
    gangs, which = np.unique(cells[:, columns.GANG], return_inverse=True)
    shapes = [room.arrays.names.shapes.key(int(one)) for one in gangs]
    workers = np.array([room.arrays.axes.row(worker, 1) for _, _, worker, _ in shapes])
    pools = [room.arrays.names.pools.of(pool) for pool, *_ in shapes]
    return np.asarray(np.maximum(parts(workers, room.wholes[pools]), 1.0)[which.reshape(-1)])


def anybody_may_want(snapshot: Snapshot) -> bool:
    """Tell whether any running cluster may want more workers than it has where they can stay."""
    running = snapshot.arrays.running
    if any(ground.any_emptied for ground in snapshot.arrays.grounds.values()):
        return True
    return running.found("wanting", (), lambda: _want(running.cells))


def _want(cells: Ints) -> bool:
    return bool((cells[:, columns.WANTED] > cells[:, columns.HAS]).any())


def staying_workers(snapshot: Snapshot, cells: Ints) -> Ints:
    """Return how many workers each running cluster, a row of `running` each, has where they can stay."""
    has = cells[:, columns.HAS].copy()
    for cluster in uprooted(snapshot):
        kept = sum(worker.wanted for worker in staying(snapshot, cluster))
        has[snapshot.arrays.running.row(cluster.request.id)] = kept
    return np.asarray(has)


def with_growths(room: Room, growths: Iterable[Growth]) -> Ints:
    """Return how many workers each running cluster, a row of `running` each, has with what it was given now."""
    has = staying_workers(room.snapshot, room.arrays.running.cells)
    for growth in growths:
        has[room.arrays.running.row(growth.request.id)] += len(growth.processes)
    return has


def _fitting(room: Room, cells: Ints) -> Bools:
    """Tell which clusters' workers would fit on any node now."""
    result = np.zeros(len(cells), dtype=bool)
    shapes = len(room.arrays.names.shapes)
    keys = cells[:, columns.PLACE] * shapes + cells[:, columns.GANG]
    for key in np.unique(keys):
        place, gang = divmod(int(key), shapes)
        free = room.floor(room.arrays.names.spots.key(place)).timeline.free
        worker = np.array(room.arrays.axes.row(room.arrays.names.shapes.key(gang)[2], 1))
        result[keys == key] = bool(len(free) and times(free, worker).any())
    return result


def _free(room: Room, spot: Spot) -> float:
    free = np.maximum(room.floor(spot).timeline.free, 0).sum(axis=0)
    return float(parts(free, room.wholes[room.arrays.names.pools.of(spot[0])]))


def held_and_entitled(room: Room, share: int, spot: Spot) -> tuple[float, float]:
    """Return the dominant shares of what a share holds and of what it is entitled to, in millionths of the pool."""
    if share == NOBODY:
        return 0.0, 0.0
    whole = room.wholes[room.arrays.names.pools.of(spot[0])]
    return float(parts(room.grants.granted[share], whole)), float(parts(room.arrays.structure.nominal[share], whole))


def _filled(held: Sequence[tuple[float, float]], demands: Sequence[float], free: float) -> list[float]:
    """Return what each gets of something free if whoever holds the least of its entitlement is given first."""
    if sum(demands) <= free or len(demands) == 1:
        return [min(demand, free) for demand in demands]

    def given(level: float) -> list[float]:
        return [
            min(demand, max(0.0, level * (entitled or 1.0) - has))
            for (has, entitled), demand in zip(held, demands, strict=True)
        ]

    low, high = 0.0, max(has + demand for (has, _), demand in zip(held, demands, strict=True)) + 1.0
    for _ in range(_ENOUGH):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(given(middle)) <= free else (low, middle)
    return given(low)
