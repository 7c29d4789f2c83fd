"""The one door to all benchmarks: lists them, or runs one and tells whether it reaches its goal."""

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Final

from benchmarks.figures import Measured, lines
from benchmarks.goals import Goal, read_goals

HOLDS: Final = 0
MISSED: Final = 1
COULD_NOT_RUN: Final = 2

Measure = Callable[..., Measured]
"""What measures; one that can do less, or look closer, takes options as they were written."""


def measure_of(name: str) -> Measure:
    """Return what measures: found by name and not before, so that a list waits for nobody's imports."""
    measure: Measure = import_module(f"benchmarks.{name.replace('-', '_')}").measure
    return measure


def main(
    arguments: Sequence[str],
    goals: Mapping[str, Goal] | None = None,
    find: Callable[[str], Measure] = measure_of,
) -> int:
    """List the benchmarks, or run the one that is named, and return the exit status."""
    known = read_goals() if goals is None else goals
    match arguments:
        case []:
            _list(known)
            return HOLDS
        case [name, *options] if name in known and (not options or options[0].startswith("-")):
            return _run(known[name], find, options)
        case _:
            print(f"one of these, not {' '.join(arguments)!r}: {', '.join(known)}", file=sys.stderr)
            return COULD_NOT_RUN


def _list(goals: Mapping[str, Goal]) -> None:
    width = max(map(len, goals))
    for goal in goals.values():
        print(f"{goal.name:{width}}  {goal.about}; goal: {goal.bound} {goal.unit}")


def _run(goal: Goal, find: Callable[[str], Measure], options: Sequence[str]) -> int:
    print(f"{goal.name}: {goal.about}", flush=True)
    try:
        measured = find(goal.name)(*options)
    except Exception:  # noqa: BLE001 - whatever it was, there is no figure
        traceback.print_exc()
        print(f"{goal.name}: could not run", file=sys.stderr)
        return COULD_NOT_RUN
    print("", *lines(measured.table), "", goal.last_line(measured.value), sep="\n", flush=True)
    return HOLDS if goal.holds(measured.value) else MISSED
