"""Requests, their slots, and what is kept beside them."""

from dataclasses import fields, replace

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from operations.ports.backend import Credentials, Leaf
from operations.ports.office import Office
from operations.ports.store import SealedOtherwiseError, Store, UsedKey, Waiting, Work
from registry.ids import AllocationId, InstitutionId, MicroCredits, NodeId, PersonId, ProcessUid, RequestId, Seconds
from registry.resources import GpuModel, Resources
from registry.tags import FundingSource, Sector, Topic
from scheduler.clusters import Cluster, Process
from scheduler.requests import Cause, Draft, End, Preemption, Promise, Request, RequestClass, State
from scheduler.troubles import Trouble
from store.standing import KEPT_SECONDS
from store.transactions import SqlStore
from store.vault import VAULT, SqlVault
from tests.builders import ALICE, NOW, a_request, a_slot, an_estimate, booking_id, request_id, tags

GPUS = Resources(millicores=1, memory=2**62, gpus=((GpuModel("a100"), 2), (GpuModel("h100"), 1)))


def add(work: Work, *requests: Request) -> None:
    for request in requests:
        work.requests.add(request)


def get(work: Work, request: RequestId) -> Request | None:
    return work.requests.get(request)


def swap(work: Work, before: Request, after: Request) -> bool:
    return work.requests.swap(before, after)


def placed(request: Request) -> Request:
    return replace(request, state=State.PLACED, placed=NOW, deadline=Seconds(NOW + 10), allocation=AllocationId("some"))


def full(request: Request) -> Request:
    """Return a request that has a value in every field it can have one in."""
    return replace(
        placed(request),
        name="Bão số 9: mô phỏng 'lũ' %s ;--",
        tags=replace(tags(), funding=FundingSource("city"), sector=Sector("health"), topic=Topic("flood")),
        head=GPUS,
        booking=booking_id(1),
        parallel_fraction=995,
        spared_milliseconds=1500,
        spared_since=Seconds(NOW + 7),
        state=State.ENDED,
        user_hold=True,
        operator_hold=True,
        held_since=Seconds(NOW + 1),
        held_seconds=77,
        reasons=("share-full", "no-credit"),
        promise=Promise(
            given=NOW, starts=Seconds(NOW + 9), head=NodeId("n1"), workers=((NodeId("n2"), 3),), aim=Seconds(NOW + 10)
        ),
        overtaking_seconds=90,
        estimate=an_estimate(),
        trouble=Trouble.IMAGE,
        not_before=Seconds(NOW + 2),
        failed_starts=3,
        first_incarnation=4,
        extended_seconds=60,
        guaranteed_until=Seconds(NOW + 5),
        preempted=Preemption(
            told=NOW, stop_by=Seconds(NOW + 3), cause=Cause.OWNER, by=(InstitutionId("uit"),), requeued=Seconds(NOW + 4)
        ),
        ending=End.WALLTIME,
        end=End.WALLTIME,
        ended=NOW,
    )


def test_a_request_is_read_as_it_was_written(store: Store[Work]) -> None:
    request = full(a_request())
    assert None not in [getattr(request, field.name) for field in fields(request)], "every column is tried"
    store.transact(add, request)
    assert store.read(get, request.id) == request
    assert store.read(get, request_id(2)) is None


def test_a_slot_is_read_as_it_was_written(store: Store[Work]) -> None:
    slot = replace(
        a_slot(),
        shape=GPUS,
        charged=MicroCredits(7),
        uid=ProcessUid("u"),
        address="tls://127.0.0.1:1",
        started=NOW,
        charged_until=NOW,
        lease_until=NOW,
        not_before=NOW,
        cpu_milliseconds=1,
        peak_memory=2**40,
        trouble=Trouble.CONTAINER,
        troubled_since=NOW,
        stop_by=NOW,
        released=NOW,
        wanted=False,
    )
    assert None not in [getattr(slot, field.name) for field in fields(slot)], "every column is tried"
    store.transact(add, a_request())
    store.transact(lambda work: work.clusters.add([a_slot(ordinal=1), slot]))
    assert store.read(lambda work: work.clusters.slots(request_id(1))) == (slot, a_slot(ordinal=1))
    assert store.read(lambda work: work.clusters.slots(request_id(2))) == ()


