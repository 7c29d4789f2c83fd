"""Requests, events, entries, allocations and waits as people and exporters read them, each within its scope."""

from dataclasses import replace

import pytest

from operations.events import Event, EventKind
from operations.ports.office import BEFORE_ALL, EntrySum, HitCount, Office, Place, RequestFilter, Told, WaitCount
from operations.ports.store import Work
from quotas.charges import Tariff, Use, charges
from quotas.ledger import (
    ABSORBED,
    INCOME,
    NO_USAGE,
    AccountId,
    Bearer,
    Entry,
    EntryKey,
    EntryKind,
    Usage,
    held,
    hold_entry,
)
from quotas.statements import Period
from registry.ids import (
    BEGINNING,
    AllocationId,
    InstitutionId,
    Mark,
    MicroCredits,
    PersonId,
    ProcessUid,
    ProjectId,
    Seconds,
)
from registry.people import EVERYTHING, Scope
from scheduler.estimates import Side
from scheduler.policy import DAY
from scheduler.requests import End, Request, RequestClass, State
from store.transactions import SqlStore
from tests.builders import NOW, POOL, a_request, a_rule, a_slot, an_estimate, cores, request_id, tags
from tests.seeding import A_POOL, a_project, award, seed

VMU = Scope(institutions=frozenset({InstitutionId("vmu")}))
NOBODY = Scope(institutions=frozenset())
OTHER = PersonId("b" * 26)
ALL = RequestFilter()


def ended(request: Request) -> Request:
    return replace(request, state=State.ENDED, end=End.CANCELLED, ended=NOW)


@pytest.fixture
def asked(sql_store: SqlStore) -> SqlStore:
    """Four requests: two of each institution, 2 and 3 submitted at the same second, 4 of somebody else and ended."""

    def submit(work: Work) -> None:
        work.requests.add(a_request(1, "vmu.vision", submitted=10))
        work.requests.add(a_request(2, "hcmut.wind", submitted=20))
        work.requests.add(a_request(3, "vmu.sound", submitted=20))
        work.requests.add(ended(a_request(4, "hcmut.wind", submitted=30, person=OTHER)))
        work.clusters.add([a_slot(1, 1), replace(a_slot(1, 0), released=NOW), a_slot(2, 0)])

    sql_store.transact(submit)
    return sql_store


def page(o: Office, scope: Scope, wanted: RequestFilter = ALL, after: str = "", limit: int = 10) -> list[int]:
    views = o.request_views.page(scope, wanted, after=after, limit=limit)
    numbers = {request_id(number): number for number in range(1, 5)}
    return [numbers[view.request.id] for view in views]


def test_requests_come_newest_first_in_pages(asked: SqlStore) -> None:
    assert asked.read(page, EVERYTHING) == [4, 3, 2, 1]
    assert asked.read(page, EVERYTHING, ALL, "", 2) == [4, 3]
    assert asked.read(page, EVERYTHING, ALL, f"20/{request_id(3)}", 2) == [2, 1]
    assert asked.read(page, EVERYTHING, ALL, f"10/{request_id(1)}", 2) == []


def test_requests_are_seen_within_a_scope(asked: SqlStore) -> None:
    def got(o: Office, scope: Scope, number: int) -> object:
        return o.request_views.get(scope, request_id(number))

    assert asked.read(page, VMU) == [3, 1]
    assert asked.read(page, NOBODY) == []
    assert asked.read(got, VMU, 1) is not None
    assert asked.read(got, VMU, 2) is asked.read(got, VMU, 9) is None


def test_requests_are_filtered(asked: SqlStore) -> None:
    assert asked.read(page, EVERYTHING, RequestFilter(state=State.ENDED)) == [4]
    assert asked.read(page, EVERYTHING, RequestFilter(state=State.PENDING)) == [3, 2, 1]
    assert asked.read(page, EVERYTHING, RequestFilter(project=ProjectId("hcmut.wind"))) == [4, 2]
    assert asked.read(page, EVERYTHING, RequestFilter(person=OTHER)) == [4]
    assert asked.read(page, VMU, RequestFilter(project=ProjectId("hcmut.wind"))) == []


def test_a_view_has_every_slot_there_ever_was(asked: SqlStore) -> None:
    view = asked.read(lambda o: o.request_views.get(EVERYTHING, request_id(1)))
    assert view is not None
    assert view.slots == (replace(a_slot(1, 0), released=NOW), a_slot(1, 1))
    views = asked.read(lambda o: o.request_views.page(EVERYTHING, ALL, after="", limit=10))
    assert [len(one.slots) for one in views] == [0, 0, 1, 2]


# Events, waits and what was said of them


def tell(work: Work, *events: Event) -> None:
    work.journal.add(events)


def an_event(number: int, kind: EventKind = EventKind.SUBMITTED, at: int = NOW) -> Event:
    return Event(request=request_id(number), at=Seconds(at), kind=kind, details=(("why", "vì sao"), ("n", "1")))


