"""Where room was made since the last cycle: a promise moves earlier only there."""

from dataclasses import replace
from typing import Any

from registry.centers import NodeState
from registry.ids import Seconds
from scheduler.decide import decide
from scheduler.facts import Fact
from scheduler.policies import NAMED
from scheduler.policy import HOUR
from scheduler.requests import End, Promise, Request, State
from scheduler.snapshot import Snapshot
from simulator.site import unbounded
from tests.builders import NOW, a_node, a_request, a_snapshot, cores, facts_of_a_center
from tests.properties.worlds import applied

PROJECT = "vmu.vision"
ONE_CORE: dict[str, Any] = {"head": cores(1), "worker": cores(1), "workers_min": 0}
TWO_CORES: dict[str, Any] = {"head": cores(1), "worker": cores(1), "workers_min": 1}
POOL = a_node().pool


def a_center(*more: Request) -> Snapshot:
    return a_snapshot([*facts_of_a_center([a_node(capacity=cores(8, 64))], [PROJECT]), *more])


def running(*some: Request) -> Snapshot:
    """Return a center in which these run."""
    waiting = a_center(*some)
    return applied(waiting, decide(waiting, NOW), NOW)


def test_what_starts_and_what_is_promised_make_no_room() -> None:
    waiting, started = a_center(a_request(1)), running(a_request(1))
    (slots,) = started.processes.values()
    news: list[Fact] = [*started.nodes.values(), *started.requests.values(), *slots.values()]
    assert not waiting.with_facts(news).freed
    assert not waiting.with_facts([a_request(2)]).freed


def test_an_end_makes_room_even_of_what_nobody_heard_the_start_of() -> None:
    known = a_center(a_request(1))
    over = [replace(one, state=State.ENDED, end=End.CANCELLED, ended=NOW) for one in known.requests.values()]
    assert known.with_facts([*known.nodes.values(), *over]).freed == {POOL}


def test_who_is_to_end_earlier_makes_room_and_who_may_stay_for_longer_makes_none() -> None:
    known = running(a_request(1))
    (request,) = known.requests.values()
    assert request.deadline is not None
    for more, freed in ((-60, {POOL}), (60, set())):
        moved = replace(request, deadline=Seconds(request.deadline + more))
        assert known.with_facts([moved]).freed == freed


def test_who_is_about_to_end_makes_room_before_it_has_left() -> None:
    known = running(a_request(1))
    (request,) = known.requests.values()
    ending = replace(request, ending=End.CANCELLED)
    assert known.with_facts([ending]).freed == {POOL}
    assert not known.with_facts([ending]).with_facts([ending]).freed


def test_to_start_before_a_latest_start_makes_room_and_to_start_when_it_was_promised_makes_none() -> None:
    started = running(a_request(1))
    (placed,) = started.requests.values()
    for seconds, aims, freed in ((600, True, {POOL}), (0, True, set()), (600, False, set())):
        starts = Seconds(NOW + seconds)
        promise = Promise(given=NOW, starts=starts, head=a_node().id, workers=(), aim=starts if aims else None)
        waiting = a_center(replace(a_request(1), promise=promise))
        assert waiting.with_facts([placed]).freed == freed


def test_what_somebody_who_is_held_was_promised_goes_to_whom_a_later_start_was_and_not_to_who_comes() -> None:
    """On two cores one runs for an hour; after it both are promised to one and then to another, and one is held."""
    conservative = unbounded(NAMED["fcfs-conservative"])
    running_first = [a_request(1, walltime_seconds=HOUR, **ONE_CORE)]
    snapshot = a_snapshot([*facts_of_a_center([a_node(capacity=cores(2, 8))], [PROJECT]), *running_first], conservative)
    snapshot = applied(snapshot, decide(snapshot, NOW), NOW)
    wide = [a_request(number, submitted=NOW, walltime_seconds=HOUR, **TWO_CORES) for number in (2, 3)]
    snapshot = snapshot.with_facts(wide)
    snapshot = applied(snapshot, decide(snapshot, NOW), NOW)
    first, second = (snapshot.requests[one.id] for one in wide)
    assert first.promise is not None
    assert second.promise is not None
    held = first.with_holds(user=True, operator=False, now=NOW)
    newcomer = a_request(4, submitted=NOW, walltime_seconds=2 * HOUR - 60, **ONE_CORE)
    plan = decide(snapshot.with_facts([held, newcomer]), NOW)
    promised = {change.request.id: change.promise and change.promise.starts for change in plan.promises}
    assert promised[second.id] == first.promise.starts < second.promise.starts
    assert not plan.placements


def test_a_worker_that_was_told_to_leave_makes_room_and_so_does_one_that_has_left() -> None:
    known = running(a_request(1))
    (slots,) = known.processes.values()
    for change in ({"wanted": False, "stop_by": NOW}, {"released": NOW}):
        assert known.with_facts([replace(slots[1], **change)]).freed == {POOL}
    assert not known.with_facts([replace(slots[1], started=NOW)]).freed


def test_a_node_that_is_ready_again_makes_room_and_one_that_gives_more_away_makes_none() -> None:
    known = a_center()
    (node,) = known.nodes.values()
    lost = known.with_facts([replace(node, state=NodeState.LOST)])
    assert lost.with_facts([node]).freed == {POOL}
    assert not known.with_facts([replace(node, granted=cores(1, 1))]).freed
