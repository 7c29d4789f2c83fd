"""For how long a request may be overtaken, in numbers; who is next in line; and how lengths and classes rank."""

from dataclasses import replace
from typing import Any, Final

import pytest

from quotas.reasons import NoCredit
from registry.ids import NodeId, Seconds
from scheduler.decide import decide
from scheduler.explain import explain
from scheduler.facts import Fact, RunRatios
from scheduler.foreseeing import now_waiting
from scheduler.ordering import Rank, Standings
from scheduler.overtaking import Overtakable, Overtaking
from scheduler.plan import Plan
from scheduler.policy import DAY, HOUR, Order
from scheduler.reasons import NodesFull
from scheduler.requests import Promise, Request, RequestClass
from scheduler.room import Room
from scheduler.snapshot import Snapshot
from tests.builders import ALICE, NOW, a_node, a_request, a_snapshot, an_estimate, cores, facts_of_a_center
from tests.properties.worlds import applied

PROJECT = "vmu.vision"
SOON = NOW + 2 * HOUR + 1800 + 30
"""When who runs is gone at the latest."""
PART_OF_A_DAY: Final = DAY * 3 // 5
WHOLE: dict[str, Any] = {"head": cores(4, 8), "worker": cores(4, 8), "workers_min": 0}


def a_center(*more: Fact) -> Snapshot:
    """Return a node of four cores for everybody."""
    return a_snapshot([*facts_of_a_center([a_node(capacity=cores(4, 64))], [PROJECT, "uit.nlp"]), *more])


def a_full_one(*more: Fact) -> Snapshot:
    """Return the same where somebody runs for two hours and a half and leaves no core."""
    running = a_center(a_request(1000, walltime_seconds=2 * HOUR + 1800, **WHOLE))
    return applied(running, decide(running, NOW), NOW).with_facts(more)


def overtaken_for(snapshot: Snapshot, request: Request) -> int:
    overtaking = Overtaking(Room(snapshot, NOW))
    return int(overtaking.seconds[snapshot.arrays.queue.row(request.id)])


def rank(snapshot: Snapshot, request: Request) -> Rank:
    return Standings(snapshot, NOW).rank(request)


def test_on_a_short_queue_it_is_what_the_class_says_and_about_half_of_what_waits() -> None:
    """Twice three eighths of the pool for an hour."""
    normal, quick = a_request(1), a_request(2, request_class=RequestClass.INTERACTIVE)
    snapshot = a_center(normal, quick)
    assert [overtaken_for(snapshot, one) for one in (normal, quick)] == [60 * HOUR + 1620, 6 * HOUR + 1620]


def test_a_long_queue_lets_everybody_be_overtaken_for_half_as_long_as_it_takes_and_a_deep_one_for_longer() -> None:
    """Five requests of the whole pool for a day each take five days; sixteen are as deep as twice eight."""
    some = [a_request(number, walltime_seconds=DAY, **WHOLE) for number in range(1, 17)]
    assert overtaken_for(a_center(*some[:5]), some[0]) == 60 * HOUR + 5 * PART_OF_A_DAY
    assert overtaken_for(a_center(*some), some[0]) == (60 * HOUR + 16 * PART_OF_A_DAY) * 2


def test_what_runs_counts_for_as_long_as_it_is_likely_to_run_on() -> None:
    """Somebody runs for two hours and a half, or for half of that by what is known, and one asks for two hours."""
    waiting = a_request(1, walltime_seconds=2 * HOUR, **WHOLE)
    halves = RunRatios(person=ALICE, last=500)
    assert overtaken_for(a_full_one(waiting), waiting) == 60 * HOUR + 0.6 * 4.5 * HOUR
    assert overtaken_for(a_full_one(waiting, halves), waiting) == 60 * HOUR + 0.6 * 2.25 * HOUR


def test_it_is_found_when_a_request_begins_to_wait_and_stays() -> None:
    waiting = a_request(1, walltime_seconds=2 * HOUR, **WHOLE)
    full = a_full_one(waiting)
    found = overtaken_for(full, waiting)
    plan = decide(full, NOW)
    assert plan.overtaking == {waiting.id: found}
    later = applied(full, plan, NOW).with_facts(
        [a_request(number, walltime_seconds=DAY, **WHOLE) for number in range(2, 9)]
    )
    assert overtaken_for(later, waiting) == found
    assert overtaken_for(later, a_request(2)) > found
    assert waiting.id not in decide(later, NOW).overtaking


def test_a_backlog_is_counted_by_how_long_peoples_work_ran_lately_and_never_by_more_than_they_ask() -> None:
    some = [a_request(number, walltime_seconds=2 * DAY, **WHOLE) for number in range(1, 5)]
    for last, before, days in ((500, None, 4), (750, 250, 4), (3000, 3000, 8), (0, 0, 40 / DAY)):
        ratios = RunRatios(person=ALICE, last=last, before=before)
        assert overtaken_for(a_center(*some, ratios), some[0]) == 60 * HOUR + int(days * PART_OF_A_DAY)


