"""Sentences about what processes print last: it outlives them, in bounds, and steers no terminal."""

from dataclasses import replace

import pytest
from haidang.reading import harmless
from hypothesis import given
from hypothesis import strategies as st

from operations.logs import KEPT_SECONDS, MOST_OF_ONE_REQUEST, keep_log
from operations.ports.store import KeptLog
from registry.ids import ProcessUid, Seconds
from scheduler.clusters import process_name
from scheduler.observed import Cause, ObservedProcess
from store.memory import MemoryStore
from tests.builders import NOW, request_id
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


def test_the_oldest_make_room() -> None:
    store = MemoryStore()
    for number in range(MOST_OF_ONE_REQUEST + 5):
        store.transact(keep_log, an_end(number, at=NOW + number), b"x", now=Seconds(NOW + number))
    assert [log.uid for log in kept(store)][-1] == "uid-5"
    assert len(kept(store)) == MOST_OF_ONE_REQUEST
    much_later = NOW + KEPT_SECONDS + 50
    store.transact(keep_log, an_end(900, at=much_later), b"x", now=Seconds(much_later))
    assert {int(log.uid[4:]) for log in kept(store)} == {900, *range(50, MOST_OF_ONE_REQUEST + 5)}


def test_a_log_is_kept_once() -> None:
    store = MemoryStore()
    for content in (b"first", b"second"):
        store.transact(keep_log, an_end(1), content, now=NOW)
    assert store.read(lambda work: work.logs.text(ProcessUid("uid-1"))) == "first"


@pytest.mark.parametrize(
    ("printed", "text"),
    [(b"caf\xc3\xa9\n", "café\n"), (b"\xff\xfe", "\ufffd\ufffd"), (b"a\0b", "a\ufffdb")],
)
def test_whatever_is_printed_is_text_that_every_database_takes(printed: bytes, text: str) -> None:
    store = MemoryStore()
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
