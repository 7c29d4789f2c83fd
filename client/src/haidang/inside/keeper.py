"""The keeper of one process: it forks it, watches it, measures it, ends all that it left behind, and writes its end.

Every Dask process has a keeper of its own between itself and the warm process. The keeper stays when the warm process
ends, so an end is seen, timed and measured whoever else is gone; and as the reaper of orphans it is the ancestor of
whatever a task forks, however often that forked, so nothing outlives the process and nothing of another cluster under
the same uid is touched. The process dies with its keeper: what nobody can bill does not run.
"""

import contextlib
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from haidang.inside import cgroups, folders, kernel, runs, tenant
from haidang.inside.runs import Cause

SAMPLE_SECONDS: Final = 1.0
PULSE_SAMPLES: Final = 5
SEEK_SECONDS: Final = 0.05
CLEAR_SECONDS: Final = 60.0
GROWTH_BYTES: Final = 16 * 2**20
MOST_PROCESSES: Final = 512
LONGEST_PAUSE_SECONDS: Final = 0.1
HELD_SECONDS: Final = 2.0
LONGEST_SUM_SECONDS: Final = 30.0
_LARGEST_MESSAGE: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What a keeper is told: one start, where it happens, and the descriptors it alone keeps open.

    `rings` is a pipe shared by processes started together: the head's keeper has its writing end and closes it when the
    head is ready, which wakes all others at once.
    """

    data: Path
    scratch: Path
    start: runs.Start
    head: runs.ProcessName
    folder: int
    credentials: int
    rings: int
    cgroup: Path | None

    @property
    def is_head(self) -> bool:
        return self.start.name == self.head

    @property
    def home(self) -> Path:
        """Return the folder in which the process runs and leaves its files."""
        return self.scratch / str(self.start.name)


def keep(errand: Errand) -> NoReturn:
    """Run one process to its end and exit; whatever goes wrong here ends the process with its keeper."""
    status = 1
    try:
        _Keeper(errand).keep()
        status = 0
    except BaseException:  # noqa: BLE001 - in a fork nothing may return into the caller's loop
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)


class _Keeper:
    """The keeper's own state while its process lives."""

    __slots__ = (
        "_cause",
        "_detail",
        "_errand",
        "_group",
        "_hears",
        "_log",
        "_meter",
        "_pid",
        "_poll",
        "_rings",
        "_seeks",
        "_since",
        "_tells",
        "_trims",
    )

    def __init__(self, errand: Errand) -> None:
        os.setsid()
        kernel.adopt_orphans()
        kernel.rename_process("haidang-keeper")
        self._errand = errand
        self._rings: int | None = errand.rings
        self._poll = select.poll()
        self._cause: Cause | None = None
        self._detail = ""
        self._seeks = not errand.is_head
        # Ends are counted from the start on a clock that nobody sets: a corrected wall clock lengthens no bill.
        self._since = time.clock_gettime(time.CLOCK_BOOTTIME)
        start = errand.start
        self._group = cgroups.make(errand.cgroup, str(start.name), start.memory_bytes, tenant.most_threads())
        self._meter = _Meter(start.memory_bytes, self._group)
        self._trims = kernel.Aside()
        self._fork()

    def _fork(self) -> None:
        home = self._errand.home
        home.mkdir(mode=0o700)
        if self._errand.start.unix_uid is not None:
            os.chown(home, self._errand.start.unix_uid, self._errand.start.unix_uid)
        self._log, log = folders.open_log(self._errand.folder, self._errand.start.unix_uid)
        self._hears, tells = os.pipe()
        hears, self._tells = os.pipe()
        for descriptor in (self._hears, self._tells):
            os.set_blocking(descriptor, False)  # who has the other end can open this one, too, and read or write first
        keeper = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            cgroups.enter(self._group)
            tenant.become(
                tenant.Part(
                    name=self._errand.start.name,
                    head=self._errand.head,
                    home=home,
                    start=self._errand.start,
                    keeper=keeper,
                    log=log,
                    credentials=self._errand.credentials,
                    tells=tells,
                    hears=hears,
                )
            )
        for descriptor in (log, tells, hears, self._errand.credentials):
            os.close(descriptor)

    # The loop

    def keep(self) -> None:
        process = os.pidfd_open(self._pid)
        reactions: dict[int, Callable[[], None]] = {self._hears: self._hear, self._stop_signal(): self._stop}
        if not self._errand.is_head:
            reactions[self._errand.rings] = self._head_moved
        for descriptor in (process, *reactions):
            self._poll.register(descriptor, select.POLLIN)
        self._beat([self._pid])
        samples, sample_at = 0, time.monotonic() + SAMPLE_SECONDS
        while self._cause is None:
            events = self._poll.poll(self._patience(sample_at) * 1000)
            if any(descriptor == process for descriptor, _ in events):
                break
            for descriptor, _ in events:
                reactions[descriptor]()
            if self._seeks and not events:
                self._seek_head()
            if time.monotonic() >= sample_at:
                samples, sample_at = samples + 1, time.monotonic() + SAMPLE_SECONDS
                self._sample(pulse=samples % PULSE_SAMPLES == 0)
        self._finish()

    def _patience(self, sample_at: float) -> float:
        patience = max(0.0, sample_at - time.monotonic())
        # As long as there is a pipe to the head's keeper the worker's is woken by it, else it has to look.
        return min(patience, SEEK_SECONDS) if self._seeks and self._rings is None else patience

    def _stop_signal(self) -> int:
        """Return a descriptor that can be read once somebody ends this process through its keeper."""
        wakes, woken = socket.socketpair()
        woken.settimeout(0)
        signal.set_wakeup_fd(woken.detach(), warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda _number, _frame: None)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        return wakes.detach()

    # What the loop reacts to

    def _hear(self) -> None:
        """Take the process's word for its ports, once; after that it has nothing to say here."""
        try:
            content = os.read(self._hears, _LARGEST_MESSAGE)
        except BlockingIOError:
            return
        if not content:
            self._hang_up()
            return
        try:
            doors = runs.parse_doors(content)
        except runs.RejectedError as error:
            self._end(Cause.KILLED, f"its process named its ports wrongly: {error}")
            return
        folders.write(self._errand.folder, runs.DOORS, {"comm": doors.comm, "state": doors.state})
        self._seeks = False
        if self._errand.is_head:
            os.close(self._errand.rings)
        folders.ring(self._errand.data)
        self._hang_up()

    def _hang_up(self) -> None:
        self._seeks = False
        self._poll.unregister(self._hears)
        os.close(self._hears)

    def _head_moved(self) -> None:
        """The keeper of the head closed its end, or none was started together with this worker."""
        self._poll.unregister(self._errand.rings)
        os.close(self._errand.rings)
        self._rings = None
        self._seek_head()

    def _seek_head(self) -> None:
        """Tell a worker where its Dask scheduler is, as soon as that is known; it waits, but not for ever."""
        try:
            head = runs.read_run(self._errand.data, str(self._errand.head))
        except runs.RejectedError:
            head = None
        if head is not None and head.end is not None:
            self._end(Cause.STOPPED, "its Dask scheduler ended before it")
        elif head is not None and head.doors is not None:
            with contextlib.suppress(OSError):
                os.write(self._tells, head.doors.address.encode())
            self._seeks = False

    def _stop(self) -> None:
        self._end(Cause.STOPPED, "")

    def _end(self, cause: Cause, detail: str) -> None:
        """Let the loop end the process and everything that came from it; the first reason is the one that is told."""
        if self._cause is None:
            self._cause, self._detail = cause, detail

    # Measuring

    def _sample(self, *, pulse: bool) -> None:
        self._reap_orphans()
        family = kernel.descendants(os.getpid(), MOST_PROCESSES)
        if len(family) > MOST_PROCESSES:
            self._end(Cause.KILLED, f"more than {MOST_PROCESSES} processes at once")
        elif (excess := self._meter.sample(family)) is not None:
            self._end(Cause.MEMORY, excess)
        if pulse:
            self._beat(family)
        if folders.is_too_long(self._log):
            self._trims.begin(partial(folders.trim_log, self._log))

    def _reap_orphans(self) -> None:
        """Let go of what the process forked and left and that has ended, but not yet of the process itself."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while (ended := os.waitid(os.P_ALL, 0, options)) is not None and ended.si_pid != self._pid:
            os.waitpid(ended.si_pid, 0)

    def _beat(self, family: list[int]) -> None:
        keeper, process = kernel.life(os.getpid()), kernel.life(self._pid)
        if keeper is None or process is None:
            return
        fields = {
            "at": self._now(),
            "keeper": {"pid": keeper.pid, "ticks": keeper.ticks},
            "process": {"pid": process.pid, "ticks": process.ticks},
            "cpu_milliseconds": kernel.cpu_milliseconds(family),
            "peak_bytes": self._meter.peak_bytes,
        }
        with contextlib.suppress(OSError):  # a full disk ends no process; its last pulse is just older
            folders.write(self._errand.folder, runs.PULSE, fields)

    def _now(self) -> int:
        return self._errand.start.started + int((time.clock_gettime(time.CLOCK_BOOTTIME) - self._since) * 1000)

    # The end

    def _finish(self) -> None:
        status = self._reap_family()
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        ended = self._now()
        if self._cause is None and (excess := self._meter.killed_by_kernel()) is not None:
            self._cause, self._detail = Cause.MEMORY, excess
        end = runs.End(
            ended=ended,
            cause=self._cause or (Cause.KILLED if status < 0 else Cause.EXITED),
            detail=self._detail or tenant.meaning(status),
            status=status,
            cpu_milliseconds=int((usage.ru_utime + usage.ru_stime) * 1000),
            peak_bytes=max(self._meter.peak_bytes, usage.ru_maxrss * 1024),
        )
        folders.trim_log(self._log)
        folders.seal_log(self._errand.folder, self._log)
        self._write(end)
        folders.ring(self._errand.data)
        cgroups.remove(self._group)
        folders.clear(self._errand.home, seconds=CLEAR_SECONDS)

    def _write(self, end: runs.End) -> None:
        """Bring the end to the disk, however long the disk is full: the lock is held until it is there."""
        while True:
            try:
                folders.write(self._errand.folder, runs.END, folders.end_fields(end), durable=True)
            except OSError:
                folders.clear(self._errand.home, seconds=CLEAR_SECONDS)  # what it left may be what fills the disk
                time.sleep(SAMPLE_SECONDS)
            else:
                return

    def _reap_family(self) -> int:
        """End the process with whatever came from it and return its exit status, negative for a signal.

        Its group is killed before it is reaped, while its number cannot be anybody else's. What forks as fast as it is
        killed is asked for again at once; what takes its time to end, less and less often.
        """
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        status, pause, quiet = 0, 0.0, 0.0
        while True:
            cgroups.kill(self._group)
            kernel.kill_descendants(os.getpid())
            if (ended := kernel.reap()) is None:
                return status
            status = ended.get(self._pid, status)
            pause = 0.0 if ended else min(2 * pause + 0.002, LONGEST_PAUSE_SECONDS)
            quiet = 0.0 if ended else quiet + pause
            if quiet > HELD_SECONDS:
                self._free_held()
            time.sleep(pause)

    def _free_held(self) -> None:
        """Kill who traces what is killed, as another cluster's process of the same uid can: nobody else reaps it."""
        unix_uid = self._errand.start.unix_uid
        held = kernel.descendants(os.getpid())
        kernel.kill_all(kernel.tracers(held, os.geteuid() if unix_uid is None else unix_uid))