def events(o: Office, scope: Scope, number: int, since: Mark = BEGINNING, limit: int = 10) -> tuple[Told, ...]:
    return o.request_views.events(scope, request_id(number), since=since, limit=limit)


def test_events_come_in_their_order_and_from_a_mark_on(asked: SqlStore) -> None:
    asked.transact(tell, an_event(1), an_event(2), an_event(1, EventKind.HELD))
    asked.transact(tell, an_event(1, EventKind.UNHELD))
    told = asked.read(events, EVERYTHING, 1)
    assert [one.event for one in told] == [
        an_event(1),
        an_event(1, EventKind.HELD),
        an_event(1, EventKind.UNHELD),
    ]
    assert asked.read(events, EVERYTHING, 1, told[-1].mark) == told[2:]
    assert asked.read(events, EVERYTHING, 1, BEGINNING, 2) == told[:2]
    assert asked.read(events, EVERYTHING, 1, asked.read(lambda o: o.request_views.horizon())) == ()


def test_events_are_seen_within_a_scope(asked: SqlStore) -> None:
    asked.transact(tell, an_event(1), an_event(2))
    assert len(asked.read(events, VMU, 1)) == 1
    assert asked.read(events, VMU, 2) == asked.read(events, VMU, 9) == ()


def test_waits_are_counted_in_the_first_bound_that_holds_them(asked: SqlStore) -> None:
    asked.transact(tell, an_event(1, EventKind.PLACED, at=15), an_event(3, EventKind.PLACED, at=80))
    between = asked.read(lambda o: o.request_views.horizon())
    asked.transact(tell, an_event(2, EventKind.PLACED, at=30), an_event(1, EventKind.ENDED, at=99))

    def counts(o: Office, since: Mark, until: Mark | None) -> set[WaitCount]:
        return set(o.waits.counts((10, 5), since=since, until=until))

    def count(institution: str, up_to: int | None, waited: int) -> WaitCount:
        return WaitCount(
            institution=InstitutionId(institution),
            pool=POOL,
            request_class=RequestClass.NORMAL,
            up_to=up_to,
            placed=1,
            waited_seconds=waited,
        )

    early, late = {count("vmu", 5, 5), count("vmu", None, 60)}, {count("hcmut", 10, 10)}
    assert asked.read(counts, BEGINNING, None) == early | late
    assert asked.read(counts, BEGINNING, between) == early
    assert asked.read(counts, between, None) == late


# The ledger


def a_charge(key: str, project: str, amount: int, source: AccountId) -> Entry:
    return Entry(
        key=EntryKey(key),
        kind=EntryKind.CHARGE,
        source=source,
        target=INCOME,
        amount=MicroCredits(amount),
        at=NOW,
        tags=tags(project),
        usage=Usage(core_milliseconds=2**61, mib_seconds=3, gpu_milliseconds=4),
        request=request_id(1),
    )


@pytest.fixture
def charged(sql_store: SqlStore) -> SqlStore:
    """Two projects of two institutions that were each given a hundred; one was charged ten, twice."""
    seed(sql_store, A_POOL, a_project("vmu.vision"), a_project("hcmut.wind"))
    award(sql_store, "vmu.vision", 100)
    award(sql_store, "hcmut.wind", 100)
    allocation = AllocationId("alloc-vmu.vision")

    def charge(work: Work) -> None:
        bearer = Bearer(allocation=allocation, request=request_id(1), tags=tags())
        assert work.accounts.hold(hold_entry(bearer, EntryKey("h"), MicroCredits(15), NOW)) is None
        assert work.accounts.post([a_charge("c1", "vmu.vision", 10, held(allocation))])
        assert work.accounts.post([a_charge("c2", "vmu.vision", 10, ABSORBED)])

    sql_store.transact(charge)
    return sql_store


def test_entries_are_seen_within_a_scope_and_in_pages(charged: SqlStore) -> None:
    def keys(o: Office, scope: Scope, project: str | None, after: Place = BEFORE_ALL, limit: int = 10) -> list[str]:
        asked_for = None if project is None else ProjectId(project)
        return [one.entry.key for one in o.books.entries(scope, project=asked_for, after=after, limit=limit)]

    granted = ["grant:alloc-vmu.vision", "grant:alloc-hcmut.wind"]
    assert charged.read(keys, EVERYTHING, None) == [*granted, "h", "c1", "c2"]
    assert charged.read(keys, VMU, None) == [granted[0], "h", "c1", "c2"]
    assert charged.read(keys, VMU, "hcmut.wind") == charged.read(keys, NOBODY, None) == []
    first = charged.read(lambda o: o.books.entries(VMU, project=None, after=BEFORE_ALL, limit=2))
    assert charged.read(keys, VMU, None, Place(mark=first[-1].mark, number=first[-1].number), 1) == ["c1"]


