"""A world of processes in memory: what the loops are driven against where no real process is needed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import assert_never

from operations.ports.backend import BackendUnavailableError, Credentials, StartRefusedError
from operations.ports.outside import Clock
from registry.ids import ProcessUid, RequestId
from scheduler.clusters import HEAD_ORDINAL
from scheduler.observed import Cause, HeadClaim, Observed, ObservedProcess
from scheduler.steps import ClearCluster, DeleteProcesses, DrainWorkers, NewProcess, StartProcesses, Step
from scheduler.troubles import REFUSALS, Trouble


class SimulatedBackend:
    """`ClusterBackend` whose processes are ready as soon as they are started, and do what they are told.

    `lives` keeps every process that ever was. What happens in the world is done to it by `kill`, `finish`,
    `cut_off`, `hinder` and `claim`. A `forgetful` world keeps no life that was forgotten, nothing
    remains of its clusters beside processes, and those have no last words: millions leave nothing behind.
    """

    def __init__(self, clock: Clock, *, forgetful: bool = False) -> None:
        self._clock = clock
        self._forgetful = forgetful
        self._born = 0
        self._present: dict[str, ProcessUid] = {}
        self._members: dict[RequestId, dict[str, ProcessUid]] = {}
        self._claims: dict[RequestId, HeadClaim] = {}
        self._wakes: list[Callable[[], None]] = []
        self.lives: dict[ProcessUid, ObservedProcess] = {}
        self._reachable = True
        self._hindrance: Trouble | None = None
        self._hinders_heads = True
        self._remains: set[RequestId] = set()

    def observe(self) -> Observed:
        """Return every process that is not forgotten, and the claims of heads that live."""
        self._require_reachable()
        processes = tuple(self.lives[uid] for uid in self._present.values())
        return Observed(processes=processes, heads=self._heads(processes), remains=frozenset(self._remains))

    def carry_out(self, step: Step, credentials: Credentials | None) -> None:
        """Do the step at once."""
        self._require_reachable()
        match step:
            case StartProcesses():
                assert credentials is not None, step
                self._start(step)
            case DrainWorkers():
                self._drain(step)
            case DeleteProcesses():
                for name in step.names:
                    self.kill(name, Cause.STOPPED)
            case ClearCluster():
                self._remains.discard(step.request)
            case _:
                assert_never(step)

    def tail(self, name: str, uid: ProcessUid) -> bytes | None:
        """Return what a process that lived has to say for itself."""
        return f"{name} lived".encode() if self._present.get(name) == uid and not self._forgetful else None

    def forget(self, name: str, uid: ProcessUid) -> None:
        """Drop an ended process of that uid."""
        if self._present.get(name) == uid:
            life = self.lives[uid]
            assert life.ended is not None, name
            del self._present[name]
            members = self._members[life.request]
            del members[name]
            if not members:
                del self._members[life.request]
            if self._forgetful:
                del self.lives[uid]

    def know(self, request: RequestId, credentials: Credentials) -> None:
        """Nothing has to be known in order to look at memory."""

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever a process starts or ends."""
        self._wakes.append(wake)

    def kill(self, name: str, cause: Cause = Cause.KILLED) -> None:
        """End a process, if it lives; workers do not outlive their head."""
        if not self._lives(name):
            return
        ended = self._end(name, cause)
        if ended.ordinal == HEAD_ORDINAL:
            for other in [one for one in self._members[ended.request] if self._lives(one)]:
                self._end(other, Cause.EXITED)
        self._wake()

    def finish(self, request: RequestId) -> None:
        """End all that lives of a cluster by itself: its work is done."""
        for name in [one for one in self._members.get(request, ()) if self._lives(one)]:
            self._end(name, Cause.EXITED)
        self._wake()

    def claim(self, request: RequestId, claim: HeadClaim) -> None:
        """Let a Dask scheduler say this of itself from now on."""
        self._claims[request] = claim

    def cut_off(self, *, reachable: bool = False) -> None:
        """Let nothing be observed or done any more, or again."""
        self._reachable = reachable

    def hinder(self, trouble: Trouble | None, *, heads_too: bool = True) -> None:
        """Let nothing start any more, or again: then what has been waiting meanwhile starts, too."""
        self._hindrance, self._hinders_heads = trouble, heads_too
        if trouble is None:
            waiting = [uid for uid in self._present.values() if self.lives[uid].trouble and not self.lives[uid].ended]
            self.lives |= {uid: self._begun(self.lives[uid]) for uid in waiting}

    def _start(self, step: StartProcesses) -> None:
        if self._hindrance in REFUSALS:
            raise StartRefusedError("the simulated world refuses", self._hindrance)
        if not self._forgetful:
            self._remains.add(step.request)
        for process in step.processes:
            if process.name not in self._present:
                self._bear(step.request, process)
        self._wake()

    def _bear(self, request: RequestId, process: NewProcess) -> None:
        self._born += 1
        uid = ProcessUid(f"{self._born:032x}")
        self._present[process.name] = uid
        self._members.setdefault(request, {})[process.name] = uid
        born = ObservedProcess(
            name=process.name,
            uid=uid,
            request=request,
            ordinal=process.ordinal,
            incarnation=process.incarnation,
            trouble=self._hindrance if self._hinders_heads or process.ordinal != HEAD_ORDINAL else None,
        )
        self.lives[uid] = born if born.trouble else self._begun(born)

    def _begun(self, process: ObservedProcess) -> ObservedProcess:
        return replace(process, trouble=None, started=self._clock.now(), address=f"tls://simulated:{process.uid}")

    def _drain(self, step: DrainWorkers) -> None:
        if not self._lives(step.head_name):
            raise BackendUnavailableError("the head cannot be asked: it is not there")
        for name in step.deadlines:
            self.kill(name, Cause.EXITED)

    def _heads(self, processes: Iterable[ObservedProcess]) -> Mapping[RequestId, HeadClaim]:
        if not self._claims:
            return {}
        living = {process.request for process in processes if process.ended is None}
        return {request: claim for request, claim in self._claims.items() if request in living}

    def _lives(self, name: str) -> bool:
        uid = self._present.get(name)
        return uid is not None and self.lives[uid].ended is None

    def _end(self, name: str, cause: Cause) -> ObservedProcess:
        uid = self._present[name]
        self.lives[uid] = replace(self.lives[uid], ended=self._clock.now(), cause=cause)
        return self.lives[uid]

    def _require_reachable(self) -> None:
        if not self._reachable:
            raise BackendUnavailableError("the simulated world is cut off")

    def _wake(self) -> None:
        for wake in self._wakes:
            wake()