class _Meter:
    """The largest memory that a process and its descendants were seen to use, and whether it was too much."""

    __slots__ = ("_group", "_largest_resident", "_limit", "_sums", "peak_bytes")

    def __init__(self, limit: int, group: Path | None) -> None:
        self._limit = limit
        self._group = group
        self._largest_resident = 0
        self._sums = kernel.Aside()
        self.peak_bytes = 0

    def sample(self, family: list[int]) -> str | None:
        """Return what is to be said if the limit was passed, else None.

        Resident memory, which is cheap to read, counts a page once for each process that shares it. Only when it grew
        by more than a step is it worth asking for the exact sum; where that does not come back, it counts itself.
        """
        resident = kernel.resident_bytes(family)
        is_worth_it = resident > self._limit or resident > self._largest_resident + GROWTH_BYTES
        if is_worth_it and self._sums.begin(partial(self._add_up, family)):
            self._largest_resident = max(self._largest_resident, resident)
        if self._sums.seconds() > LONGEST_SUM_SECONDS:
            self.peak_bytes = max(self.peak_bytes, resident)
        return self._excess() if self.peak_bytes > self._limit else None

    def _add_up(self, family: list[int]) -> None:
        self.peak_bytes = max(self.peak_bytes, kernel.own_bytes(family))

    def killed_by_kernel(self) -> str | None:
        """Return what is to be said if the kernel ended the process for its group's limit."""
        self.peak_bytes = max(self.peak_bytes, cgroups.peak_bytes(self._group))
        return self._excess() if cgroups.was_out_of_memory(self._group) else None

    def _excess(self) -> str:
        return f"{self.peak_bytes} bytes of memory used, {self._limit} allowed"
