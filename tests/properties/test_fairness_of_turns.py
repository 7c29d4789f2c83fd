"""Nobody loses by what others, who may have nothing, ask for."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from registry.ids import Seconds
from scheduler.decide import decide
from scheduler.facts import Fact
from scheduler.plan import Plan
from scheduler.requests import Request
from tests.builders import NOW, a_node, a_request, a_snapshot, cores, facts_of_a_center, request_id
from tests.properties.worlds import applied

CAPPED, OTHER = "vmu.vision", "uit.bio"


def starts(plan: Plan) -> list[tuple[object, ...]]:
    """Return who starts where, and whose start is promised, of those who are not of the capped institution."""
    placed = [one for one in plan.placements if one.request.project == OTHER]
    promised = [one for one in plan.promises if one.request.project == OTHER]
    return [*((one.request.id, one.processes) for one in placed), *((one.request.id, one.promise) for one in promised)]


def crowd(count: int, like: Request) -> list[Fact]:
    """Return so many requests that are alike, all of them older than any other."""
    return [replace(like, id=request_id(10_000 + number), submitted=Seconds(NOW - 90_000)) for number in range(count)]


def a_capped_center() -> list[Fact]:
    """Return a center one institution of which may hold two cores, and does."""
    center = facts_of_a_center([a_node("n1", cores(16, 64))], (CAPPED, OTHER), cores(2, 8))
    running = a_request(9_000, CAPPED, workers_min=1, head=cores(1, 1), worker=cores(1, 1))
    snapshot = a_snapshot([*center, running])
    return list(applied(snapshot, decide(snapshot, NOW), NOW).facts())


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.integers(1, 4), st.integers(1, 30))
def test_what_an_institution_at_its_cap_asks_for_changes_nobody_elses_start(
    sizes: list[int], workers: int, count: int
) -> None:
    center = a_capped_center()
    others = [
        a_request(number, OTHER, workers_min=size, walltime_seconds=600 * (1 + size))
        for number, size in enumerate(sizes, 1)
    ]
    alone = decide(a_snapshot([*center, *others]), NOW)
    beside = decide(a_snapshot([*center, *others, *crowd(count, a_request(1, CAPPED, workers_min=workers))]), NOW)
    assert starts(beside) == starts(alone)


def test_a_thousand_requests_of_an_institution_at_its_cap_change_nobody_elses_start() -> None:
    center = a_capped_center()
    others = [a_request(number, OTHER, workers_min=number % 4) for number in range(1, 20)]
    plans = [decide(a_snapshot([*center, *others, *crowd(count, a_request(1, CAPPED))]), NOW) for count in (0, 1000)]
    assert starts(plans[0])
    assert starts(plans[1]) == starts(plans[0])
    (waits,) = [wait.codes for wait in plans[1].waits if len(wait.requests) >= 1000]
    assert waits == ("share-full",)