def test_what_something_else_than_nodes_stops_is_no_backlog() -> None:
    some = [a_request(number, walltime_seconds=DAY, **WHOLE) for number in range(1, 6)]
    held = [replace(one, user_hold=True, held_since=NOW) for one in some[1:]]
    assert overtaken_for(a_center(some[0], *held), some[0]) == 60 * HOUR + PART_OF_A_DAY


@pytest.mark.parametrize(
    ("waited", "starts", "aim"),
    [
        (35 * HOUR, NOW + 28 * HOUR + 1080, NOW + 28 * HOUR + 1080),
        (40 * HOUR, NOW + 23 * HOUR + 1080, NOW + 23 * HOUR + 1080),
        (4 * DAY, SOON, None),
    ],
)
def test_who_has_waited_for_long_is_promised_to_start_in_time_or_as_soon_as_there_is_room(
    waited: int, starts: int, aim: int | None
) -> None:
    patient = a_request(1, submitted=NOW - waited, walltime_seconds=3 * HOUR, **WHOLE)
    (promised,) = decide(a_full_one(patient), NOW).promises
    assert promised.promise is not None
    assert promised.promise.starts == starts
    assert promised.promise.aim == aim


def test_time_in_which_a_request_was_held_is_no_wait() -> None:
    held = a_request(1, submitted=NOW - 29 * HOUR, walltime_seconds=3 * HOUR, **WHOLE)
    assert decide(a_full_one(held), NOW).promises
    assert not decide(a_full_one(replace(held, held_seconds=HOUR)), NOW).promises


def test_before_its_latest_start_a_request_may_start_when_it_is_its_turn() -> None:
    patient = a_request(1, submitted=NOW - 35 * HOUR, walltime_seconds=3 * HOUR, **WHOLE)
    full = a_full_one(patient)
    promised = applied(full, decide(full, NOW), NOW)
    assert promised.requests[patient.id].promise is not None
    shorter, longer = (a_request(number, walltime_seconds=number * HOUR, **WHOLE) for number in (1, 4))
    others = [replace(shorter, id=a_request(8).id), replace(longer, id=a_request(9).id)]
    for more, first in ((others, others[0].id), (others[1:], patient.id)):
        free = a_center(promised.requests[patient.id], *more)
        assert [one.request.id for one in decide(free, NOW).placements] == [first]


def test_no_more_latest_starts_are_promised_than_the_policy_says_and_the_oldest_first() -> None:
    some = [
        a_request(number, submitted=NOW - 36 * HOUR - number, walltime_seconds=HOUR, **WHOLE) for number in range(1, 5)
    ]
    full = a_full_one(*some)
    bounded = Snapshot(policy=replace(full.policy, latest_starts=2, reservations=0)).with_facts(full.facts())
    assert [one.request.id for one in decide(bounded, NOW).promises] == [some[2].id, some[3].id]


def overtakable(snapshot: Snapshot, request: Request, now: int = NOW) -> Overtakable | None:
    explained = explain(snapshot, request.id, Seconds(now))
    assert explained is not None
    return explained.overtakable


def test_it_is_told_until_when_and_at_the_very_second_from_which_on_a_latest_start_is_promised() -> None:
    asked = a_request(1, submitted=NOW - 10 * HOUR, walltime_seconds=3 * HOUR, **WHOLE)
    waiting = replace(asked, held_seconds=HOUR)
    full = a_full_one(waiting)
    seconds = overtaken_for(full, waiting)
    told = overtakable(full, waiting)
    assert told is not None
    assert (told.until, told.is_due) == (NOW - 9 * HOUR + seconds, False)
    known = applied(full, decide(full, NOW), NOW)
    for now, promises in ((told.promised_from - 1, []), (told.promised_from, [told.until])):
        found = [one.promise.aim for one in decide(known, Seconds(now)).promises if one.promise]
        assert found == promises
        assert (overtakable(known, waiting, now) is None) == bool(promises), "its start is protected"


def test_who_is_due_a_latest_start_that_others_have_taken_is_told_so() -> None:
    some = [a_request(one, submitted=NOW - 36 * HOUR - one, walltime_seconds=HOUR, **WHOLE) for one in range(1, 4)]
    full = a_full_one(*some)
    bounded = Snapshot(policy=replace(full.policy, latest_starts=2, reservations=0)).with_facts(full.facts())
    told = [overtakable(bounded, one) for one in some]
    assert told[1:] == [None, None]
    assert told[0] is not None
    assert told[0].is_due
    assert told[0].promised_from <= NOW < told[0].until


@pytest.mark.parametrize(
    "changes",
    [{"order": Order.ARRIVAL}, {"order": Order.UNICEF}, {"latest_starts": 0}, {"keeps_promises": False}],
    ids=["arrival", "unicef", "none", "unkept"],
)
def test_nothing_is_told_of_it_where_nobody_is_promised_a_latest_start(changes: dict[str, Any]) -> None:
    waiting = a_request(1, walltime_seconds=3 * HOUR, **WHOLE)
    full = a_full_one(waiting)
    other = Snapshot(policy=replace(full.policy, **changes)).with_facts(full.facts())
    assert overtakable(full, waiting) is not None
    assert overtakable(other, waiting) is None


