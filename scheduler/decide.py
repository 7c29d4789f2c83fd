"""One cycle's decision: every pending request gets a placement or all the reasons why it waits."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from registry.ids import RequestId, Seconds
from scheduler.elastic import share_out
from scheduler.evacuation import evacuate
from scheduler.ordering import Standings, in_turn
from scheduler.plan import Placement, Plan, Wait, WaitReason
from scheduler.reasons import NodesFull, WouldDelayReserved
from scheduler.requests import Request
from scheduler.room import Room
from scheduler.snapshot import Snapshot

Answer = Placement | tuple[WaitReason, ...]


def decide(snapshot: Snapshot, now: Seconds) -> Plan:
    """Return everything that changes at `now`: who starts, who grows, who leaves, whose reasons to wait are new ones.

    Pure and independent of the order in which the snapshot's mappings were filled. Running work is never touched but
    where its node is to be emptied.
    """
    room = Room(snapshot, now)
    placements: list[Placement] = []
    waiting: list[tuple[Request, tuple[str, ...]]] = []
    for request, answer in answers(snapshot, room, now):
        if isinstance(answer, Placement):
            placements.append(answer)
        else:
            waiting.append((request, codes(answer)))
    growths = tuple(share_out(snapshot, room))
    growing = {growth.request.id for growth in growths}
    return Plan(
        placements=tuple(placements),
        growths=growths,
        retirements=tuple(evacuate(snapshot, growing, now)),
        waits=tuple(_changed(waiting)),
    )


def answers(snapshot: Snapshot, room: Room, now: Seconds) -> Iterator[tuple[Request, Answer]]:
    """Yield the answer to each pending request in its turn, taking from the room what is placed.

    A request that only lacks nodes is given a protected start while the policy has one left (EASY with one); what
    comes later may not delay it. A request that something else stops too is passed over.
    """
    standings = Standings(snapshot, now)
    for request in in_turn(snapshot.pending(), standings, now):
        reasons = room.reasons(request)
        if not reasons:
            standings.use(request, request.gang_total(), request.walltime_seconds)
            yield request, room.start(request)
        elif only_nodes(reasons):
            reservation = room.reserve(request)
            starts = reservation.starts if reservation else None
            yield request, tuple(_expecting(reason, starts) for reason in reasons)
        else:
            yield request, reasons


def only_nodes(reasons: Iterable[WaitReason]) -> bool:
    """Tell whether nothing but node capacity stands in the way."""
    return all(isinstance(reason, NodesFull | WouldDelayReserved) for reason in reasons)


def codes(reasons: Iterable[WaitReason]) -> tuple[str, ...]:
    """Return the codes of reasons as they are stored: each once, in the order they were found."""
    return tuple(dict.fromkeys(reason.code for reason in reasons))


def _expecting(reason: WaitReason, starts: Seconds | None) -> WaitReason:
    return replace(reason, expected=starts) if isinstance(reason, NodesFull) else reason


def _changed(waiting: Iterable[tuple[Request, tuple[str, ...]]]) -> Iterator[Wait]:
    """Group the requests whose reasons are new by what stops them."""
    groups: dict[tuple[str, ...], list[RequestId]] = {}
    for request, found in waiting:
        if found != request.reasons:
            groups.setdefault(found, []).append(request.id)
    for found, requests in groups.items():
        yield Wait(codes=found, requests=tuple(requests))
