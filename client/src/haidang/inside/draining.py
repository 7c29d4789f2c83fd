"""Shrinking a Dask cluster by chosen workers so that no task runs twice and no data that exists once is lost.

A worker first gets no new tasks; those it has not begun go to others; what only it holds is copied; the tasks it runs
are awaited, until a deadline; what they left is copied; then it is closed. Dask's own `retire_workers` alone closes a
busy worker, whose tasks then run again elsewhere, and what was scattered to it may be lost.
"""

import asyncio
import contextlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Final

from distributed import Scheduler, Status

if TYPE_CHECKING:
    from dask.typing import Key
    from distributed.scheduler import TaskState, WorkerState

LOOK_SECONDS: Final = 0.05
COPY_SECONDS: Final = 10.0
REPORT_SECONDS: Final = 5.0
REMEMBERED: Final = 1024
# Above this part of its limit Dask begins to spill; up to it a worker holds data as well as the one that leaves.
HOLDS: Final = 0.6


class Phase(StrEnum):
    """How far the drain of one worker is."""

    ABSENT = "absent"
    DRAINING = "draining"
    REFUSED = "refused"
    CLOSED = "closed"
    FAILED = "failed"


@dataclass(slots=True, kw_only=True)
class Drain:
    """The drain of one worker, as far as it is. `lost` counts what cannot be computed again, `repeated` what can."""

    deadline: float
    may_refuse: bool
    phase: Phase = Phase.DRAINING
    moved: int = 0
    moved_bytes: int = 0
    lost: int = 0
    repeated: int = 0
    reason: str = ""
    asked: set[tuple[str, int | None]] = field(default_factory=set)

    def answer(self) -> dict[str, object]:
        """Return what the center is told."""
        return {
            "phase": self.phase,
            "moved": self.moved,
            "moved_bytes": self.moved_bytes,
            "lost": self.lost,
            "repeated": self.repeated,
            "reason": self.reason,
        }


class Drains:
    """All drains of one Dask scheduler; several run at once and each is asked for as often as one likes."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._drains: dict[str, Drain] = {}
        self._running: set[asyncio.Task[None]] = set()

    def phase(self, name: str) -> str | None:
        """Return how far the drain of a worker is, None if none was asked for."""
        drain = self._drains.get(name)
        return None if drain is None else drain.phase

    def drain(self, names: Iterable[str], deadline_seconds: int, *, may_refuse: bool) -> dict[str, dict[str, object]]:
        """Begin what was not begun, and answer how far each is.

        A repetition never puts a deadline off, and takes back the permission to refuse if it does not repeat it.
        """
        deadline = monotonic() + deadline_seconds
        fresh = []
        for name in dict.fromkeys(names):
            known = self._drains.get(name)
            if known is None or known.phase in (Phase.REFUSED, Phase.ABSENT, Phase.FAILED):
                known = self._drains[name] = Drain(deadline=deadline, may_refuse=may_refuse)
                fresh.append(name)
            known.deadline = min(known.deadline, deadline)
            known.may_refuse = known.may_refuse and may_refuse
        self._begin(fresh)
        self._forget_old()
        return {name: self._drains[name].answer() for name in dict.fromkeys(names) if name in self._drains}

    def _begin(self, names: list[str]) -> None:
        present = {str(worker.name): worker for worker in self._scheduler.workers.values()}
        leaving = [present[name] for name in names if name in present]
        for name in names:
            if name not in present:
                self._drains[name].phase = Phase.ABSENT
        for worker in leaving:
            _set_status(self._scheduler, worker, Status.closing_gracefully)
        unwilling = _no_room(self._scheduler)
        for worker in leaving:
            drain = self._drains[str(worker.name)]
            if unwilling and drain.may_refuse:
                drain.phase, drain.reason = Phase.REFUSED, unwilling
                _set_status(self._scheduler, worker, Status.running)
                continue
            task = asyncio.create_task(_Leave(self._scheduler, worker, drain).leave())
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _forget_old(self) -> None:
        done = [name for name, drain in self._drains.items() if drain.phase is not Phase.DRAINING]
        for name in done[: max(0, len(self._drains) - REMEMBERED)]:
            del self._drains[name]


def _set_status(scheduler: Scheduler, worker: "WorkerState", status: Status) -> None:
    """Set a worker's status here at once and tell it, as Dask does when it retires one."""
    stimulus = f"haidang-drain-{worker.name}"
    scheduler.handle_worker_status_change(status, worker, stimulus)
    scheduler.stream_comms[worker.address].send(
        {"op": "worker-status-change", "status": status.name, "stimulus_id": stimulus}
    )


