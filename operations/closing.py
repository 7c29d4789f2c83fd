"""The end of a center: everything that waits or runs is ended, settled and forgotten."""

from dataclasses import dataclass, replace

from operations.follower import Follower
from operations.ports import Ports
from operations.ports.office import Office
from operations.reconcile import reconcile_once
from operations.requests import cancel
from registry.ids import Seconds
from scheduler.observed import ObservedProcess
from scheduler.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What of a center is there: requests that have not ended, processes that are not settled, clusters' objects."""

    requests: int
    processes: tuple[ObservedProcess, ...]
    clusters: int

    def __bool__(self) -> bool:
        """Tell whether anything is left."""
        return bool(self.requests or self.processes or self.clusters)


def close_center(work: Office, *, now: Seconds) -> None:
    """Let the center make no places for its tenants any more, until it is started again."""
    center = work.facilities.center()
    if center is not None:
        work.facilities.put_center(replace(center, closed=now))


def close_once(ports: Ports[Office], follower: Follower, policy: Policy) -> Left:
    """Cancel whatever has not ended, reconcile once, and return what is left: safe to repeat, and beside other loops.

    Whatever is submitted meanwhile is cancelled at the next call.

    Raises:
        BackendUnavailableError: nothing could be observed.
    """
    ports.store.transact(close_center, now=ports.clock.now())
    for request in follower.catch_up().requests:
        ports.store.transact(cancel, request, now=ports.clock.now())
    reconcile_once(ports, policy)
    observed = ports.backend.observe()
    return Left(
        requests=len(follower.catch_up().requests), processes=observed.processes, clusters=len(observed.remains)
    )
