"""How the amounts of each metric are read from a scrape, as integers in the units that are stored.

A reading yields a zero for everything that exists and then what there is; what it yields under the same labels more
than once is summed. Where a reading has a center, an institution and a pool, its labels begin with them in this order.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from enum import StrEnum
from typing import TypeAlias

from exporters.scrapes import Picture, Scrape
from exporters.totals import PERCENTS, EntryTotal, HitPlace, WaitPlace, WaitTotal
from quotas.allocations import Allocation
from quotas.ledger import EntryKind
from quotas.lending import lent
from quotas.tree import Share
from registry.centers import NodeState
from registry.ids import InstitutionId, PoolId, Seconds, institution_of
from registry.resources import NOTHING, ResourceName, Resources, names
from scheduler.clusters import Phase
from scheduler.estimates import Side
from scheduler.requests import Request, RequestClass

Labels: TypeAlias = tuple[str, ...]
Amounts: TypeAlias = Iterator[tuple[Labels, int]]
Reading: TypeAlias = Callable[[Scrape], Amounts]


class Period(StrEnum):
    """Where a moment stands to the period of an allocation: only credit of an open one can be held."""

    UPCOMING = "upcoming"
    OPEN = "open"
    LAPSED = "lapsed"


def pool_tiers(scrape: Scrape) -> Amounts:
    """Yield a one for each pool with its tier."""
    for pool in scrape.picture.pools:
        yield (pool.center, pool.id, pool.tier.value), 1


def nodes(scrape: Scrape) -> Amounts:
    """Count the nodes of each pool by state."""
    picture = scrape.picture
    for pool in picture.pools:
        for state in NodeState:
            yield (pool.center, pool.id, state.value), 0
    for node in picture.snapshot.nodes.values():
        yield (*picture.pool_labels(node.pool), node.state.value), 1


def node_capacity(states: Collection[NodeState]) -> Reading:
    """Return the reading of what the nodes in some states have."""

    def read(scrape: Scrape) -> Amounts:
        picture = scrape.picture
        for pool, resources in _resources(picture).items():
            yield from _amounts(picture.pool_labels(pool), resources, NOTHING)
        for node in picture.snapshot.nodes.values():
            if node.state in states:
                yield from _amounts(picture.pool_labels(node.pool), (), node.capacity)

    return read


def institution_shares(amount: Callable[[Share], Resources]) -> Reading:
    """Return the reading of one vector of each institution's share."""

    def read(scrape: Scrape) -> Amounts:
        picture = scrape.picture
        yield from _no_resources(picture)
        for _, children in _trees(picture):
            for share in children:
                yield from _amounts(_share_labels(picture, share), (), amount(share))

    return read


def lent_amounts(scrape: Scrape) -> Amounts:
    """Yield what each institution lends to the others."""
    picture = scrape.picture
    yield from _no_resources(picture)
    for root, children in _trees(picture):
        parts = lent(root, children)
        for share in children:
            yield from _amounts(_share_labels(picture, share), (), parts[share.id])


def queued_requests(scrape: Scrape) -> Amounts:
    """Count the requests that wait and may start."""
    yield from _by_class(scrape.picture, ((one, 1) for one in _queued(scrape.picture)))


def queued_millicores(scrape: Scrape) -> Amounts:
    """Sum what the gangs of the requests that wait and may start would take."""
    yield from _by_class(scrape.picture, ((one, _gang_millicores(one)) for one in _queued(scrape.picture)))


def requests_on_hold(scrape: Scrape) -> Amounts:
    """Count the requests that somebody holds back."""
    pending = scrape.picture.snapshot.pending()
    yield from _by_class(scrape.picture, ((one, 1) for one in pending if _is_on_hold(one)))


def clusters(scrape: Scrape) -> Amounts:
    """Count the placed requests by phase."""
    picture = scrape.picture
    for institution, pool in _pairs(picture):
        for phase in Phase:
            yield (*_labels(picture, institution, pool), phase.value), 0
    for cluster in picture.snapshot.clusters():
        request = cluster.request
        yield (*_labels(picture, request.institution, request.pool), cluster.phase.value), 1


def pool_entries(amount: Callable[[EntryTotal], int], *kinds: EntryKind) -> Reading:
    """Return the reading of entries by institution and pool."""

    def read(scrape: Scrape) -> Amounts:
        picture = scrape.picture
        for institution, pool in _pairs(picture):
            yield _labels(picture, institution, pool), 0
        for place, total in picture.totals.entries.items():
            if place.kind in kinds and amount(total):
                yield _labels(picture, place.institution, place.pool), amount(total)

    return read


def granted_credits(scrape: Scrape) -> Amounts:
    """Sum what institutions were ever awarded."""
    picture = scrape.picture
    for institution in picture.institutions:
        yield (picture.center_label(), institution), 0
    for place, total in picture.totals.entries.items():
        if place.kind is EntryKind.GRANT:
            yield (picture.center_label(), place.institution), total.amount


def entries(scrape: Scrape) -> Amounts:
    """Count the ledger's entries."""
    picture = scrape.picture
    for institution in picture.institutions:
        for kind in EntryKind:
            yield (picture.center_label(), institution, kind.value), 0
    for place, total in picture.totals.entries.items():
        yield (picture.center_label(), place.institution, place.kind.value), total.entries


