"""Bookings: whole nodes fixed in advance, listed, read, and given back early."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.addresses import BookingDep
from api.dependencies import CallerDep, IdempotencyKey, PortsDep, RulesDep, policy
from api.paging import Page, page_of
from api.problems import accepted, problems
from api.schemas.bookings import BOOKING_PLACE, BookingIn, BookingOut, BookingsQuery, booking_place
from api.schemas.replays import replay_of
from operations import bookings

router = APIRouter(prefix="/v1/bookings", tags=["bookings"])


@router.post("", status_code=201, responses=problems(409), openapi_extra=policy("bookings:book"))
def book_nodes(
    body: BookingIn, caller: CallerDep, ports: PortsDep, rules: RulesDep, key: IdempotencyKey = None
) -> BookingOut:
    """Book whole nodes for a course or a competition of a project, or for maintenance."""
    plan, replay = body.to_plan(ports.ids.booking()), replay_of(caller.person, key, body, "book ")
    outcome = ports.store.transact(bookings.book, caller, plan, replay, rules, now=ports.clock.now())
    return BookingOut.from_view(accepted(outcome))


@router.get("", openapi_extra=policy("bookings:list"))
def list_bookings(query: Annotated[BookingsQuery, Query()], caller: CallerDep, ports: PortsDep) -> Page[BookingOut]:
    """List the bookings that hold nodes or will, by their begin."""
    wanted, after = query.to_filter(ports.clock.now()), query.after(BOOKING_PLACE)
    rows = ports.store.read(bookings.list_bookings, caller, wanted, after=after, limit=query.limit + 1)
    return page_of(rows, query.limit, BookingOut.from_view, booking_place)


@router.get("/{booking}", responses=problems(404), openapi_extra=policy("bookings:read"))
def read_booking(booking: BookingDep, caller: CallerDep, ports: PortsDep) -> BookingOut:
    """Return one booking."""
    return BookingOut.from_view(accepted(ports.store.read(bookings.see_booking, caller, booking)))


@router.post("/{booking}/release", responses=problems(404), openapi_extra=policy("bookings:release"))
def release_booking(booking: BookingDep, caller: CallerDep, ports: PortsDep) -> BookingOut:
    """Give booked nodes back to everybody from now on. To give them back again changes nothing."""
    outcome = ports.store.transact(bookings.release_booking, caller, booking, now=ports.clock.now())
    return BookingOut.from_view(accepted(outcome))
