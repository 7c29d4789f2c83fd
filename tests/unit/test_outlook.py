"""The signs of a wait, one at a time, in pools whose arithmetic is easy."""

from collections.abc import Sequence

import numpy as np
import pytest

from scheduler.estimates import Signs
from scheduler.outlook import MOST_PLANNED, Load, Queue, signs_of


def a_load(*rows: tuple[float, float, float]) -> Load:
    """Return work: the part of the pool, how long at most, how long as predicted."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Load(parts=table[:, 0], walltimes=table[:, 1], predicted=table[:, 2])


def signs(running: Load, waiting: Load, *new: int, ranks: Sequence[float] | None = None) -> list[Signs]:
    """Return the signs of what waits, one a second later than the other, in that order unless it ranks otherwise."""
    by = -np.arange(len(waiting.parts), dtype=np.float64) if ranks is None else np.array(ranks, dtype=np.float64)
    queue = Queue(
        load=waiting,
        ranks=by,
        submitted=np.arange(len(by)),
        in_order=lambda rows: rows[np.lexsort((rows, -by[rows]))],
    )
    return list(signs_of(running, queue, np.array(new)))


def test_who_comes_to_an_empty_pool_waits_for_nothing() -> None:
    (alone,) = signs(a_load(), a_load((0.25, 100, 50)), 0)
    assert alone == Signs(
        by_walltimes=0, by_predictions=0, ahead=0, first_room=0, planned=0, part_ppm=250_000, walltime=100
    )


def test_all_work_before_a_request_is_counted_by_walltimes_and_as_predicted() -> None:
    running, waiting = a_load((0.5, 1000, 200)), a_load((1.0, 300, 100), (0.5, 100, 50), (0.5, 100, 50))
    first, second = signs(running, waiting, 0, 1)
    assert (first.by_walltimes, first.by_predictions) == (500, 100)
    assert (second.by_walltimes, second.by_predictions) == (800, 200), "and nothing of who came after it"


def test_room_comes_when_enough_of_what_runs_is_predicted_to_have_left() -> None:
    running = a_load((0.5, 900, 100), (0.25, 900, 300), (0.25, 900, 200))
    waiting = a_load((0.5, 10, 10), (0.75, 10, 10), (1.0, 10, 10))
    assert [one.first_room for one in signs(running, waiting, 0, 1, 2)] == [100, 200, 300]


def test_a_plan_fills_gaps_in_the_order_of_submission_whoever_ranks_first() -> None:
    running = a_load((0.5, 900, 100))
    waiting = a_load((1.0, 900, 50), (0.5, 900, 60), (0.5, 900, 60), (0.5, 900, 40))
    assert [one.planned for one in signs(running, waiting, 0, 1, 2, 3)] == [100, 0, 150, 60]
    turned = signs(running, waiting, 0, 1, 2, 3, ranks=(0, 1, 2, 3))
    assert [one.planned for one in turned] == [100, 0, 150, 60]


def test_a_plan_takes_many_ends_of_what_runs_together_and_lets_none_of_them_be_earlier() -> None:
    running = a_load(*[(0.0001, 20_000, float(end)) for end in range(1, 10_001)])
    (one,) = signs(running, a_load((0.5, 900, 50)), 0)
    assert 5_000 <= one.planned <= 5_020


def test_work_that_ranks_before_a_request_is_ahead_of_it_and_so_is_its_equal_that_came_before() -> None:
    waiting = a_load((1.0, 10_000, 500), (0.1, 100, 40), (0.1, 200, 100), (0.1, 200, 100), (0.5, 300, 2))
    told = signs(a_load(), waiting, 0, 1, 2, 3, ranks=(1, 4, 2, 2, 3))
    assert [one.ahead for one in told] == [25, 0, 5, 15]
    assert [one.by_predictions for one in told] == [0, 500, 504, 514], "which is not what came before it"


@pytest.mark.parametrize("running", [a_load(), a_load((1.0, 900, 100))])
def test_what_waits_beyond_those_that_are_planned_follows_at_the_rate_of_the_pool(running: Load) -> None:
    begin = float((running.parts * running.predicted).sum())
    waiting = a_load(*[(0.5, 20, 10)] * (MOST_PLANNED + 3))
    last, beyond, further = signs(running, waiting, MOST_PLANNED - 1, MOST_PLANNED, MOST_PLANNED + 2)
    assert last.planned == begin + 5 * MOST_PLANNED - 10
    assert (beyond.planned, further.planned) == (begin + 5 * MOST_PLANNED, begin + 5 * MOST_PLANNED + 10)
