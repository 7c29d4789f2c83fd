"""What is said of starts: ordered, the same whoever asks, learnt from the past alone, and right as often as it says."""

from itertools import count
from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from registry.axes import Ints
from registry.ids import PoolId, Seconds
from scheduler.clusters import Process
from scheduler.decide import decide
from scheduler.estimates import Estimate, Outcome, Side, Signs
from scheduler.facts import Fact
from scheduler.forecasting import LEARNT_COLUMNS, MOST, Forecaster
from scheduler.foreseeing import foresee
from scheduler.ordering import Standings
from scheduler.outlook import Load, Queue
from simulator.foreseen import Foretold, Recorded
from simulator.swf import RigidJob
from tests.builders import NOW, a_snapshot
from tests.properties.worlds import applied, facts

PROCESSORS = 4
SIGNS = st.builds(
    Signs,
    by_walltimes=st.integers(0, 10**7),
    by_predictions=st.integers(0, 10**7),
    ahead=st.integers(0, 10**7),
    first_room=st.integers(0, 10**6),
    planned=st.integers(0, 10**7),
    part_ppm=st.integers(0, 10**6),
    walltime=st.integers(1, 10**7),
)
ROWS = st.tuples(SIGNS, st.integers(0, 10**7), st.sampled_from(Side), st.sampled_from(Side))


def learnt(rows: list[tuple[Signs, int, Side, Side]]) -> Ints:
    table = [
        (number, *signs.row(), waited, half, most) for number, (signs, waited, half, most) in enumerate(rows, start=1)
    ]
    return np.array(table, dtype=np.int64).reshape(-1, LEARNT_COLUMNS)


@given(rows=st.lists(ROWS, max_size=30), signs=SIGNS, seed=st.integers(0, 99))
def test_the_narrow_interval_lies_within_the_wide_one_whatever_was_learnt_in_whatever_order(
    rows: list[tuple[Signs, int, Side, Side]], signs: Signs, seed: int
) -> None:
    table = learnt(rows)
    half, most = Forecaster(table).spans(signs, NOW)
    assert NOW <= most.earliest <= half.earliest <= half.latest <= most.latest
    np.random.default_rng(seed).shuffle(table)
    assert Forecaster(table).spans(signs, NOW) == (half, most)


@given(rows=st.lists(ROWS, min_size=1, max_size=30), signs=SIGNS)
def test_the_more_starts_came_later_than_the_interval_said_the_further_it_reaches(
    rows: list[tuple[Signs, int, Side, Side]], signs: Signs
) -> None:
    within, later = learnt(rows), learnt(rows)
    within[:, MOST], later[:, MOST] = Side.WITHIN, Side.LATER
    (_, short), (_, long) = (Forecaster(table).spans(signs, NOW) for table in (within, later))
    assert short.latest <= long.latest
    assert short.earliest == long.earliest


def test_where_every_start_came_later_the_interval_reaches_further_at_once() -> None:
    signs = _some_signs(np.random.default_rng(1))
    rows = [(signs, signs.planned, Side.WITHIN, side) for side in (Side.WITHIN, Side.LATER)]
    (_, short), (_, long) = (Forecaster(learnt([row] * 10)).spans(signs, NOW) for row in rows)
    assert short.latest < long.latest


def test_intervals_hold_about_as_often_as_they_say_also_when_waits_become_less_certain() -> None:
    chance = np.random.default_rng(7)
    rows: list[tuple[int, ...]] = []
    sides: list[tuple[Side, Side]] = []
    for number in range(1, 701):
        signs = _some_signs(chance)
        half, most = Forecaster(np.array(rows, dtype=np.int64).reshape(-1, LEARNT_COLUMNS)).spans(signs, NOW)
        certain = 1.0 if number < 350 else 2.0
        placed = Seconds(NOW + round(signs.planned * float(np.exp(certain * chance.normal()))))
        estimate = Estimate(issued=NOW, signs=signs, run_seconds=1, half=half, most=most)
        known = Outcome(pool=PoolId("main"), number=number, estimate=estimate, placed=placed)
        sides.append((known.half_side, known.most_side))
        rows.append((number, *signs.row(), known.waited, known.half_side, known.most_side))
    half_hits, most_hits = ([side is Side.WITHIN for side in column] for column in zip(*sides, strict=True))
    assert 0.87 <= np.mean(most_hits) <= 0.95
    assert 0.8 <= np.mean(most_hits[350:]) <= 0.95
    assert 0.4 <= np.mean(half_hits) <= 0.6


