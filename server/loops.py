"""The threads that keep a center going: each repeats one step, woken by hints, driven by its tick."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

from operations.ports.outside import Clock
from registry.ids import Seconds

log = structlog.get_logger()

_LONGEST_PAUSE_SECONDS: Final = 30.0


class Loop:
    """One step, repeated in a thread of its own until it is told to stop.

    A wake-up that comes during a step is not lost: the step runs once more, after as long a rest as the step has
    computed. So a loop that is woken without end leaves the API half of the interpreter's time at least, and what
    comes meanwhile is done in one step instead of many. A step that fails is logged, counted and
    tried again after a pause that grows with each failure and is shaken, so that two centers do not march in step.
    """

    def __init__(self, name: str, step: Callable[[], object], *, tick_seconds: float, clock: Clock) -> None:
        self.name: Final = name
        self._step = step
        self._tick_seconds = tick_seconds
        self._clock = clock
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._failures = 0
        self.last_success: Seconds | None = None

    def start(self) -> None:
        """Begin with a first step at once."""
        self._thread.start()

    def wake(self) -> None:
        """Run the step soon: a hint, the tick comes anyway."""
        self._woken.set()

    def stop(self, *, patience_seconds: float) -> None:
        """Let the running step end and run no other; a loop that was never started has none."""
        self._stopping.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(patience_seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            began = time.thread_time()
            pause = self._run_step()
            computed = time.thread_time() - began
            self._stopping.wait(pause if self._failures else min(computed, pause))
            if not self._failures:
                self._woken.wait(pause)

    def _run_step(self) -> float:
        """Run the step once; return how long to rest after it unless something wakes the loop."""
        try:
            self._step()
        except Exception:
            self._failures += 1
            log.exception("step failed", loop=self.name, failures=self._failures)
            pause = min(_LONGEST_PAUSE_SECONDS, 0.1 * 2.0**self._failures)
            return pause * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads load, it protects nothing
        self._failures = 0
        self.last_success = self._clock.now()
        return self._tick_seconds
