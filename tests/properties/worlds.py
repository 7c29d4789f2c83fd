"""Random centers for property tests, and the outcome of a plan in them without any store."""

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import strategies as st

from quotas.claims import Tree
from registry.centers import Node, NodeState
from registry.ids import PersonId, RequestId, Seconds
from registry.resources import Resources
from scheduler.clusters import Process
from scheduler.decide import decide
from scheduler.facts import Fact
from scheduler.foreseeing import now_waiting
from scheduler.plan import Plan
from scheduler.policy import DEFAULT_POLICY, Policy
from scheduler.requests import End, Request, RequestClass, State
from scheduler.scaling import resized
from scheduler.snapshot import Snapshot
from tests.builders import NOW, a_node, a_request, a_snapshot, cores, facts_of_a_center

PROJECTS = ("vmu.vision", "vmu.nlp", "uit.bio")


@st.composite
def amounts(draw: st.DrawFn, largest: int = 8) -> Resources:
    return cores(draw(st.integers(1, largest)) / 2, draw(st.integers(1, largest * 2)))


@st.composite
def nodes(draw: st.DrawFn) -> list[Node]:
    states = st.sampled_from([NodeState.READY, NodeState.READY, NodeState.READY, NodeState.DRAINING, NodeState.PRESSED])
    capacities = draw(st.lists(amounts(), min_size=1, max_size=4))
    made = [a_node(f"n{number}", capacity, state=draw(states)) for number, capacity in enumerate(capacities)]
    return [replace(node, places=draw(st.none() | st.integers(1, 9))) for node in made]


@st.composite
def requests(draw: st.DrawFn, number: int) -> Request:
    least = draw(st.integers(1, 4))
    return a_request(
        number,
        draw(st.sampled_from(PROJECTS)),
        submitted=NOW - draw(st.integers(0, 10_000)),
        person=PersonId(draw(st.sampled_from("abc")) * 26),
        request_class=draw(st.sampled_from([RequestClass.INTERACTIVE, RequestClass.NORMAL, RequestClass.SCAVENGER])),
        head=draw(amounts(2)),
        worker=draw(amounts(4)),
        workers_min=least,
        workers_max=least + draw(st.integers(0, 3)),
        walltime_seconds=draw(st.sampled_from([60, 600, 3600])),
    )


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    """Return a center with quotas of all sorts and a queue of requests."""
    nominal = draw(st.none() | amounts(6))
    borrowing = draw(st.none() | amounts(6))
    center = facts_of_a_center(draw(nodes()), PROJECTS, nominal, borrowing=borrowing if nominal else None)
    queue = [draw(requests(number)) for number in range(1, draw(st.integers(1, 8)) + 1)]
    return [*center, *queue]


def snapshots(policy: Policy = DEFAULT_POLICY) -> st.SearchStrategy[Snapshot]:
    return facts().map(lambda some: a_snapshot(some, policy))


def applied(snapshot: Snapshot, plan: Plan, now: Seconds) -> Snapshot:
    """Return the snapshot as a store would hand it over once the plan is applied."""
    for placement in plan.placements:
        placed = replace(
            placement.request,
            state=State.PLACED,
            placed=now,
            deadline=placement.deadline,
            allocation=placement.allocation,
            guaranteed_until=placement.guaranteed_until,
            reasons=(),
            promise=None,
        )
        snapshot = moved(snapshot.with_facts([placed, *placement.processes]), placed, placement.processes, 1)
    for growth in plan.growths:
        after = replace(growth.request, next_ordinal=growth.request.next_ordinal + len(growth.processes))
        grown = resized(after, growth.spared_milliseconds, now)
        snapshot = moved(snapshot.with_facts([grown, *growth.processes]), grown, growth.processes, 1)
    for shrink in plan.shrinks:
        going = [replace(slot, wanted=False, stop_by=shrink.stop_by) for slot in shrink.processes]
        snapshot = snapshot.with_facts([resized(shrink.request, shrink.spared_milliseconds, now), *going])
    snapshot = snapshot.with_facts(stop.request.made_to_end(stop.preemption) for stop in plan.stops)
    snapshot = snapshot.with_facts(replace(change.request, promise=change.promise) for change in plan.promises)
    for wait in plan.waits:
        waiting = [now_waiting(snapshot.requests[one], wait.codes, plan) for one in wait.requests]
        snapshot = snapshot.with_facts(waiting)
    return snapshot


