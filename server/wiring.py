"""How the parts of a center are put together: the only place that chooses adapters."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from backends.authority import ClusterAuthority
from operations.cycle import run_cycle
from operations.events import Event, leaves_work, may_change_decisions
from operations.follower import Follower
from operations.grounds import tend_once
from operations.ports import Ports
from operations.ports.office import Office
from operations.reconcile import acquaint, reconcile_once
from scheduler.policy import DEFAULT_POLICY, Policy
from server.clock import SystemClock
from server.ids import RandomIds
from server.loops import Loop
from server.settings import Settings, sealing_key
from server.worksites import Worksite, worksite
from store.transactions import SqlStore

_CYCLE_TICK_SECONDS: Final = 5.0
_RECONCILE_TICK_SECONDS: Final = 2.0
_TEND_TICK_SECONDS: Final = 10.0
_STOP_PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Center:
    """A center that is put together and not yet running."""

    ports: Ports[Office]
    policy: Policy
    follower: Follower
    store: SqlStore
    site: Worksite
    cycle: Loop
    reconciler: Loop
    tending: Loop | None

    def start(self) -> None:
        """Begin the loops: first what ran before this start is found, then whatever waits is decided."""
        self.site.backend.prepare()
        acquaint(self.ports)
        self.store.subscribe(self._hear)
        self.site.backend.watch(self.reconciler.wake)
        if self.site.grounds is not None and self.tending is not None:
            self.site.grounds.start()
            self.site.grounds.watch(self.tending.wake)
            self.tending.start()
        self.reconciler.start()
        self.cycle.start()

    def _hear(self, told: Sequence[Event]) -> None:
        """Wake whom a commit concerns: each of them looks at everything, beside those for whom somebody waits."""
        if may_change_decisions(told):
            self.cycle.wake()
        if leaves_work(told):
            self.reconciler.wake()
        if self.tending is not None and not told:
            self.tending.wake()

    def stop(self) -> None:
        """End the loops between two steps; clusters go on."""
        for loop in (self.tending, self.cycle, self.reconciler):
            if loop is not None:
                loop.stop(patience_seconds=_STOP_PATIENCE_SECONDS)
        if self.site.grounds is not None:
            self.site.grounds.close()
        self.site.backend.leave()
        self.store.close()


def wire(settings: Settings) -> Center:
    """Put a center together from its settings; the database must have been migrated."""
    clock, policy = SystemClock(), DEFAULT_POLICY
    store = SqlStore(settings.database_url, sealing_key=sealing_key(settings.data))
    site = worksite(settings, clock)
    ports: Ports[Office] = Ports(
        store=store, backend=site.backend, authority=ClusterAuthority(), clock=clock, ids=RandomIds()
    )
    follower = Follower(store, policy)
    return Center(
        ports=ports,
        policy=policy,
        follower=follower,
        store=store,
        site=site,
        cycle=Loop("cycle", partial(run_cycle, ports, follower), tick_seconds=_CYCLE_TICK_SECONDS, clock=clock),
        reconciler=Loop(
            "reconcile", partial(reconcile_once, ports, policy), tick_seconds=_RECONCILE_TICK_SECONDS, clock=clock
        ),
        tending=_tending(store, site, clock),
    )


def _tending(store: SqlStore, site: Worksite, clock: SystemClock) -> Loop | None:
    """Return the loop that follows machines and keeps tenants' places, where there are any beside processes."""
    if site.grounds is None:
        return None
    return Loop("grounds", partial(tend_once, store, site.grounds), tick_seconds=_TEND_TICK_SECONDS, clock=clock)
