"""What is left while a plan is made: each decision takes from it, everything else only looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from quotas.grants import NOBODY
from quotas.rates import card_at, price
from registry.axes import Ints, all_of, exceeds, rows_where
from registry.ids import AllocationId, MicroCredits, NodeId, Seconds
from scheduler import arrays as columns
from scheduler.arrays import CLASSES
from scheduler.bookings import left_seconds
from scheduler.clusters import HEAD_ORDINAL, LAST_ORDINAL, Cluster, Part, Process
from scheduler.dues import Due
from scheduler.fitting import Gang, Packing, place_workers
from scheduler.floors import Floor, Kept, floor_of
from scheduler.ground import Ground
from scheduler.holdings import Holdings
from scheduler.leaving import releases_at
from scheduler.names import Priced, Spot, shape_of
from scheduler.plan import Placement
from scheduler.policy import WHOLE_PERCENT, ClassRule, Order
from scheduler.profile import Hold
from scheduler.requests import Promise, Request
from scheduler.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Begun:
    """What begins now: what it takes of each node, altogether, and when it is gone at the latest."""

    by_node: Ints
    total: Ints
    ends: Seconds


class Room:
    """The center's room during one cycle: nodes, shares, credit and the caps of classes and people."""

    def __init__(self, snapshot: Snapshot, now: Seconds) -> None:
        self.snapshot: Final = snapshot
        self.policy: Final = snapshot.policy
        self.now: Final = now
        self.arrays: Final = snapshot.arrays
        self.grants: Final = snapshot.arrays.grants()
        self.wholes: Final = snapshot.arrays.wholes()
        self.held: Final = Holdings(snapshot, now)
        # With what is set aside for protected starts: it is nobody else's, and nobody's yet.
        self.promised: Final = Holdings(snapshot, now)
        card = card_at(snapshot.rate_cards.values(), now)
        self._prices: Final = snapshot.arrays.names.prices_by(card, self.policy.classes)
        self._floors: dict[Spot, Floor] = {}
        self._gangs: dict[int, tuple[Request, Gang]] = {}
        self._price_of: dict[int, tuple[Request, MicroCredits]] = {}
        self.stopped_by: Ints | None = None
        """What else than nodes stops each row of the queue, once it was asked and while nothing can change it."""
        self.seats_stay = False
        """Whether nobody who was promised a start is moved to other nodes for somebody else."""
        self.decisions = 0
        """How often something was taken or kept: until then what was found out stays true."""

    @cached_property
    def most_per_person(self) -> Ints:
        """Return by class how many requests of one person may run at once."""
        return np.array([self.policy.classes[one].most_per_person for one in CLASSES])

    @cached_property
    def share_percent(self) -> Ints:
        """Return by class which part of a pool it may hold."""
        return np.array([self.policy.classes[one].share_percent for one in CLASSES])

    @property
    def prices(self) -> Ints:
        """Return the price of each gang that was mentioned, by its number."""
        return self._prices.of_all(self.arrays.names.priced)

    @property
    def sells_all(self) -> bool:
        """Tell whether every gang that was mentioned has a price."""
        return len(self.prices) == 0 or self._prices.sells_all

    @cached_property
    def is_tight(self) -> bool:
        """Tell whether what is decided in this cycle could stop anybody by anything but nodes.

        Where all who wait could start at once as far as quotas, credit and caps go, nobody is asked again.
        """
        if self.arrays.structure.withholds_any:
            return True
        queue = self.arrays.queue
        if not len(queue):
            return False
        classes = rows_where(np.bincount(queue.cells[:, columns.CLASS][queue.alive()]))
        rules = [self.policy.classes[CLASSES[number]] for number in classes.tolist()]
        is_free = all(rule.takes_all for rule in rules)
        least = min(rule.most_per_person for rule in rules)
        return not is_free or self._may_reach(least) or self._may_cost_more_than_there_is()

    def _may_reach(self, most_per_person: int) -> bool:
        """Tell whether anybody could run so many, or as many as their class allows, if all who wait started."""
        queue = self.arrays.queue
        if len(self.arrays.running) + len(queue) < most_per_person:
            return False
        cells, running = queue.cells[queue.alive()], self.held.running
        then = running + np.bincount(cells[:, columns.BY_PERSON], minlength=len(running))
        return bool((then[cells[:, columns.BY_PERSON]] >= self.most_per_person[cells[:, columns.CLASS]]).any())

    def _may_cost_more_than_there_is(self) -> bool:
        """Tell whether anybody could lack credit if all who wait started, each paid of one allocation."""
        queue, prices = self.arrays.queue, self.prices
        if len(prices) and self._prices.dearest * len(queue) <= self.held.poorest:
            return False
        cells, available = queue.cells[queue.alive()], self.held.available
        needed = prices[cells[:, columns.PRICED]].astype(np.float64)
        return bool((np.bincount(cells[:, columns.PAYER], needed, minlength=len(available)) > available).any())

    def floor(self, spot: Spot) -> Floor:
        """Return the floor of a spot."""
        floor = self._floors.get(spot)
        if floor is None:
            floor = self._floors[spot] = floor_of(self.snapshot, spot, self.grants, self.now)
        return floor

    def floor_for(self, request: Request) -> Floor:
        """Return the floor that a request may go to."""
        return self.floor((request.pool, request.booking))

    def kept(self) -> Iterator[Kept]:
        """Yield everything that is set aside, of all pools."""
        return (kept for floor in self._floors.values() for kept in floor.kept)

    def close(self, floor: Floor) -> None:
        """Let nobody start there any more in this cycle."""
        floor.closed = True
        self.decisions += 1

    @property
    def after_notice(self) -> Seconds:
        """Return when what is told to leave now is gone at the latest."""
        return Seconds(self.now + self.policy.notice_seconds + self.policy.termination_slack_seconds)

    def within_notice(self, floor: Floor) -> Ints:
        """Return the sums over all nodes of what is free when a notice is over, if all that is lent is taken back."""
        if not floor.lends or floor.searched_enough:
            return floor.lent * 0
        then = floor.timeline.open_from(self.after_notice, Seconds(self.after_notice + 1))
        return np.asarray(np.maximum(then, 0).sum(axis=0) + floor.lent)

    def may_seat_anew(self, floor: Floor) -> bool:
        """Tell whether others may be had on other nodes for somebody, who finds room by sums but not by nodes."""
        return floor.may_seat_anew and not self.seats_stay

    @property
    def may_promise(self) -> bool:
        """Tell whether a promise could still be given in some pool."""
        return any(self.may_promise_on(floor) for floor in self._floors.values())

    def may_promise_on(self, floor: Floor) -> bool:
        """Tell whether the policy has a promise left for a pool."""
        return floor.next_in_line < self.policy.reservations

    def promises_in_turn(self, floor: Floor) -> bool:
        """Tell whether who is blocked in its turn is promised a start at once: under every order but the center's."""
        return self.policy.order is not Order.SCORE and self.may_promise_on(floor)

    def gang(self, request: Request) -> Gang:
        """Return what is placed of a request together, found by its shape once for each request."""
        known = self._gangs.get(id(request))
        if known is None:
            # The request is remembered with it: its identity is nobody else's as long as it is there.
            gang = self.arrays.gang(self.arrays.names.shapes.of(shape_of(request)))
            known = self._gangs[id(request)] = request, gang
        return known[1]

    def would_end(self, request: Request) -> Seconds:
        """Return when a request that starts now is gone at the latest."""
        return Seconds(self.now + self.lasts(request))

    def lasts(self, request: Request) -> int:
        """Return for how long a request takes its room at the most, in seconds."""
        return self._walltime(request) + self.policy.termination_slack_seconds

    def _walltime(self, request: Request) -> int:
        """Return for how long a request may run if it starts now: who works in a booking ends with it."""
        booking = self.snapshot.bookings.get(request.booking) if request.booking else None
        left = request.walltime_seconds if booking is None else left_seconds(booking, self.now)
        return min(request.walltime_seconds, left)

    def start(self, request: Request, gang: Gang, packing: Packing) -> Placement:
        """Place a request that nothing stops, and take its room."""
        allocation = self.promised.covering(request, self.price(request), self.now)
        assert allocation is not None, request
        floor = self.floor_for(request)
        placement = Placement(
            request=request,
            allocation=allocation.id,
            deadline=Seconds(self.now + self._walltime(request)),
            guaranteed_until=Seconds(self.now + self._walltime(request)),
            processes=tuple(self._slots(request, floor.ground, packing)),
        )
        for holdings in (self.held, self.promised):
            holdings.begin(request)
        taken = packing.taken(gang, floor.timeline.free)
        hold = MicroCredits(sum(process.hold for process in placement.processes))
        self._take(request, allocation.id, hold, Begun(taken, gang.total, self.would_end(request)))
        return placement

    def keep(self, request: Request, gang: Gang, first: tuple[Seconds, Packing], aim: Seconds | None = None) -> Kept:
        """Set aside what a request will need from a moment on, which nodes alone keep it from having now.

        With an `aim` that is a latest start. Where anything is lent, what starts as soon as that could be had back
        waits for no more than a notice.
        """
        starts, packing = first
        floor, ends = self.floor_for(request), Seconds(starts + self.lasts(request))
        hold = Hold(starts, ends, packing.taken(gang, floor.timeline.free), gang.total)
        due = Due(self.grants.row(request.project, request.pool), gang.total, starts, ends)
        allocation = self.promised.covering(request, self.price(request), self.now)
        assert allocation is not None, request
        given = request.promise.given if request.promise else self.now
        head, workers = floor.ground.named(packing)
        promise = Promise(given=given, starts=starts, head=head, workers=workers, aim=aim)
        return self.set_aside(Kept(request, starts, hold, due, allocation.id, self.is_soon(floor, starts), promise))

    def set_aside(self, kept: Kept) -> Kept:
        """Take what is to be kept from everybody else: for the first time, or again after it was let go."""
        floor, request = self.floor_for(kept.request), kept.request
        self.decisions += 1
        floor.keep(kept)
        self.promised.begin(request)
        self.promised.grant(request, kept.hold.total)
        self.promised.hold(request, kept.allocation, self.price(request))
        return kept

    def is_soon(self, floor: Floor, starts: Seconds) -> bool:
        """Tell whether who starts then waits for no more than a notice to be over."""
        return starts <= self.after_notice and floor.lends

    def may_gain(self, kept: Kept) -> bool:
        """Tell whether a protected start could come earlier if it were found again, as far as sums tell.

        On which nodes it is does not matter: whoever comes later has it elsewhere if that is of use.
        """
        return self.floor_for(kept.request).timeline.may_come_earlier(kept.hold)

    def could_keep(self, request: Request, gang: Gang, starts: Seconds, packing: Packing) -> bool:
        """Tell whether what was promised can still be had, on the same nodes from the same moment."""
        floor, ends = self.floor_for(request), Seconds(starts + self.lasts(request))
        row = self.grants.row(request.project, request.pool)
        hold = Hold(starts, ends, packing.taken(gang, floor.timeline.free), gang.total)
        return floor.timeline.could_hold(hold) and floor.dues.allows(row, gang.total, starts, ends)

    def let_go(self, kept: Kept) -> None:
        """Set nothing aside any more for a request that is about to start, or to be promised another start."""
        floor, request = self.floor_for(kept.request), kept.request
        floor.let_go(kept)
        self.promised.forget(request, kept.allocation, kept.hold.total, self.price(request))

    def grow(self, cluster: Cluster, ordinal: int, part: Part, count: int = 1) -> tuple[Process, ...]:
        """Give a running cluster so many more workers, or as many as everything allows, and take their room.

        What it is guaranteed is held to the end of its time, an elastic worker on a lease.
        """
        request = cluster.request
        assert request.allocation is not None, request
        floor, gang = self.floor_for(request), self.gang(request)
        lease, ends = self.lease(request, part), releases_at(cluster, self.policy, self.now)
        if lease is None:
            return ()
        seconds, hold = lease
        paid = self.promised.left(request, request.allocation, self.now) // hold if hold else count
        most = min(count, paid, LAST_ORDINAL + 1 - ordinal)
        while most > 0 and not self.has_quota(request, gang.worker * most, ends):
            most //= 2
        workers = place_workers(gang, floor.timeline.open_until(ends), most) if most > 0 else ()
        nodes = [floor.ground.ids[row] for row, many in workers for _ in range(many)]
        if not nodes:
            return ()
        taken = np.zeros_like(floor.timeline.free)
        for row, many in workers:
            taken[row] = gang.worker * many
        begun = Begun(taken, gang.worker * len(nodes), ends)
        self._take(request, request.allocation, MicroCredits(hold * len(nodes)), begun)
        return tuple(
            Process(
                request=request.id,
                ordinal=ordinal + number,
                part=part,
                node=node,
                shape=request.worker,
                hold=hold,
                lease_until=Seconds(self.now + seconds) if part is Part.ELASTIC else None,
            )
            for number, node in enumerate(nodes)
        )

    def lease(self, request: Request, part: Part) -> tuple[int, MicroCredits] | None:
        """Return for how long one more worker of a running request is paid in advance, and how much; None for never."""
        assert request.placed is not None, request
        assert request.deadline is not None, request
        rule, left = self.snapshot.rule(request.pool, request.placed), request.deadline - self.now
        seconds = min(self.policy.lease_seconds, left) if part is Part.ELASTIC else left
        if rule is None or seconds <= 0 or self.is_put_off(request):
            return None
        percent = self.rule_of(request).price_percent
        return seconds, price(rule, request.worker, seconds * 1000, percent=percent)

    def rule_of(self, request: Request) -> ClassRule:
        """Return the rule of a request's class."""
        return self.policy.classes[request.request_class]

    def is_put_off(self, request: Request) -> bool:
        """Tell whether a start that failed puts the next one off."""
        return request.not_before is not None and self.now < request.not_before

    def price(self, request: Request) -> MicroCredits:
        """Return what a request would cost if it started now and ran for its whole time."""
        known = self._price_of.get(id(request))
        if known is None:
            priced = Priced(shape_of(request), request.walltime_seconds, request.request_class)
            number = self.arrays.names.priced.of(priced)
            known = self._price_of[id(request)] = request, MicroCredits(int(self.prices[number]))
        return known[1]

    def left_to_class(self, holdings: Holdings, request: Request) -> Ints:
        """Return what a request's class may still take of its pool."""
        pool = self.arrays.names.pools.of(request.pool)
        allowed = self.wholes[pool] * self.rule_of(request).share_percent // WHOLE_PERCENT
        return np.asarray(allowed - holdings.granted[pool, CLASSES.index(request.request_class)])

    def has_quota(self, request: Request, amount: Ints, ends: Seconds) -> bool:
        """Tell whether quotas and the share of its class let a request have so much more from now until it ends."""
        row = self.grants.row(request.project, request.pool)
        if row == NOBODY or not all_of(amount <= self.grants.claimable(row)):
            return False
        fits = self.rule_of(request).takes_all or not exceeds(amount, self.left_to_class(self.promised, request))
        return fits and self.floor_for(request).dues.delayed(row, amount, self.now, ends) is None

    def _slots(self, request: Request, ground: Ground, packing: Packing) -> Iterator[Process]:
        rule, percent = self.snapshot.rule(request.pool, self.now), self.rule_of(request).price_percent
        assert rule is not None, request
        milliseconds = request.walltime_seconds * 1000
        head, worker = (price(rule, one, milliseconds, percent=percent) for one in (request.head, request.worker))
        nodes = [ground.ids[row] for row, count in packing.workers for _ in range(count)]

        def slot(ordinal: int, node: NodeId) -> Process:
            is_head = ordinal == HEAD_ORDINAL
            return Process(
                request=request.id,
                ordinal=ordinal,
                part=Part.HEAD if is_head else Part.GUARANTEED,
                node=node,
                shape=request.head if is_head else request.worker,
                hold=head if is_head else worker,
                incarnation=request.first_incarnation,
            )

        yield from map(slot, range(len(nodes) + 1), (ground.ids[packing.head], *nodes))

    def _take(self, request: Request, allocation: AllocationId, hold: MicroCredits, taken: Begun) -> None:
        """Take what new slots of a cluster need of everything there is."""
        floor, row = self.floor_for(request), self.grants.row(request.project, request.pool)
        self.decisions += 1
        floor.timeline.begin(taken.by_node, taken.total, taken.ends)
        floor.dues.begin(row, taken.total, taken.ends)
        self.grants.grant(row, taken.total)
        for holdings in (self.held, self.promised):
            holdings.grant(request, taken.total)
            holdings.hold(request, allocation, hold)
