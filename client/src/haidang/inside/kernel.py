"""What is asked of Linux directly: who descends from whom, what it uses, and who goes when its parent goes."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from haidang.inside.runs import Life

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_SET_PARENT_DEATH_SIGNAL: Final = 1
_SET_DUMPABLE: Final = 4
_SET_NAME: Final = 15
_SET_CHILD_SUBREAPER: Final = 36
_SET_NO_NEW_PRIVS: Final = 38

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_LARGEST_ENTRY: Final = 1 << 20
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
# Fields of /proc/PID/stat, counted after the command's closing bracket, which may itself hold spaces and brackets.
_STATE, _SESSION, _USER_TICKS, _CHILD_SYSTEM_TICKS, _BEGAN = 0, 3, 11, 14, 19


def _prctl(option: int, argument: int | bytes) -> None:
    if _LIBC.prctl(option, ctypes.c_char_p(argument) if isinstance(argument, bytes) else argument, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends: none escapes by forking twice."""
    _prctl(_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends, at once if it has ended already. A change of uid undoes it."""
    _prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def show_own_entries() -> None:
    """Let the own uid read /proc/self after a change of uid, as after an exec: profilers and psutil need it."""
    _prctl(_SET_DUMPABLE, 1)


def gain_no_rights() -> None:
    """Let no set-uid program give this process or its descendants more rights than they have."""
    _prctl(_SET_NO_NEW_PRIVS, 1)


def rename_process(name: str) -> None:
    """Set the short name (15 characters are kept) that ps and top show."""
    _prctl(_SET_NAME, name.encode())


def boot_id() -> str:
    """Return the id of this boot: pids and ticks of another one mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _read(path: str) -> bytes:
    """Read a file of /proc in one call: each keeper does it every second, and buffers would double what that costs."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _LARGEST_ENTRY)
    finally:
        os.close(descriptor)


def _stat(pid: int) -> list[bytes] | None:
    try:
        content = _read(f"/proc/{pid}/stat")
    except OSError:  # ended, before or while it was read
        return None
    return content[content.rindex(b")") + 2 :].split()


def life(pid: int) -> Life | None:
    """Return the life that a process number stands for now, None if no process has it."""
    fields = _stat(pid)
    return None if fields is None else Life(pid=pid, ticks=int(fields[_BEGAN]))


def open_life(wanted: Life) -> int | None:
    """Return a pidfd of exactly this life, None if it is over; only for lives of this boot."""
    try:
        descriptor = os.pidfd_open(wanted.pid)
    except OSError:
        return None
    # The pidfd keeps its meaning whatever happens after: looking once, now that it is open, is enough.
    if life(wanted.pid) == wanted:
        return descriptor
    os.close(descriptor)
    return None


def children(pid: int) -> Iterator[int]:
    """Yield the children of all threads of a process."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - for speed, as above
            with contextlib.suppress(OSError):
                yield from map(int, _read(f"/proc/{pid}/task/{thread}/children").split())


def descendants(pid: int) -> list[int]:
    """Return children, their children and so on, parents first. Who forks meanwhile may be missed."""
    found = list(children(pid))
    for child in found:  # grows while it is walked
        found.extend(children(child))
    return found


def kill_all(pids: Iterable[int]) -> None:
    """Kill descendants of the caller, whose numbers cannot be another's while their ancestor has not reaped them."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def cpu_milliseconds(pids: Iterable[int]) -> int:
    """Return user and system time of processes and of those of their children that ended and were waited for."""
    ticks = 0
    for pid in pids:
        if fields := _stat(pid):
            ticks += sum(map(int, fields[_USER_TICKS : _CHILD_SYSTEM_TICKS + 1]))
    return ticks * 1000 // _TICKS_PER_SECOND


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of processes; a page that several of them share counts for each."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int(_read(f"/proc/{pid}/statm").split()[1]) * _PAGE_BYTES
    return total


def own_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of processes with every shared page divided among those who share it.

    Slower than `resident_bytes`: the kernel walks the page tables. Where it may not be read, the resident memory
    stands for it.
    """
    total = 0
    for pid in pids:
        try:
            lines = _read(f"/proc/{pid}/smaps_rollup").splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith(b"Pss:")) * 1024
        except (OSError, StopIteration):
            total += resident_bytes([pid])
    return total


def members_of_session(session: Life, unix_uid: int | None) -> list[int]:
    """Return the living of a session whose leader may be gone, none if another now has the leader's number."""
    leader = life(session.pid)
    if leader is not None and leader != session:
        return []
    return [
        int(entry.name)
        for entry in Path("/proc").glob("[1-9]*")
        if _is_member(int(entry.name), session.pid) and (unix_uid is None or _owner(entry) == unix_uid)
    ]


def _is_member(pid: int, session: int) -> bool:
    fields = _stat(pid)
    return fields is not None and int(fields[_SESSION]) == session and fields[_STATE] != b"Z"


def _owner(entry: Path) -> int | None:
    try:
        return entry.stat().st_uid
    except OSError:
        return None
