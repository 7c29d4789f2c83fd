"""Why a request waits: its rank with every factor, and its reasons with their numbers, from `decide`'s own tests."""

from collections import Counter
from dataclasses import dataclass

from registry.ids import PoolId, RequestId, Seconds
from scheduler.decide import Answer, answers
from scheduler.ordering import Rank, Standings
from scheduler.plan import Placement, WaitReason
from scheduler.reasons import NodesFull
from scheduler.requests import Request
from scheduler.room import Room
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

    The reasons of each request count what goes before it.
    """

    def __init__(self, snapshot: Snapshot, now: Seconds) -> None:
        standings = Standings(snapshot, now)
        self._ranks = {request.id: standings.rank(request, now) for request in snapshot.pending()}
        self._pending = Counter(request.pool for request in snapshot.pending())
        self._answers: dict[RequestId, tuple[int, Request, Answer]] = {}
        places: Counter[PoolId] = Counter()
        for request, answer in answers(snapshot, Room(snapshot, now), now):
            places[request.pool] += 1
            self._answers[request.id] = places[request.pool], request, answer

    def knows(self, request: Request | None) -> bool:
        """Tell whether exactly this request, as it stands, was explained."""
        return request is not None and self._answers.get(request.id, (0, None))[1] == request

    def of(self, request: RequestId) -> Explanation | None:
        """Explain one request; None if it is not pending."""
        if request not in self._answers:
            return None
        place, asked, answer = self._answers[request]
        reasons = () if isinstance(answer, Placement) else answer
        return Explanation(
            place=place,
            pending=self._pending[asked.pool],
            rank=self._ranks[request],
            reasons=reasons,
            expected=_expected(reasons),
        )


def explain(snapshot: Snapshot, request: RequestId, now: Seconds) -> Explanation | None:
    """Explain a single request; None if it is not pending."""
    return Explanations(snapshot, now).of(request)


def _expected(reasons: tuple[WaitReason, ...]) -> Seconds | None:
    return next((one.expected for one in reasons if isinstance(one, NodesFull)), None)
