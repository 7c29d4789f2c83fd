"""How the parts of a center are put together: the only place that chooses adapters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from backends.authority import ClusterAuthority
from operations.cycle import run_cycle
from operations.events import Event, leaves_work, may_change_decisions
from operations.follower import Follower
from operations.grounds import tend_once
from operations.ports import Inside, Ports
from operations.ports.office import Office
from operations.ports.outside import Pulse
from operations.reconcile import acquaint, reconcile_once
from registry.ids import Seconds
from scheduler.policy import DEFAULT_POLICY, Policy
from server.clock import SystemClock
from server.ids import RandomIds
from server.loops import Loop
from server.settings import Part, Settings, sealing_key
from server.worksites import Means, Worksite, worksite
from store.transactions import SqlStore

_CYCLE_TICK_SECONDS: Final = 5.0
_RECONCILE_TICK_SECONDS: Final = 2.0
_TEND_TICK_SECONDS: Final = 10.0
_STOP_PATIENCE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Center:
    """What every process of a center has; one with a `controller` acts, too."""

    inside: Inside[Office]
    policy: Policy
    follower: Follower
    store: SqlStore
    site: Worksite
    controller: Controller | None

    def start(self) -> None:
        """Begin to act, as far as this process does."""
        if self.controller is not None:
            self.controller.start(self.store)

    def stop(self) -> None:
        """End the loops between two steps; clusters go on."""
        if self.controller is not None:
            self.controller.stop()
        self.store.close()

    def is_well(self) -> bool:
        """Tell whether this process acts in time, or knows that it is not its turn."""
        return self.controller is None or self.controller.is_well()

    def is_alive(self) -> bool:
        """Tell whether this process goes on by itself, however late it is: one that does not has to be begun anew."""
        return self.controller is None or not self.controller.is_stuck()

    def pulse(self) -> Pulse:
        """Return when the loops of this process last went round, and whether it knows the store to answer."""
        pulse = self.controller.pulse() if self.controller is not None else Pulse()
        return replace(pulse, store_answers=self.store.answers)


class Controller:
    """The loops of a center with what they act on. Of several that share a lease only its holder acts."""

    def __init__(self, ports: Ports[Office], policy: Policy, follower: Follower, means: Means) -> None:
        self._ports = ports
        self._means = means
        self._lease = means.lease(partial(acquaint, ports)) if means.lease else None
        self._cycle = self._loop("cycle", partial(run_cycle, ports, follower), _CYCLE_TICK_SECONDS)
        self._reconciler = self._loop("reconcile", partial(self._reconcile, policy), _RECONCILE_TICK_SECONDS)
        self._tending: Loop | None = None
        self._began: Seconds | None = None
        if means.grounds is not None:
            tend = partial(tend_once, ports.store, means.grounds)
            self._tending = self._loop("grounds", tend, _TEND_TICK_SECONDS)

    def start(self, store: SqlStore) -> None:
        """Begin: first what ran before this start is found, then whatever waits is decided."""
        self._means.backend.prepare()
        store.subscribe(self._hear)
        self._means.backend.watch(self._reconciler.wake)
        if self._means.grounds is not None and self._tending is not None:
            self._means.grounds.start()
            self._means.grounds.watch(self._tending.wake)
        if self._lease is None:
            acquaint(self._ports)
        else:
            self._lease.start()
        self._began = self._ports.clock.now()
        for loop in self._loops():
            loop.start()

    def stop(self) -> None:
        """End the loops between two steps, and let another controller act at once."""
        for loop in self._loops():
            loop.stop(patience_seconds=_STOP_PATIENCE_SECONDS)
        if self._lease is not None:
            self._lease.release(patience_seconds=_STOP_PATIENCE_SECONDS)
        if self._means.grounds is not None:
            self._means.grounds.close()
        self._means.backend.leave()

    def _reconcile(self, policy: Policy) -> None:
        done = reconcile_once(self._ports, policy, steps_at_once=self._means.steps_at_once)
        if done.postponed and done.settled:
            self._reconciler.wake()

    def pulse(self) -> Pulse:
        """Return when the loops last went round; those of a controller that stands by do not."""
        if self._lease is not None and not self._lease.holds():
            return Pulse()
        return Pulse(
            began=self._began,
            cycle=self._cycle.last_success,
            reconciled=self._reconciler.last_success,
            tended=self._tending.last_success or self._began if self._tending is not None else None,
        )

    def is_well(self) -> bool:
        """Tell whether no loop is late, nor any news of whose turn it is."""
        is_known = self._lease is None or self._lease.is_known()
        return is_known and not self.pulse().is_late(self._ports.clock.now())

    def is_stuck(self) -> bool:
        """Tell whether any loop comes round no more."""
        return any(loop.is_stuck() for loop in self._loops())

    def _loops(self) -> list[Loop]:
        return [loop for loop in (self._tending, self._cycle, self._reconciler) if loop is not None]

    def _loop(self, name: str, step: Callable[[], object], tick_seconds: float) -> Loop:
        def acting() -> None:
            if self._lease is None or self._lease.holds():
                step()

        return Loop(name, acting, tick_seconds=tick_seconds, clock=self._ports.clock)

    def _hear(self, told: Sequence[Event]) -> None:
        """Wake whom a commit concerns: each of them looks at everything, beside those for whom somebody waits."""
        if may_change_decisions(told):
            self._cycle.wake()
        if leaves_work(told):
            self._reconciler.wake()
        if self._tending is not None and not told:
            self._tending.wake()


def wire(settings: Settings) -> Center:
    """Put a center, or one part of it, together from its settings; the database must have been migrated."""
    clock, ids, policy = SystemClock(), RandomIds(), DEFAULT_POLICY
    store = SqlStore(settings.database_url, sealing_key=sealing_key(settings), shared=settings.part is not Part.ALL)
    site = worksite(settings, clock)
    follower = Follower(store, policy)
    controller = None
    if settings.part in (Part.ALL, Part.CONTROLLER):
        means = site.means()
        ports: Ports[Office] = Ports(
            store=store, clock=clock, ids=ids, backend=means.backend, authority=ClusterAuthority()
        )
        controller = Controller(ports, policy, follower, means)
    return Center(
        inside=Inside(store=store, clock=clock, ids=ids),
        policy=policy,
        follower=follower,
        store=store,
        site=site,
        controller=controller,
    )
