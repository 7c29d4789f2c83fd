"""What running work uses, day by day, as the ledger of a center counts it: fair share looks back at that."""

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import Final

from quotas.ledger import HOUR_SECONDS, days
from registry.ids import PoolId, RequestId, Seconds, ShareId
from registry.resources import Resources, dominant_ppm
from scheduler.clusters import Process
from scheduler.facts import DayOfUse, Fact
from scheduler.policy import Order, Policy
from scheduler.requests import Request, State
from scheduler.snapshot import Snapshot


class UseByDay:
    """The days of use of projects and institutions in a pool that has so much; they grow as work runs."""

    def __init__(self, whole: Resources, policy: Policy) -> None:
        """Begin when nobody has used anything; under a policy that does not ask, nothing is counted."""
        self._whole: Final = whole
        self._counts: Final = policy.order is Order.SCORE and policy.fair_share_weight > 0
        self._days: Final[dict[tuple[ShareId, PoolId, int], DayOfUse]] = {}
        self._hour = 0

    def until(self, snapshot: Snapshot, now: Seconds, ending: Container[RequestId]) -> Iterator[Fact]:
        """Yield what changes as all that goes on running is counted up to the last full hour, once in each."""
        hour = Seconds(now - now % HOUR_SECONDS)
        if not self._counts or hour == self._hour:
            return
        self._hour = hour
        for request in snapshot.requests.values():
            if request.state is State.PLACED and request.id not in ending:
                slots = snapshot.processes[request.id].values()
                counted = tuple(slot for slot in slots if _begins(slot) < hour)
                yield from (replace(slot, charged_until=hour) for slot in counted)
                yield from self._count(request, counted, hour)

    def ended(self, snapshot: Snapshot, request: Request, now: Seconds) -> Iterator[Fact]:
        """Yield the days that grow as a request ends, whose use was counted up to some moment before."""
        if self._counts:
            yield from self._count(request, snapshot.processes[request.id].values(), now)

    def _count(self, request: Request, slots: Iterable[Process], until: Seconds) -> Iterator[DayOfUse]:
        more: dict[int, int] = {}
        for slot in slots:
            ppm = dominant_ppm(slot.shape, self._whole)
            for day, seconds in days(_begins(slot), until):
                more[day] = more.get(day, 0) + ppm * seconds
        for day, ppm_seconds in more.items():
            for share in (ShareId(request.institution), ShareId(request.project)):
                yield self._add(share, request.pool, day, ppm_seconds)

    def _add(self, share: ShareId, pool: PoolId, day: int, ppm_seconds: int) -> DayOfUse:
        key = share, pool, day
        before = self._days[key].ppm_seconds if key in self._days else 0
        self._days[key] = DayOfUse(share=share, pool=pool, day=day, ppm_seconds=before + ppm_seconds)
        return self._days[key]


def _begins(slot: Process) -> Seconds:
    """Return from when on the use of a slot is not counted yet."""
    begins = slot.charged_until or slot.started
    assert begins is not None, slot
    return begins