def left(snapshot: Snapshot, now: Seconds) -> Snapshot:
    """Return the snapshot once everything has left that was to leave by now, and its capacity is back."""
    for cluster in snapshot.clusters():
        due = [slot for slot in cluster.processes if slot.stop_by is not None and slot.stop_by <= now]
        if due:
            gone = snapshot.with_facts(replace(slot, released=now) for slot in due)
            snapshot = moved(gone, cluster.request, tuple(due), -1)
    return made_way(snapshot, now)


def made_way(snapshot: Snapshot, now: Seconds) -> Snapshot:
    """Return the snapshot once every cluster has ended that had to by now, and its request waits again."""
    for cluster in snapshot.clusters():
        request = cluster.request
        if request.makes_way and request.deadline is not None and request.deadline <= now:
            snapshot = moved(snapshot, request, cluster.processes, -1)
            incarnation = max(slot.incarnation for slot in cluster.processes) + 1
            gone = [replace(slot, released=now) for slot in cluster.processes]
            snapshot = snapshot.with_facts([*gone, request.requeued(incarnation, now)])
    return snapshot


def started_when(snapshot: Snapshot, now: Seconds) -> dict[RequestId, Seconds]:
    """Return when each request starts if nothing new comes and each runs until its deadline and the slack."""
    starts: dict[RequestId, Seconds] = {}
    while True:
        for cluster in snapshot.clusters():
            starts.setdefault(cluster.request.id, cluster.request.placed or now)
        due = [(cluster.request.deadline or now, cluster.request.id) for cluster in snapshot.clusters()]
        if not due:
            return starts
        now = Seconds(max(now, min(due)[0] + snapshot.policy.termination_slack_seconds))
        for deadline, request in due:
            if deadline + snapshot.policy.termination_slack_seconds <= now:
                snapshot = ended(snapshot, snapshot.requests[request], now)
        snapshot = applied(snapshot, decide(snapshot, now), now)


def ended(snapshot: Snapshot, request: Request, now: Seconds) -> Snapshot:
    """Return the snapshot once a placed request is over and its capacity is back."""
    processes = snapshot.cluster(request).processes
    snapshot = moved(snapshot, request, processes, -1)
    return snapshot.with_facts([replace(request, state=State.ENDED, end=End.CANCELLED, ended=now)])


def moved(snapshot: Snapshot, request: Request, processes: tuple[Process, ...], sign: int) -> Snapshot:
    """Return the snapshot with the processes' capacity taken, or given back, on nodes and shares."""
    changed: list[Fact] = []
    granted = {node.id: node for node in snapshot.nodes.values()}
    tree = Tree(snapshot.shares.values())
    for process in processes:
        node = granted[process.node]
        granted[process.node] = replace(node, granted=node.granted + process.shape * sign)
        tree.grant(request.project, request.pool, process.shape * sign)
    changed += granted.values()
    changed += [level.share for level in tree.path(request.project, request.pool)]
    return snapshot.with_facts(changed)


def overfull(snapshot: Snapshot) -> Iterator[object]:
    """Yield every node and share that holds more than it may, and every share that lost what it keeps for itself."""
    for node in snapshot.nodes.values():
        if not node.granted.within(node.capacity):
            yield node
    tree = Tree(snapshot.shares.values())
    for project in {request.project for request in snapshot.requests.values()}:
        for level in tree.path(project, next(iter(snapshot.requests.values())).pool):
            if not level.share.granted.within(level.share.limit):
                yield level.share
