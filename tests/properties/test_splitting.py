"""Who asks for the same in other portions gains nothing: not by the size of workers, and not by asking in parts."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from scheduler.decide import decide
from scheduler.ordering import Standings
from scheduler.policies import NAMED
from scheduler.policy import DEFAULT_POLICY, Policy
from scheduler.requests import End, Request, State
from scheduler.snapshot import Snapshot
from simulator.site import unbounded
from tests.builders import NOW, a_request, a_snapshot, cores, facts_of_a_center, request_id
from tests.properties.worlds import PROJECTS, applied, nodes, requests, snapshots

LAST = 500
"""The number of who comes after all others."""
SHAPE = cores(0.5, 1)


@given(snapshots(), st.integers(1, 6), st.integers(1, 6), st.sampled_from(PROJECTS))
def test_more_workers_that_are_smaller_rank_as_few_large_ones_of_the_same_sum(
    center: Snapshot, count: int, times: int, project: str
) -> None:
    few = a_request(LAST, project, head=cores(0), worker=cores(times, times), workers_min=count)
    all_of_them = count * times
    many = replace(few, id=request_id(LAST + 1), worker=cores(1, 1), workers_min=all_of_them, workers_max=all_of_them)
    standings = Standings(center.with_facts([few, many]), NOW)
    assert standings.rank(many).total == pytest.approx(standings.rank(few).total)


@st.composite
def centers(draw: st.DrawFn, policy: Policy, others: int) -> Snapshot:
    """Return a center in which some run, and as many others at the most wait since before who is asked about."""
    queue: Sequence[Request] = [draw(requests(number)) for number in range(1, draw(st.integers(1, 6)) + 1)]
    center = a_snapshot([*facts_of_a_center(draw(nodes()), PROJECTS), *queue], policy)
    center = applied(center, decide(center, NOW), NOW)
    gone = center.pending()[others:]
    return center.with_facts(replace(one, state=State.ENDED, end=End.CANCELLED, ended=NOW) for one in gone)


@pytest.mark.parametrize(("name", "others"), [("default", 0), ("fcfs-easy", 3), ("fcfs-conservative", 3)])
@given(st.data(), st.integers(2, 5), st.integers(0, 2), st.sampled_from([60, 600, 3600]))
def test_not_all_parts_of_what_could_not_start_start_in_its_place(
    name: str, others: int, data: st.DataObject, parts: int, workers: int, walltime: int
) -> None:
    """By the center's own order as long as nobody else waits: parts are ranked by their own size."""
    policy = DEFAULT_POLICY if name == "default" else unbounded(NAMED[name])
    center = data.draw(centers(policy, others))
    part = a_request(LAST, head=SHAPE, worker=SHAPE, workers_min=workers, walltime_seconds=walltime)
    whole = replace(part, workers_min=parts * (workers + 1) - 1, workers_max=parts * (workers + 1) - 1)
    in_parts = [replace(part, id=request_id(LAST + number), workers_max=workers) for number in range(parts)]
    started = {one.request.id for one in decide(center.with_facts(in_parts), NOW).placements}
    at_once = {one.request.id for one in decide(center.with_facts([whole]), NOW).placements}
    event(f"{sum(one.id in started for one in in_parts)} of {parts} parts, the whole: {whole.id in at_once}")
    assert whole.id in at_once or not started.issuperset(one.id for one in in_parts)
