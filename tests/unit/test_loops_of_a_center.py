"""A loop loses no wake-up, leaves time to others, tries again ever more rarely, and stops at once."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, Queue

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from registry.ids import Seconds
from server.loops import STUCK_SECONDS, Loop, rest_after
from tests.builders import NOW

PATIENCE_SECONDS = 20.0
FOR_EVER_SECONDS = 3600.0
EARLY_SECONDS = 0.005  # as much as a clock may wake somebody before the time


class StandingClock:
    """`Clock` that stands until it is set."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> Seconds:
        return self.time


def a_loop(
    step: Callable[[], object],
    *,
    tick_seconds: float = FOR_EVER_SECONDS,
    computed: Callable[[], float] = lambda: 0.0,
    clock: StandingClock | None = None,
) -> Loop:
    """Return a loop that is told how much it has computed and pauses for the shortest time after failures."""
    return Loop(
        "test",
        step,
        tick_seconds=tick_seconds,
        clock=clock or StandingClock(),
        computed_seconds=computed,
        chance=lambda: 0.0,
    )


@contextmanager
def running(loop: Loop) -> Iterator[None]:
    """Run a loop for as long as the block lasts, and see that it ends."""
    loop.start()
    try:
        yield
    finally:
        began = time.monotonic()
        loop.stop(patience_seconds=PATIENCE_SECONDS)
        assert time.monotonic() - began < PATIENCE_SECONDS / 2
        assert not loop._thread.is_alive()


class Steps:
    """A step that tells when it begins, ends when it may, and always wishes to be run again."""

    def __init__(self) -> None:
        self.begins: Queue[float] = Queue()
        self.ends: Queue[float] = Queue()
        self.busy: Callable[[], object] = lambda: None
        self.wake: Callable[[], object] = lambda: None

    def __call__(self) -> None:
        self.begins.put(time.monotonic())
        try:
            self.busy()
        finally:
            self.wake()
            self.ends.put(time.monotonic())

    def rests(self, count: int) -> list[float]:
        """Return how long the first rests were."""
        return [self.begins.get(timeout=PATIENCE_SECONDS) - end for end in self._first_ends(count)]

    def _first_ends(self, count: int) -> Iterator[float]:
        self.begins.get(timeout=PATIENCE_SECONDS)
        for _ in range(count):
            yield self.ends.get(timeout=PATIENCE_SECONDS)


# How long to rest


seconds = st.floats(0, 1000)
chances = st.floats(0, 1)


@given(computed=seconds, tick=seconds, chance=chances)
def test_who_succeeded_rests_as_long_as_it_computed_and_then_until_the_tick(
    computed: float, tick: float, chance: float
) -> None:
    rest = rest_after(computed_seconds=computed, failures=0, chance=chance, tick_seconds=tick)
    assert (rest.undisturbed_seconds, rest.wakeful_seconds) == (min(computed, tick), tick)


@given(computed=seconds, tick=seconds, chance=chances, failures=st.integers(1, 12) | st.integers(1, 10**9))
def test_who_failed_pauses_ever_longer_up_to_half_a_minute_whatever_wakes_it(
    computed: float, tick: float, chance: float, failures: int
) -> None:
    def pause(failures: int, chance: float) -> float:
        rest = rest_after(computed_seconds=computed, failures=failures, chance=chance, tick_seconds=tick)
        assert rest.wakeful_seconds == 0
        return rest.undisturbed_seconds

    longest = pause(failures, 1)
    assert longest == min(30, 0.1 * 2 ** min(failures, 100))
    assert longest / 2 <= pause(failures, chance) <= longest
    assert pause(failures, chance) <= pause(failures + 1, chance)


# The thread


def test_wake_ups_that_come_during_a_step_run_it_once_more() -> None:
    began: Queue[None] = Queue()
    may_end: Queue[None] = Queue()

    def step() -> None:
        began.put(None)
        may_end.get(timeout=PATIENCE_SECONDS)

    loop = a_loop(step)
    with running(loop):
        began.get(timeout=PATIENCE_SECONDS)
        for _ in range(3):
            loop.wake()
        may_end.put(None)
        began.get(timeout=PATIENCE_SECONDS)
        may_end.put(None)
        with pytest.raises(Empty):
            began.get(timeout=0.1)


