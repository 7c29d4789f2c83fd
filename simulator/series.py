"""A run over time: how much of the machine is held and how many jobs wait, in equal steps from begin to end."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from simulator.report import Outcome

Change = tuple[int, int]
"""A moment, in seconds of the log, and by how much something grows then."""
STEPS: Final = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Means over equal steps of `step_seconds` from `begin`, in seconds of the log."""

    begin: int
    step_seconds: float
    values: Sequence[float]


def held(outcomes: Sequence[Outcome], processors: int, span: tuple[int, int]) -> Series:
    """Return the part of all processors that jobs held, from 0 to 1."""
    changes = ((moment, sign * one.procs) for one in outcomes for moment, sign in ((one.start, 1), (one.end, -1)))
    series = means(changes, span)
    return Series(
        begin=series.begin,
        step_seconds=series.step_seconds,
        values=[value / processors for value in series.values],
    )


def queued(outcomes: Iterable[Outcome], span: tuple[int, int]) -> Series:
    """Return how many jobs waited; those that never start are not among them."""
    return means(((at, sign) for one in outcomes for at, sign in ((one.submit, 1), (one.start, -1))), span)


def span_of(*runs: Sequence[Outcome]) -> tuple[int, int]:
    """Return the time from the first submission to the last end of several runs, so that they share their axis."""
    begin = min((one.submit for run in runs for one in run), default=0)
    return begin, max(max((one.end for run in runs for one in run), default=0), begin + 1)


def means(changes: Iterable[Change], span: tuple[int, int], steps: int = STEPS) -> Series:
    """Return the mean in each step of what begins at nothing and changes at moments, all of which are in the span."""
    begin, end = span
    step = (end - begin) / steps
    values = [0.0] * steps
    for since, until, level in _levels(sorted(changes), end):
        at = min(int((since - begin) / step), steps - 1)
        while since < until:
            border = min(until, begin + (at + 1) * step) if at < steps - 1 else until
            values[at] += level * (border - since) / step
            since, at = border, at + 1  # noqa: PLW2901 - what is left of the level
    return Series(begin=begin, step_seconds=step, values=values)


def _levels(changes: Sequence[Change], end: int) -> Iterator[tuple[float, float, int]]:
    """Yield from when until when something had which level."""
    level, since = 0, changes[0][0] if changes else end
    for moment, change in changes:
        if moment > since:
            yield since, moment, level
        level, since = level + change, moment
    if end > since:
        yield since, end, level
