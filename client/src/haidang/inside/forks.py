"""The loop of the warm process: orders from its socket, and the keepers that it forked or found."""

import array
import contextlib
import json
import logging
import os
import selectors
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from haidang.inside import folders, keeper, kernel, runs
from haidang.inside.runs import Cause, LeaveOrder, Order, RejectedError, StartOrder, StopOrder

PATIENCE_SECONDS: Final = 10.0
SURVIVOR_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 1.0
STRAY_SECONDS: Final = 0.001
CLEAR_SECONDS: Final = 1.0
MOST_CONNECTIONS: Final = 64
_DESCRIPTOR_BYTES: Final = array.array("i").itemsize

log = logging.getLogger("haidang.warm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A process with a living keeper. `pid` is the keeper's if this warm process is its parent, else None."""

    start: runs.Start
    pidfd: int
    pid: int | None


class Forks:
    """The state of the warm process between two events."""

    __slots__ = ("_cgroup", "_connections", "_data", "_inode", "_kept", "_listener", "_lock", "_scratch", "_selector",
                 "_stays", "_strays_seconds", "_unsure")  # fmt: skip

    def __init__(self, *, data: Path, scratch: Path, cgroup: Path | None, lock: int) -> None:
        self._data = data
        self._scratch = scratch
        self._cgroup = cgroup
        self._lock = lock
        self._kept: dict[str, Kept] = {}
        self._unsure: set[str] = set()
        self._stays = True
        self._strays_seconds: float | None = None
        self._connections: set[socket.socket] = set()
        self._listener = _listen(data)
        self._inode = (data / runs.SOCKET).stat().st_ino
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def serve(self) -> None:
        """Carry out orders until told to leave, or until the folder they come to is gone."""
        kernel.adopt_orphans()
        folders.sweep_unfinished(self._data)
        for name in runs.names(self._data):
            self._find(name)
        log.info("ready, %d processes found", len(self._kept))
        while self._stays and self._is_reachable():
            for key, _ in self._selector.select(self._patience()):
                react: Callable[[], None] = key.data
                react()
            for name in sorted(self._unsure):
                self._find(name)
            self._reap_strays()

    def _patience(self) -> float:
        patience = LOOK_SECONDS if self._unsure else PATIENCE_SECONDS
        return patience if self._strays_seconds is None else min(self._strays_seconds, patience)

    def _is_reachable(self) -> bool:
        try:
            return (self._data / runs.SOCKET).stat().st_ino == self._inode
        except OSError:
            return False

    # Orders

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            if len(self._connections) >= MOST_CONNECTIONS:
                connection.close()
                return
            connection.settimeout(0)
            self._connections.add(connection)
            self._selector.register(connection, selectors.EVENT_READ, lambda: self._hear(connection))

    def _hear(self, connection: socket.socket) -> None:
        """Carry out one message: an order, and the open files of credentials that came with it."""
        descriptors: list[int] = []
        try:
            content = _receive(connection, descriptors)
            if not content:
                self._hang_up(connection)
                return
            answer = self._obey(runs.parse_order(content), descriptors)
        except (RejectedError, OSError) as error:
            log.warning("an order was refused: %s", error)
            answer = {"refused": str(error)}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        try:
            connection.send(json.dumps(answer).encode())
        except OSError:
            self._hang_up(connection)

    def _hang_up(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        self._connections.discard(connection)
        connection.close()

    def _obey(self, order: Order, credentials: list[int]) -> dict[str, object]:
        match order:
            case StartOrder(processes=processes):
                if len(processes) != len(credentials):
                    raise RejectedError("each process needs its credentials, and nothing else")
                return {"started": self._start(processes, credentials)}
            case StopOrder(names=names):
                return {"stopped": [str(name) for name in names if self._stop(str(name))]}
            case LeaveOrder():
                self._stays = False
                return {"left": True}

    def _stop(self, name: str) -> bool:
        kept = self._kept.get(name)
        if kept is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(kept.pidfd, signal.SIGTERM)
        return True

    # Starting

    def _start(self, processes: tuple[runs.Wanted, ...], credentials: list[int]) -> list[str]:
        reads, writes = os.pipe()
        try:
            return [
                str(wanted.name)
                for wanted, papers in zip(processes, credentials, strict=True)
                if self._start_one(wanted, papers, writes if wanted.name == wanted.head else reads)
            ]
        finally:
            os.close(reads)
            os.close(writes)

    def _start_one(self, wanted: runs.Wanted, papers: int, rings: int) -> bool:
        start = self._begin(wanted)
        made = folders.make(self._data, start)
        if made is None:
            return False
        folder, lock = made
        # Until the keeper is ready for it a request to stop waits, instead of killing the keeper.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        try:
            pid = os.fork()
        except OSError:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            runs.remove(self._data, str(start.name))
            os.close(folder)
            os.close(lock)
            raise
        if pid == 0:
            self._let_go(but=(folder, lock, papers, rings))
            keeper.keep(
                keeper.Errand(
                    data=self._data,
                    scratch=self._scratch,
                    start=start,
                    head=wanted.head,
                    folder=folder,
                    credentials=papers,
                    rings=rings,
                    cgroup=self._cgroup,
                )
            )
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        os.close(folder)
        os.close(lock)
        self._watch(start, os.pidfd_open(pid), pid)
        return True

    def _begin(self, wanted: runs.Wanted) -> runs.Start:
        if wanted.unix_uid is not None and os.geteuid() != 0:
            raise RejectedError("only root can give a process another uid")
        return runs.Start(
            name=wanted.name,
            uid=os.urandom(16).hex(),
            started=time.time_ns() // 1_000_000,
            boot_id=kernel.boot_id(),
            cores_milli=wanted.cores_milli,
            memory_bytes=wanted.memory_bytes,
            cpus=self._least_loaded(wanted.cores_milli),
            unix_uid=wanted.unix_uid,
        )

    def _least_loaded(self, cores_milli: int) -> tuple[int, ...]:
        """Return as many processors as the cores need, those first on which least is placed already."""
        available = os.sched_getaffinity(0)
        load: Counter[int] = Counter(dict.fromkeys(available, 0))
        for kept in self._kept.values():
            for cpu in kept.start.cpus:
                load[cpu] += kept.start.cores_milli // len(kept.start.cpus)
        by_load = sorted(available, key=lambda cpu: (load[cpu], cpu))
        return tuple(sorted(by_load[: max(1, -(-cores_milli // 1000))]))

    def _let_go(self, *, but: tuple[int, ...]) -> None:
        """In a fork: close what is the warm process's own, its lock above all, and other keepers' pidfds."""
        self._selector.close()
        self._listener.close()
        for connection in self._connections:
            connection.close()
        kept = sorted((2, *but))
        for below, above in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
            os.closerange(below + 1, above)

    # Ends

    def _watch(self, start: runs.Start, pidfd: int, pid: int | None) -> None:
        name = str(start.name)
        self._kept[name] = Kept(start=start, pidfd=pidfd, pid=pid)
        self._selector.register(pidfd, selectors.EVENT_READ, lambda: self._lose(name))

    def _lose(self, name: str) -> None:
        """A keeper ended: normally its work is done, else the end of its process is written here."""
        kept = self._kept.pop(name)
        self._selector.unregister(kept.pidfd)
        os.close(kept.pidfd)
        if kept.pid is not None:
            os.waitpid(kept.pid, 0)
        self._reap_strays()
        self._find(name, seen=True)

    def _find(self, name: str, *, seen: bool = False) -> None:
        """Learn how it stands with a run folder whose keeper is unknown or just ended."""
        self._unsure.discard(name)
        if name in self._kept:
            return
        with _opened(self._data, name) as folder:
            if folder is None:
                return
            held = folders.lock(folder)
            if held is None:
                self._find_keeper(name)
                return
            try:
                self._bury(name, folder, seen=seen)
            except OSError as error:
                log.warning("the end of %s cannot be written yet: %s", name, error)
                self._unsure.add(name)
            finally:
                os.close(held)

    def _find_keeper(self, name: str) -> None:
        """Watch the keeper that holds the lock; one that has not yet said who it is gets asked again."""
        with contextlib.suppress(RejectedError):
            run = runs.read_run(self._data, name)
            if run is not None and run.pulse is not None and run.start.boot_id == kernel.boot_id():
                pidfd = kernel.open_life(run.pulse.keeper)
                if pidfd is not None:
                    self._watch(run.start, pidfd, None)
                    return
        self._unsure.add(name)

    def _bury(self, name: str, folder: int, *, seen: bool) -> None:
        """Write the end of a process that nobody keeps any more, unless its keeper did."""
        try:
            run = runs.read_run(self._data, name)
        except RejectedError as error:
            # After a crash of the machine a young folder may be empty: nothing in it can be billed.
            log.warning("%s cannot be read and is removed: %s", name, error)
            runs.remove(self._data, name)
            return
        assert run is not None
        if run.end is None:
            survived = self._end_survivors(run)
            end = _end_of(run, now=time.time_ns() // 1_000_000 if seen or survived else None)
            folders.seal_lost_log(folder)
            folders.write(folder, runs.END, folders.end_fields(end), durable=True)
            folders.ring(self._data)
            log.warning("%s lost its keeper: %s", name, end.cause)
        folders.clear(self._scratch / name, seconds=CLEAR_SECONDS)

    @staticmethod
    def _end_survivors(run: runs.Run) -> bool:
        """Kill what is left of a process without keeper, wait until it is gone, and tell whether there was anything."""
        if run.pulse is None or run.start.boot_id != kernel.boot_id():
            return False
        patience = time.monotonic() + SURVIVOR_SECONDS
        survived = False
        while left := kernel.members_of_session(run.pulse.process, run.start.unix_uid):
            if time.monotonic() > patience:
                raise TimeoutError(f"{len(left)} processes do not end")
            survived = True
            kernel.kill_all(left)
            time.sleep(0.005)
        return survived

    def _reap_strays(self) -> None:
        """End what came here because its keeper is gone: every child that is no keeper.

        It may fork as fast as it is killed: as long as some of it ends this is repeated at once, else less and less.
        """
        keepers = {kept.pid for kept in self._kept.values()}
        strays = [pid for pid in kernel.children(os.getpid()) if pid not in keepers]
        ended = False
        for pid in strays:
            kernel.kill_all([pid])
            kernel.kill_descendants(pid)
            with contextlib.suppress(ChildProcessError):
                ended |= os.waitpid(pid, os.WNOHANG)[0] == pid
        if not strays:
            self._strays_seconds = None
        elif ended or self._strays_seconds is None:
            self._strays_seconds = STRAY_SECONDS
        else:
            self._strays_seconds *= 2


def _end_of(run: runs.Run, *, now: int | None) -> runs.End:
    """Return the end of a process that lost its keeper: `now` if that was seen, else its last sign of life."""
    pulse = run.pulse
    if now is not None:
        ended, cause = now, Cause.KILLED
    elif pulse is not None:
        ended, cause = pulse.at, Cause.UNSEEN
    else:
        ended, cause = run.start.started, Cause.NEVER_STARTED
    return runs.End(
        ended=max(ended, run.start.started),
        cause=cause,
        detail="its keeper ended before it",
        status=None,
        cpu_milliseconds=None if pulse is None else pulse.cpu_milliseconds,
        peak_bytes=None if pulse is None else pulse.peak_bytes,
    )


@contextlib.contextmanager
def _opened(data: Path, name: str) -> Iterator[int | None]:
    try:
        folder = runs.open_folder(data, name)
    except RejectedError as error:
        log.warning("%s is left alone: %s", name, error)
        folder = None
    try:
        yield folder
    finally:
        if folder is not None:
            os.close(folder)


def _listen(data: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    (data / runs.SOCKET).unlink(missing_ok=True)  # a dead one's: the lock is ours
    with runs.socket_path(data, runs.SOCKET) as path:
        listener.bind(path)
    (data / runs.SOCKET).chmod(0o600)
    listener.listen()
    listener.settimeout(0)
    return listener


def _receive(connection: socket.socket, descriptors: list[int]) -> bytes:
    """Return one message and add the open files that came with it; cut-off messages are refused."""
    room = socket.CMSG_SPACE(runs.MOST_PROCESSES * _DESCRIPTOR_BYTES)
    content, ancillary, flags, _ = connection.recvmsg(runs.LARGEST_ORDER_BYTES, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            whole = len(value) - len(value) % _DESCRIPTOR_BYTES
            descriptors.extend(array.array("i", value[:whole]))
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        raise RejectedError("too large for one message")
    return content