def test_a_change_is_written_only_over_what_it_was_made_from(store: Store[Work]) -> None:
    before = a_request()
    store.transact(add, before)
    after = replace(before, user_hold=True)
    assert store.transact(swap, before, after)
    assert store.read(get, before.id) == replace(after, version=2)
    assert not store.transact(swap, before, replace(before, operator_hold=True))
    assert store.read(get, before.id) == replace(after, version=2)
    assert not store.transact(swap, a_request(2), replace(a_request(2), user_hold=True)), "nor over nothing"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (full(a_request()), placed(a_request())),
        (full(a_request()), replace(full(a_request()), state=State.PENDING, end=None, ended=None)),
        (a_request(1), a_request(2)),
        (a_request(), replace(a_request(), version=2)),
    ],
)
def test_a_move_that_is_not_in_the_table_is_our_own_mistake(
    store: Store[Work], before: Request, after: Request
) -> None:  # fmt: skip
    store.transact(add, before)
    with pytest.raises(AssertionError):
        store.transact(swap, before, after)
    assert store.read(get, before.id) == before


def test_what_is_placed_again_takes_the_slots_that_it_left_and_nobody_writes_over_them(store: Store[Work]) -> None:
    first, second = a_slot(released=NOW, uid=ProcessUid("u")), a_slot(incarnation=2)
    store.transact(add, a_request())
    store.transact(lambda work: work.clusters.add([first]))
    store.transact(lambda work: work.clusters.add([a_slot(ordinal=1), second]))
    slots = store.read(lambda work: work.clusters.slots(request_id(1)))
    assert slots == (replace(second, version=2), a_slot(ordinal=1))
    assert not store.transact(lambda work: work.clusters.swap(first, replace(first, wanted=False)))
    with pytest.raises(AssertionError):
        store.transact(lambda work: work.clusters.add([a_slot(incarnation=3)]))
    assert store.read(lambda work: work.clusters.slots(request_id(1))) == slots


def test_a_slot_is_changed_only_over_what_it_was_made_from(store: Store[Work]) -> None:
    def change(work: Work, after: Process) -> bool:
        return work.clusters.swap(a_slot(), after)

    store.transact(add, a_request())
    store.transact(lambda work: work.clusters.add([a_slot()]))
    assert store.transact(change, replace(a_slot(), address="here"))
    assert not store.transact(change, replace(a_slot(), address="there"))
    assert store.read(lambda work: work.clusters.slots(request_id(1))) == (
        replace(a_slot(), address="here", version=2),
    )


def test_live_clusters_are_the_placed_requests_with_what_is_not_released(store: Store[Work]) -> None:
    def begin(work: Work) -> None:
        add(work, placed(a_request(3)), a_request(2), full(a_request(4)))
        add(work, a_request(1))
        work.clusters.add([a_slot(3), a_slot(3, 1), replace(a_slot(3, 2), released=NOW), a_slot(4)])
        assert swap(work, a_request(1), placed(a_request(1)))

    store.transact(begin)
    first = Cluster(request=replace(placed(a_request(1)), version=2), processes=())
    third = Cluster(request=placed(a_request(3)), processes=(a_slot(3), a_slot(3, 1)))
    assert store.read(lambda work: work.clusters.live()) == (first, third)

    def end(work: Work) -> None:
        assert swap(work, third.request, replace(third.request, state=State.ENDED, end=End.IDLE, ended=NOW))

    store.transact(end)
    assert store.read(lambda work: work.clusters.live()) == (first,)


