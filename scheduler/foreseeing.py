"""When requests of a snapshot start that nodes alone let wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Final

import numpy as np

from registry.axes import Ints, parts
from registry.ids import PersonId, PoolId, RequestId, Seconds
from registry.resources import Resources
from scheduler import arrays as columns
from scheduler.estimates import Estimate
from scheduler.facts import RunRatios
from scheduler.forecasting import Forecaster
from scheduler.outlook import Load, signs_of
from scheduler.plan import Plan
from scheduler.reasons import NodesFull, OthersFirst, SetAside, WouldDelayReserved
from scheduler.requests import Request
from scheduler.snapshot import Snapshot

_ONLY_NODES: Final = frozenset({NodesFull.code, SetAside.code, WouldDelayReserved.code, OthersFirst.code})
_MOST_AT_ONCE: Final = 1000
"""So many get an estimate in one cycle: a flood of requests must not hold up the starts of others."""
_WHOLE_PERMILLE: Final = 1000
_FIRST_SECONDS: Final = 60.0
"""What has just begun is predicted to run for so long."""


def with_estimates(plan: Plan, snapshot: Snapshot, now: Seconds) -> Plan:
    """Return a plan that also says of each request when it starts that nodes alone let wait for the first time."""
    new = (
        request
        for wait in plan.waits
        if waits_for_nodes(wait.codes)
        for request in wait.requests
        if snapshot.requests[request].estimate is None
    )
    return replace(plan, estimates=foresee(snapshot, islice(new, _MOST_AT_ONCE), now))


def waits_for_nodes(codes: Iterable[str]) -> bool:
    """Tell whether nodes alone let somebody wait: nobody can foresee when people change a quota or give credit."""
    return _ONLY_NODES.issuperset(codes)


def foresee(snapshot: Snapshot, requests: Iterable[RequestId], now: Seconds) -> Mapping[RequestId, Estimate]:
    """Return when some of the pending requests start."""
    by_pool: dict[PoolId, set[RequestId]] = {}
    for request in requests:
        by_pool.setdefault(snapshot.requests[request].pool, set()).add(request)
    return {
        request: estimate
        for pool, some in sorted(by_pool.items())
        for request, estimate in _in_pool(snapshot, pool, some, now)
    }


def _in_pool(
    snapshot: Snapshot, pool: PoolId, requests: set[RequestId], now: Seconds
) -> Iterator[tuple[RequestId, Estimate]]:
    queue, forecaster = snapshot.arrays.queue, Forecaster(snapshot.arrays.learnt(pool))
    order = _queued(snapshot, pool, now)
    keys = [queue.key(int(row)) for row in order]
    new = [place for place, key in enumerate(keys) if key in requests]
    waiting = _waiting(snapshot, order)
    for place, signs in zip(new, signs_of(_running(snapshot, pool, now), waiting, new), strict=True):
        half, most = forecaster.spans(signs, now)
        run_seconds = round(float(waiting.predicted[place]))
        yield keys[place], Estimate(issued=now, signs=signs, run_seconds=run_seconds, half=half, most=most)


def _queued(snapshot: Snapshot, pool: PoolId, now: Seconds) -> Ints:
    """Return the rows of what may start in a pool, in the order of submission."""
    queue = snapshot.arrays.queue
    cells = queue.cells
    here = (cells[:, columns.ALIVE] == 1) & (cells[:, columns.POOL] == snapshot.arrays.names.pools.of(pool))
    free = (cells[:, columns.HELD] == 0) & (cells[:, columns.NOT_BEFORE] <= now)
    rows = np.flatnonzero(here & free)
    return np.array(queue.sorted(rows, (cells[rows, columns.SUBMITTED],)), dtype=np.int64)


def _waiting(snapshot: Snapshot, rows: Ints) -> Load:
    """Return what waits: who has an estimate is predicted to run as was predicted then."""
    arrays = snapshot.arrays
    cells = arrays.queue.cells[rows]
    people = [_ratio(snapshot.run_ratios, person) for person, _ in arrays.names.by_person]
    walltimes = cells[:, columns.WALLTIME].astype(np.float64)
    ratios = np.array(people)[cells[:, columns.BY_PERSON]] if len(rows) else np.ones(0)
    said = cells[:, columns.RUNS]
    totals = cells[:, columns.TOTAL : columns.TOTAL + arrays.axes.width]
    return Load(
        parts=parts(totals, arrays.wholes()[cells[:, columns.POOL]]) / 1e6,
        walltimes=walltimes,
        predicted=np.where(said > 0, said, np.maximum(walltimes * ratios, 1.0)),
    )


def _running(snapshot: Snapshot, pool: PoolId, now: Seconds) -> Load:
    arrays = snapshot.arrays
    number, cells = arrays.names.pools.of(pool), arrays.running.cells
    rows = np.flatnonzero((cells[:, columns.ALIVE] == 1) & (cells[:, columns.POOL] == number))
    requests = [snapshot.requests[arrays.running.key(int(row))] for row in rows]
    held = [_held(request, int(cells[row, columns.HAS])) for request, row in zip(requests, rows, strict=True)]
    amounts = np.array([arrays.axes.row(one) for one in held], dtype=np.int64).reshape(-1, arrays.axes.width)
    shares = parts(amounts, arrays.wholes()[number]) / 1e6
    return Load.of([(part, *_left(request, now)) for part, request in zip(shares, requests, strict=True)])


def _held(request: Request, workers: int) -> Resources:
    return request.head + request.worker * workers


def _left(request: Request, now: Seconds) -> tuple[float, float]:
    assert request.placed is not None, request
    assert request.deadline is not None, request
    return seconds_left(request.deadline - request.placed, now - request.placed)


def seconds_left(whole: int, elapsed: int) -> tuple[float, float]:
    """Return how long something that runs goes on, at most and as predicted: for as long again as it has run.

    Of run times whose spread is as wide as those of users' jobs nothing better is known without their history, and
    what a person's other runs say moves with each of them: waits that are foreseen from it miss more often.
    """
    at_most = float(max(1, whole - elapsed))
    return at_most, min(at_most, _FIRST_SECONDS + elapsed)


def _ratio(ratios: Mapping[PersonId, RunRatios], person: PersonId) -> float:
    """Return how much of their walltimes a person's clusters are predicted to run: as their last two did."""
    known = ratios.get(person)
    if known is None:
        return 1.0
    last = known.last if known.before is None else (known.last + known.before) / 2
    return min(last / _WHOLE_PERMILLE, 1.0)