@given(some=facts(), chance=st.randoms(use_true_random=False))
def test_who_waits_is_told_the_same_in_whatever_order_facts_came_and_alone_as_with_all_others(
    some: list[Fact], chance: Random
) -> None:
    begun = applied(a_snapshot(some), decide(a_snapshot(some), NOW), NOW)
    later, shuffled = Seconds(NOW + 60), list(begun.facts())
    chance.shuffle(shuffled)
    shuffled.sort(key=lambda fact: isinstance(fact, Process))
    waiting = [request.id for request in begun.pending()]
    told = foresee(begun, waiting, Standings(begun, later))
    assert told.keys() == set(waiting)
    again = a_snapshot(shuffled)
    assert foresee(again, waiting, Standings(again, later)) == told
    for request in waiting:
        assert foresee(begun, [request], Standings(begun, later)) == {request: told[request]}


@given(
    drawn=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=20),
    chance=st.randoms(use_true_random=False),
)
def test_what_comes_before_some_of_many_is_summed_as_one_would_go_through_them(
    drawn: list[tuple[int, int, int]], chance: Random
) -> None:
    ranks, submitted, amounts = (np.array(column, dtype=np.float64) for column in zip(*drawn, strict=True))
    turns = list(range(len(drawn)))
    chance.shuffle(turns)
    turns.sort(key=lambda row: -ranks[row])
    load = Load(parts=amounts, walltimes=amounts, predicted=amounts)
    queue = Queue(
        load=load,
        ranks=ranks,
        submitted=submitted.astype(np.int64),
        in_order=lambda rows: np.array([row for row in turns if row in set(rows.tolist())], dtype=np.int64),
    )
    asked = chance.sample(turns, chance.randint(1, len(turns)))
    for firsts in (-ranks, submitted):
        through = sorted(turns, key=lambda row: firsts[row])
        expected = [sum(amounts[row] for row in through[: through.index(one)]) for one in asked]
        assert queue.before(amounts, firsts, np.array(asked)).tolist() == expected


JOBS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, PROCESSORS), st.integers(1, 200), st.integers(0, 300)), max_size=25
)


@given(drawn=JOBS, until=st.integers(0, 500), more=st.integers(1, 1000))
def test_what_is_said_depends_on_nothing_that_comes_later(
    drawn: list[tuple[int, int, int, int]], until: int, more: int
) -> None:
    jobs, starts = _a_schedule(drawn)
    said = list(Recorded(jobs, starts, PROCESSORS).run())
    later = {index: start + more * (start >= until) for index, start in starts.items()}
    again = list(Recorded(jobs, later, PROCESSORS).run())
    for one, other in zip(_until(said, until), _until(again, until), strict=True):
        assert (one.job, one.estimate) == (other.job, other.estimate)


def _until(said: list[Foretold], until: int) -> list[Foretold]:
    return [one for one in said if one.job.submit < until]


def _a_schedule(drawn: list[tuple[int, int, int, int]]) -> tuple[list[RigidJob], dict[int, int]]:
    """Return jobs that come one after another and when each starts: any starts will do."""
    times, index = 0, count()
    jobs: list[RigidJob] = []
    starts: dict[int, int] = {}
    for pause, procs, run, wait in drawn:
        times += pause
        job = RigidJob(index=next(index), job_id=1, submit=times, procs=procs, run=run, est=2 * run)
        jobs.append(job)
        starts[job.index] = times + wait
    return jobs, starts


def _some_signs(chance: np.random.Generator) -> Signs:
    planned = int(chance.integers(60, 10**5))
    return Signs(
        by_walltimes=3 * planned,
        by_predictions=planned,
        ahead=int(chance.integers(0, 10**4)),
        first_room=int(chance.integers(0, 10**4)),
        planned=planned,
        part_ppm=int(chance.integers(1, 10**6)),
        walltime=int(chance.integers(60, 10**5)),
    )
