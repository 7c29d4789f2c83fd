"""What one process commits to a shared database another hears at once, and whether it could hear anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Queue

import pytest

from operations.events import Event, EventKind
from operations.ports.office import Office
from store.transactions import SqlStore
from tests.builders import NOW, a_request, request_id
from tests.databases import SEALING_KEY, PostgresqlServer, opened
from tests.ordered import until
from tests.seeding import A_POOL, a_project, seed

SOON_SECONDS = 3.0
"""Less than any loop waits, and enough for a busy machine."""


class Process:
    """A process of a center: its store, and what it was told."""

    def __init__(self, url: str) -> None:
        self.store = SqlStore(url, sealing_key=SEALING_KEY, shared=True)
        self.heard: Queue[Sequence[Event]] = Queue()
        self.store.subscribe(self.heard.put)

    def hears(self) -> list[Event]:
        return list(self.heard.get(timeout=SOON_SECONDS))


@contextmanager
def processes(url: str, *, number: int) -> Iterator[list[Process]]:
    """Yield processes that listen, each of which was told that it may have missed something."""
    begun = [Process(url) for _ in range(number)]
    try:
        for process in begun:
            assert process.heard.get(timeout=60) == ()
        yield begun
    finally:
        for process in begun:
            process.store.close()


@pytest.fixture
def url(postgresql_url: str) -> str:
    with opened(postgresql_url) as store:
        seed(store, A_POOL, a_project("vmu.vision"))
    return postgresql_url


def submit(work: Office, number: int) -> None:
    request = a_request(number, "vmu.vision")
    work.requests.add(request)
    work.journal.add([submitted(number)])


def submitted(number: int) -> Event:
    return Event(request=request_id(number), at=NOW, kind=EventKind.SUBMITTED)


def test_a_commit_is_heard_once_by_every_process_also_by_its_own(url: str) -> None:
    with processes(url, number=3) as (first, second, third):
        for number in (1, 2):
            first.store.transact(submit, number)
        for process in (first, second, third):
            assert [process.hears(), process.hears()] == [[submitted(1)], [submitted(2)]]
        second.store.transact(submit, 3)
        for process in (first, second, third):
            assert process.hears() == [submitted(3)], "and nothing twice before it"


def test_who_was_deaf_knows_it_and_is_told_afterwards_that_something_was_missed(
    url: str, postgresql_server: PostgresqlServer
) -> None:
    with processes(url, number=1) as (process,):
        assert process.store.answers
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query IN ('LISTEN haidang', 'SELECT 1')"
        assert postgresql_server.run(end)
        until(lambda: not process.store.answers, seconds=10)
        assert process.heard.get(timeout=20) == ()
        until(lambda: process.store.answers, seconds=10)
