"""Whoever watches over a center is told of each of its loops that does not come round."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from backends.simulated import SimulatedBackend
from operations.follower import Follower
from operations.ports import Ports
from operations.ports.backend import BackendUnavailableError
from operations.ports.grounds import Machine, Tenant
from operations.ports.outside import LATE_SECONDS, Pulse
from registry.ids import Seconds
from scheduler.policy import DEFAULT_POLICY
from server.ids import RandomIds
from server.wiring import Controller
from server.worksites import Means
from store.memory import MemoryStore
from tests.builders import NOW
from tests.ordered import until
from tests.properties.test_loops import QuickAuthority, SteppedClock


class ReadyBackend(SimulatedBackend):
    """A backend that begins and ends with its process."""

    def prepare(self) -> None: ...

    def leave(self) -> None: ...


class DarkGrounds:
    """Grounds of which nothing is seen."""

    def machines(self) -> tuple[Machine, ...]:
        raise BackendUnavailableError("nothing is seen")

    def keep(self, tenants: Sequence[Tenant]) -> None: ...

    def start(self) -> None: ...

    def watch(self, wake: Callable[[], None]) -> None: ...

    def clear(self) -> Iterator[str]:
        return iter(())

    def close(self) -> None: ...


def a_pulse(grounds: DarkGrounds | None) -> Pulse:
    """Return the pulse of a controller as it is once its cycle and its reconciler have come round."""
    clock, store = SteppedClock(), MemoryStore()
    backend = ReadyBackend(clock)
    ports: Ports[Any] = Ports(store=store, backend=backend, authority=QuickAuthority(), clock=clock, ids=RandomIds())
    means = Means(backend=backend, grounds=grounds)
    controller = Controller(ports, DEFAULT_POLICY, Follower(store, DEFAULT_POLICY), means)
    controller.start(store)  # type: ignore[arg-type] # which is asked for nothing but to be heard
    try:
        return until(lambda: pulse if (pulse := controller.pulse()).cycle and pulse.reconciled else None)
    finally:
        controller.stop()


def test_a_center_is_late_whose_nodes_and_places_nobody_tends() -> None:
    later = Seconds(NOW + LATE_SECONDS)
    assert replace(a_pulse(DarkGrounds()), cycle=later, reconciled=later).is_late(later)
    assert not replace(a_pulse(None), cycle=later, reconciled=later).is_late(later), "it has none"
