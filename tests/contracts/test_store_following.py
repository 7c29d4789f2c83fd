"""Whoever follows the facts knows at every moment what somebody who reads everything knows."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.ports.store import BookingFilter, Claim, Store, Work
from quotas.ledger import Bearer, EntryKey, hold_entry, release_entry
from registry.ids import (
    BEGINNING,
    AllocationId,
    BookingId,
    Mark,
    MicroCredits,
    NodeId,
    PersonId,
    ProjectId,
    RequestId,
    Seconds,
    ShareId,
)
from scheduler.clusters import Process
from scheduler.facts import DayOfUse
from scheduler.requests import End, Request, State
from scheduler.snapshot import Snapshot
from store.memory import MemoryStore
from tests.builders import (
    ALICE,
    CENTER,
    NOW,
    POOL,
    a_booking,
    a_node,
    a_request,
    a_share,
    a_slot,
    cores,
    request_id,
    tags,
)
from tests.databases import PostgresqlServer, SqliteFiles, opened
from tests.seeding import A_POOL, a_project, award, seed

PROJECT = "vmu.vision"
SHAPE = cores(1, 4)
TODAY = NOW // 86_400


class Undone(Exception):
    """Leaves a trial."""


class Followed:
    """A store with somebody who has followed it from its beginning."""

    def __init__(self, store: Store[Work]) -> None:
        self.store = store
        self.snapshot = Snapshot()
        self.mark: Mark = BEGINNING
        self.requests: list[RequestId] = []
        shares = [a_share(name, cores(8, 32), parent=above) for name, above in ((CENTER, None), ("vmu", CENTER))]
        seed(store, A_POOL, a_project(PROJECT), a_node(), *shares, a_share(PROJECT, cores(8, 32), parent="vmu"))
        award(store, PROJECT)

    def catch_up(self) -> None:
        news = self.store.facts(self.mark)
        self.snapshot, self.mark = self.snapshot.with_facts(news.facts), news.mark

    def everything(self) -> Snapshot:
        return Snapshot().with_facts(self.store.facts(BEGINNING).facts)


@pytest.fixture(scope="module", params=["memory", "sqlite", "postgresql"])
def followed(request: pytest.FixtureRequest) -> Iterator[Followed]:
    if request.param == "memory":
        yield Followed(MemoryStore())
    elif request.param == "sqlite":
        files: SqliteFiles = request.getfixturevalue("sqlite_files")
        with files.fresh() as url, opened(url) as store:
            yield Followed(store)
    else:
        server: PostgresqlServer = request.getfixturevalue("postgresql_server")
        with opened(server.fresh()) as store:
            yield Followed(store)


@pytest.fixture(scope="module")
def twins(sqlite_files: SqliteFiles) -> Iterator[tuple[Followed, Followed]]:
    """Two stores, one in memory and one in a file, that always hear the same."""
    with sqlite_files.fresh() as url, opened(url) as store:
        yield Followed(MemoryStore()), Followed(store)


def submit(work: Work, request: RequestId) -> None:
    work.requests.add(replace(a_request(1, PROJECT), id=request))


def place(work: Work, request: RequestId) -> None:
    before = work.requests.get(request)
    if before is None or before.state is not State.PENDING or work.capacity.take(claim()) is not None:
        raise Undone
    allocation = AllocationId("alloc-" + PROJECT)
    after = replace(before, state=State.PLACED, placed=NOW, deadline=Seconds(NOW + 9), allocation=allocation)
    assert work.requests.swap(before, after)
    assert work.accounts.hold(hold_entry(bearer(request), EntryKey(f"hold:{request}"), MicroCredits(5), NOW)) is None
    work.clusters.add([replace(a_slot(1), request=request)])


def record(work: Work, request: RequestId) -> None:
    for slot in work.clusters.slots(request):
        work.clusters.swap(slot, replace(slot, address=f"at-{slot.version}"))


def settle(work: Work, request: RequestId) -> None:
    slots: tuple[Process, ...] = work.clusters.slots(request)
    if not slots or slots[0].released is not None:
        raise Undone
    assert work.clusters.swap(slots[0], replace(slots[0], released=NOW))
    work.capacity.give_back(claim())
    entry = release_entry(bearer(request), EntryKey(f"release:{request}"), MicroCredits(5), NOW)
    assert work.accounts.post([entry])
    work.accounts.use([DayOfUse(share=ShareId("vmu"), pool=POOL, day=TODAY, ppm_seconds=1)])


def end(work: Work, request: RequestId) -> None:
    before: Request | None = work.requests.get(request)
    if before is None or before.state is State.ENDED or any(s.released is None for s in work.clusters.slots(request)):
        raise Undone
    assert work.requests.swap(before, replace(before, state=State.ENDED, end=End.CANCELLED, ended=NOW))


def run(work: Work, request: RequestId) -> None:
    found = work.requests.get(request)
    work.runs.add(PersonId(request[-1] * 26), found.version if found else 0)


def book(work: Work, request: RequestId) -> None:
    last = work.bookings.page(BookingFilter(), after="", limit=10_000)[-1:]
    begins = Seconds(max(NOW, *(one.ends for one in last)) if last else NOW)
    if work.bookings.get(BookingId(request)) is not None:
        raise Undone
    work.bookings.add(replace(a_booking(), id=BookingId(request), begins=begins, ends=Seconds(begins + 9)))


def unbook(work: Work, request: RequestId) -> None:
    before = work.bookings.get(BookingId(request))
    if before is None or before.released is not None:
        raise Undone
    assert work.bookings.swap(before, replace(before, released=NOW, released_by=ALICE))


def claim() -> Claim:
    return Claim(project=ProjectId(PROJECT), pool=POOL, nodes=((NodeId("n1"), SHAPE),))


def bearer(request: RequestId) -> Bearer:
    return Bearer(allocation=AllocationId("alloc-" + PROJECT), request=request, tags=tags(PROJECT))


STEPS = {"place": place, "record": record, "settle": settle, "end": end, "run": run, "book": book, "unbook": unbook}
STORIES = st.lists(
    st.tuples(st.sampled_from(["submit", *STEPS]), st.integers(0, 5), st.booleans(), st.booleans()), max_size=25
)


@settings(max_examples=40)
@given(story=STORIES)
def test_what_is_followed_is_what_there_is(
    followed: Followed, story: list[tuple[str, int, bool, bool]]
) -> None:  # fmt: skip
    """Each step is one transaction, of which some are undone at their end; the follower looks now and then."""
    for step, which, undo, look in story:
        followed.store.transact(one_step, followed.requests, step, which, undo=undo)
        if look:
            followed.catch_up()
    followed.catch_up()
    assert followed.snapshot == followed.everything()


@settings(max_examples=25)
@given(story=STORIES)
def test_a_store_in_memory_knows_what_one_in_a_file_knows(
    twins: tuple[Followed, Followed], story: list[tuple[str, int, bool, bool]]
) -> None:  # fmt: skip
    """The same history leaves the same facts, news since the last look and to whoever begins anew."""
    for step, which, undo, look in story:
        for one in twins:
            one.store.transact(one_step, one.requests, step, which, undo=undo)
            if look:
                one.catch_up()
        if look:
            assert twins[0].snapshot == twins[1].snapshot
    in_memory, in_a_file = (one.everything() for one in twins)
    assert in_memory == in_a_file
    assert twins[0].store.read(all_about, twins[0].requests) == twins[1].store.read(all_about, twins[1].requests)


def all_about(work: Work, requests: list[RequestId]) -> list[object]:
    """Return what a store says of the latest requests, ended ones too, of what lives, and of what may be taken."""
    latest = [(work.requests.get(one), work.clusters.slots(one)) for one in requests[-6:]]
    waiting = work.requests.waiting(a_request(1, PROJECT))
    return [latest, waiting, work.clusters.live(), work.capacity.path(ProjectId(PROJECT), POOL)]


def one_step(work: Work, requests: list[RequestId], step: str, which: int, *, undo: bool) -> None:
    """Do a step to one of the latest requests, in a trial; what is refused or to be undone leaves it."""
    if step == "submit":
        requests.append(request_id(len(requests) + 1))
        with suppress(Undone), work.trial():
            submit(work, requests[-1])
            if undo:
                raise Undone
    elif requests:
        with suppress(Undone), work.trial():
            STEPS[step](work, requests[-1 - which % len(requests)])
            if undo:
                raise Undone
