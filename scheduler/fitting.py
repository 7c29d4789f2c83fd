"""Which nodes a gang fits on, and what could never fit at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import le, sub

import numpy as np

from quotas.claims import Level, beyond_limits
from quotas.reasons import BeyondLimit, NoShare
from registry.axes import PLENTY, Axes, Ints, all_of
from registry.centers import Node
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


@dataclass(frozen=True, slots=True)
class Gang:
    """What is placed together or not at all, in rows: a head and `count` equal workers, each with its place."""

    head: Ints
    worker: Ints
    count: int
    total: Ints

    @classmethod
    def of(cls, draft: Draft, axes: Axes) -> Gang:
        """Return the gang of a draft."""
        return cls.of_shapes(draft.head, draft.worker, draft.workers_min, axes)

    @classmethod
    def of_shapes(cls, head: Resources, worker: Resources, count: int, axes: Axes) -> Gang:
        """Return a gang of a head and so many workers."""
        first, other = np.array(axes.row(head, 1)), np.array(axes.row(worker, 1))
        return cls(head=first, worker=other, count=count, total=first + other * count)


@dataclass(frozen=True, slots=True)
class Packing:
    """Where a gang goes: the row of the head's node, and how many workers go to the node of each row."""

    head: int
    workers: tuple[tuple[int, int], ...]

    def taken(self, gang: Gang, like: Ints) -> Ints:
        """Return what the packing takes of each node, as a table `like` that of the nodes; for reading only."""
        if len(like) == 1:
            return gang.total[None]
        taken = np.zeros(like.shape, dtype=np.int64)
        taken[self.head] += gang.head
        for row, count in self.workers:
            taken[row] += gang.worker * count
        return taken


@dataclass(frozen=True, slots=True)
class Crowded:
    """The gang does not fit: this many of its processes would."""

    placeable: int


def place(gang: Gang, free: Ints, first: Ints | None = None) -> Packing | Crowded:
    """Fit the whole gang on nodes with `free` amounts, one row each in the order of their ids; or tell how much fits.

    Exact for what a gang is, one head and equal workers: the head goes where it displaces the fewest workers, and
    workers fill the fullest nodes first, so that large holes stay whole. With `first`, another amount of each node,
    those where that is smallest come before: what is kept for others soon is used by who is gone by then. The cost
    grows with the number of nodes.
    """
    if len(free) == 1:
        return _place_on_one(gang, free[0])
    room = times(free, gang.worker)
    heads = np.flatnonzero((gang.head <= free).all(axis=1))
    if not len(heads):
        return Crowded(min(int(room.sum()), gang.count))
    left = times(free[heads] - gang.head, gang.worker)
    ranks = (room[heads] - left, *(() if first is None else first[heads].T), *free[heads].T)
    head = int(heads[_least(ranks)])
    room[head] = left[_least(ranks)]
    if (most := int(room.sum())) < gang.count:
        return Crowded(most + 1)
    return Packing(head, tuple(_filled(gang.count, room, free if first is None else np.hstack([first, free]))))


def times(free: Ints, shape: Ints) -> Ints:
    """Return how many of `shape` fit into each row; never negative, and `shape` takes a place of each at least."""
    needed = np.flatnonzero(shape)
    return np.asarray(np.maximum((free[:, needed] // shape[needed]).min(axis=1), 0))


def place_workers(gang: Gang, free: Ints, count: int) -> tuple[tuple[int, int], ...]:
    """Return how many of so many more workers go to the node of each row, the fullest first; fewer if there is no room.

    Each goes where the one before has left the least: together they fill one node after the other.
    """
    return tuple(_filled(count, times(free, gang.worker), free))


def place_when_empty(draft: Draft, nodes: Sequence[Node]) -> Packing | Crowded:
    """Fit a draft's gang on nodes on which nothing runs."""
    axes = Axes().with_models_of((draft.head, draft.worker, *(node.capacity for node in nodes)))
    capacity = [axes.row(node.capacity, PLENTY if node.places is None else node.places) for node in nodes]
    return place(Gang.of(draft, axes), np.array(capacity, dtype=np.int64).reshape(-1, axes.width))


def _place_on_one(gang: Gang, free: Ints) -> Packing | Crowded:
    """As `place`, where there is but one node: then a gang fits if its total does.

    In Python's own numbers, for which so few of them are faster.
    """
    if all_of(gang.total <= free):
        return Packing(0, ((0, gang.count),) if gang.count else ())
    head, has = gang.head.tolist(), free.tolist()
    holds_head = all(map(le, head, has))
    left = map(sub, has, head) if holds_head else has
    room = min(max(one // needed, 0) for one, needed in zip(left, gang.worker.tolist(), strict=True) if needed)
    return Crowded(min(room, gang.count) + holds_head)


def _least(ranks: Sequence[Ints]) -> int:
    """Return the first place that is least by the first of the ranks, then by the next ones."""
    among = np.arange(len(ranks[0]))
    for rank in ranks:
        if len(among) == 1:
            break
        values = rank[among]
        among = among[values == values.min()]
    return int(among[0])


def _filled(count: int, room: Ints, order: Ints) -> Iterator[tuple[int, int]]:
    """Yield how many workers each node gets, the least by the columns of `order` first."""
    able = np.flatnonzero(room)
    for row in able[np.lexsort(order[able].T[::-1])]:
        take = min(count, int(room[row]))
        if not take:
            return
        count -= take
        yield int(row), take


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
    packing = place_when_empty(draft, nodes)
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
