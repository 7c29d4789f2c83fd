"""What processes printed last, as every store keeps it."""

from contextlib import suppress

from operations.ports.store import KeptLog, Store, Work
from registry.ids import InstitutionId, ProcessUid, RequestId, Seconds
from tests.builders import NOW, request_id


def a_log(number: int, *, of: RequestId | None = None, at: int = NOW, institution: str = "vmu") -> KeptLog:
    return KeptLog(
        uid=ProcessUid(f"u{number}"),
        request=of or request_id(1),
        institution=InstitutionId(institution),
        process=f"p{number}",
        at=Seconds(at),
        characters=4,
    )


def keep(work: Work, *logs: KeptLog) -> None:
    for log in logs:
        work.logs.keep(log, "Bão!")


def of(work: Work, request: RequestId) -> list[str]:
    return [log.uid for log in work.logs.of(request)]


def test_logs_are_listed_by_request_the_newest_first(store: Store[Work]) -> None:
    store.transact(keep, a_log(1), a_log(2, at=NOW + 1), a_log(3, of=request_id(2)), a_log(4))
    assert store.read(of, request_id(1)) == ["u2", "u1", "u4"]
    assert store.read(lambda work: work.logs.of(request_id(2))) == (a_log(3, of=request_id(2)),)
    assert store.read(lambda work: work.logs.text(ProcessUid("u1"))) == "Bão!"
    assert store.read(lambda work: work.logs.text(ProcessUid("u9"))) is None


def test_a_log_that_is_there_is_not_written_over(store: Store[Work]) -> None:
    store.transact(keep, a_log(1))
    store.transact(lambda work: work.logs.keep(a_log(1, at=NOW + 9), "else"))
    assert store.read(lambda work: work.logs.of(request_id(1))) == (a_log(1),)
    assert store.read(lambda work: work.logs.text(ProcessUid("u1"))) == "Bão!"


def test_old_ones_are_dropped(store: Store[Work]) -> None:
    store.transact(keep, a_log(1), a_log(2, at=NOW + 1), a_log(3, at=NOW + 2))
    store.transact(lambda work: work.logs.drop(before=Seconds(NOW + 1)))
    assert store.read(of, request_id(1)) == ["u3", "u2"]


def test_an_institution_keeps_its_newest_and_no_other_loses_any(store: Store[Work]) -> None:
    theirs = [a_log(number, at=NOW + number) for number in range(5)]
    store.transact(keep, *theirs, a_log(9, at=NOW - 9, institution="hust"))
    store.transact(lambda work: work.logs.thin(InstitutionId("vmu"), newest=2))
    assert store.read(of, request_id(1)) == ["u4", "u3", "u9"]
    store.transact(lambda work: work.logs.thin(InstitutionId("vmu"), newest=2))
    assert store.read(of, request_id(1)) == ["u4", "u3", "u9"]


def test_what_was_undone_of_logs_is_as_it_was(store: Store[Work]) -> None:
    store.transact(keep, a_log(1), a_log(2, at=NOW + 1), a_log(3, at=NOW + 2))

    def undone(work: Work) -> None:
        with suppress(AssertionError), work.trial():
            work.logs.drop(before=Seconds(NOW + 1))
            keep(work, a_log(4, at=NOW + 3))
            work.logs.thin(InstitutionId("vmu"), newest=1)
            assert of(work, request_id(1)) != ["u4"], "leave the trial"

    store.transact(undone)
    assert store.read(of, request_id(1)) == ["u3", "u2", "u1"]
    store.transact(lambda work: work.logs.thin(InstitutionId("vmu"), newest=2))
    assert store.read(of, request_id(1)) == ["u3", "u2"]
