"""Everything that was promised before, set aside at once: while nothing has become short, all of it still holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quotas.grants import NOBODY, Structure
from registry.axes import PLACES, Ints
from registry.ids import AllocationId, NodeId, RequestId, Seconds
from scheduler import arrays as columns
from scheduler.blocking import hindered
from scheduler.dues import Due
from scheduler.fitting import Packing
from scheduler.floors import Floor, Kept
from scheduler.ground import Ground
from scheduler.names import Spot
from scheduler.policy import WHOLE_PERCENT, Policy
from scheduler.profile import Hold
from scheduler.requests import Promise, Request
from scheduler.room import Room
from scheduler.snapshot import Snapshot


@dataclass(slots=True)
class _Memory:
    """What was set aside for requests on a spot in the cycle before, and what that was worked out of."""

    ids: tuple[NodeId, ...]
    structure: Structure
    policy: Policy
    kept: dict[RequestId, Kept]

    @classmethod
    def of(cls, room: Room, floor: Floor, spot: Spot) -> dict[RequestId, Kept]:
        """Return what is remembered and still true of a floor, to be added to."""
        known, structure, policy = room.arrays.names.memory.get(spot), room.arrays.structure, room.policy
        if isinstance(known, _Memory) and len(known.kept) <= 2 * len(room.arrays.queue):
            same = known.ids is floor.ground.ids and known.structure is structure and known.policy is policy
            if same:
                return known.kept
        room.arrays.names.memory[spot] = new = cls(floor.ground.ids, structure, policy, {})
        return new.kept


def promised(snapshot: Snapshot) -> list[Request]:
    """Return the requests that were promised a start, in the order in which they were."""
    queue = snapshot.arrays.queue
    rows = np.flatnonzero(queue.cells[:, columns.PROMISED] * queue.cells[:, columns.ALIVE])
    requests = [snapshot.requests[queue.key(int(row))] for row in rows]
    return sorted(requests, key=lambda one: (one.promise.given if one.promise else 0, one.id))


def packing_of(promise: Promise, ground: Ground) -> Packing | None:
    """Return where a promise counts on starting, if all those nodes are still there."""
    rows = ground.row_of
    names: list[NodeId] = [promise.head, *(node for node, _ in promise.workers)]
    if not all(node in rows for node in names):
        return None
    return Packing(rows[promise.head], tuple((rows[node], count) for node, count in promise.workers))


def keep_all(room: Room, requests: Sequence[Request]) -> list[Kept] | None:
    """Set aside all that was promised to requests, as it was promised; None, and nothing, if that is not so clear.

    That each would be allowed its own beside those before it follows from the sums over all of them: what is not short
    with all of them is not with some of them. Otherwise whoever asks has to ask of one after the other.
    """
    if not requests:
        return []
    cells = room.arrays.queue.cells[[room.arrays.queue.row(request.id) for request in requests]]
    prices = room.prices[cells[:, columns.PRICED]].tolist()
    if hindered(room, cells).any() or not _is_enough(room, cells):
        return None
    kept = _as_before(room, requests, room.promised.covering_all(requests, prices))
    if kept is None or not _keep_on_nodes(room, kept):
        return None
    places = cells[:, columns.POOL], cells[:, columns.CLASS]
    room.promised.count(cells[:, columns.BY_PERSON], places, cells[:, columns.TOTAL :])
    for one, price in zip(kept, prices, strict=True):
        room.promised.hold(one.request, one.allocation, price)
    room.decisions += 1
    return kept


def are_free(room: Room, requests: Sequence[Request]) -> list[bool]:
    """Tell of each pending request whether there are nodes free for it now, kept for somebody or not."""
    queue = room.arrays.queue
    shapes = queue.cells[[queue.row(request.id) for request in requests], columns.SHAPE].tolist()
    known: dict[tuple[Floor, int], bool] = {}
    found: list[bool] = []
    for request, shape in zip(requests, shapes, strict=True):
        which = room.floor_for(request), shape
        if which not in known:
            known[which] = isinstance(which[0].timeline.place(room.arrays.gang(shape), room.now), Packing)
        found.append(known[which])
    return found


def _as_before(
    room: Room, requests: Sequence[Request], allocations: Sequence[AllocationId] | None
) -> list[Kept] | None:
    """Return what was promised to requests; None without credit or nodes for any, or if any would begin too late."""
    if allocations is None:
        return None
    memories: dict[Spot, dict[RequestId, Kept]] = {}
    notice = room.after_notice
    found: list[Kept] = []
    for request, allocation in zip(requests, allocations, strict=True):
        spot = request.pool, request.booking
        memory = memories.get(spot)
        if memory is None:
            memory = memories[spot] = _Memory.of(room, room.floor(spot), spot)
        kept = memory.get(request.id)
        if kept is None or kept.request is not request or kept.allocation != allocation or kept.starts <= notice:
            kept = _newly_kept(room, request, allocation)
            if kept is None:
                return None
            if request.booking is None:
                memory[request.id] = kept
        found.append(kept)
    return found


def _newly_kept(room: Room, request: Request, allocation: AllocationId) -> Kept | None:
    promise, floor = request.promise, room.floor_for(request)
    assert promise is not None, request
    packing = packing_of(promise, floor.ground)
    if packing is None or promise.starts < room.now:
        return None
    gang, ends = room.gang(request), Seconds(promise.starts + room.lasts(request))
    hold = Hold(promise.starts, ends, packing.taken(gang, floor.timeline.free), gang.total)
    due = Due(room.grants.row(request.project, request.pool), gang.total, promise.starts, ends)
    return Kept(request, promise.starts, hold, due, allocation, room.is_soon(floor, promise.starts), promise)


def _keep_on_nodes(room: Room, kept: Sequence[Kept]) -> bool:
    """Set aside what is kept of nodes and quotas, if it is clear that there is enough for all of it; tell whether."""
    floors: dict[Floor, list[Kept]] = {}
    for one in kept:
        floors.setdefault(room.floor_for(one.request), []).append(one)
    if room.arrays.structure.withholds_any and any(floor.lends for floor in floors):
        return False
    for floor, some in floors.items():
        floor.keep_all(some)
    if not any(floor.timeline.is_overdrawn for floor in floors):
        return True
    for floor, some in floors.items():
        for one in some:
            floor.let_go(one)
    return False


def _is_enough(room: Room, cells: Ints) -> bool:
    """Tell whether people, classes and quotas may have all of it at once beside what runs."""
    classes, people = cells[:, columns.CLASS], cells[:, columns.BY_PERSON]
    most = room.most_per_person[classes]
    if len(room.arrays.running) + len(cells) > most.min():
        running = room.promised.running
        if (running + np.bincount(people, minlength=len(running)))[people].max() > most.min():
            return False
    return _is_within_classes(room, cells) and _is_within_quotas(room, cells)


def _is_within_classes(room: Room, cells: Ints) -> bool:
    bounded = cells[room.share_percent[cells[:, columns.CLASS]] < WHOLE_PERCENT]
    if not len(bounded):
        return True
    held = np.zeros((*room.promised.granted.shape[:2], room.arrays.axes.width), dtype=np.int64)
    np.add.at(held, (bounded[:, columns.POOL], bounded[:, columns.CLASS]), bounded[:, columns.TOTAL :])
    allowed = room.wholes[:, None] * room.share_percent[:, None] // WHOLE_PERCENT
    beyond = (held > 0) & (held > allowed - room.promised.granted)
    beyond[..., PLACES] = False
    return not beyond.any()


def _is_within_quotas(room: Room, cells: Ints) -> bool:
    structure = room.arrays.structure
    if not structure.withholds_any:
        return True
    rows = room.arrays.names.rows_of(structure)[cells[:, columns.SHARE]]
    if structure.keeps_any:
        return False
    above = np.unique(structure.ancestors[rows])
    above = above[above != NOBODY]
    needed = cells[:, columns.TOTAL :].sum(axis=0)
    return bool((room.grants.granted[above] + needed <= structure.limit[above]).all())
