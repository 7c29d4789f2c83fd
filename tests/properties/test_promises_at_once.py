"""What was promised to many is set aside at once as it would be for one after the other."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from hypothesis import given

from registry.ids import Seconds
from scheduler.aside import keep_all, packing_of, promised
from scheduler.decide import decide
from scheduler.fitting import Packing
from scheduler.floors import Kept
from scheduler.policy import DEFAULT_POLICY, Order
from scheduler.requests import Request
from scheduler.room import Room
from scheduler.seating import first_start
from scheduler.snapshot import Snapshot
from tests.builders import NOW, a_node, a_request, a_snapshot, cores, facts_of_a_center
from tests.properties.worlds import applied, ended, snapshots

MANY = replace(DEFAULT_POLICY, reservations=6, order=Order.ARRIVAL)
"""An order by which whoever is blocked in its turn is promised a start at once."""
LATER = Seconds(NOW + 40)


def promising(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot after its first cycle, once the cluster that was placed first has ended."""
    after = applied(snapshot, decide(snapshot, NOW), NOW)
    for cluster in after.clusters()[:1]:
        after = ended(after, cluster.request, LATER)
    return after


def given_places(room: Room, snapshot: Snapshot) -> Iterator[tuple[Request, Seconds, Packing]]:
    """Yield what was promised to whom, and where."""
    for request in promised(snapshot):
        assert request.promise is not None
        packing = packing_of(request.promise, room.floor_for(request).ground)
        assert packing is not None
        yield request, request.promise.starts, packing


@given(snapshots(MANY))
def test_all_is_set_aside_at_once_as_one_after_the_other_would_be(snapshot: Snapshot) -> None:
    after = promising(snapshot)
    at_once, slowly = Room(after, LATER), Room(after, LATER)
    kept = keep_all(at_once, promised(after))
    if kept is None:
        return
    for request, starts, packing in given_places(slowly, after):
        gang = slowly.gang(request)
        assert slowly.could_keep(request, gang, starts, packing)
        assert request.promise is not None
        assert slowly.keep(request, gang, (starts, packing), request.promise.aim).promise == request.promise
    for one in kept:
        floors = at_once.floor_for(one.request), slowly.floor_for(one.request)
        assert floors[0].next_in_line == floors[1].next_in_line
        assert floors[0].latest_starts == floors[1].latest_starts
        same = [floor.timeline.open_from(one.starts, one.hold.ends) for floor in floors]
        assert (same[0] == same[1]).all()
        assert all(map(np.array_equal, *(floor.timeline.open_by_starts() for floor in floors)))
    for name in ("running", "granted", "available"):
        assert np.array_equal(getattr(at_once.promised, name), getattr(slowly.promised, name))


@given(snapshots(MANY))
def test_who_could_not_come_earlier_by_sums_does_not_when_it_is_tried(snapshot: Snapshot) -> None:
    after = promising(snapshot)
    room = Room(after, LATER)
    for one in keep_all(room, promised(after)) or ():
        if not room.floor_for(one.request).timeline.may_come_earlier(one.hold):
            assert first_start_without(room, one) == one.starts


def first_start_without(room: Room, kept: Kept) -> Seconds:
    room.let_go(kept)
    first = first_start(room, kept.request, room.gang(kept.request), until=kept.starts)
    assert first is not None
    room.keep(kept.request, room.gang(kept.request), first, kept.promise.aim)
    return first[0]


def test_of_many_promises_the_next_cycle_keeps_all_at_once() -> None:
    center = facts_of_a_center([a_node("n1", cores(8, 32))], ("vmu.vision",))
    queue = [
        a_request(number, workers_min=number % 3 + 1, head=cores(2, 2), worker=cores(2, 2), walltime_seconds=600)
        for number in range(1, 31)
    ]
    snapshot = a_snapshot([*center, *queue], replace(MANY, reservations=100))
    after = applied(snapshot, decide(snapshot, NOW), NOW)
    room = Room(after, LATER)
    kept = keep_all(room, promised(after))
    assert kept is not None
    assert [one.starts for one in kept] == [one.promise.starts for one in promised(after) if one.promise]
    assert len(kept) > 20
    assert not decide(after, LATER).promises


def test_promises_are_not_set_aside_at_once_where_a_node_has_less_by_now() -> None:
    center = facts_of_a_center([a_node("n1", cores(8, 32))], ("vmu.vision",))
    queue = [a_request(number, workers_min=1, head=cores(2, 2), worker=cores(4, 2)) for number in range(1, 4)]
    after = applied(one := a_snapshot([*center, *queue], MANY), decide(one, NOW), NOW)
    assert keep_all(Room(after, LATER), promised(after))
    smaller = after.with_facts([replace(after.nodes[a_node("n1").id], capacity=cores(5, 32))])
    assert keep_all(Room(smaller, LATER), promised(smaller)) is None
