"""What is let go leaves everything as it was before it was kept: nothing that is tried in vain leaves a trace."""

from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from registry.ids import RequestId, Seconds
from scheduler.aside import promised
from scheduler.fitting import Packing
from scheduler.floors import Floor
from scheduler.requests import Request
from scheduler.room import Room
from scheduler.snapshot import Snapshot
from tests.properties.test_promises_at_once import LATER, MANY, promising
from tests.properties.worlds import snapshots


def a_room(snapshot: Snapshot) -> Room:
    """Return the room of a second cycle, after one cluster has ended, with everything set aside that was promised."""
    after = promising(snapshot)
    room = Room(after, LATER)
    for request in promised(after):
        keep_first(room, request)
    return room


def first_of(room: Room, request: Request) -> tuple[Seconds, Packing] | None:
    """Return when a request could start at the earliest where everybody else stays on the nodes that they have."""
    return room.floor_for(request).timeline.earliest(room.gang(request), room.lasts(request), allows=lambda _: True)


def last_of(room: Room, request: Request) -> tuple[Seconds, Packing] | None:
    """Return the same at the latest, within some time."""
    timeline, until = room.floor_for(request).timeline, Seconds(LATER + 5000)
    return timeline.latest(room.gang(request), room.lasts(request), until=until, allows=lambda _: True)


def keep_first(room: Room, request: Request) -> None:
    """Set aside what a request needs from the first moment on at which it could start."""
    if (first := first_of(room, request)) is not None:
        room.keep(request, room.gang(request), first)


def startable(room: Room) -> list[Request]:
    """Return who waits, is promised nothing, and could pay for a start."""
    waiting = [one for one in room.snapshot.pending() if room.floor_for(one).kept_for(one) is None]
    return [one for one in waiting if room.promised.covering(one, room.price(one), room.now) is not None]


def told_by(floor: Floor, snapshot: Snapshot) -> Mapping[str, object]:
    """Return all that a floor counts, and which of its kept starts is whose."""
    whose = {one.id: floor.kept_for(one) for one in snapshot.pending()}
    sums = {one.id: floor.promised_to(one.institution, apart=one).tolist() for one in snapshot.pending()}
    return {"next": floor.next_in_line, "latest": floor.latest_starts, "whose": whose, "sums": sums}


def answers(room: Room) -> Mapping[RequestId | str, object]:
    """Return everything that anybody could ask of a room: who could start when and where, and what is left."""
    found: dict[RequestId | str, object] = {}
    for request in room.snapshot.pending():
        floor, gang = room.floor_for(request), room.gang(request)
        starts, sums = floor.timeline.open_by_starts()
        packing, when = (
            floor.timeline.place(gang, room.would_end(request)),
            (first_of(room, request), last_of(room, request)),
        )
        row = room.grants.row(request.project, request.pool)
        due = floor.dues.delayed(row, gang.total, room.now, room.would_end(request))
        of_floor = told_by(floor, room.snapshot), starts.tolist(), sums.tolist()
        found[request.id] = packing, when, due and (due.row, due.starts), of_floor
    for name in ("running", "granted", "available"):
        found[name] = getattr(room.promised, name).tolist(), getattr(room.held, name).tolist()
    found["grants"] = np.array(room.grants.granted).tolist()
    return found


@given(snapshots(MANY), st.data())
def test_what_is_kept_and_let_go_leaves_no_trace(snapshot: Snapshot, data: st.DataObject) -> None:
    room = a_room(snapshot)
    before = answers(room)
    for request in startable(room):
        gang = room.gang(request)
        first = data.draw(st.sampled_from([first_of, last_of]))(room, request)
        if first is not None:
            aim = data.draw(st.sampled_from([None, Seconds(LATER + 9000)]))
            room.let_go(room.keep(request, gang, first, aim))
            assert answers(room) == before


@given(snapshots(MANY))
def test_what_is_let_go_and_set_aside_again_is_as_it_was(snapshot: Snapshot) -> None:
    room = a_room(snapshot)
    for request in startable(room):
        keep_first(room, request)
    kept = list(room.kept())
    before = answers(room)
    for one in kept:
        room.let_go(one)
    for one in kept:
        room.set_aside(one)
    assert answers(room) == before
