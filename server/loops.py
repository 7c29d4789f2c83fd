"""The threads that keep a center going: each repeats one step, woken by hints, driven by its tick."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from operations.ports.backend import BackendUnavailableError
from operations.ports.outside import Clock
from operations.ports.store import StoreUnavailableError
from registry.ids import Seconds

log = structlog.get_logger()

STUCK_SECONDS: Final = 600
"""After how long a step hardly ends any more; one that gives up call after call, because nobody answers, takes minutes.

Should a longer one be ended for it, the next process goes on from what is there.
"""

_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 30.0
_MOST_DOUBLINGS: Final = 10
"""As many as lead past the longest pause: a float does not hold two to the power of a night's failures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """How long a loop does nothing after a step: at first whatever happens, and then until something wakes it."""

    undisturbed_seconds: float
    wakeful_seconds: float


def rest_after(*, computed_seconds: float, failures: int, chance: float, tick_seconds: float) -> Rest:
    """Return the rest after a step that computed so long and was the last of so many failures, none if it succeeded.

    After a success it is as long as the step has computed, and then until the tick. After failures it doubles with
    each and is shaken, by a `chance` between 0 and 1, down to its half.
    """
    if not failures:
        return Rest(undisturbed_seconds=min(computed_seconds, tick_seconds), wakeful_seconds=tick_seconds)
    pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
    return Rest(undisturbed_seconds=pause * (1 + chance) / 2, wakeful_seconds=0)


class Loop:
    """One step, repeated in a thread of its own until it is told to stop.

    A wake-up that comes during a step is not lost: the step runs once more, after as long a rest as the step has
    computed. So a loop that is woken without end leaves the API half of the interpreter's time at least, and what
    comes meanwhile is done in one step instead of many. A step that fails is logged, counted and
    tried again after a pause that grows with each failure and is shaken, so that two centers do not march in step.
    A loop `is_stuck` whose step has for minutes neither succeeded nor failed: what is away makes a step fail.
    `computed_seconds` tells how long the thread that asks has computed so far.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], object],
        *,
        tick_seconds: float,
        clock: Clock,
        computed_seconds: Callable[[], float] = time.thread_time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name: Final = name
        self._step = step
        self._tick_seconds = tick_seconds
        self._clock = clock
        self._computed_seconds = computed_seconds
        self._chance = chance
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._failures = 0
        self.last_success: Seconds | None = None
        self._last_round: Seconds | None = None

    def start(self) -> None:
        """Begin with a first step at once."""
        self._last_round = self._clock.now()
        self._thread.start()

    def wake(self) -> None:
        """Run the step soon: a hint, the tick comes anyway."""
        self._woken.set()

    def is_stuck(self) -> bool:
        """Tell whether the loop was begun and has not come round since so long that it hardly will any more."""
        return self._last_round is not None and self._clock.now() - self._last_round >= STUCK_SECONDS

    def stop(self, *, patience_seconds: float) -> None:
        """Let the running step end and run no other; a loop that was never started has none."""
        self._stopping.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(patience_seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            began = self._computed_seconds()
            self._run_step()
            rest = rest_after(
                computed_seconds=self._computed_seconds() - began,
                failures=self._failures,
                chance=self._chance(),
                tick_seconds=self._tick_seconds,
            )
            # Whoever stops the loop wakes it as well, but just before the step that may have been forgotten again.
            if not self._stopping.wait(rest.undisturbed_seconds):
                self._woken.wait(rest.wakeful_seconds)

    def _run_step(self) -> None:
        """Run the step once, and count how often it has failed since it last succeeded."""
        try:
            self._step()
        except (StoreUnavailableError, BackendUnavailableError) as error:
            self._failures += 1
            log.error("step failed", loop=self.name, failures=self._failures, error=str(error))  # noqa: TRY400 - it says all
        except Exception:
            self._failures += 1
            log.exception("step failed", loop=self.name, failures=self._failures)
        else:
            self._failures = 0
            self.last_success = self._clock.now()
        self._last_round = self._clock.now()
