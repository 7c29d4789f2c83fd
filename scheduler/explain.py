"""Why a request waits: its rank with every factor, and its reasons with their numbers, from `decide`'s own tests."""

from dataclasses import dataclass

import numpy as np

from registry.ids import RequestId, Seconds
from scheduler import arrays as columns
from scheduler.decide import answer, codes_waited_for
from scheduler.numbers import reasons_in_numbers
from scheduler.ordering import Rank, Standings
from scheduler.plan import WaitReason
from scheduler.requests import Request
from scheduler.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where a pending request stands: its place in the order of its pool (from 1), its rank, what stops it.

    No reason at all means that the next cycle will place it. `expected` is its protected start, if it has one.
    """

    place: int
    pending: int
    rank: Rank
    reasons: tuple[WaitReason, ...]
    expected: Seconds | None


class Explanations:
    """Explains every pending request of one snapshot as a cycle at one moment would answer it, by deciding once.

    The reasons of each request are what stops it once all that can start has started.
    """

    def __init__(self, snapshot: Snapshot, now: Seconds) -> None:
        self._snapshot = snapshot
        self._standings = Standings(snapshot, now)
        self._decided = answer(snapshot, now)
        self._placed = {placement.request.id for placement in self._decided.placements}

    def knows(self, request: Request | None) -> bool:
        """Tell whether exactly this request, as it stands, was explained."""
        return request is not None and self._snapshot.requests.get(request.id) == request

    def of(self, request: RequestId) -> Explanation | None:
        """Explain one request; None if it is not pending."""
        queue = self._snapshot.arrays.queue
        if request not in queue:
            return None
        asked, promise = self._snapshot.requests[request], self._decided.promises.get(request)
        codes = () if request in self._placed else codes_waited_for(self._snapshot, self._decided, asked)
        place, pending = self._place(asked)
        return Explanation(
            place=place,
            pending=pending,
            rank=self._standings.rank(asked),
            reasons=tuple(reasons_in_numbers(self._decided.room, asked, codes, promise)),
            expected=promise.starts if promise else None,
        )

    def _place(self, request: Request) -> tuple[int, int]:
        """Return the request's place in its pool before anything was decided, and how many wait there."""
        queue = self._snapshot.arrays.queue
        row = queue.row(request.id)
        pool = queue.cells[:, columns.POOL] == queue.cells[row, columns.POOL]
        rows = np.flatnonzero(pool & (queue.cells[:, columns.ALIVE] == 1))
        place = self._standings.order_of(rows).index(row)
        return place + 1, len(rows)


def explain(snapshot: Snapshot, request: RequestId, now: Seconds) -> Explanation | None:
    """Explain a single request; None if it is not pending."""
    return Explanations(snapshot, now).of(request)
