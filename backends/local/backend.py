"""The cluster backend of one machine: orders to warm processes, and what their run folders say."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar, assert_never

import structlog
from haidang.inside import runs

from backends.door import Address
from backends.heads import Heads
from backends.local.bells import Bells
from backends.local.users import FIRST_UID, Users
from backends.local.warming import WarmProcess
from operations.ports.backend import LAST_WORDS_BYTES, BackendUnavailableError, Credentials, StartRefusedError
from registry.ids import EnvironmentId, ProcessUid, RequestId, Seconds
from scheduler.observed import Cause, Observed, ObservedProcess
from scheduler.steps import ClearCluster, DeleteProcesses, DrainWorkers, NewProcess, StartProcesses, Step

# File systems stamp changes by a clock that ticks a few hundred times a second.
SETTLED_NANOSECONDS: Final = 50_000_000

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A run folder as it was read last, and whether a later change must show in the time of its change."""

    run: runs.Run
    changed: int
    settled: bool


class LocalBackend:
    """Clusters as processes of this machine.

    `data` is a folder of the center's own, `scratch` one below which tenants' processes leave their files: as root it
    must lie where every uid can pass. `environments` are virtual environments. With `separate_uids` each project has a
    uid of its own, counted from `first_uid` and noted in `users`, a folder that all centers of the machine share unless
    this is the only one; else everything runs as the center and tenants have to trust each other. `cgroup` is a folder
    of control groups that was delegated to the center.
    """

    def __init__(
        self,
        *,
        data: Path,
        scratch: Path,
        environments: Mapping[EnvironmentId, Path],
        separate_uids: bool,
        users: Path | None = None,
        cgroup: Path | None = None,
        first_uid: int = FIRST_UID,
    ) -> None:
        self._data = data.absolute()
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._users = self._users_in(users or self._data / "users", first_uid) if separate_uids else None
        self._scratch = scratch.absolute()
        self._cgroup = cgroup
        self._warm = {
            environment: self._warm_process(environment, path.absolute() / "bin" / "python")
            for environment, path in environments.items()
        }
        for folder in sorted((self._data / "warm").iterdir() if (self._data / "warm").exists() else ()):
            # An environment that is offered no more: what runs in it is still observed, ended and settled.
            self._warm.setdefault(EnvironmentId(folder.name), self._warm_process(folder.name, None))
        self._known: dict[str, _Known] = {}
        self._listeners: list[Callable[[], None]] = []
        self._bells: Bells | None = None
        self._heads = Heads(self._wake)

    def _users_in(self, folder: Path, first_uid: int) -> Users:
        users = Users(folder, self._data, first_uid)
        users.adopt(self._data / "users")
        return users

    def _warm_process(self, environment: str, python: Path | None) -> WarmProcess:
        return WarmProcess(
            data=self._data / "warm" / environment, scratch=self._scratch, python=python, cgroup=self._cgroup
        )

    def prepare(self) -> None:
        """Start the warm processes beforehand, so that the first cluster does not wait for imports.

        Raises:
            BackendUnavailableError: one cannot be started.
        """
        for warm in self._warm.values():
            if not warm.is_listening():
                warm.start()

    def leave(self) -> None:
        """Let go of everything; clusters that run go on, and the warm processes with them: without any they end."""
        if not self.observe().processes:
            for warm in self._warm.values():
                warm.dismiss()
            with contextlib.suppress(OSError):  # not there, or not empty: then it is not ours to remove
                self._scratch.rmdir()
        self.close()

    def close(self) -> None:
        """Let go of threads, connections and sockets; warm processes stay."""
        if self._bells is not None:
            self._bells.close()
        self._heads.close()

    # What was seen

    def observe(self) -> Observed:
        """Return all processes from their run folders, and what heads answered lately."""
        seen = dict(self._runs())
        for name in self._known.keys() - seen.keys():
            self._known.pop(name, None)
        doors = {RequestId(run.start.name.request): door for run in seen.values() if (door := _door(run)) is not None}
        return Observed(processes=tuple(_observed(run) for run in seen.values()), heads=self._heads.look(doors))

    def _runs(self) -> Iterator[tuple[str, runs.Run]]:
        for warm in self._warm.values():
            alive = False
            for name in runs.names(warm.data):
                run = self._run(warm, name)
                if run is not None:
                    yield name, run
                    alive = alive or run.end is None
            if alive and not warm.is_listening():
                # Somebody has to notice when a keeper ends that has lost its warm process.
                with contextlib.suppress(BackendUnavailableError):
                    warm.start()

    def _run(self, warm: WarmProcess, name: str) -> runs.Run | None:
        """Return what a run folder says, read again only if something in it was replaced since it was read."""
        try:
            changed = (warm.data / "run" / name).stat().st_mtime_ns
        except FileNotFoundError:
            return None
        known = self._known.get(name)
        if known is not None and known.changed == changed and known.settled:
            return known.run
        try:
            run = runs.read_run(warm.data, name)
        except runs.RejectedError as error:
            # It is there, whatever it says: that it was absent would free its place.
            log.warning("a run folder cannot be read", process=name, error=str(error))
            return None if known is None else known.run
        if run is not None:
            self._known[name] = _Known(run=run, changed=changed, settled=time.time_ns() - changed > SETTLED_NANOSECONDS)
        return run

    # What is to be done

    def carry_out(self, step: Step, credentials: Credentials | None) -> None:
        """Give the step to whom it concerns."""
        if credentials is not None:
            self._heads.know(step.request, credentials)
        match step:
            case StartProcesses():
                assert credentials is not None, step.request
                self._start(step, credentials)
            case DrainWorkers():
                self._drain(step)
            case DeleteProcesses():
                self._delete(step)
            case ClearCluster():
                pass  # a cluster is its processes here, and each has its own run folder
            case _:
                assert_never(step)

    def _start(self, step: StartProcesses, credentials: Credentials) -> None:
        warm = self._warm.get(step.environment)
        if warm is None:
            raise StartRefusedError(f"there is no environment {step.environment}")
        unix_uid = None if self._users is None else self._users.uid(step.project)
        head = runs.ProcessName.parse(step.head_name)
        # The head first: it is what everybody waits for.
        processes = sorted(step.processes, key=lambda process: process.ordinal)
        for chunk in _chunks(processes, runs.MOST_PROCESSES):
            order = runs.StartOrder(processes=tuple(_wanted(process, head, unix_uid) for process in chunk))
            warm.order(order, [_papers(process, credentials) for process in chunk])

    def _drain(self, step: DrainWorkers) -> None:
        run = next((run for run in (self._run(warm, step.head_name) for warm in self._warm.values()) if run), None)
        door = None if run is None else _door(run)
        if door is None:
            raise BackendUnavailableError("the head cannot be asked: it is not there")
        if not self._heads.drain(step.request, door, step.deadlines):
            raise BackendUnavailableError("the head cannot be asked: its credentials are unknown")

    def _delete(self, step: DeleteProcesses) -> None:
        for warm in self._warm.values():
            present = [name for name in step.names if self._has_to_end(warm, name)]
            for chunk in _chunks(present, runs.MOST_PROCESSES):
                warm.order(runs.StopOrder(names=tuple(map(runs.ProcessName.parse, chunk))))

    def _has_to_end(self, warm: WarmProcess, name: str) -> bool:
        run = self._run(warm, name)
        return run is not None and run.end is None

    def tail(self, name: str, uid: ProcessUid) -> bytes | None:
        """Return the end of an ended process's log, which its keeper has sealed."""
        for warm in self._warm.values():
            run = self._run(warm, name)
            if run is not None and run.start.uid == uid and run.end is not None:
                return _end_of(warm.data / "run" / name / runs.LOG)
        return None

    def forget(self, name: str, uid: ProcessUid) -> None:
        """Remove the run folder of an ended process."""
        for warm in self._warm.values():
            run = self._run(warm, name)
            if run is not None and run.start.uid == uid:
                assert run.end is not None, name
                runs.remove(warm.data, name)

    def know(self, request: RequestId, credentials: Credentials) -> None:
        """Learn how to reach a cluster that was started before this backend was."""
        self._heads.know(request, credentials)

    # Hints

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` from a thread of this backend whenever something may have changed."""
        self._listeners.append(wake)
        if self._bells is None:
            self._bells = Bells([warm.bell() for warm in self._warm.values()], self._wake)

    def _wake(self) -> None:
        for wake in self._listeners:
            wake()


def _door(run: runs.Run) -> Address | None:
    """Return where a running head can be asked; what is no head, or has ended, has no door."""
    port = None if run.doors is None else run.doors.state
    return None if port is None or run.end is not None else ("127.0.0.1", port)


def _observed(run: runs.Run) -> ObservedProcess:
    name, end = run.start.name, run.end
    measured = end or run.pulse
    return ObservedProcess(
        name=str(name),
        uid=ProcessUid(run.start.uid),
        request=RequestId(name.request),
        ordinal=name.ordinal,
        incarnation=name.incarnation,
        address=None if run.doors is None else run.doors.address,
        started=Seconds(run.start.started // 1000),
        ended=None if end is None else Seconds(end.ended // 1000),
        cause=None if end is None else Cause(end.cause),
        detail="" if end is None else end.detail,
        cpu_milliseconds=None if measured is None else measured.cpu_milliseconds,
        peak_memory=None if measured is None else measured.peak_bytes,
    )


def _wanted(process: NewProcess, head: runs.ProcessName, unix_uid: int | None) -> runs.Wanted:
    return runs.Wanted(
        name=runs.ProcessName.parse(process.name),
        head=head,
        cores_milli=process.shape.millicores,
        memory_bytes=process.shape.memory,
        unix_uid=unix_uid,
    )


def _papers(process: NewProcess, credentials: Credentials) -> bytes:
    """Return what one process gets to know: its own leaf, and only the head the token of its door."""
    is_head = process.ordinal == runs.HEAD_ORDINAL
    leaf = credentials.leaves["head" if is_head else "worker"]
    papers = {
        "authority": credentials.authority,
        "certificate": leaf.certificate,
        "key": leaf.key,
        "token": credentials.token if is_head else "",
    }
    return json.dumps(papers).encode()


def _chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


def _end_of(log: Path) -> bytes | None:
    """Return the end of a file that is not empty; it is the tenant's no more, but may have been made anything."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with contextlib.suppress(OSError), os.fdopen(os.open(log, flags), "rb") as file:
        length = os.fstat(file.fileno()).st_size
        file.seek(max(0, length - LAST_WORDS_BYTES))
        return file.read(LAST_WORDS_BYTES) or None
    return None
