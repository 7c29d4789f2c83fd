"""What people run, classes hold and projects may still pay while a plan is made."""

from collections import Counter

from quotas.allocations import Allocation, Credit, covering, most_available
from registry.ids import AllocationId, MicroCredits, PersonId, PoolId, Seconds
from registry.resources import NOTHING, Resources, total
from scheduler.requests import Request, RequestClass
from scheduler.snapshot import Snapshot


class Holdings:
    """Counts and sums that begin as the snapshot has them and grow with each decision."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._running: Counter[tuple[PersonId, RequestClass]] = Counter()
        self._granted: dict[tuple[PoolId, RequestClass], Resources] = {}
        self._credit = Credit(snapshot.allocations.values())
        for cluster in snapshot.clusters():
            self.begin(cluster.request)
            self.grant(cluster.request, total(process.shape for process in cluster.processes))

    def begin(self, request: Request) -> None:
        """Count a request among those that its person runs."""
        self._running[request.person, request.request_class] += 1

    def grant(self, request: Request, amount: Resources) -> None:
        """Add to what the request's class holds of its pool."""
        key = request.pool, request.request_class
        self._granted[key] = self._granted.get(key, NOTHING) + amount

    def hold(self, request: Request, allocation: AllocationId, amount: MicroCredits) -> None:
        """Set credit of an allocation aside."""
        self._credit.hold(request.project, allocation, amount)

    def running(self, request: Request) -> int:
        """Return how many requests of this class the person runs."""
        return self._running[request.person, request.request_class]

    def granted(self, request: Request) -> Resources:
        """Return what the request's class holds of its pool."""
        return self._granted.get((request.pool, request.request_class), NOTHING)

    def covering(self, request: Request, needed: MicroCredits, now: Seconds) -> Allocation | None:
        """Return the allocation that new credit for the request would be held of, if one covers it."""
        return covering(self._credit.of(request.project), needed, now)

    def most_available(self, request: Request, now: Seconds) -> MicroCredits:
        """Return the largest sum that one allocation of the project could hold now."""
        return most_available(self._credit.of(request.project), now)

    def left(self, request: Request, allocation: AllocationId, now: Seconds) -> MicroCredits:
        """Return what may still be held of an allocation of the request's project."""
        return self._credit.left(request.project, allocation, now)