def _no_room(scheduler: Scheduler) -> str:
    """Return why the workers that stay cannot take what only the leaving ones hold, nothing if they can."""
    staying = scheduler.running
    leaving = [worker for worker in scheduler.workers.values() if worker.status is Status.closing_gracefully]
    if any(worker.actors for worker in leaving):
        return "an actor cannot be moved"
    only_leaving = {task for worker in leaving for task in worker.has_what if not (task.who_has or set()) & staying}
    needed = sum(task.get_nbytes() for task in only_leaving)
    if not needed:
        return ""
    room = sum(
        max(0, int(worker.memory_limit * HOLDS) - worker.nbytes) if worker.memory_limit else math.inf
        for worker in staying
    )
    return "" if needed <= room else f"{needed} bytes exist only on leaving workers, the others have room for {room}"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]


class _Leave:
    """One worker's way out."""

    def __init__(self, scheduler: Scheduler, worker: "WorkerState", drain: Drain) -> None:
        self._scheduler = scheduler
        self._worker = worker
        self._drain = drain
        self._since = monotonic()
        self._unique: dict[Key, int] = {}

    async def leave(self) -> None:
        """Go through all steps; whatever fails on the way, the worker is closed at the end or stays and says so."""
        drain = self._drain
        try:
            await self._flush()
            if self._is_present() and drain.may_refuse and self._held_here_only():
                drain.phase, drain.reason = Phase.REFUSED, drain.reason or "its data could not be copied"
                _set_status(self._scheduler, self._worker, Status.running)
            else:
                await self._close()
        except Exception as error:  # noqa: BLE001 - it is told, and asking again begins again
            drain.phase, drain.reason = Phase.FAILED, _said(error)

    async def _flush(self) -> None:
        try:
            self._hand_over()
            await self._copy(seconds=max(COPY_SECONDS, self._drain.deadline - monotonic()))
            await self._await_tasks()
            await self._copy(seconds=COPY_SECONDS)
        except Exception as error:  # noqa: BLE001 - data that could not be moved is told, and the deadline holds
            self._drain.reason = _said(error)

    def _is_present(self) -> bool:
        return self._scheduler.workers.get(self._worker.address) is self._worker

    def _held_here_only(self) -> list["TaskState"]:
        running = self._scheduler.running
        return [task for task in self._worker.has_what if not (task.who_has or set()) & running]

    async def _copy(self, *, seconds: float) -> None:
        """Have everything that only leaving workers hold copied to one that stays."""
        if not self._is_present():
            return
        self._unique.update({task.key: task.get_nbytes() for task in self._held_here_only()})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(
                self._scheduler.retire_workers([self._worker.address], close_workers=False, remove=False), seconds
            )

    async def _await_tasks(self) -> None:
        """Hand over what has not begun and wait for what has, until the deadline."""
        while self._is_present() and monotonic() < self._drain.deadline:
            self._hand_over()
            if not any(map(self._is_awaited, self._worker.processing)):
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _is_awaited(self, task: "TaskState") -> bool:
        """Tell whether a task may be running here: one that no other worker may take cannot be asked for.

        What of those is running is in the worker's reports, once two of them had the time to come.
        """
        if (str(task.key), task.run_id) in self._drain.asked or task in self._worker.executing:
            return True
        return self._taker(task) is not None or monotonic() < self._since + REPORT_SECONDS

    def _hand_over(self) -> None:
        """Ask for each task that it goes elsewhere unless it has begun: only the worker knows, and only once."""
        stealing = self._scheduler.extensions.get("stealing")
        if stealing is None:
            return
        for task in list(self._worker.processing):
            asked = (str(task.key), task.run_id)
            if asked not in self._drain.asked and (taker := self._taker(task)) is not None:
                self._drain.asked.add(asked)
                stealing.move_task_request(task, self._worker, taker)

    def _taker(self, task: "TaskState") -> "WorkerState | None":
        running = self._scheduler.running
        allowed = self._scheduler.valid_workers(task)
        candidates = running if allowed is None else running & allowed
        if not candidates and task.loose_restrictions:
            candidates = running
        return min(candidates, key=lambda worker: (worker.occupancy / worker.nthreads, worker.address), default=None)

    async def _close(self) -> None:
        drain = self._drain
        if self._is_present():
            stuck = self._held_here_only()
            self._unique.update({task.key: task.get_nbytes() for task in stuck})
            drain.lost = sum(task.run_spec is None for task in stuck)
            drain.repeated = len(stuck) - drain.lost + len(self._worker.processing)
            self._count_moved({task.key for task in stuck})
            await self._scheduler.remove_worker(
                self._worker.address, stimulus_id=f"haidang-drain-{self._worker.name}", expected=True, close=True
            )
        drain.phase = Phase.CLOSED

    def _count_moved(self, stuck: "set[Key]") -> None:
        moved = [size for key, size in self._unique.items() if key not in stuck and self._still_exists(key)]
        self._drain.moved, self._drain.moved_bytes = len(moved), sum(moved)

    def _still_exists(self, key: "Key") -> bool:
        task = self._scheduler.tasks.get(key)
        return task is not None and bool(task.who_has)