def test_the_time_of_what_is_held_stands_still_and_what_starts_next_is_not_overtaken() -> None:
    waiting = a_request(1, walltime_seconds=3 * HOUR, **WHOLE)
    held = replace(waiting, user_hold=True, held_since=NOW)
    assert overtakable(a_full_one(held), held) is None
    assert overtakable(a_center(waiting), waiting) is None


def test_what_is_small_and_short_is_soon_next_in_line_and_a_prediction_makes_it_sooner() -> None:
    """A core of four for an hour: after four hours, or after one if such work runs for a quarter of that."""
    ratios = RunRatios(person=ALICE, last=250)
    small = a_request(1, head=cores(1, 1), workers_min=0, walltime_seconds=HOUR)
    for waited, more, promised in (
        (4 * HOUR, (), 0),
        (4 * HOUR + 1, (), 1),
        (HOUR, (ratios,), 0),
        (HOUR + 1, (ratios,), 1),
    ):
        waiting = replace(small, submitted=Seconds(NOW - waited))
        plan = decide(a_full_one(waiting, *more), NOW)
        assert len(plan.promises) == promised
        assert all(change.promise and change.promise.aim is None for change in plan.promises)
        explained = explain(a_full_one(waiting, *more), small.id, NOW)
        assert explained is not None
        assert (explained.expected is not None) == bool(promised)


def test_half_the_length_is_worth_as_much_whatever_the_length() -> None:
    some = [a_request(number, walltime_seconds=seconds) for number, seconds in ((1, 600), (2, 1200), (3, 2400), (4, 3))]
    lengths = [rank(a_center(*some), one).length for one in some]
    assert lengths[0] - lengths[1] == pytest.approx(1.3)
    assert lengths[1] - lengths[2] == pytest.approx(1.3)
    assert lengths[3] == pytest.approx(-1.3 * 3.3219, rel=1e-4), "the shortest count as ten seconds"


def test_a_request_for_more_is_ranked_lower_in_whichever_resource_it_asks_for_the_most() -> None:
    by_cores = a_request(1, head=cores(2, 1), workers_min=0)
    by_memory = a_request(2, head=cores(0.1, 32), workers_min=0)
    small = a_request(3, head=cores(0.1, 1), workers_min=0)
    sizes = [rank(a_center(by_cores, by_memory, small), one).size for one in (by_cores, by_memory, small)]
    assert sizes[0] == sizes[1] == pytest.approx(-0.6644, rel=1e-4)
    assert sizes[2] == 0, "nobody counts as less than a core"


def test_the_same_in_more_and_smaller_workers_has_the_same_rank() -> None:
    few = a_request(1, head=cores(1, 1), worker=cores(1, 1), workers_min=2)
    many = a_request(2, head=cores(0.5, 0.5), worker=cores(0.25, 0.25), workers_min=10, workers_max=10)
    snapshot = a_center(few, many)
    assert rank(snapshot, few) == rank(snapshot, many)


def test_a_class_lets_a_request_go_before_one_that_is_two_hundred_times_shorter_and_no_more() -> None:
    quick = a_request(1, request_class=RequestClass.INTERACTIVE, walltime_seconds=10 * HOUR)
    for seconds, first in ((10 * HOUR // 200, quick.id), (10 * HOUR // 220, a_request(2).id)):
        normal = a_request(2, walltime_seconds=seconds)
        snapshot = a_center(quick, normal)
        rows = snapshot.arrays.queue.alive()
        order = [snapshot.arrays.queue.key(row) for row in Standings(snapshot, NOW).order_of(rows)]
        assert order[0] == first


def test_a_latest_start_that_cannot_be_kept_comes_as_soon_as_it_can() -> None:
    """Its moment is there, and who runs has not left: it slips by as much as that, not to where it might have been."""
    aim = Seconds(SOON + DAY)
    promise = Promise(given=Seconds(NOW - HOUR), starts=Seconds(SOON), head=NodeId("n1"), workers=(), aim=aim)
    waiting = a_request(1, submitted=NOW - 50 * HOUR, walltime_seconds=4 * HOUR, **WHOLE)
    full = a_full_one(replace(waiting, promise=promise, overtaking_seconds=60 * HOUR))
    for late in (0, 5, 60):
        (change,) = decide(full, Seconds(SOON + late)).promises
        assert change.promise == replace(promise, starts=Seconds(SOON + late + 1))


def test_an_estimate_stays_until_something_else_than_nodes_stops_a_request() -> None:
    waiting = replace(a_request(1), estimate=an_estimate())
    assert now_waiting(waiting, (NodesFull.code,), Plan()).estimate == waiting.estimate
    assert now_waiting(waiting, (NodesFull.code, NoCredit.code), Plan()).estimate is None
