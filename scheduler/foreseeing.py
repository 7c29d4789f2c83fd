"""When requests of a snapshot start that nodes alone let wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

import numpy as np

from registry.axes import Floats, Ints, parts
from registry.ids import PoolId, RequestId, Seconds
from scheduler import arrays as columns
from scheduler.estimates import Estimate
from scheduler.forecasting import Forecaster
from scheduler.ordering import Standings
from scheduler.outlook import Load, Queue, signs_of
from scheduler.overtaking import likely_seconds
from scheduler.plan import Plan
from scheduler.reasons import NodesFull, OthersFirst, SetAside, WouldDelayReserved
from scheduler.requests import Request
from scheduler.snapshot import Snapshot

_ONLY_NODES: Final = frozenset({NodesFull.code, SetAside.code, WouldDelayReserved.code, OthersFirst.code})
_MOST_AT_ONCE: Final = 1000
"""So many get an estimate in one cycle: a flood of requests must not hold up the starts of others."""
_MILLION: Final = 1_000_000
_FIRST_SECONDS: Final = 60.0
"""What has just begun is predicted to run for so long."""


def with_estimates(plan: Plan, snapshot: Snapshot, standings: Standings) -> Plan:
    """Return a plan that also says of each request when it starts that nodes alone let wait for the first time."""
    new = (
        request
        for wait in plan.waits
        if waits_for_nodes(wait.codes)
        for request in wait.requests
        if snapshot.requests[request].estimate is None
    )
    return replace(plan, estimates=foresee(snapshot, islice(new, _MOST_AT_ONCE), standings))


def waits_for_nodes(codes: Iterable[str]) -> bool:
    """Tell whether nodes alone let somebody wait: nobody can foresee when people change a quota or give credit."""
    return _ONLY_NODES.issuperset(codes)


def now_waiting(request: Request, codes: tuple[str, ...], plan: Plan) -> Request:
    """Return a pending request with what a plan says of its wait, which codes stop now.

    An estimate stays as it was issued, until something else than nodes stops the request: of that it said nothing.
    """
    estimate = (request.estimate or plan.estimates.get(request.id)) if waits_for_nodes(codes) else None
    return request.waiting_for(codes, plan.overtaking.get(request.id), estimate)


def foresee(snapshot: Snapshot, requests: Iterable[RequestId], standings: Standings) -> Mapping[RequestId, Estimate]:
    """Return when some of the pending requests start, as everybody stands."""
    by_pool: dict[PoolId, list[RequestId]] = {}
    for request in requests:
        by_pool.setdefault(snapshot.requests[request].pool, []).append(request)
    return {
        request: estimate
        for pool, some in sorted(by_pool.items())
        for request, estimate in _in_pool(snapshot, standings, pool, some)
    }


def _in_pool(
    snapshot: Snapshot, standings: Standings, pool: PoolId, requests: Sequence[RequestId]
) -> Iterator[tuple[RequestId, Estimate]]:
    table, forecaster, now = snapshot.arrays.queue, Forecaster(snapshot.arrays.learnt(pool)), standings.now
    rows = _queued(snapshot, pool, now)
    queue = _queue(snapshot, standings, pool, rows)
    new = np.searchsorted(rows, [table.row(request) for request in requests])
    signs = signs_of(_running(snapshot, pool, now), queue, new)
    for request, run_seconds, one in zip(requests, queue.load.predicted[new].tolist(), signs, strict=True):
        half, most = forecaster.spans(one, now)
        yield request, Estimate(issued=now, signs=one, run_seconds=round(run_seconds), half=half, most=most)


def _queued(snapshot: Snapshot, pool: PoolId, now: Seconds) -> Ints:
    """Return the rows of what may start in a pool."""
    cells = snapshot.arrays.queue.cells
    here = (cells[:, columns.ALIVE] == 1) & (cells[:, columns.POOL] == snapshot.arrays.names.pools.of(pool))
    return np.flatnonzero(here & (cells[:, columns.HELD] == 0) & (cells[:, columns.NOT_BEFORE] <= now))


def _queue(snapshot: Snapshot, standings: Standings, pool: PoolId, rows: Ints) -> Queue:
    """Return what waits: who has an estimate is predicted to run as was predicted then."""
    arrays = snapshot.arrays
    cells = arrays.queue.cells
    said, people, walltimes = (cells[:, one] for one in (columns.RUNS, columns.BY_PERSON, columns.WALLTIME))
    totals = cells[:, columns.TOTAL : columns.TOTAL + arrays.axes.width]
    return Queue(
        load=Load(
            parts=parts(totals[rows], arrays.wholes()[arrays.names.pools.of(pool)]) / _MILLION,
            walltimes=walltimes[rows].astype(np.float64),
            predicted=np.where(said > 0, said, likely_seconds(snapshot, people, walltimes))[rows],
        ),
        ranks=standings.ranks_of(rows),
        submitted=cells[rows, columns.SUBMITTED],
        in_order=lambda some: np.searchsorted(rows, np.array(standings.order_of(rows[some]), dtype=np.int64)),
    )


def _running(snapshot: Snapshot, pool: PoolId, now: Seconds) -> Load:
    arrays = snapshot.arrays
    number, cells = arrays.names.pools.of(pool), arrays.running.cells
    cells = cells[(cells[:, columns.ALIVE] == 1) & (cells[:, columns.POOL] == number)]
    shapes, of = np.unique(cells[:, columns.GANG], return_inverse=True)
    gangs = [arrays.gang(shape) for shape in shapes.tolist()]
    heads, workers = (
        np.array(some, dtype=np.int64).reshape(-1, arrays.axes.width)
        for some in ([gang.head for gang in gangs], [gang.worker for gang in gangs])
    )
    held = heads[of] + workers[of] * cells[:, columns.HAS][:, None]
    walltimes, predicted = seconds_left(cells[:, columns.RUNS_UNTIL] - now, now - cells[:, columns.PLACED_AT])
    return Load(parts=parts(held, arrays.wholes()[number]) / _MILLION, walltimes=walltimes, predicted=predicted)


def seconds_left(at_most: Sequence[int] | Ints, elapsed: Sequence[int] | Ints) -> tuple[Floats, Floats]:
    """Return for how long what runs goes on, at most and as predicted: for as long again as it has run.

    Of run times whose spread is as wide as those of users' jobs nothing better is known without their history, and
    what a person's other runs say moves with each of them: waits that are foreseen from it miss more often.
    """
    left = np.maximum(at_most, 1).astype(np.float64)
    return left, np.minimum(left, _FIRST_SECONDS + np.array(elapsed))
