"""What is left while a plan is made: each decision takes from it, everything else only looks."""

from collections.abc import Hashable, Iterator
from dataclasses import replace

from quotas.claims import Tree, withheld
from quotas.rates import price, price_of_all
from quotas.reasons import NoCredit, NoShare
from registry.ids import MicroCredits, Seconds
from registry.resources import NOTHING, Resources, names
from scheduler.backfill import Floor, Reservation
from scheduler.clusters import HEAD_ORDINAL, LAST_ORDINAL, Cluster, Part, Process
from scheduler.fitting import Crowded, Packing, place, place_worker
from scheduler.holdings import Holdings
from scheduler.plan import Placement, WaitReason
from scheduler.policy import ClassRule
from scheduler.profile import releases_at
from scheduler.reasons import (
    ClassShareFull,
    HeldByOperator,
    HeldByUser,
    Kept,
    NodesFull,
    NoRate,
    PersonAtClassLimit,
    SetAside,
    StartFailed,
    WouldDelayReserved,
)
from scheduler.requests import Request
from scheduler.snapshot import Snapshot


class Room:
    """The center's room during one cycle: nodes, shares, credit and the caps of classes and people."""

    def __init__(self, snapshot: Snapshot, now: Seconds) -> None:
        self._snapshot = snapshot
        self._policy = snapshot.policy
        self._now = now
        self._wholes = snapshot.wholes()
        self._tree = Tree(snapshot.shares.values())
        self._floor = Floor(snapshot.nodes.values(), snapshot.clusters(), snapshot.policy, now)
        self._held = Holdings(snapshot)
        # With what is set aside for protected starts: it is nobody else's, and nobody's yet.
        self._promised = Holdings(snapshot)
        self._protected: list[Reservation] = []
        self._known: dict[Hashable, tuple[WaitReason, ...]] = {}

    def reasons(self, request: Request) -> tuple[WaitReason, ...]:
        """Return everything that stops a pending request now, all of it; nothing if it can start.

        Found out once for all requests that are alike, until something is taken: in a long queue most are.
        """
        alike = _asked(request)
        known = self._known.get(alike)
        if known is None:
            known = self._known[alike] = (
                *self._kept_back(request),
                *self._capped(request),
                *self._short_of_quota(request),
                *self._short_of_credit(request),
                *self._short_of_nodes(request),
            )
        return known

    def start(self, request: Request) -> Placement:
        """Place a request that nothing stops, and take its room."""
        packing = place(request, self._floor.open_until(request.pool, self._would_end(request)), self._floor.places)
        allocation = self._promised.covering(request, self._price(request), self._now)
        assert isinstance(packing, Packing), request
        assert allocation is not None, request
        placement = Placement(
            request=request,
            allocation=allocation.id,
            deadline=Seconds(self._now + request.walltime_seconds),
            processes=tuple(self._gang(request, packing)),
        )
        placed = replace(request, placed=self._now, deadline=placement.deadline, allocation=allocation.id)
        self._take(Cluster(request=placed, processes=placement.processes))
        for holdings in (self._held, self._promised):
            holdings.begin(request)
        return placement

    def reserve(self, request: Request) -> Reservation | None:
        """Protect the start of a request that only nodes stop: what else it will need is kept for it from now on."""
        reservation = self._floor.reserve(request, self._tree)
        if reservation is not None:
            allocation = self._promised.covering(request, self._price(request), self._now)
            assert allocation is not None, request
            self._promised.begin(request)
            self._promised.grant(request, request.gang_total())
            self._promised.hold(request, allocation.id, self._price(request))
            self._protected.append(reservation)
            self._known.clear()
        return reservation

    def grow(self, cluster: Cluster, ordinal: int, part: Part) -> Process | None:
        """Give a running cluster one more worker if everything allows it, and take its room.

        What it is guaranteed is held to the end of its time, an elastic worker on a lease.
        """
        request = cluster.request
        assert request.placed is not None, request
        assert request.deadline is not None, request
        assert request.allocation is not None, request
        rule = self._snapshot.rule(request.pool, request.placed)
        ends = releases_at(cluster, self._policy, self._now)
        node = place_worker(request, self._floor.open_until(request.pool, ends), self._floor.places)
        left = request.deadline - self._now
        seconds = min(self._policy.lease_seconds, left) if part is Part.ELASTIC else left
        if rule is None or node is None or seconds <= 0 or ordinal > LAST_ORDINAL or self._is_put_off(request):
            return None
        if self._over_quota(request, request.worker, ends):
            return None
        hold = price(rule, request.worker, seconds * 1000, percent=self._class(request).price_percent)
        if hold > self._promised.left(request, request.allocation, self._now):
            return None
        process = Process(
            request=request.id,
            ordinal=ordinal,
            part=part,
            node=node,
            shape=request.worker,
            hold=hold,
            lease_until=Seconds(self._now + seconds) if part is Part.ELASTIC else None,
        )
        self._take(Cluster(request=request, processes=(process,)))
        return process

    def _kept_back(self, request: Request) -> Iterator[WaitReason]:
        if request.user_hold:
            yield HeldByUser()
        if request.operator_hold:
            yield HeldByOperator()
        if self._is_put_off(request):
            assert request.trouble is not None, request
            assert request.not_before is not None, request
            yield StartFailed(trouble=request.trouble, until=request.not_before)

    def _is_put_off(self, request: Request) -> bool:
        return request.not_before is not None and self._now < request.not_before

    def _capped(self, request: Request) -> Iterator[WaitReason]:
        most = self._class(request).most_per_person
        if (running := self._held.running(request)) >= most:
            yield PersonAtClassLimit(request_class=request.request_class, running=running, most=most)
        elif self._promised.running(request) >= most:
            yield self._set_aside(Kept.TURN)
        if not self._fits_class(self._held, request, request.gang_total()):
            yield from self._short_of_class(request)
        elif not self._fits_class(self._promised, request, request.gang_total()):
            yield self._set_aside(Kept.CLASS_SHARE)

    def _short_of_class(self, request: Request) -> Iterator[WaitReason]:
        needed, left = request.gang_total(), self._left_to_class(self._held, request)
        for name in names(needed):
            if needed.amount(name) > left.amount(name):
                yield ClassShareFull(
                    request_class=request.request_class,
                    pool=request.pool,
                    resource=name,
                    needed=needed.amount(name),
                    left=max(0, left.amount(name)),
                )

    def _short_of_quota(self, request: Request) -> Iterator[WaitReason]:
        path = self._tree.path(request.project, request.pool)
        if path:
            yield from withheld(path, request.gang_total())
        else:
            yield NoShare(project=request.project, pool=request.pool)

    def _short_of_credit(self, request: Request) -> Iterator[WaitReason]:
        if self._snapshot.rule(request.pool, self._now) is None:
            yield NoRate(pool=request.pool)
            return
        needed = self._price(request)
        if self._held.covering(request, needed, self._now) is None:
            available = self._held.most_available(request, self._now)
            yield NoCredit(project=request.project, needed=needed, available=available)
        elif self._promised.covering(request, needed, self._now) is None:
            yield self._set_aside(Kept.CREDIT)

    def _set_aside(self, what: Kept) -> SetAside:
        return SetAside(what=what, reserved_from=min(one.starts for one in self._protected))

    def _short_of_nodes(self, request: Request) -> Iterator[WaitReason]:
        ends = self._would_end(request)
        packing = place(request, self._floor.free(request.pool), self._floor.places)
        if isinstance(packing, Crowded):
            yield NodesFull(pool=request.pool, processes=request.workers_min + 1, placeable=packing.placeable)
        elif isinstance(place(request, self._floor.open_until(request.pool, ends), self._floor.places), Crowded):
            first = min(one.starts for one in self._floor.protected_before(request.pool, ends))
            yield WouldDelayReserved(pool=request.pool, reserved_from=first, would_end=ends)
        elif delayed := self._floor.delays(request, request.gang_total(), ends):
            yield WouldDelayReserved(pool=request.pool, reserved_from=delayed.starts, would_end=ends)

    def _over_quota(self, request: Request, amount: Resources, ends: Seconds) -> bool:
        path = self._tree.path(request.project, request.pool)
        granted = path and not withheld(path, amount) and self._fits_class(self._promised, request, amount)
        return not granted or self._floor.delays(request, amount, ends) is not None

    def _would_end(self, request: Request) -> Seconds:
        return Seconds(self._now + request.walltime_seconds + self._policy.termination_slack_seconds)

    def _class(self, request: Request) -> ClassRule:
        return self._policy.classes[request.request_class]

    def _fits_class(self, holdings: Holdings, request: Request, amount: Resources) -> bool:
        """Tell whether the class may hold so much more; one that may hold the whole pool is only bound by nodes."""
        return self._class(request).takes_all or amount.within(self._left_to_class(holdings, request))

    def _left_to_class(self, holdings: Holdings, request: Request) -> Resources:
        allowed = self._class(request).share_of(self._wholes.get(request.pool, NOTHING))
        return allowed - holdings.granted(request)

    def _price(self, request: Request) -> MicroCredits:
        rule, percent = self._snapshot.rule(request.pool, self._now), self._class(request).price_percent
        assert rule is not None, request.pool
        return price_of_all(rule, request.gang(), request.walltime_seconds, percent=percent)

    def _gang(self, request: Request, packing: Packing) -> Iterator[Process]:
        rule, percent = self._snapshot.rule(request.pool, self._now), self._class(request).price_percent
        assert rule is not None, request.pool
        for ordinal, (node, shape) in enumerate(zip((packing.head, *packing.workers), request.gang(), strict=True)):
            yield Process(
                request=request.id,
                ordinal=ordinal,
                part=Part.HEAD if ordinal == HEAD_ORDINAL else Part.GUARANTEED,
                node=node,
                shape=shape,
                hold=price(rule, shape, request.walltime_seconds * 1000, percent=percent),
                incarnation=request.first_incarnation,
            )

    def _take(self, cluster: Cluster) -> None:
        """Take what new slots of a cluster need of everything there is."""
        request = cluster.request
        assert request.allocation is not None, request
        self._floor.take(cluster)
        for process in cluster.processes:
            self._tree.grant(request.project, request.pool, process.shape)
            for holdings in (self._held, self._promised):
                holdings.grant(request, process.shape)
                holdings.hold(request, request.allocation, process.hold)
        self._known.clear()


def _asked(request: Request) -> Hashable:
    """Return everything of a request that its reasons depend on."""
    return (
        request.person,
        request.project,
        request.pool,
        request.request_class,
        request.head,
        request.worker,
        request.workers_min,
        request.walltime_seconds,
        request.user_hold,
        request.operator_hold,
        request.trouble,
        request.not_before,
    )
