"""What is asked of Linux directly: who descends from whom, what it uses, and who goes when its parent goes."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
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
_LARGEST_ENTRY: Final = 1 << 14  # to reserve much more than is read costs more than to read
_MOMENT_SECONDS: Final = 0.1
_REST: Final = 10
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


def _read_whole(path: str) -> bytes:
    """Read a file of /proc of which one call gives a page at most, however much more there is."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = b""
        while more := os.read(descriptor, _LARGEST_ENTRY):
            content += more
        return content
    finally:
        os.close(descriptor)


def most_processes() -> int:
    """Return how many numbers there are for the processes and threads of the whole machine."""
    return int(_read("/proc/sys/kernel/pid_max"))


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


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - for speed, as above
    except OSError:
        return []


def children(pid: int) -> Iterator[int]:
    """Yield the children of all threads of a process."""
    for thread in _threads(pid):
        with contextlib.suppress(OSError):
            yield from map(int, _read_whole(f"/proc/{pid}/task/{thread}/children").split())


def descendants(pid: int, most: int = sys.maxsize) -> list[int]:
    """Return children, their children and so on, parents first. Who forks meanwhile may be missed.

    Nobody is looked for any more once there are more than `most`.
    """
    found = list(children(pid))
    for child in found:  # grows while it is walked
        if len(found) > most:
            break
        found.extend(children(child))
    return found


def kill_all(pids: Iterable[int]) -> None:
    """Kill processes that were seen just now: no other has their numbers yet."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_descendants(pid: int) -> None:
    """Kill each descendant as soon as it is seen, the nearest first: the next moment it may have forked and ended.

    The children of whoever is killed come to `pid`, if that adopts orphans: it has to ask until there are none.
    """
    found = [pid]
    for parent in found:  # grows while it is walked
        for child in children(parent):
            kill_all([child])
            found.append(child)


def reap() -> dict[int, int] | None:
    """Let go of all children that have ended and return their exit statuses, None if there is no child any more."""
    ended: dict[int, int] = {}
    try:
        while (one := os.waitpid(-1, os.WNOHANG))[0]:
            ended[one[0]] = os.waitstatus_to_exitcode(one[1])
    except ChildProcessError:
        return ended or None
    return ended


def tracers(pids: Iterable[int], unix_uid: int) -> Iterator[int]:
    """Yield who of a uid traces one of the processes: even a killed one does not go before its tracer lets it go."""
    for pid in pids:
        for thread in _threads(pid):
            with contextlib.suppress(OSError):
                tracer = _number(_read(f"/proc/{pid}/task/{thread}/status"), b"TracerPid")
                if tracer and _owner(Path(f"/proc/{tracer}")) == unix_uid:
                    yield tracer


def cpu_milliseconds(pids: Iterable[int]) -> int:
    """Return user and system time of processes and of those of their children that ended and were waited for."""
    ticks = 0
    for pid in pids:
        if fields := _stat(pid):
            ticks += sum(map(int, fields[_USER_TICKS : _CHILD_SYSTEM_TICKS + 1]))
    return ticks * 1000 // _TICKS_PER_SECOND


def _number(content: bytes, field: bytes) -> int:
    """Return the number of a field, 0 if it is missing, as all about memory are for a process that has ended.

    Only a line of the kernel's own begins like that: in a process's name, which it chooses, line breaks are escaped.
    """
    _, found, rest = content.partition(b"\n" + field + b":")
    return int(rest.split(maxsplit=1)[0]) if found else 0


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of processes and their page tables; a page that several share counts for each."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            status = _read(f"/proc/{pid}/status")
            total += _number(status, b"VmRSS") + _number(status, b"VmPTE")
    return total * 1024


def own_bytes(pids: Iterable[int]) -> int:
    """Return the same with every shared page divided among those who share it.

    Slower than `resident_bytes`: the kernel walks the page tables, and waits for who changes them. Where it may not be
    read, the resident memory stands for it.
    """
    total = 0
    for pid in pids:
        try:
            total += _number(_read(f"/proc/{pid}/smaps_rollup"), b"Pss") * 1024
            total += _number(_read(f"/proc/{pid}/status"), b"VmPTE") * 1024
        except OSError:
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


class Aside:
    """Work that a tenant can hold up, in a thread and one piece at a time: the loop waits for it a moment at most.

    After each it rests ten times as long as that computed, so who makes it dear gets a tenth of a core of root's.
    """

    __slots__ = ("_began", "_rests_until", "_thread")

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._began = self._rests_until = 0.0

    def begin(self, work: Callable[[], None]) -> bool:
        """Begin a piece of work, or tell that the last one still goes on or has to be rested from."""
        if self.seconds() > 0 or time.monotonic() < self._rests_until:
            return False
        thread = threading.Thread(target=self._do, args=(work,), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the machine has no number left for a thread
            self._do(work)
            return True
        self._thread, self._began = thread, time.monotonic()
        thread.join(_MOMENT_SECONDS)
        return True

    def seconds(self) -> float:
        """Return for how long a piece of work has been going on, 0 if none is."""
        return time.monotonic() - self._began if self._thread is not None and self._thread.is_alive() else 0.0

    def _do(self, work: Callable[[], None]) -> None:
        began = time.thread_time()
        work()
        self._rests_until = time.monotonic() + _REST * (time.thread_time() - began)