def held_credits(scrape: Scrape) -> Amounts:
    """Sum what running work holds."""
    picture = scrape.picture
    for institution in picture.institutions:
        yield (picture.center_label(), institution), 0
    for allocation in picture.snapshot.allocations.values():
        yield (picture.center_label(), institution_of(allocation.project)), allocation.held


def available_credits(scrape: Scrape) -> Amounts:
    """Sum what may still be held, by whether its period is open."""
    picture = scrape.picture
    for institution in picture.institutions:
        for period in Period:
            yield (picture.center_label(), institution, period.value), 0
    for allocation in picture.snapshot.allocations.values():
        period = _period(allocation, scrape.now)
        labels = (picture.center_label(), institution_of(allocation.project), period.value)
        yield labels, allocation.available


def waits(scrape: Scrape) -> Iterator[tuple[Labels, WaitTotal]]:
    """Yield how long placed requests had waited, each place once."""
    picture = scrape.picture
    there = dict(picture.totals.waits)
    for institution, pool in _pairs(picture):
        for request_class in RequestClass:
            there.setdefault(WaitPlace(institution, pool, request_class), WaitTotal())
    for (institution, pool, request_class), total in there.items():
        yield (*_labels(picture, institution, pool), request_class.value), total


def hits(scrape: Scrape) -> Amounts:
    """Count the starts of each pool by where they lay beside an interval that had been foreseen."""
    picture = scrape.picture
    places = {HitPlace(pool.id, percent, side) for pool in picture.pools for percent in PERCENTS for side in Side}
    for place in places | picture.totals.hits.keys():
        labels = (*picture.pool_labels(place.pool), str(place.percent), place.side.name.lower())
        yield labels, picture.totals.hits.get(place, 0)


def snapshot_age(scrape: Scrape) -> Amounts:
    """Yield the seconds since the committed state was read."""
    yield (), scrape.now - scrape.picture.seen


def reading_nanoseconds(scrape: Scrape) -> Amounts:
    """Yield what reading the committed state took."""
    yield (), scrape.reading_nanoseconds


def age(moment: Callable[[Scrape], Seconds | None]) -> Reading:
    """Return the reading of the seconds since a moment, which has none before the moment came."""

    def read(scrape: Scrape) -> Amounts:
        came = moment(scrape)
        if came is not None:
            yield (), scrape.now - came

    return read


def _labels(picture: Picture, institution: InstitutionId, pool: PoolId | None) -> Labels:
    center, name = picture.pool_labels(pool)
    return center, institution, name


def _pairs(picture: Picture) -> Iterator[tuple[InstitutionId, PoolId]]:
    return ((institution, pool.id) for institution in picture.institutions for pool in picture.pools)


def _amounts(labels: Labels, zeros: Iterable[ResourceName], vector: Resources) -> Amounts:
    for name in zeros:
        yield (*labels, name), 0
    for name, amount in vector.items():
        yield (*labels, name), amount


def _no_resources(picture: Picture) -> Amounts:
    """Yield a zero for each institution, pool and resource that the pool knows."""
    resources = _resources(picture)
    for institution, pool in _pairs(picture):
        yield from _amounts(_labels(picture, institution, pool), resources[pool], NOTHING)


def _resources(picture: Picture) -> dict[PoolId, tuple[ResourceName, ...]]:
    """Return what each pool's nodes have or its quotas speak of."""
    vectors: dict[PoolId, set[Resources]] = {pool.id: {NOTHING} for pool in picture.pools}
    for node in picture.snapshot.nodes.values():
        vectors.setdefault(node.pool, {NOTHING}).add(node.capacity)
    for share in picture.snapshot.shares.values():
        vectors.setdefault(share.pool, {NOTHING}).add(share.limit)
    return {pool: names(*found) for pool, found in vectors.items()}


def _trees(picture: Picture) -> Iterator[tuple[Share, list[Share]]]:
    """Yield the center's share of each pool with those of the institutions."""
    children: dict[PoolId, list[Share]] = {}
    shares = picture.snapshot.shares
    for share in shares.values():
        if share.parent is not None and shares[share.parent, share.pool].parent is None:
            children.setdefault(share.pool, []).append(share)
    for share in shares.values():
        if share.parent is None:
            yield share, children.get(share.pool, [])


def _share_labels(picture: Picture, share: Share) -> Labels:
    """Label an institution's share: its id is the institution's."""
    return _labels(picture, InstitutionId(share.id), share.pool)


def _by_class(picture: Picture, requests: Iterable[tuple[Request, int]]) -> Amounts:
    for institution, pool in _pairs(picture):
        for request_class in RequestClass:
            yield (*_labels(picture, institution, pool), request_class.value), 0
    for request, amount in requests:
        yield (*_labels(picture, request.institution, request.pool), request.request_class.value), amount


def _queued(picture: Picture) -> Iterator[Request]:
    return (one for one in picture.snapshot.pending() if not _is_on_hold(one))


def _is_on_hold(request: Request) -> bool:
    return request.user_hold or request.operator_hold


def _gang_millicores(request: Request) -> int:
    return request.head.millicores + request.worker.millicores * request.workers_min


def _period(allocation: Allocation, now: Seconds) -> Period:
    if now < allocation.begins:
        return Period.UPCOMING
    return Period.OPEN if allocation.open_at(now) else Period.LAPSED
