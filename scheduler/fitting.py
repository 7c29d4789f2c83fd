"""Which nodes a gang fits on, and what could never fit at all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from quotas.claims import Level, beyond_limits
from quotas.reasons import BeyondLimit, NoShare
from registry.centers import Node
from registry.ids import NodeId
from registry.resources import Resources, names, total
from scheduler.policy import ClassRule
from scheduler.reasons import (
    BeyondClassShare,
    GangNeverFits,
    MinimumAboveMaximum,
    ProcessNeverFits,
    TooManyWorkers,
    WalltimeTooLong,
)
from scheduler.requests import Draft

NeverFits = (
    NoShare
    | BeyondLimit
    | ProcessNeverFits
    | GangNeverFits
    | BeyondClassShare
    | WalltimeTooLong
    | TooManyWorkers
    | MinimumAboveMaximum
)


UNLIMITED: Final[Mapping[NodeId, int]] = MappingProxyType({})
ANY: Final = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Packing:
    """Where a gang goes: a node for the head and one for each worker, in the order of their ordinals."""

    head: NodeId
    workers: tuple[NodeId, ...]

    def by_node(self, draft: Draft) -> dict[NodeId, Resources]:
        """Return what the packing takes of each node."""
        taken: dict[NodeId, Resources] = {}
        for node, shape in zip((self.head, *self.workers), draft.gang(), strict=True):
            taken[node] = taken[node] + shape if node in taken else shape
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowded:
    """The gang does not fit: this many of its processes would."""

    placeable: int


def place(
    draft: Draft, free: Mapping[NodeId, Resources], places: Mapping[NodeId, int] = UNLIMITED
) -> Packing | Crowded:
    """Fit the whole gang on nodes with `free` amounts, or tell how much of it would fit.

    `places` are how many processes more each node takes, however small they are; a node that is not named takes any.

    Exact for what a gang is, one head and equal workers: the head goes where it displaces the fewest workers, and
    workers fill the fullest nodes first, so that large holes stay whole. The cost grows with the number of nodes.
    """
    room = {node: min(times(amount, draft.worker), places.get(node, ANY)) for node, amount in free.items()}
    most = sum(room.values())
    heads = [node for node, amount in free.items() if draft.head.within(amount) and places.get(node, ANY) > 0]
    if not heads:
        return Crowded(placeable=min(most, draft.workers_min))
    left = {node: min(times(free[node] - draft.head, draft.worker), places.get(node, ANY) - 1) for node in heads}
    head = min(heads, key=lambda node: (room[node] - left[node], free[node].millicores, free[node].memory, node))
    room[head] = left[head]
    if sum(room.values()) < draft.workers_min:
        return Crowded(placeable=sum(room.values()) + 1)
    order = sorted(room, key=lambda node: (free[node].millicores, free[node].memory, node))
    return Packing(head=head, workers=tuple(_first(draft.workers_min, order, room)))


def place_worker(
    draft: Draft, free: Mapping[NodeId, Resources], places: Mapping[NodeId, int] = UNLIMITED
) -> NodeId | None:
    """Return the fullest node that has room for one more worker."""
    able = [node for node, amount in free.items() if draft.worker.within(amount) and places.get(node, ANY) > 0]
    return min(able, key=lambda node: (free[node].millicores, free[node].memory, node), default=None)


def places_of(nodes: Iterable[Node]) -> dict[NodeId, int]:
    """Return how many processes each node takes when it is empty, of those that have a limit."""
    return {node.id: node.places for node in nodes if node.places is not None}


def times(amount: Resources, shape: Resources) -> int:
    """Return how many of `shape` fit into `amount`.

    Raises:
        ValueError: the shape asks for nothing, so that any number would fit.
    """
    return max(0, min(amount.amount(name) // needed for name, needed in shape.items() if needed))


def never_fits(draft: Draft, rule: ClassRule, nodes: Sequence[Node], path: Sequence[Level]) -> tuple[NeverFits, ...]:
    """Return every reason why the draft could not start even on an idle center, with all nodes and shares untouched."""
    whole = total(node.capacity for node in nodes)
    return (
        *_beyond_class(draft, rule),
        *_beyond_nodes(draft, nodes),
        *_beyond_class_share(draft, rule, whole),
        *(
            beyond_limits(path, draft.gang_total(), whole)
            if path
            else (NoShare(project=draft.project, pool=draft.pool),)
        ),
    )


def _beyond_class(draft: Draft, rule: ClassRule) -> Iterator[WalltimeTooLong | TooManyWorkers | MinimumAboveMaximum]:
    if draft.workers_min > draft.workers_max:
        yield MinimumAboveMaximum(least=draft.workers_min, most=draft.workers_max)
    if draft.walltime_seconds > rule.longest_walltime_seconds:
        yield WalltimeTooLong(
            request_class=draft.request_class, asked=draft.walltime_seconds, longest=rule.longest_walltime_seconds
        )
    if draft.workers_max > rule.largest_workers:
        yield TooManyWorkers(request_class=draft.request_class, asked=draft.workers_max, largest=rule.largest_workers)


def _beyond_nodes(draft: Draft, nodes: Sequence[Node]) -> Iterator[ProcessNeverFits | GangNeverFits]:
    too_large = [
        *_too_large(draft, "head", draft.head, nodes),
        *_too_large(draft, "worker", draft.worker, nodes),
    ]
    yield from too_large
    packing = place(draft, {node.id: node.capacity for node in nodes}, places_of(nodes))
    if not too_large and isinstance(packing, Crowded):
        yield GangNeverFits(pool=draft.pool, processes=draft.workers_min + 1, placeable=packing.placeable)


def _beyond_class_share(draft: Draft, rule: ClassRule, whole: Resources) -> Iterator[BeyondClassShare]:
    if rule.takes_all:
        return
    needed, most = draft.gang_total(), rule.share_of(whole)
    for name in names(needed):
        if needed.amount(name) > most.amount(name):
            yield BeyondClassShare(
                request_class=draft.request_class,
                pool=draft.pool,
                resource=name,
                needed=needed.amount(name),
                most=most.amount(name),
            )


def _too_large(draft: Draft, field: str, shape: Resources, nodes: Sequence[Node]) -> Iterator[ProcessNeverFits]:
    """Name what of a shape every node lacks; where no single number does, the one the largest node lacks."""
    if any(shape.within(node.capacity) for node in nodes):
        return
    largest = {name: max((node.capacity.amount(name) for node in nodes), default=0) for name in names(shape)}
    lacking = [name for name in largest if shape.amount(name) > largest[name]]
    for name in lacking or largest:
        yield ProcessNeverFits(
            field=field, pool=draft.pool, resource=name, needed=shape.amount(name), largest=largest[name]
        )


def _first(count: int, order: Iterable[NodeId], room: Mapping[NodeId, int]) -> Iterator[NodeId]:
    for node in order:
        take = min(count, room[node])
        count -= take
        yield from (node,) * take
