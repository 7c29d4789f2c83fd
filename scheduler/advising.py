"""The smallest change of each kind that would start a waiting request now, proved by deciding with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from quotas.reasons import NoCredit, ShareFull
from registry.ids import MicroCredits, PoolId, RequestId, ShareId
from registry.resources import CPU, GIB, MEMORY, MILLI, ResourceName, Resources
from scheduler.advice import (
    Advice,
    EndOwn,
    FewerWorkers,
    InBooking,
    MoreCredit,
    MoreQuota,
    OtherPool,
    ReleaseHold,
    ShorterWalltime,
    SmallerWorkers,
    WithoutBooking,
)
from scheduler.blocking import stopped
from scheduler.bookings import misfits
from scheduler.decide import answer
from scheduler.plan import WaitReason
from scheduler.policy import WHOLE_PERCENT
from scheduler.promising import Decided
from scheduler.reasons import HeldByOperator, HeldByUser
from scheduler.requests import SHORTEST_WALLTIME_SECONDS, SMALLEST_PROCESS, Request, State
from scheduler.room import Room
from scheduler.seating import packing_now
from scheduler.snapshot import Snapshot

MOST_DECISIONS: Final = 40
"""So often everything is decided anew for one request at the most, whatever is found by then."""
FEWEST_DECISIONS: Final = 6
_PENDING: Final = 60_000
"""For so many pending requests, all decisions together, everything is decided anew: a long queue makes each dear."""
_MINUTE: Final = 60
_CREDIT: Final = 1_000_000
_STEPS: Final = {CPU: MILLI // 10, MEMORY: GIB // 4}
"""In what steps workers become smaller and quotas larger; a GPU is whole."""


class Advising:
    """Looks for changes that let one request start, by trying them.

    Everything is decided anew only where a look does not tell. Room only becomes less while a cycle is decided: who
    does not fit before anything is decided does not start, and who still fits when everything is does, at its turn.
    """

    def __init__(
        self, snapshot: Snapshot, request: RequestId, reasons: tuple[WaitReason, ...], decided: Decided
    ) -> None:
        """Take what stops the request, and what was decided about everybody when that was found."""
        self._snapshot: Final = snapshot
        self._request: Final = snapshot.requests[request]
        self._reasons: Final = reasons
        self._decided: Final = decided
        self._now: Final = decided.room.now
        # Who has a promise keeps it from others: without it they might decide otherwise.
        self._is_nobodys: Final = self._request.promise is None and request not in decided.promises
        pending = len(snapshot.arrays.queue)
        self._most: Final = max(FEWEST_DECISIONS, min(MOST_DECISIONS, _PENDING // max(1, pending)))
        self.decisions = 0

    def found(self) -> Iterator[Advice]:
        """Yield the smallest change of each kind of which deciding proves that the request would start now.

        Kinds of which an answer is likely come first, and none is begun that the number of decisions is too small for.
        """
        for kind in (
            self._release,
            self._bookings,
            self._other_pools,
            self._credit,
            self._quotas,
            self._own,
            self._walltime,
            self._workers,
            self._smaller,
        ):
            for change in kind():
                if self.decisions >= self._most:
                    return
                yield change

    def starts(self, advice: Advice) -> bool:
        """Tell whether the request starts now if one thing is changed."""
        changed = advice.applied(self._snapshot, self._request, self._now)
        request = changed.requests[self._request.id]
        if not could_start(Room(changed, self._now), request):
            return False
        if self._is_nobodys and _changes_the_request(advice) and would_start(self._decided.room, request):
            return True
        self.decisions += 1
        decided = answer(changed, self._now)
        return any(placement.request.id == self._request.id for placement in decided.placements)

    def _smallest(self, steps: int, change: Callable[[int], Advice]) -> Iterator[Advice]:
        """Yield the change of as few steps as will do, if all of them do: one step less does not."""
        if steps < 1 or not self.starts(change(steps)):
            return
        low, high = 0, steps
        while high - low > 1:
            if self.decisions >= self._most:
                return
            middle = (low + high) // 2
            low, high = (low, middle) if self.starts(change(middle)) else (middle, high)
        yield change(high)

    def _if_it_starts(self, advice: Advice) -> Iterator[Advice]:
        """Yield a change that has no smaller one, if it will do."""
        if self.decisions < self._most and self.starts(advice):
            yield advice

    def _release(self) -> Iterator[Advice]:
        if any(isinstance(reason, HeldByUser | HeldByOperator) for reason in self._reasons):
            yield from self._if_it_starts(ReleaseHold())

    def _bookings(self) -> Iterator[Advice]:
        """No booking, or one that has begun and that a submission might name as well."""
        if self._request.booking is not None:
            yield from self._if_it_starts(WithoutBooking())
        nodes = [node for node in self._snapshot.nodes.values() if node.pool == self._request.pool]
        for booking in sorted(self._snapshot.bookings.values(), key=lambda one: (one.begins, one.id)):
            is_other = booking.begins <= self._now and booking.id != self._request.booking
            if is_other and not misfits(self._request, booking, nodes, self._now):
                yield from self._if_it_starts(InBooking(booking=booking.id))

    def _other_pools(self) -> Iterator[Advice]:
        if self._request.booking is not None:
            return
        pools = sorted(pool for share, pool in self._snapshot.shares if share == ShareId(self._request.project))
        for pool in pools:
            if pool != self._request.pool and self._may_run_in(pool):
                yield from self._if_it_starts(OtherPool(pool=pool))

    def _may_run_in(self, pool: PoolId) -> bool:
        """Tell whether anything is sold there, and the gang is no larger than what its class may have of it."""
        rule = self._snapshot.policy.classes[self._request.request_class]
        nodes = [node for node in self._snapshot.nodes.values() if node.pool == pool]
        whole = sum((node.capacity for node in nodes), Resources())
        share = Resources.of((name, amount * rule.share_percent // WHOLE_PERCENT) for name, amount in whole.items())
        return self._snapshot.rule(pool, self._now) is not None and self._request.gang_total().within(share)

    def _credit(self) -> Iterator[Advice]:
        """More credit for the open allocation that has the most: what is lacking, in whole credits."""
        lacking = next((reason for reason in self._reasons if isinstance(reason, NoCredit)), None)
        own = self._snapshot.credit.get(self._request.project, {}).values()
        open_now = [one for one in own if one.open_at(self._now)]
        if lacking is None or not open_now:
            return
        best = max(open_now, key=lambda one: (one.available, one.id))
        steps = -(-(lacking.needed - lacking.available) // _CREDIT)
        project = self._request.project

        def change(count: int) -> Advice:
            return MoreCredit(project=project, allocation=best.id, more=MicroCredits(count * _CREDIT))

        if steps > 1 and self.starts(change(steps)) and not self.starts(change(steps - 1)):
            yield change(steps)  # as nearly always: nothing else in this round counted on that credit
        else:
            yield from self._smallest(steps, change)

    def _quotas(self) -> Iterator[Advice]:
        """More quota for each share that withholds any, of all that it withholds."""
        full = [reason for reason in self._reasons if isinstance(reason, ShareFull)]
        for share in dict.fromkeys(reason.share for reason in full):
            lacks = {one.resource: one.needed - one.claimable for one in full if one.share == share}
            steps = max(-(-lack // _step(name)) for name, lack in lacks.items())

            def change(count: int, share: ShareId = share, lacks: dict[ResourceName, int] = lacks) -> Advice:
                more = ((name, min(count * _step(name), lack)) for name, lack in lacks.items())
                return MoreQuota(share=share, pool=self._request.pool, more=Resources.of(more))

            yield from self._smallest(steps, change)

    def _own(self) -> Iterator[Advice]:
        """The end of clusters of the same person in the same pool, or of the same class, the youngest first."""
        own = [
            one
            for one in self._snapshot.requests.values()
            if one.state is State.PLACED and one.person == self._request.person and one.ending is None
        ]
        own = [one for one in own if self._request.pool == one.pool or one.request_class is self._request.request_class]
        own.sort(key=lambda one: (-(one.placed or 0), one.id))

        def change(count: int) -> Advice:
            return EndOwn(clusters=count, requests=tuple(one.id for one in own[:count]))

        yield from self._smallest(len(own), change)

    def _walltime(self) -> Iterator[Advice]:
        asked = self._request.walltime_seconds
        steps = (asked - SHORTEST_WALLTIME_SECONDS) // _MINUTE

        def change(count: int) -> Advice:
            return ShorterWalltime(walltime_seconds=asked - count * _MINUTE)

        yield from self._smallest(steps, change)

    def _workers(self) -> Iterator[Advice]:
        least = self._request.workers_min
        yield from self._smallest(least - 1, lambda count: FewerWorkers(workers=least - count))

    def _smaller(self) -> Iterator[Advice]:
        if not self._request.workers_min:
            return
        for name in (MEMORY, CPU):
            has, step = self._request.worker.amount(name), _step(name)
            floor = max(SMALLEST_PROCESS.amount(name), step)

            def change(count: int, name: ResourceName = name, has: int = has, step: int = step) -> Advice:
                return SmallerWorkers(resource=name, each=has - count * step)

            yield from self._smallest((has - floor) // step, change)


def could_start(room: Room, request: Request) -> bool:
    """Tell whether a request could start if nobody else were decided about before, and nothing promised."""
    row = np.array([room.arrays.queue.row(request.id)])
    return not stopped(room, row)[0] and packing_now(room, request, room.gang(request)) is not None


def would_start(room: Room, request: Request) -> bool:
    """Tell whether a request that is like nobody in the snapshot fits into what is left beside everything promised."""
    gang, rule = room.gang(request), room.rule_of(request)
    running = room.promised.running[room.arrays.names.by_person.of((request.person, request.request_class))]
    if room.floor_for(request).closed or running >= rule.most_per_person:
        return False
    if room.promised.covering(request, room.price(request), room.now) is None:
        return False
    fits = room.has_quota(request, gang.total, room.would_end(request))
    return fits and packing_now(room, request, gang) is not None


def _changes_the_request(advice: Advice) -> bool:
    return isinstance(advice, FewerWorkers | ShorterWalltime | SmallerWorkers | OtherPool)


def _step(name: ResourceName) -> int:
    return _STEPS.get(name, 1)
