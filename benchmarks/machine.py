"""What the kernel says of processes: which there are, what they used, and what memory they have for themselves."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_PATIENCE_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.05
# Fields of /proc/PID/stat after the command's closing bracket.
_STATE, _PARENT, _SESSION = 0, 1, 3


def started_with(text: str) -> set[int]:
    """Return the living processes that have a text in their command line; a fork keeps that of whom it was forked."""
    found: set[int] = set()
    for pid in _living():
        with contextlib.suppress(OSError):
            if text.encode() in (_PROC / str(pid) / "cmdline").read_bytes():
                found.add(pid)
    return found - {os.getpid()}


def in_session(session: int) -> set[int]:
    """Return the living processes of a session."""
    return {pid for pid in _living() if (fields := _stat(pid)) and int(fields[_SESSION]) == session}


def children() -> set[int]:
    """Return the living processes that this one started, and those that they started."""
    family = {os.getpid()}
    found: set[int] = set()
    parents = {pid: parent(pid) for pid in _living()}
    while more := {pid for pid, one in parents.items() if one in family} - found:
        found |= more
        family = more
    return found


def parent(pid: int) -> int | None:
    """Return a process's parent, None if it has ended."""
    fields = _stat(pid)
    return None if fields is None else int(fields[_PARENT])


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return what processes computed so far, to the nanosecond: ticks would hide what idling costs."""
    nanoseconds = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for thread in (_PROC / str(pid) / "task").iterdir():
                nanoseconds += int((thread / "schedstat").read_text().split()[0])
    return nanoseconds / 1e9


def own_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of processes, each shared page divided among those who share it."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            rollup = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:"))
    return total


def end(pids: Iterable[int]) -> None:
    """Kill processes that were left over, and return when they are gone."""
    left = set(pids)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    patience = time.monotonic() + _PATIENCE_SECONDS
    while left & set(_living()) and time.monotonic() < patience:
        time.sleep(_LOOK_SECONDS)


def _living() -> Iterator[int]:
    for entry in os.listdir(_PROC):  # noqa: PTH208 - names are wanted, not paths
        if entry.isdigit() and (fields := _stat(int(entry))) and fields[_STATE] != "Z":
            yield int(entry)


def _stat(pid: int) -> list[str] | None:
    try:
        content = (_PROC / str(pid) / "stat").read_text()
    except OSError:  # ended, before or while it was read
        return None
    return content[content.rindex(")") + 2 :].split()
