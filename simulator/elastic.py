"""Jobs that run on more or fewer workers: how fast, and what is left of one whose size changes on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from scheduler.scaling import speedup


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticJob:
    """What is left of a job: `work_seconds` on one worker, of which a fraction can be shared by several."""

    work_seconds: float
    parallel_fraction: float

    @property
    def is_done(self) -> bool:
        """Tell whether nothing is left."""
        return self.work_seconds <= 0

    def seconds_on(self, workers: int) -> float:
        """Return how long the rest takes on so many workers; for ever on none."""
        if self.is_done:
            return 0.0
        return self.work_seconds / speedup(workers, self.parallel_fraction) if workers else float("inf")

    def after(self, seconds: float, workers: int) -> ElasticJob:
        """Return what is left after a time on so many workers, never less than nothing."""
        done = seconds * speedup(workers, self.parallel_fraction)
        return replace(self, work_seconds=max(0.0, self.work_seconds - done))

    def ends(self, sizes: Iterable[tuple[float, int]]) -> float:
        """Return when it is done, if from each moment on it has so many workers, and the last number to its end.

        `sizes` are in the order of time; before the first it has none. For ever if it never gets enough.
        """
        rest, now, workers = self, 0.0, 0
        for moment, size in sizes:
            if now + rest.seconds_on(workers) <= moment:
                break
            rest, now, workers = rest.after(moment - now, workers), moment, size
        return now + rest.seconds_on(workers)
