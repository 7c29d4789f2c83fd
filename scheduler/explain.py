"""Why a request waits: its rank with every factor, and its reasons with their numbers, from `decide`'s own tests."""

from dataclasses import dataclass

from registry.ids import RequestId, Seconds
from scheduler.decide import answers
from scheduler.ordering import Rank, Standings
from scheduler.plan import Placement, WaitReason
from scheduler.reasons import NodesFull
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


def explain(snapshot: Snapshot, request: RequestId, now: Seconds) -> Explanation | None:
    """Explain a pending request as a cycle at `now` would answer it; None if it is not pending.

    The cycle is decided up to the request, so that the reasons count what goes before it.
    """
    asked = next((one for one in snapshot.pending() if one.id == request), None)
    if asked is None:
        return None
    rank = Standings(snapshot, now).rank(asked, now)
    rivals = sum(one.pool == asked.pool for one in snapshot.pending())
    place = 0
    for one, answer in answers(snapshot, Room(snapshot, now), now):
        place += one.pool == asked.pool
        if one.id == request:
            reasons = () if isinstance(answer, Placement) else answer
            return Explanation(place=place, pending=rivals, rank=rank, reasons=reasons, expected=_expected(reasons))
    raise AssertionError("every pending request gets an answer")


def _expected(reasons: tuple[WaitReason, ...]) -> Seconds | None:
    return next((one.expected for one in reasons if isinstance(one, NodesFull)), None)
