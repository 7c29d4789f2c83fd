"""The last command of a center: it ends all that runs, and leaves nothing behind or says what it had to leave."""

import time
from collections.abc import Callable
from typing import Final

from backends.authority import ClusterAuthority
from operations.closing import Unsettled, close_once
from operations.follower import Follower
from operations.founding import is_founded
from operations.ports import Ports
from operations.ports.backend import BackendUnavailableError
from operations.ports.office import Office
from operations.reconcile import acquaint
from registry.ids import CenterId
from scheduler.policy import DEFAULT_POLICY
from server.clock import SystemClock
from server.ids import RandomIds
from server.settings import Settings, sealing_key
from server.worksites import worksite
from store.transactions import SqlStore

LOOK_SECONDS: Final = 1.0


def close(settings: Settings, patience_seconds: float, say: Callable[[str], None]) -> list[str]:
    """End everything of a center, whether it is served meanwhile or not; return what is left, in words.

    Raises:
        StoreUnavailableError: the database cannot be reached.
        OtherCenterError: it is another center's.
    """
    clock, store = SystemClock(), SqlStore(settings.database_url, sealing_key=sealing_key(settings))
    store.read(is_founded, CenterId(settings.center))
    means = worksite(settings, clock).means()
    ports: Ports[Office] = Ports(
        store=store, clock=clock, ids=RandomIds(), backend=means.backend, authority=ClusterAuthority()
    )
    means.backend.prepare()
    if means.grounds is not None:
        means.grounds.start()
    try:
        acquaint(ports)
        left = _until_nothing_is_left(ports, patience_seconds, say)
        if left or means.grounds is None:
            return left
        return list(means.grounds.clear())
    finally:
        if means.grounds is not None:
            means.grounds.close()
        means.backend.leave()
        store.close()


def _until_nothing_is_left(ports: Ports[Office], patience_seconds: float, say: Callable[[str], None]) -> list[str]:
    deadline = time.monotonic() + patience_seconds
    follower, told = Follower(ports.store, DEFAULT_POLICY), ""
    while True:
        left = _left(ports, follower)
        if not left or time.monotonic() >= deadline:
            return left
        if left[0] != told:
            told = left[0]
            say(told)
        time.sleep(LOOK_SECONDS)


def _left(ports: Ports[Office], follower: Follower) -> list[str]:
    """Go on with closing; return in words what is left, first all in one line."""
    try:
        left = close_once(ports, follower, DEFAULT_POLICY)
    except BackendUnavailableError as error:
        return [f"nothing can be seen of clusters: {error}"]
    if not left:
        return []
    counts = f"left: {left.requests} requests, {len(left.processes)} processes, objects of {left.clusters} clusters"
    return [counts, *(_told(one) for one in left.processes)]


def _told(process: Unsettled) -> str:
    return f"{process.name} on {process.node or 'an unknown node'}: {process.detail or 'it has not ended yet'}"
