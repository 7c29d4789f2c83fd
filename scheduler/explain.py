"""Why a request waits: its rank with every factor, and its reasons with their numbers, from `decide`'s own tests."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from registry.ids import InstitutionId, RequestId, Seconds, ShareId
from registry.resources import NOTHING, Resources
from scheduler import arrays as columns
from scheduler.advice import Advice
from scheduler.advising import Advising
from scheduler.decide import answer, codes_waited_for
from scheduler.numbers import reasons_in_numbers
from scheduler.ordering import Rank, Standings
from scheduler.overtaking import Overtakable
from scheduler.plan import WaitReason
from scheduler.requests import Request
from scheduler.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrowed:
    """What an institution holds of a pool beyond what it owns there."""

    institution: InstitutionId
    amount: Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where a pending request stands: its place in the order of its pool (from 1), its rank, what stops it.

    No reason at all means that the next cycle will place it. `expected` is its protected start, if it has one.
    `overtakable` is until when others may go before it, if it has none. `borrowed` is what of its pool others than its
    institution hold that is not their own.
    """

    place: int
    pending: int
    rank: Rank
    reasons: tuple[WaitReason, ...]
    expected: Seconds | None
    overtakable: Overtakable | None
    borrowed: tuple[Borrowed, ...]


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
            overtakable=None if promise or request in self._placed else self._decided.overtaking.of(asked),
            borrowed=tuple(self._borrowed(asked)),
        )

    def advice_for(self, request: RequestId) -> tuple[Advice, ...]:
        """Return what single changes would start a request in the next cycle; nothing where it is not pending.

        Each is tried by deciding anew, so that this takes as long as `MOST_DECISIONS` cycles at the most.
        """
        explanation = self.of(request)
        if explanation is None or not explanation.reasons:
            return ()
        return tuple(Advising(self._snapshot, request, explanation.reasons, self._decided).found())

    def _borrowed(self, request: Request) -> Iterator[Borrowed]:
        """Yield what other institutions, whose shares are right beneath the center's, have borrowed, the most first."""
        shares = [share for share in self._snapshot.shares.values() if share.pool == request.pool]
        roots = {share.id for share in shares if share.parent is None}
        found = [share for share in shares if share.parent in roots and share.id != ShareId(request.institution)]
        for share in sorted(found, key=lambda one: (-one.borrowed.millicores, one.id)):
            if share.borrowed != NOTHING:
                yield Borrowed(institution=InstitutionId(share.id), amount=share.borrowed)

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
