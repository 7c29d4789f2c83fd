"""Reading the committed state for a scrape: the snapshot, and sums that are continued rather than made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from prometheus_client.metrics_core import Metric

from exporters.families import LOOPS, families
from exporters.scrapes import Picture, Scrape
from exporters.totals import WAIT_BOUNDS, Totals
from operations.follower import Follower
from operations.ports.office import EntrySum, HitCount, Office, WaitCount
from operations.ports.outside import Clock, Pulse
from operations.ports.store import Store, StoreUnavailableError
from registry.centers import Center, Pool
from registry.ids import BEGINNING, InstitutionId, Mark
from registry.people import EVERYTHING
from scheduler.snapshot import Snapshot

_PAGE: Final = 500


class Collector:
    """What a `CollectorRegistry` of prometheus_client asks for metrics, at each scrape anew.

    Sums below the horizon are final: nothing can appear there any more, so they are read once and kept. What lies
    above is read again at each scrape and never kept, since a transaction that is still open may commit beneath it.
    Begun from the beginning, the sums come out the same; a restart needs no memory.
    """

    def __init__(
        self,
        store: Store[Office],
        follower: Follower,
        *,
        clock: Clock,
        nanoseconds: Callable[[], int],
        pulse: Callable[[], Pulse],
    ) -> None:
        """Take what is read and what tells the time: `nanoseconds` from any origin, and when the loops went round."""
        self._store: Final = store
        self._follower: Final = follower
        self._clock: Final = clock
        self._nanoseconds: Final = nanoseconds
        self._pulse: Final = pulse
        self._lock: Final = Lock()
        self._horizon: Mark = BEGINNING
        self._final = Totals()
        self._picture: Picture | None = None

    def collect(self) -> Iterable[Metric]:
        """Return every metric of the committed state, or of the last one seen while the store does not answer.

        Raises:
            StoreUnavailableError: it has not answered since this process began.
        """
        return families(self._scrape())

    def describe(self) -> Iterable[Metric]:
        """Return every metric without series, so that being registered reads nothing."""
        return families(None)

    def _scrape(self) -> Scrape:
        with self._lock:
            began = self._nanoseconds()
            picture = self._look()
            taken = self._nanoseconds() - began
        return Scrape(picture=picture, now=self._clock.now(), reading_nanoseconds=taken, pulse=self._pulse())

    def _look(self) -> Picture:
        try:
            self._picture = self._committed()
        except StoreUnavailableError:
            if self._picture is None:
                raise
        return self._picture

    def _committed(self) -> Picture:
        seen = self._clock.now()
        snapshot = self._follower.look().snapshot
        news = self._store.read(_read, since=self._horizon)
        self._final = self._final.plus(news.final.sums, news.final.counts, news.final.hits)
        self._horizon = news.horizon
        return Picture(
            seen=seen,
            snapshot=snapshot,
            center=news.center.id if news.center else None,
            pools=news.pools,
            institutions=news.institutions,
            totals=self._final.plus(news.tail.sums, news.tail.counts, news.tail.hits),
        )


class LoopCollector:
    """The metrics of a process that runs loops and shows nothing else: how fresh they are."""

    def __init__(self, pulse: Callable[[], Pulse], clock: Clock) -> None:
        """Take what tells when the loops last went round, and the time."""
        self._pulse: Final = pulse
        self._clock: Final = clock

    def collect(self) -> Iterable[Metric]:
        """Return the age of each loop."""
        now = self._clock.now()
        nothing = Picture(seen=now, snapshot=Snapshot(), center=None, pools=(), institutions=(), totals=Totals())
        scrape = Scrape(picture=nothing, now=now, reading_nanoseconds=0, pulse=self._pulse())
        return [family.metric(scrape) for family in LOOPS]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stretch:
    """What the ledger and the journal have between two marks."""

    sums: tuple[EntrySum, ...]
    counts: tuple[WaitCount, ...]
    hits: tuple[HitCount, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _News:
    """One consistent state of what exists, of what became final since a mark, and of what lies above the horizon."""

    center: Center | None
    pools: tuple[Pool, ...]
    institutions: tuple[InstitutionId, ...]
    horizon: Mark
    final: _Stretch
    tail: _Stretch


def _read(office: Office, *, since: Mark) -> _News:
    horizon = office.request_views.horizon()
    return _News(
        center=office.facilities.center(),
        pools=office.facilities.pools(),
        institutions=_institutions(office),
        horizon=horizon,
        final=_stretch(office, since, horizon),
        tail=_stretch(office, horizon, None),
    )


def _stretch(office: Office, since: Mark, until: Mark | None) -> _Stretch:
    return _Stretch(
        sums=office.books.sums(EVERYTHING, since=since, until=until),
        counts=office.waits.counts(WAIT_BOUNDS, since=since, until=until),
        hits=office.waits.hits(since=since, until=until),
    )


def _institutions(office: Office) -> tuple[InstitutionId, ...]:
    """Return every institution that ever was: its counters stay when it leaves."""
    found: list[InstitutionId] = []
    while page := office.institutions.page(EVERYTHING, after=found[-1] if found else "", limit=_PAGE):
        found += (institution.id for institution in page)
    return tuple(found)