def test_who_waits_is_counted_by_person_and_by_institution_in_each_class(store: Store[Work]) -> None:
    other = PersonId("b" * 26)

    def ask(work: Work) -> None:
        add(work, a_request(1), a_request(2, person=other), a_request(3, "vmu.nlp"), a_request(4, "uit.bio"))
        add(work, a_request(5, request_class=RequestClass.COURSE), placed(a_request(6)), full(a_request(7)))

    def waiting(work: Work, draft: Draft) -> Waiting:
        return work.requests.waiting(draft)

    store.transact(ask)
    assert store.read(waiting, a_request(9)) == Waiting(of_person=3, of_institution=3)
    assert store.read(waiting, a_request(9, person=other)) == Waiting(of_person=1, of_institution=3)
    assert store.read(waiting, a_request(9, "uit.bio")) == Waiting(of_person=3, of_institution=1)
    assert store.transact(swap, a_request(1), placed(a_request(1)))
    assert store.read(waiting, a_request(9)) == Waiting(of_person=2, of_institution=2)


def test_locking_finds_nothing_wrong_with_what_is_not_there(store: Store[Work]) -> None:
    store.transact(lambda work: work.requests.lock([request_id(2), request_id(1)]))


# Keys


def keep(work: Work, key: str, now: int = NOW) -> UsedKey:
    use = UsedKey(fingerprint=key.upper(), made=request_id(1))
    work.keys.keep(ALICE, key, use, now=Seconds(now))
    return use


def used(work: Work, key: str) -> UsedKey | None:
    return work.keys.used(ALICE, key)


def test_a_key_is_one_persons_own(store: Store[Work]) -> None:
    use = store.transact(keep, "k")
    assert store.read(used, "k") == use
    assert store.read(used, "other") is None
    assert store.read(lambda work: work.keys.used(PersonId("b" * 26), "k")) is None


def test_keys_are_remembered_for_two_days_and_then_forgotten_a_few_at_a_time(store: Store[Work]) -> None:
    for number in range(3):
        store.transact(keep, f"old{number}")
    store.transact(keep, "young", NOW + 100)
    store.transact(keep, "newest", NOW + KEPT_SECONDS + 1)
    assert store.read(used, "old0") is None
    assert store.read(used, "old2") is None
    assert store.read(used, "young") is not None


# Credentials


def some(token: str) -> Credentials:
    leaves = {role: Leaf(certificate=f"{role} cert", key=f"{role} key") for role in ("head", "worker")}
    return Credentials(authority="authority", leaves=leaves, token=token)


def secret(work: Work) -> Credentials | None:
    return work.vault.get(request_id(1))


def test_the_first_credentials_stay_until_they_are_destroyed(store: Store[Work]) -> None:
    assert store.read(secret) is None
    for token in ("first", "second"):
        store.transact(lambda work, token: work.vault.keep(request_id(1), some(token)), token)
    assert store.read(secret) == some("first")
    store.transact(lambda work: work.vault.destroy(request_id(1)))
    store.transact(lambda work: work.vault.destroy(request_id(1)))
    assert store.read(secret) is None


def test_credentials_rest_sealed(sql_store: SqlStore) -> None:
    def sealed(office: Office) -> bytes:
        assert isinstance(office.vault, SqlVault)
        found: bytes = office.vault.transaction.connection.execute(select(VAULT.c.sealed)).scalar_one()
        return found

    sql_store.transact(lambda work: work.vault.keep(request_id(1), some("open sesame")))
    assert b"sesame" not in sql_store.read(sealed)


def test_another_key_opens_nothing(postgresql_store: SqlStore, postgresql_url: str) -> None:
    postgresql_store.transact(lambda work: work.vault.keep(request_id(1), some("t")))
    stranger = SqlStore(postgresql_url, sealing_key=Fernet.generate_key().decode())
    try:
        with pytest.raises(SealedOtherwiseError):
            stranger.read(secret)
    finally:
        stranger.close()
