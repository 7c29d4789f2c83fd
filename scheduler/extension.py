"""Whether a running cluster may go on for longer than it asked for, and for how much longer it may."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from quotas.charges import Tariff
from quotas.reasons import NoCredit
from registry.ids import MicroCredits, RequestId, Seconds
from scheduler.bookings import Booking, crosses, left_seconds, until
from scheduler.clusters import Part, Process
from scheduler.holds import missing_hold
from scheduler.leaving import releases_at
from scheduler.promising import Decided, set_aside
from scheduler.reasons import (
    BookedAhead,
    BookingTooShort,
    ExtensionTooLong,
    MakesWay,
    WalltimeTooLong,
    WouldDelayPromised,
)
from scheduler.snapshot import Snapshot

_Cause = MakesWay | WalltimeTooLong | BookingTooShort | BookedAhead | WouldDelayPromised | NoCredit
ExtensionFault = ExtensionTooLong | _Cause


def extension_faults(
    snapshot: Snapshot, request: RequestId, seconds: int, now: Seconds
) -> tuple[ExtensionFault, ...]:  # fmt: skip
    """Return why a running cluster may not go on for so much longer; nothing if it may.

    The first reason says for how much longer it might, the others what is in the way of what was asked.
    """
    stay = _Stay(snapshot, request, now)
    causes = tuple(stay.causes(seconds))
    return (ExtensionTooLong(asked=seconds, longest=stay.longest(seconds)), *causes) if causes else ()


def extra_holds(
    snapshot: Snapshot, request: RequestId, seconds: int, now: Seconds
) -> tuple[tuple[Process, MicroCredits], ...]:  # fmt: skip
    """Return how much more has to be held for the head and each guaranteed worker of a cluster that goes on so long.

    An elastic worker's lease is renewed from time to time, as before.
    """
    asked = snapshot.requests[request]
    assert asked.placed is not None, asked
    assert asked.deadline is not None, asked
    rule, ends = snapshot.rule(asked.pool, asked.placed), Seconds(asked.deadline + seconds)
    assert rule is not None, asked
    tariff = Tariff(rule=rule, percent=snapshot.policy.classes[asked.request_class].price_percent)
    slots = (one for one in snapshot.cluster(asked).processes if one.wanted and one.part is not Part.ELASTIC)
    return tuple((slot, missing_hold(tariff, slot, ends, now)) for slot in slots)


class _Stay:
    """One cluster among everything that was promised to others, as a cycle at this moment would set it aside."""

    def __init__(self, snapshot: Snapshot, request: RequestId, now: Seconds) -> None:
        self._snapshot: Final = snapshot
        self._request: Final = snapshot.requests[request]
        self._now: Final = now
        cluster = snapshot.cluster(self._request)
        self._nodes: Final = frozenset(process.node for process in cluster.processes)
        self._gone: Final = releases_at(cluster, snapshot.policy, now)
        assert self._request.deadline is not None, self._request
        assert self._request.allocation is not None, self._request
        self._deadline: Final = self._request.deadline
        aside = _aside(snapshot, now)
        self._promised: Final = _starts(aside)
        # What is kept for a promised start is nobody else's: neither nodes nor credit.
        self._credit: Final = aside.room.promised.left(self._request, self._request.allocation, now)

    def causes(self, seconds: int) -> Iterator[_Cause]:
        """Yield everything that is in the way of so many seconds more."""
        asked = self._request
        if asked.makes_way:
            yield MakesWay(stop_by=self._deadline)
        if seconds > self._by_class():
            rule = self._snapshot.policy.classes[asked.request_class]
            total = asked.walltime_seconds + asked.extended_seconds + seconds
            yield WalltimeTooLong(request_class=asked.request_class, asked=total, longest=rule.longest_walltime_seconds)
        own = self._own_booking()
        if own and self._deadline + seconds > until(own):
            left = left_seconds(own, self._now)
            yield BookingTooShort(booking=own.id, asked=self._deadline + seconds - self._now, left=left)
        if ahead := self._booked_ahead(seconds):
            yield BookedAhead(booking=ahead.id, begins=ahead.begins)
        if delayed := self._delayed(seconds):
            yield WouldDelayPromised(pool=asked.pool, promised_from=min(delayed))
        needed = self._needed(seconds)
        if needed > self._credit:
            yield NoCredit(project=asked.project, needed=needed, available=self._credit)

    def longest(self, seconds: int) -> int:
        """Return for how many of so many seconds nothing is in the way."""
        bounds = [seconds, self._by_class()]
        if own := self._own_booking():
            bounds.append(until(own) - self._deadline)
        if ahead := self._booked_ahead(seconds):
            bounds.append(ahead.begins - self._gone)
        most = self._affordable(max(0, min(bounds)))
        while most > 0 and (delayed := self._delayed(most)):
            most = max(0, min(most - 1, min(delayed) - self._gone))
        return most

    def _by_class(self) -> int:
        """Return for how much longer its class lets it run; who makes way may not any more."""
        if self._request.makes_way:
            return 0
        rule = self._snapshot.policy.classes[self._request.request_class]
        return rule.longest_walltime_seconds - self._request.walltime_seconds - self._request.extended_seconds

    def _own_booking(self) -> Booking | None:
        return self._snapshot.bookings.get(self._request.booking) if self._request.booking else None

    def _booked_ahead(self, seconds: int) -> Booking | None:
        """Return the first booking of others that the cluster would run into."""
        gone = Seconds(self._gone + seconds)
        met = (
            booking
            for booking in self._snapshot.bookings.values()
            if crosses(booking, self._request, self._nodes, self._now, gone)
        )
        return min(met, key=lambda booking: (booking.begins, booking.id), default=None)

    def _delayed(self, seconds: int) -> list[Seconds]:
        """Return the promised starts that would come later, or not at all, if the cluster stayed for so much longer."""
        if not self._promised:
            return []
        longer = replace(self._request, deadline=Seconds(self._deadline + seconds))
        then = _starts(_aside(self._snapshot.with_facts([longer]), self._now))
        return [starts for one, starts in self._promised.items() if one not in then or then[one] > starts]

    def _needed(self, seconds: int) -> MicroCredits:
        held = extra_holds(self._snapshot, self._request.id, seconds, self._now)
        return MicroCredits(sum(more for _, more in held))

    def _affordable(self, seconds: int) -> int:
        """Return for how many of so many seconds the credit is enough."""
        low, high = 0, seconds
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._needed(middle) <= self._credit else (low, middle - 1)
        return low


def _aside(snapshot: Snapshot, now: Seconds) -> Decided:
    """Set everything aside that was promised, where the policy keeps promises.

    Nobody is moved to other nodes for it: cycles to come would have to find that again, whatever has changed by then.
    """
    decided = Decided.nothing_yet(snapshot, now)
    decided.room.seats_stay = True
    if snapshot.policy.keeps_promises:
        set_aside(decided)
    return decided


def _starts(decided: Decided) -> Mapping[RequestId, Seconds]:
    return {kept.request.id: kept.starts for kept in decided.room.kept()}