def test_a_wake_up_ends_a_rest_and_the_tick_comes_without_one() -> None:
    steps = Steps()
    loop = a_loop(steps)
    with running(loop):
        for _ in range(3):
            steps.ends.get(timeout=PATIENCE_SECONDS)
            loop.wake()
    ticking = Steps()
    with running(a_loop(ticking, tick_seconds=0.02)):
        assert min(ticking.rests(3)) >= 0.02 - EARLY_SECONDS


def test_a_loop_that_is_woken_without_end_rests_as_long_as_it_is_said_to_have_computed() -> None:
    steps, computed = Steps(), itertools.count(step=0.1)
    loop = a_loop(steps, computed=lambda: next(computed))
    steps.wake = loop.wake
    with running(loop):
        assert min(steps.rests(2)) >= 0.1 - EARLY_SECONDS


def test_what_a_loop_has_computed_is_the_time_of_its_own_thread() -> None:
    def compute() -> None:
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass

    steps = Steps()
    loop = Loop("test", steps, tick_seconds=FOR_EVER_SECONDS, clock=StandingClock())
    steps.busy, steps.wake = compute, loop.wake
    with running(loop):
        assert min(steps.rests(2)) >= 0.05 - EARLY_SECONDS


def test_failures_are_logged_and_counted_and_a_success_begins_anew() -> None:
    steps, fails = Steps(), iter([True, True, False, True, False])
    successes: list[Seconds | None] = []

    def fail_or_not() -> None:
        successes.append(loop.last_success)
        if next(fails, False):
            raise OSError("the database is away")

    steps.busy = fail_or_not
    loop = a_loop(steps, tick_seconds=0.01)
    steps.wake = loop.wake
    with capture_logs() as logs, running(loop):
        first, second, *_ = steps.rests(5)
    assert first >= 0.1 - EARLY_SECONDS
    assert second >= 0.2 - EARLY_SECONDS
    assert [(one["event"], one["loop"], one["failures"]) for one in logs] == [
        ("step failed", "test", 1),
        ("step failed", "test", 2),
        ("step failed", "test", 1),
    ]
    assert all(one["exc_info"] for one in logs)
    assert successes[:5] == [None, None, None, NOW, NOW]


@pytest.mark.parametrize("end", ["success", "failure"])
def test_a_loop_is_stuck_while_a_step_does_not_end_for_minutes_however_it_ends_then(end: str) -> None:
    clock, steps, going_on = StandingClock(), Steps(), Queue[int]()
    steps.busy = lambda: 1 / going_on.get(timeout=PATIENCE_SECONDS)
    loop = a_loop(steps, clock=clock, tick_seconds=0.01)
    assert not loop.is_stuck(), "it has not been begun"
    with running(loop):
        steps.begins.get(timeout=PATIENCE_SECONDS)
        for passed, stuck in ((STUCK_SECONDS - 1, False), (STUCK_SECONDS, True)):
            clock.time = Seconds(NOW + passed)
            assert loop.is_stuck() is stuck
        going_on.put(0 if end == "failure" else 1)
        steps.begins.get(timeout=PATIENCE_SECONDS)
        assert not loop.is_stuck()
        steps.busy = lambda: None
        going_on.put(1)


@pytest.mark.parametrize("rests", ["until the tick", "as long as it computed", "after failures"])
def test_a_loop_that_rests_stops_at_once(rests: str) -> None:
    steps, computed = Steps(), itertools.count(step=FOR_EVER_SECONDS)
    loop = a_loop(steps, computed=(lambda: next(computed)) if rests == "as long as it computed" else lambda: 0.0)
    if rests == "after failures":
        steps.busy = lambda: 1 / 0
        loop._failures = 1000
    with running(loop):
        steps.begins.get(timeout=PATIENCE_SECONDS)
        time.sleep(0.05)
    assert steps.begins.empty(), "no other step was run"


def test_a_loop_stops_at_once_although_it_forgot_that_it_was_woken_to_stop() -> None:
    began: Queue[None] = Queue()

    def computed() -> float:
        loop._stopping.set()
        loop._woken.clear()
        return 0.0

    loop = a_loop(lambda: began.put(None), computed=computed)
    loop.start()
    loop._thread.join(PATIENCE_SECONDS)
    assert not loop._thread.is_alive()
    assert began.qsize() == 1


def test_a_loop_that_was_never_started_can_be_stopped_and_then_runs_nothing() -> None:
    steps = Steps()
    loop = a_loop(steps)
    loop.stop(patience_seconds=0)
    loop.stop(patience_seconds=0)
    loop.start()
    loop._thread.join(PATIENCE_SECONDS)
    assert steps.begins.empty()
    assert loop.last_success is None
