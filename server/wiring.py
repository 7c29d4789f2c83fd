"""How the parts of a center are put together: the only place that chooses adapters."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from backends.authority import ClusterAuthority
from backends.local.backend import LocalBackend
from backends.local.users import folders_of, why_not_separate
from operations.cycle import run_cycle
from operations.events import Event, leaves_work, may_change_decisions
from operations.follower import Follower
from operations.ports import Ports
from operations.ports.office import Office
from operations.reconcile import acquaint, reconcile_once
from scheduler.policy import DEFAULT_POLICY, Policy
from server.clock import SystemClock
from server.ids import RandomIds
from server.loops import Loop
from server.settings import Settings, own_environment, sealing_key
from store.transactions import SqlStore

_CYCLE_TICK_SECONDS: Final = 5.0
_RECONCILE_TICK_SECONDS: Final = 2.0
_STOP_PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Center:
    """A center that is put together and not yet running."""

    ports: Ports[Office]
    policy: Policy
    follower: Follower
    store: SqlStore
    backend: LocalBackend
    cycle: Loop
    reconciler: Loop
    together: str | None
    """Why tenants' processes share the center's uid; None where each project has one of its own."""

    def start(self) -> None:
        """Begin the loops: first what ran before this start is found, then whatever waits is decided."""
        self.backend.prepare()
        acquaint(self.ports)
        self.store.subscribe(self._hear)
        self.backend.watch(self.reconciler.wake)
        self.reconciler.start()
        self.cycle.start()

    def _hear(self, told: Sequence[Event]) -> None:
        """Wake whom a commit concerns: each of them looks at everything, beside those for whom somebody waits."""
        if may_change_decisions(told):
            self.cycle.wake()
        if leaves_work(told):
            self.reconciler.wake()

    def stop(self) -> None:
        """End the loops between two steps; clusters go on, and without any the warm processes end too."""
        self.cycle.stop(patience_seconds=_STOP_PATIENCE_SECONDS)
        self.reconciler.stop(patience_seconds=_STOP_PATIENCE_SECONDS)
        if self.backend.observe().processes:
            self.backend.close()
        else:
            self.backend.leave()
        self.store.close()


def wire(settings: Settings) -> Center:
    """Put a center together from its settings; the database must have been migrated."""
    clock, policy = SystemClock(), DEFAULT_POLICY
    environment = own_environment()
    together = why_not_separate((*folders_of(Path(environment.path)), settings.public_scratch))
    store = SqlStore(settings.database_url, sealing_key=sealing_key(settings.data))
    backend = LocalBackend(
        data=settings.data / "local",
        scratch=settings.private_scratch if together else settings.public_scratch,
        environments={environment.id: Path(environment.path)},
        separate_uids=together is None,
        cgroup=settings.cgroup,
    )
    ports: Ports[Office] = Ports(
        store=store, backend=backend, authority=ClusterAuthority(), clock=clock, ids=RandomIds()
    )
    follower = Follower(store, policy)
    cycle = Loop("cycle", partial(run_cycle, ports, follower), tick_seconds=_CYCLE_TICK_SECONDS, clock=clock)
    reconciler = Loop(
        "reconcile", partial(reconcile_once, ports, policy), tick_seconds=_RECONCILE_TICK_SECONDS, clock=clock
    )
    return Center(
        ports=ports,
        policy=policy,
        follower=follower,
        store=store,
        backend=backend,
        cycle=cycle,
        reconciler=reconciler,
        together=together,
    )