def test_sums_are_exact_and_say_what_the_center_paid(charged: SqlStore) -> None:
    def sums(o: Office, scope: Scope, since: Mark = BEGINNING, until: Mark | None = None) -> tuple[EntrySum, ...]:
        return o.books.sums(scope, since=since, until=until)

    by_kind = {one.kind: one for one in charged.read(sums, VMU)}
    assert set(by_kind) == {EntryKind.GRANT, EntryKind.HOLD, EntryKind.CHARGE}
    assert by_kind[EntryKind.CHARGE] == EntrySum(
        institution=InstitutionId("vmu"),
        project=ProjectId("vmu.vision"),
        pool=POOL,
        kind=EntryKind.CHARGE,
        entries=2,
        amount=MicroCredits(20),
        absorbed=MicroCredits(10),
        usage=Usage(core_milliseconds=2**62, mib_seconds=6, gpu_milliseconds=8),
    )
    now = charged.read(lambda o: o.request_views.horizon())
    assert charged.read(sums, EVERYTHING, now) == ()
    assert charged.read(sums, EVERYTHING, BEGINNING, now) == charged.read(sums, EVERYTHING)
    assert len(charged.read(sums, EVERYTHING)) == 4
    assert charged.read(sums, NOBODY) == ()


def test_allocations_are_seen_within_a_scope_with_their_balances(charged: SqlStore) -> None:
    def seen(o: Office, scope: Scope, project: str | None = None, after: str = "") -> list[tuple[str, int, int]]:
        asked_for = None if project is None else ProjectId(project)
        found = o.books.allocations(scope, project=asked_for, after=after, limit=10)
        return [(one.project, one.available, one.held) for one in found]

    assert charged.read(seen, EVERYTHING) == [("hcmut.wind", 100, 0), ("vmu.vision", 85, 5)]
    assert charged.read(seen, VMU) == [("vmu.vision", 85, 5)]
    assert charged.read(seen, VMU, "hcmut.wind") == []
    assert charged.read(seen, EVERYTHING, None, "alloc-hcmut.wind") == [("vmu.vision", 85, 5)]


def test_a_bill_of_whole_hours_has_exactly_the_use_inside_it(charged: SqlStore) -> None:
    midnight, project, shape = NOW - NOW % DAY, ProjectId("hcmut.wind"), cores(1, 2)
    bearer = Bearer(allocation=AllocationId("alloc-hcmut.wind"), request=request_id(2), tags=tags(project))
    lives = ((-3600, 0), (-1, 1), (0, 1), (-5000, 5000), (-90_000, -3600))

    def charge(work: Work, number: int) -> None:
        begins, ends = (Seconds(midnight + moment) for moment in lives[number])
        use = Use(uid=ProcessUid(f"uid{number}"), shape=shape, started=begins, begins=begins, ends=ends)
        work.accounts.post(charges(bearer, Tariff(rule=a_rule(), percent=100), use, MicroCredits(0)).entries)

    def used(office: Office, since: int, until: int) -> Usage:
        period = Period(since=Seconds(midnight + since), until=Seconds(midnight + until))
        return sum((line.usage for line in office.bills.lines(EVERYTHING, project, period)), NO_USAGE)

    for number in range(len(lives)):
        charged.transact(charge, number)
    for since, until in ((-2 * DAY, -DAY), (-DAY, 0), (0, DAY), (-3600, 0), (-7200, -3600), (0, 3600), (3600, 7200)):
        seconds = sum(max(0, min(ends, until) - max(begins, since)) for begins, ends in lives)
        assert charged.read(used, since, until) == Usage.of(shape, seconds), (since, until)


def test_all_balances_sum_to_zero(charged: SqlStore) -> None:
    balances = dict(charged.read(lambda o: o.books.balances()))
    assert balances[ABSORBED] == -10
    assert sum(balances.values()) == 0


def test_starts_are_counted_by_the_sides_of_what_was_said_of_them(sql_store: SqlStore) -> None:
    def placed(office: Office, *seconds: int) -> None:
        for after in seconds:
            office.outcomes.add(POOL, an_estimate(), Seconds(NOW + after))

    def hits(office: Office, since: Mark, until: Mark | None) -> set[HitCount]:
        return set(office.waits.hits(since=since, until=until))

    def count(half: Side, most: Side, placed: int) -> HitCount:
        return HitCount(pool=POOL, half_side=half, most_side=most, placed=placed)

    sql_store.transact(placed, 5, 15, 20, 30)
    mark = sql_store.facts(BEGINNING).mark
    sql_store.transact(placed, 25, 31, 91)
    first = {
        count(Side.EARLIER, Side.EARLIER, 1), count(Side.EARLIER, Side.WITHIN, 1), count(Side.WITHIN, Side.WITHIN, 2)
    }  # fmt: skip
    later = {count(Side.WITHIN, Side.WITHIN, 1), count(Side.LATER, Side.WITHIN, 1), count(Side.LATER, Side.LATER, 1)}
    assert sql_store.read(hits, BEGINNING, mark) == first
    assert sql_store.read(hits, mark, None) == later
