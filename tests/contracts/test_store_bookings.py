"""Bookings are kept, changed under their version, found by node and time, and never two of a node at once."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from operations.ports.store import BookingFilter, Store, Work
from registry.ids import BEGINNING, NodeId, PoolId, Seconds
from scheduler.bookings import Booking
from scheduler.policy import DAY, HOUR
from store.standing import BOOKED_SECONDS_THAT_MATTER
from store.transactions import SqlStore
from tests.builders import ALICE, NOW, POOL, a_booking, a_node, booking_id
from tests.seeding import A_POOL, a_pool, a_project, seed

FAR = Seconds(NOW + 365 * DAY)


def nodes(*names: str) -> tuple[NodeId, ...]:
    return tuple(map(NodeId, names))


def a_center(store: Store[Work]) -> None:
    seed(store, A_POOL, a_pool("gpu"), a_project("vmu.vision"), *map(a_node, ("n1", "n2", "n3")))


@pytest.fixture
def center(store: Store[Work]) -> Store[Work]:
    a_center(store)
    return store


def keep(store: Store[Work], *bookings: Booking) -> None:
    for booking in bookings:
        store.transact(_add, booking)


def _add(work: Work, booking: Booking) -> None:
    work.bookings.add(booking)


def get(work: Work, number: int) -> Booking | None:
    return work.bookings.get(booking_id(number))


def released(booking: Booking, at: int) -> Booking:
    return replace(booking, released=Seconds(at), released_by=ALICE)


def release(store: Store[Work], booking: Booking, at: int) -> Booking:
    assert store.transact(lambda work: work.bookings.swap(booking, released(booking, at)))
    return replace(released(booking, at), version=booking.version + 1)


def during(store: Store[Work], names: tuple[NodeId, ...], begins: int, ends: int) -> list[Booking]:
    return list(store.read(lambda work: work.bookings.during(names, Seconds(begins), Seconds(ends))))


def test_a_booking_is_kept_as_it_is(center: Store[Work]) -> None:
    bookings = (
        a_booking(1, nodes=nodes("n1", "n2"), name="Học máy"),
        a_booking(2, project=None, nodes=nodes("n3"), displaces=True),
    )
    keep(center, *bookings)
    assert center.read(get, 9) is None
    assert center.read(lambda work: [work.bookings.get(one.id) for one in bookings]) == list(bookings)


def test_a_booking_is_changed_only_over_the_version_that_was_read(center: Store[Work]) -> None:
    booking = a_booking()
    keep(center, booking)
    after = release(center, booking, NOW + 1)
    assert not center.transact(lambda work: work.bookings.swap(booking, released(booking, NOW + 2)))
    assert center.read(get, 1) == after


def test_bookings_are_found_by_node_and_time(center: Store[Work]) -> None:
    first, second = a_booking(1, nodes=nodes("n1", "n2")), a_booking(2, nodes=nodes("n3"))
    keep(center, second, first)
    begins, ends = first.begins, first.ends
    assert during(center, nodes("n1", "n3"), 0, FAR) == [first, second]
    assert during(center, nodes("n2"), ends - 1, FAR) == [first]
    assert during(center, nodes("n2"), ends, FAR) == []
    assert during(center, nodes("n3"), 0, begins + 1) == [second]
    assert during(center, nodes("n3"), 0, begins) == []
    assert during(center, (), 0, FAR) == []


def test_nodes_that_were_given_back_are_held_no_longer(center: Store[Work]) -> None:
    running, coming = a_booking(1), a_booking(2, nodes=nodes("n2"))
    keep(center, running, coming)
    early = release(center, running, running.begins + HOUR)
    release(center, coming, NOW)
    assert during(center, nodes("n1", "n2"), 0, FAR) == [early]
    assert during(center, nodes("n1", "n2"), running.begins + HOUR, FAR) == []
    rest = a_booking(3, begins=Seconds(running.begins + HOUR), nodes=nodes("n1", "n2"))
    keep(center, rest, a_booking(4, nodes=nodes("n2"), ends=Seconds(coming.begins + HOUR)))
    assert [one.id for one in during(center, nodes("n1", "n2"), 0, FAR)] == [booking_id(n) for n in (1, 4, 3)]


@pytest.mark.parametrize(
    "second",
    [
        a_booking(2, nodes=nodes("n1", "n2")),
        a_booking(2, begins=NOW, ends=Seconds(NOW + 2 * HOUR)),
        a_booking(2, begins=Seconds(NOW + 3 * HOUR - 1), ends=FAR),
    ],
)
def test_the_database_itself_refuses_a_node_to_two_bookings_at_once(sql_store: SqlStore, second: Booking) -> None:
    a_center(sql_store)
    keep(sql_store, a_booking(1))
    with pytest.raises(IntegrityError):
        keep(sql_store, second)
    assert sql_store.read(get, 2) is None
    keep(sql_store, replace(second, nodes=nodes("n3")), a_booking(3, begins=Seconds(NOW + 3 * HOUR), ends=FAR))


def test_bookings_come_in_pages_by_their_begin(center: Store[Work]) -> None:
    later = a_booking(1, begins=Seconds(NOW + 5 * HOUR), ends=Seconds(NOW + 6 * HOUR))
    same = [a_booking(number, nodes=nodes(f"n{number}")) for number in (2, 3)]
    other = a_booking(4, pool=PoolId("gpu"), begins=Seconds(NOW + 8 * HOUR), ends=Seconds(NOW + 9 * HOUR))
    keep(center, later, *same, other)
    given_back = release(center, later, NOW)

    def page(wanted: BookingFilter, after: str = "", limit: int = 9) -> list[Booking]:
        return list(center.read(lambda work: work.bookings.page(wanted, after=after, limit=limit)))

    assert page(BookingFilter()) == [*same, given_back, other]
    assert page(BookingFilter(), limit=2) == same
    assert page(BookingFilter(), f"{same[0].begins}/{same[0].id}", 2) == [same[1], given_back]
    assert page(BookingFilter(pool=POOL)) == [*same, given_back]
    assert page(BookingFilter(since=NOW)) == [*same, other]
    assert page(BookingFilter(since=same[0].ends, pool=POOL)) == []


# Facts


def facts(store: Store[Work]) -> list[Booking]:
    return [fact for fact in store.facts(BEGINNING).facts if isinstance(fact, Booking)]


def test_a_booking_is_news_when_it_is_made_and_when_it_is_given_back(center: Store[Work]) -> None:
    mark = center.facts(BEGINNING).mark
    keep(center, a_booking(1), a_booking(2, nodes=nodes("n2")))
    made = center.facts(mark)
    assert set(made.facts) == {a_booking(1), a_booking(2, nodes=nodes("n2"))}
    after = release(center, a_booking(1), NOW)
    assert center.facts(made.mark).facts == (after,)
    assert set(facts(center)) == {after, a_booking(2, nodes=nodes("n2"))}


@pytest.mark.parametrize("end", [lambda one: one, lambda one: released(one, NOW - 2 * HOUR)], ids=["ended", "released"])
def test_what_was_long_over_when_the_last_one_was_made_is_no_part_of_a_rebuild(
    center: Store[Work], end: Callable[[Booking], Booking]
) -> None:
    old = end(a_booking(1, begins=Seconds(NOW - HOUR), ends=NOW))
    over = old.ends if old.released is None else old.released
    keep(center, old)
    assert facts(center) == [old]
    made = Seconds(over + BOOKED_SECONDS_THAT_MATTER - 1)
    keep(center, a_booking(2, made=made, begins=made, ends=FAR))
    assert {fact.id for fact in facts(center)} == {old.id, booking_id(2)}
    keep(center, a_booking(3, made=Seconds(made + 1), begins=made, ends=FAR, nodes=nodes("n2")))
    assert {fact.id for fact in facts(center)} == {booking_id(2), booking_id(3)}
