"""Single changes that could let a waiting request start, each of which can be applied to a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from registry.ids import AllocationId, BookingId, MicroCredits, PoolId, ProjectId, RequestId, Seconds, ShareId
from registry.resources import ResourceName, Resources
from scheduler.facts import Fact
from scheduler.granting import Granting
from scheduler.requests import End, Request, State
from scheduler.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseHold:
    """It is no longer held by whoever holds it."""

    code: ClassVar[str] = "release-hold"

    def applied(self, snapshot: Snapshot, request: Request, now: Seconds) -> Snapshot:
        """Return the snapshot in which it waits its turn again."""
        return _asked(snapshot, request.with_holds(user=False, operator=False, now=now))


@dataclass(frozen=True, slots=True, kw_only=True)
class FewerWorkers:
    """It is content with so many guaranteed workers."""

    code: ClassVar[str] = "fewer-workers"
    workers: int

    def applied(self, snapshot: Snapshot, request: Request, now: Seconds) -> Snapshot:  # noqa: ARG002
        """Return the snapshot with the smaller gang."""
        return _asked(snapshot, replace(request, workers_min=self.workers))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShorterWalltime:
    """It asks for so little time."""

    code: ClassVar[str] = "shorter-walltime"
    walltime_seconds: int

    def applied(self, snapshot: Snapshot, request: Request, now: Seconds) -> Snapshot:  # noqa: ARG002
        """Return the snapshot with the shorter one."""
        return _asked(snapshot, replace(request, walltime_seconds=self.walltime_seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallerWorkers:
    """Each of its workers asks for so much of a resource."""

    code: ClassVar[str] = "smaller-workers"
    resource: ResourceName
    each: int

    def applied(self, snapshot: Snapshot, request: Request, now: Seconds) -> Snapshot:  # noqa: ARG002
        """Return the snapshot with the smaller workers."""
        items = ((name, self.each if name == self.resource else amount) for name, amount in request.worker.items())
        return _asked(snapshot, replace(request, worker=Resources.of(items)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherPool:
    """It goes to another pool in which its project has a share."""

    code: ClassVar[str] = "other-pool"
    pool: PoolId

    def applied(self, snapshot: Snapshot, request: Request, now: Seconds) -> Snapshot:  # noqa: ARG002
        """Return the snapshot in which it waits there."""
        return _asked(snapshot, replace(request, pool=self.pool, tags=replace(request.tags, pool=self.pool)))


@dataclass(frozen=True, slots=True, kw_only=True)
class WithoutBooking:
    """It names no booking, and may run wherever there is room."""

    code: ClassVar[str] = "without-booking"

    def applied(self, snapshot: Snapshot, request: Request, now: Seconds) -> Snapshot:  # noqa: ARG002
        """Return the snapshot in which it waits with everybody."""
        return _asked(snapshot, replace(request, booking=None))


@dataclass(frozen=True, slots=True, kw_only=True)
class InBooking:
    """It names a booking of its project that has begun."""

    code: ClassVar[str] = "in-booking"
    booking: BookingId

    def applied(self, snapshot: Snapshot, request: Request, now: Seconds) -> Snapshot:  # noqa: ARG002
        """Return the snapshot in which it waits for the nodes of that booking."""
        return _asked(snapshot, replace(request, booking=self.booking))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOwn:
    """These clusters of the same person, the last that were started, end."""

    code: ClassVar[str] = "end-own"
    clusters: int
    requests: tuple[RequestId, ...]

    def applied(self, snapshot: Snapshot, request: Request, now: Seconds) -> Snapshot:
        """Return the snapshot once they have ended and everything of theirs was given back."""
        return _asked(snapshot.with_facts(_ended(snapshot, self.requests, now)), request)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreQuota:
    """A share may have so much more of some resources."""

    code: ClassVar[str] = "more-quota"
    share: ShareId
    pool: PoolId
    more: Resources

    def applied(self, snapshot: Snapshot, request: Request, now: Seconds) -> Snapshot:  # noqa: ARG002
        """Return the snapshot in which the share may borrow that much more."""
        share = snapshot.shares[self.share, self.pool]
        quota = replace(share.quota, borrowing=share.quota.borrowing + self.more)
        return _asked(snapshot.with_facts([replace(share, quota=quota)]), request)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoreCredit:
    """An allocation of its project has so much more."""

    code: ClassVar[str] = "more-credit"
    project: ProjectId
    allocation: AllocationId
    more: MicroCredits

    def applied(self, snapshot: Snapshot, request: Request, now: Seconds) -> Snapshot:  # noqa: ARG002
        """Return the snapshot in which that may be held, too."""
        before = snapshot.allocations[self.allocation]
        after = replace(before, available=MicroCredits(before.available + self.more))
        return _asked(snapshot.with_facts([after]), request)


Advice = (
    ReleaseHold
    | FewerWorkers
    | ShorterWalltime
    | SmallerWorkers
    | OtherPool
    | WithoutBooking
    | InBooking
    | EndOwn
    | MoreQuota
    | MoreCredit
)


def _asked(snapshot: Snapshot, request: Request) -> Snapshot:
    """Return the snapshot with what is asked for now: nothing was promised to that."""
    return snapshot.with_facts([replace(request, promise=None)])


def _ended(snapshot: Snapshot, requests: Iterable[RequestId], now: Seconds) -> Iterator[Fact]:
    granting = Granting(snapshot)
    for request in map(snapshot.requests.__getitem__, requests):
        slots = snapshot.cluster(request).processes
        granting.give_back(request, slots)
        yield from (replace(slot, released=now) for slot in slots)
        yield replace(request, state=State.ENDED, end=End.CANCELLED, ended=now)
    yield from granting.facts()
