"""Work that is in the way of maintenance ends when that begins."""

from collections.abc import Iterator

from registry.ids import Seconds
from scheduler.bookings import is_over
from scheduler.requests import Request, State
from scheduler.snapshot import Snapshot


def displaced(snapshot: Snapshot, now: Seconds) -> Iterator[Request]:
    """Yield the requests whose clusters still run on nodes of a booking that has begun and displaces, by id."""
    bookings = (one for one in snapshot.bookings.values() if one.displaces and one.begins <= now)
    nodes = {(one.pool, node) for one in bookings if not is_over(one, now) for node in one.nodes}
    if not nodes:
        return
    for _, request in sorted(snapshot.requests.items()):
        if request.state is State.PLACED and request.ending is None:
            slots = snapshot.processes.get(request.id, {}).values()
            if any((request.pool, slot.node) in nodes for slot in slots):
                yield request
