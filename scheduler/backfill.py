"""The protected starts of blocked requests, and what may run beside them on each node."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from quotas.claims import Tree, shortages, withheld
from registry.centers import Node, NodeState
from registry.ids import NodeId, PoolId, Seconds
from registry.resources import NOTHING, Resources
from scheduler.clusters import Cluster
from scheduler.fitting import Crowded, Packing, place, places_of
from scheduler.policy import Policy
from scheduler.profile import Return, in_time, releases_at, returns
from scheduler.requests import Request


class Reservation:
    """Nodes and quota that a request will get at `starts` at the latest, and what is left beside it then.

    What still runs at that time is taken from `beside` and from the quota tree of that moment.
    """

    def __init__(self, request: Request, starts: Seconds, beside: dict[NodeId, Resources], tree: Tree) -> None:
        self.request: Final = request
        self.starts: Final = starts
        self.beside: Final[Mapping[NodeId, Resources]] = beside
        self._beside = beside
        self._tree = tree

    def leaves_quota(self, request: Request, amount: Resources) -> bool:
        """Tell whether quota for an amount is left beside the protected start."""
        return not withheld(self._tree.path(request.project, request.pool), amount)

    def take(self, cluster: Cluster) -> None:
        """Take what a cluster will still hold when the protected start comes."""
        for process in cluster.processes:
            self._beside[process.node] -= process.shape
            self._tree.grant(cluster.request.project, cluster.request.pool, process.shape)


def reserve(
    request: Request,
    free: Mapping[NodeId, Resources],
    places: Mapping[NodeId, int],
    tree: Tree,
    coming: Iterable[Return],
) -> Reservation | None:
    """Reserve the earliest moment at which running work has left room, on nodes and in quotas, for the whole gang.

    This is the shadow time of EASY (Lifka, "The ANL/IBM SP scheduling system", 1995), kept per node instead of as a
    pool total. `tree` becomes the reservation's. None if even the last return does not make room, as when nodes are
    draining.
    """
    amounts, seats = dict(free), dict(places)
    for at, returned in in_time(coming):
        _give_back(returned, amounts, seats, tree, request.pool)
        packing, path = place(request, amounts, seats), tree.path(request.project, request.pool)
        if isinstance(packing, Packing) and not shortages(path, request.gang_total()):
            tree.grant(request.project, request.pool, request.gang_total())
            taken = packing.by_node(request)
            beside = {node: amount - taken.get(node, NOTHING) for node, amount in amounts.items()}
            return Reservation(request, at, beside, tree)
    return None


def _give_back(
    returned: Iterable[Return], amounts: dict[NodeId, Resources], seats: dict[NodeId, int], tree: Tree, pool: PoolId
) -> None:
    """Add what comes back to nodes and quotas; what ran on a node that is not ready leaves no room at the center."""
    for item in returned:
        tree.give_back(item.project, pool, item.amount, lost=item.node not in amounts)
        if item.node in amounts:
            amounts[item.node] += item.amount
        if item.node in seats:
            seats[item.node] += 1


@dataclass(frozen=True, slots=True)
class _Empty:
    """A pool once everything that runs there has ended, and what was found not to fit even then."""

    amounts: Mapping[NodeId, Resources]
    places: Mapping[NodeId, int]
    tree: Tree
    beyond: set[Hashable]

    def holds(self, request: Request) -> bool:
        """Tell whether the gang would fit; who asks for the same again is not gone through again."""
        gang = (request.project, request.head, request.worker, request.workers_min)
        if gang in self.beyond:
            return False
        short = shortages(self.tree.path(request.project, request.pool), request.gang_total())
        if short or isinstance(place(request, self.amounts, self.places), Crowded):
            self.beyond.add(gang)
            return False
        return True


class Floor:
    """The ready nodes of all pools while a plan is made: what is free, what comes back, what is protected."""

    def __init__(self, nodes: Iterable[Node], clusters: Iterable[Cluster], policy: Policy, now: Seconds) -> None:
        self._policy = policy
        self._now = now
        self._free: dict[PoolId, dict[NodeId, Resources]] = {}
        self._empty: dict[PoolId, _Empty] = {}
        self._coming: dict[PoolId, list[Return]] = {}
        self._reservations: dict[PoolId, list[Reservation]] = {}
        ready = [node for node in nodes if node.state is NodeState.READY]
        self._places = places_of(ready)
        for node in ready:
            self._free.setdefault(node.pool, {})[node.id] = node.free
        for cluster in clusters:
            self._seat(cluster)
            self._expect(cluster)

    @property
    def places(self) -> Mapping[NodeId, int]:
        """Return how many processes more each node takes, of those that have a limit."""
        return self._places

    def free(self, pool: PoolId) -> Mapping[NodeId, Resources]:
        """Return what is free now, protected or not."""
        return self._free.get(pool, {})

    def open_until(self, pool: PoolId, ends: Seconds) -> Mapping[NodeId, Resources]:
        """Return what work that is gone by `ends` may take now without delaying a protected start."""
        free = self.free(pool)
        for reservation in self.protected_before(pool, ends):
            free = {node: amount.least(reservation.beside[node]) for node, amount in free.items()}
        return free

    def delays(self, request: Request, amount: Resources, ends: Seconds) -> Reservation | None:
        """Return the first protected start for which quota would be missing if an amount is still held then."""
        early = sorted(self.protected_before(request.pool, ends), key=lambda one: one.starts)
        return next((one for one in early if not one.leaves_quota(request, amount)), None)

    def protected_before(self, pool: PoolId, ends: Seconds) -> tuple[Reservation, ...]:
        """Return the protected starts that come before `ends`."""
        return tuple(one for one in self._reservations.get(pool, ()) if one.starts < ends)

    def take(self, cluster: Cluster) -> None:
        """Put the processes of a cluster on their nodes."""
        self._empty.pop(cluster.request.pool, None)
        pool, outlasts = cluster.request.pool, releases_at(cluster, self._policy, self._now)
        for process in cluster.processes:
            self._free[pool][process.node] -= process.shape
        self._seat(cluster)
        for reservation in self.protected_before(pool, outlasts):
            reservation.take(cluster)
        self._expect(cluster)

    def reserve(self, request: Request, tree: Tree) -> Reservation | None:
        """Protect the start of a request, if the policy has a reservation left and a moment can be told.

        Asked of every blocked request, so it costs little to say no: the times to come are gone through only for a
        gang that fits once they have all come.
        """
        kept = self._reservations.setdefault(request.pool, [])
        if len(kept) >= self._policy.reservations:
            return None
        base = self.free(request.pool)
        for earlier in kept:
            base = {node: amount.least(earlier.beside[node]) for node, amount in base.items()}
        coming = self._coming.get(request.pool, ())
        if request.pool not in self._empty:
            amounts, places, later = dict(base), dict(self._places), tree.copy()
            _give_back(coming, amounts, places, later, request.pool)
            self._empty[request.pool] = _Empty(amounts, places, later, set())
        if not self._empty[request.pool].holds(request):
            return None
        reservation = reserve(request, base, self._places, tree.copy(), coming)
        if reservation is not None:
            kept.append(reservation)
            self._empty.pop(request.pool)
        return reservation

    def _seat(self, cluster: Cluster) -> None:
        for process in cluster.processes:
            if process.node in self._places:
                self._places[process.node] -= 1

    def _expect(self, cluster: Cluster) -> None:
        coming = returns(cluster, releases_at(cluster, self._policy, self._now))
        self._coming.setdefault(cluster.request.pool, []).extend(coming)
