"""One pass that brings the outside world to what was decided, and writes down what became of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import structlog

from operations.clusters import free_unseen, is_news, let_end, record
from operations.logs import keep_log
from operations.metering import accrue, renew_lease, settle
from operations.ports import Ports
from operations.ports.backend import BackendUnavailableError, Credentials, StartRefusedError
from operations.ports.store import StoreUnavailableError, Work
from operations.resting import accrues, moving, must_end, renews
from operations.starting import FailedStart, fail_start, failed_starts
from registry.ids import InstitutionId, RequestId, Seconds
from scheduler.clusters import Cluster, Process
from scheduler.diff import diff
from scheduler.observed import HeadClaim, Observed, ObservedProcess
from scheduler.policy import Policy
from scheduler.steps import StartProcesses, Step

Q = TypeVar("Q")

MOST_SETTLED: Final = 50
"""Of one institution in one pass: the rest is settled at the next, before which everybody has had their turn."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing to write about one request."""

    request: RequestId
    write: Callable[[Work], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass did: steps begun, changes written, ended processes settled and forgotten, and what failed of it.

    `postponed` are ended processes for which there was no time: the next pass should begin at once.
    """

    begun: int
    written: int
    settled: int
    failed: int
    postponed: int


def reconcile_once(ports: Ports[Work], policy: Policy, *, steps_at_once: int = 1) -> Pass:
    """Observe, compare, act, write down. Safe to die anywhere in it: the next pass finds what is left to do.

    Steps are of different clusters, or can be taken in any order: a backend that mostly waits for somebody else may
    have several of them begun at once. So are ended processes settled, those of one cluster one after the other.

    What is desired is read after observing, so that every process that was seen is known if it is ours. The time is
    read before: what was seen to live has lived until then, and is charged for no second more.

    Raises:
        BackendUnavailableError: nothing could be observed, so nothing was done.
    """
    now = ports.clock.now()
    observed = ports.backend.observe()
    desired = ports.store.read(desired_clusters)
    restless = moving(desired, observed, policy, now)
    steps = diff(restless.clusters, restless.observed, policy, now)
    changes = tuple(_changes(restless.clusters, restless.observed, policy, now))
    ended = _to_settle(desired, observed, now)
    begun = _begin(ports, steps, policy, now, steps_at_once)
    written = sum(_alone(change.request, partial(ports.store.transact, change.write)) for change in changes)
    settled = _settle_all(ports, ended, policy, now, steps_at_once)
    chosen = sum(map(len, ended))
    failed = len(steps) + len(changes) + chosen - begun - written - settled
    postponed = sum(seen.ended is not None for seen in observed.processes) - chosen
    return Pass(begun=begun, written=written, settled=settled, failed=failed, postponed=postponed)


def acquaint(ports: Ports[Work]) -> None:
    """Tell a new backend how to reach the clusters that were running before it: once, when the loop begins."""
    for cluster in ports.store.read(desired_clusters):
        credentials = ports.store.read(credentials_of, cluster.request.id)
        if credentials is not None:
            ports.backend.know(cluster.request.id, credentials)


def desired_clusters(work: Work) -> tuple[Cluster, ...]:
    """Return every placed request with the slots that are not released."""
    return work.clusters.live()


def credentials_of(work: Work, request: RequestId) -> Credentials | None:
    """Return a cluster's credentials."""
    return work.vault.get(request)


def keep_credentials(work: Work, request: RequestId, credentials: Credentials) -> Credentials:
    """Keep a cluster's credentials and return those that are kept: the first ever made, whoever made these."""
    work.vault.keep(request, credentials)
    kept = work.vault.get(request)
    assert kept is not None, request
    return kept


def _begin(ports: Ports[Work], steps: Sequence[Step], policy: Policy, now: Seconds, at_once: int) -> int:
    """Begin all steps, so many at once; return how many were begun."""

    def begin(step: Step) -> bool:
        return _alone(step.request, partial(_carry_out, ports, step, policy, now))

    return _sum(begin, steps, at_once)


def _settle_all(
    ports: Ports[Work], ended: Sequence[Sequence[ObservedProcess]], policy: Policy, now: Seconds, at_once: int
) -> int:
    """Settle what ended, so many clusters at once; return how many processes were settled."""

    def settle_cluster(processes: Sequence[ObservedProcess]) -> int:
        return sum(_alone(seen.request, partial(_settle, ports, seen, policy, now)) for seen in processes)

    return _sum(settle_cluster, ended, at_once)


def _sum(act: Callable[[Q], int], items: Sequence[Q], at_once: int) -> int:
    if at_once == 1 or len(items) <= 1:
        return sum(map(act, items))
    with ThreadPoolExecutor(at_once, thread_name_prefix="reconcile") as pool:
        return sum(pool.map(act, items))


def _to_settle(desired: Sequence[Cluster], observed: Observed, now: Seconds) -> tuple[tuple[ObservedProcess, ...], ...]:
    """Return the processes that ended, by cluster, and no more of an institution than fit into one pass.

    Each second it begins with another of them, so that some whose settling fails do not keep it from the rest.
    """
    ended = [seen for seen in observed.processes if seen.ended is not None]
    if not ended:
        return ()
    institutions = {cluster.request.id: cluster.request.institution for cluster in desired}
    first = now % max(1, len(ended))
    left: dict[InstitutionId | RequestId, int] = {}
    found: dict[RequestId, list[ObservedProcess]] = {}
    for seen in (*ended[first:], *ended[:first]):
        payer = institutions.get(seen.request, seen.request)
        if left.setdefault(payer, MOST_SETTLED):
            left[payer] -= 1
            found.setdefault(seen.request, []).append(seen)
    return tuple(map(tuple, found.values()))


def _alone(request: RequestId, deed: Callable[[], None]) -> bool:
    """Do one thing for one cluster. Its failure is its own: told, no other cluster's, and tried again at the next pass.

    Raises:
        StoreUnavailableError: nothing else could be done either.
    """
    try:
        deed()
    except StoreUnavailableError:
        raise
    except BackendUnavailableError as error:
        log.warning("the backend did not do its part", request=request, error=str(error))
        return False
    except Exception:
        log.exception("a cluster could not be reconciled", request=request)
        return False
    return True


def _carry_out(ports: Ports[Work], step: Step, policy: Policy, now: Seconds) -> None:
    try:
        ports.backend.carry_out(step, _credentials(ports, step, now))
    except StartRefusedError as error:
        assert isinstance(step, StartProcesses), step
        failed = FailedStart(
            request=step.request,
            names=frozenset(process.name for process in step.processes),
            trouble=error.trouble,
            detail=str(error),
        )
        ports.store.transact(fail_start, failed, policy, now=now)
        raise


def _credentials(ports: Ports[Work], step: Step, now: Seconds) -> Credentials | None:
    """Return the cluster's credentials, made and kept before the first process is made from them."""
    kept = ports.store.read(credentials_of, step.request)
    if kept is None and isinstance(step, StartProcesses):
        made = ports.authority.issue(step.request, now=now, until=step.last_second)
        return ports.store.transact(keep_credentials, step.request, made)
    return kept


def _settle(ports: Ports[Work], seen: ObservedProcess, policy: Policy, now: Seconds) -> None:
    """Settle a process that ended, keep its last words, and only then remove its last trace."""
    ports.store.transact(settle, seen, policy, now=now)
    if seen.started is not None and (last_words := ports.backend.tail(seen.name, seen.uid)):
        ports.store.transact(keep_log, seen, last_words, now=now)
    ports.backend.forget(seen.name, seen.uid)


def _changes(desired: Sequence[Cluster], observed: Observed, policy: Policy, now: Seconds) -> Iterator[Change]:
    """Yield what has to be written: news of processes, charges and leases that are due, clusters that must end."""
    seen = {process.name: process for process in observed.processes}
    for cluster in desired:
        request = cluster.request
        for write in _writes(cluster, seen, observed.heads.get(request.id), policy, now):
            yield Change(request=request.id, write=write)


def _writes(
    cluster: Cluster,
    seen: Mapping[str, ObservedProcess],
    claim: HeadClaim | None,
    policy: Policy,
    now: Seconds,
) -> Iterator[Callable[[Work], None]]:
    for slot in cluster.processes:
        if process := seen.get(slot.name):
            yield from _news_of(slot, process, policy, now)
            if process.ended is None and renews(cluster.request, slot, policy, now):
                yield partial(renew_lease, request_id=slot.request, ordinal=slot.ordinal, policy=policy, now=now)
    if why := must_end(cluster, claim, policy, now):
        yield partial(let_end, request_id=cluster.request.id, why=why, now=now)
    for failed in failed_starts(cluster, seen, policy, now):
        yield partial(fail_start, failed=failed, policy=policy, now=now)
    if unseen := _unseen(cluster, seen):
        yield partial(free_unseen, request_id=cluster.request.id, names=unseen, now=now)


def _news_of(slot: Process, seen: ObservedProcess, policy: Policy, now: Seconds) -> Iterator[Callable[[Work], None]]:
    if seen.ended is not None:
        return
    if is_news(slot, seen):
        yield partial(record, seen=seen, now=now)
    if accrues(slot, now):
        yield partial(accrue, seen=seen, policy=policy, now=now)


def _unseen(cluster: Cluster, seen: Mapping[str, ObservedProcess]) -> frozenset[str]:
    """Return the slots that nobody wants any more and whose processes do not exist."""
    return frozenset(
        slot.name
        for slot in cluster.processes
        if slot.name not in seen and (cluster.request.ending is not None or not slot.wanted)
    )
