"""Sentences about what processes print last: it outlives them, in bounds, and steers no terminal."""

from dataclasses import replace

import pytest
from haidang.words import harmless
from hypothesis import given
from hypothesis import strategies as st

from operations.logs import KEPT_SECONDS, keep_log
from operations.ports.store import KeptLog
from registry.ids import ProcessUid, Seconds
from scheduler.clusters import process_name
from scheduler.observed import Cause, ObservedProcess
from store.memory import MemoryStore
from tests.builders import NOW, a_request, request_id
from tests.seeding import award
from tests.unit.test_metering import PROJECT, SmallCenter

REQUEST = request_id(1)


def an_end(number: int, *, at: int = NOW) -> ObservedProcess:
    return ObservedProcess(
        name=process_name(REQUEST, 1, number),
        uid=ProcessUid(f"uid-{number}"),
        request=REQUEST,
        ordinal=1,
        incarnation=number,
        started=Seconds(at - 1),
        ended=Seconds(at),
        cause=Cause.EXITED,
    )


@pytest.fixture
def store() -> MemoryStore:
    """A store that knows one request."""
    store = MemoryStore()
    store.transact(lambda work: work.requests.add(a_request(1)))
    return store


def kept(store: MemoryStore) -> tuple[KeptLog, ...]:
    return store.read(lambda work: work.logs.of(REQUEST))


def test_what_a_process_printed_outlives_it() -> None:
    center = SmallCenter()
    award(center.store, PROJECT)
    request = center.start()
    worker = process_name(request, 1, 1)
    center.backend.kill(worker)
    center.reconcile()
    (log,) = center.store.read(lambda work: work.logs.of(request))
    assert (log.process, log.characters) == (worker, len(f"{worker} lived"))
    assert center.store.read(lambda work: work.logs.text(log.uid)) == f"{worker} lived"


def test_old_ones_make_room(store: MemoryStore) -> None:
    for number in (1, 2):
        store.transact(keep_log, an_end(number, at=NOW + number), b"x", now=Seconds(NOW + number))
    much_later = NOW + KEPT_SECONDS + 2
    store.transact(keep_log, an_end(3, at=much_later), b"x", now=Seconds(much_later))
    assert [log.uid for log in kept(store)] == ["uid-3", "uid-2"]


def test_what_no_request_knows_is_nobodys_to_read(store: MemoryStore) -> None:
    stranger = replace(an_end(1), request=request_id(2))
    store.transact(keep_log, stranger, b"x", now=NOW)
    assert store.read(lambda work: work.logs.text(stranger.uid)) is None


def test_a_log_is_kept_once(store: MemoryStore) -> None:
    for content in (b"first", b"second"):
        store.transact(keep_log, an_end(1), content, now=NOW)
    assert store.read(lambda work: work.logs.text(ProcessUid("uid-1"))) == "first"


@pytest.mark.parametrize(
    ("printed", "text"),
    [(b"caf\xc3\xa9\n", "café\n"), (b"\xff\xfe", "\ufffd\ufffd"), (b"a\0b", "a\ufffdb")],
)
def test_whatever_is_printed_is_text_that_every_database_takes(store: MemoryStore, printed: bytes, text: str) -> None:
    store.transact(keep_log, an_end(1), printed, now=NOW)
    assert store.read(lambda work: work.logs.text(ProcessUid("uid-1"))) == text


def test_a_log_that_cannot_be_read_delays_no_bill() -> None:
    class Silent(SmallCenter):
        def __init__(self) -> None:
            super().__init__()
            backend = type("Mute", (type(self.backend),), {"tail": lambda *_: None})(self.clock)
            self.backend, self.ports = backend, replace(self.ports, backend=backend)

    center = Silent()
    award(center.store, PROJECT)
    request = center.start()
    center.backend.kill(process_name(request, 1, 1))
    center.reconcile()
    assert center.store.read(lambda work: work.logs.of(request)) == ()
    slots = center.store.read(lambda work: work.clusters.slots(request))
    assert [slot.incarnation for slot in slots] == [1, 2], "it is settled, and filled again"


@given(st.text())
def test_what_is_shown_on_a_terminal_steers_none(text: str) -> None:
    shown = harmless(text)
    assert len(shown) == len(text)
    assert all(letter in "\n\t" or letter.isprintable() for letter in shown)
    pairs = zip(text, shown, strict=True)
    assert all(before == after or not before.isprintable() for before, after in pairs)


def test_an_escape_sequence_is_only_seen() -> None:
    assert harmless("red \x1b[31m\r\x07 \u202e done\n") == "red \ufffd[31m\ufffd\ufffd \ufffd done\n"
