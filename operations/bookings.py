"""Nodes booked in advance: by the center, seen by everybody, given back early by whoever they were booked for."""

from dataclasses import dataclass, replace
from functools import partial

from operations.callers import Caller, reached_institution
from operations.policies import Subject, forbidden
from operations.ports.store import BookingFilter, Work
from operations.reasons import Reason, Refused, Unknown
from operations.replaying import ReplayKey, once
from registry.centers import Node
from registry.ids import BookingId, NodeId, PoolId, ProjectId, Seconds, institution_of
from registry.reasons import HasEnded, NotThere
from scheduler.bookings import (
    Booking,
    BookingKind,
    collisions,
    is_over,
    period_faults,
    purpose_faults,
    unknown_nodes,
)
from scheduler.policy import Policy
from scheduler.reasons import NodesNamedOrCounted
from scheduler.remainders import choose_nodes, in_the_way, remainders


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingPlan:
    """What is to be booked: `nodes` by their names, or `node_count` of the pool's; from now on if `begins` is None."""

    id: BookingId
    name: str
    pool: PoolId
    nodes: tuple[NodeId, ...]
    node_count: int | None
    begins: Seconds | None
    ends: Seconds
    project: ProjectId | None
    kind: BookingKind
    displaces: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingView:
    """A booking as a caller sees it: when and which nodes always, for whom only if it is `known` to them."""

    booking: Booking
    known: bool


def book(
    work: Work, caller: Caller, plan: BookingPlan, replay: ReplayKey | None, policy: Policy, *, now: Seconds
) -> BookingView | Refused:
    """Book whole nodes for a time, or say everything that is in the way; a repeated key gets its first answer."""
    deed = partial(_book, work, caller, plan, policy, now=now)
    return once(work, replay, plan.id, deed, lambda made: see_booking(work, caller, BookingId(made)), now=now)


def _book(work: Work, caller: Caller, plan: BookingPlan, policy: Policy, *, now: Seconds) -> BookingView | Refused:
    """Book what is planned.

    The pool is locked first: two who book the same nodes at once are one after the other, and nothing is placed there
    between the look at what runs and the booking.
    """
    begins = now if plan.begins is None else plan.begins
    if reasons := _faults(work, plan, begins, now):
        return Refused(reasons=reasons)
    work.capacity.lock([plan.pool])
    nodes = _nodes(work, plan, begins, policy, now)
    if isinstance(nodes, Refused):
        return nodes
    booking = Booking(
        id=plan.id,
        name=plan.name,
        pool=plan.pool,
        nodes=nodes,
        begins=begins,
        ends=plan.ends,
        project=plan.project,
        kind=plan.kind,
        made_by=caller.person,
        made=now,
        displaces=plan.displaces,
    )
    work.bookings.add(booking)
    return _view(caller, booking)


def see_booking(work: Work, caller: Caller, booking_id: BookingId) -> BookingView | Refused:
    """Return one booking."""
    booking = work.bookings.get(booking_id)
    return _view(caller, booking) if booking else Refused(reasons=(Unknown(what="booking"),))


def list_bookings(
    work: Work, caller: Caller, wanted: BookingFilter, *, after: str, limit: int
) -> tuple[BookingView, ...]:
    """Return bookings by their begin."""
    return tuple(_view(caller, booking) for booking in work.bookings.page(wanted, after=after, limit=limit))


def release_booking(work: Work, caller: Caller, booking_id: BookingId, *, now: Seconds) -> BookingView | Refused:
    """Give the nodes of a booking back to everybody: from now on, or altogether if it has not begun.

    One that is over stays as it is, so that to give it back again changes nothing.
    """
    booking = work.bookings.get(booking_id)
    if booking is None:
        return Refused(reasons=(Unknown(what="booking"),))
    if refusal := forbidden(caller, "bookings:release", _subject(caller, booking)):
        return Refused(reasons=(refusal,))
    if not is_over(booking, now):
        assert work.bookings.swap(booking, replace(booking, released=now, released_by=caller.person)), booking
    return see_booking(work, caller, booking_id)


def _faults(work: Work, plan: BookingPlan, begins: Seconds, now: Seconds) -> tuple[Reason, ...]:
    """Return what is wrong with a plan by itself, whatever else is booked or runs."""
    either_way = () if bool(plan.nodes) != (plan.node_count is not None) else (NodesNamedOrCounted(),)
    return (
        *_unusable(work, plan),
        *period_faults(begins, plan.ends, now),
        *purpose_faults(plan.kind, plan.project, displaces=plan.displaces),
        *either_way,
    )


def _unusable(work: Work, plan: BookingPlan) -> tuple[Reason, ...]:
    """Return what a plan names that is not there any more, or never was."""
    pool = () if work.register.pool(plan.pool) else (NotThere(field="pool", id=plan.pool),)
    if plan.project is None:
        return pool
    project = work.register.project(plan.project)
    if project is None:
        return (*pool, NotThere(field="project", id=plan.project))
    return pool if project.ended is None else (*pool, HasEnded(field="project", id=plan.project))


def _nodes(
    work: Work, plan: BookingPlan, begins: Seconds, policy: Policy, now: Seconds
) -> tuple[NodeId, ...] | Refused:  # fmt: skip
    """Return the nodes that are booked, of a pool that is locked, or what is in the way on them."""
    nodes = work.capacity.nodes(plan.pool)
    remains = remainders(work.clusters.live(), begins, policy, now)
    if plan.node_count is None:
        chosen = tuple(sorted(set(plan.nodes)))
        reasons = _not_free(work, plan, chosen, nodes, begins)
    else:
        others = work.bookings.during([node.id for node in nodes], begins, plan.ends)
        taken = {node for other in others for node in other.nodes}
        picked = choose_nodes(plan.pool, nodes, plan.node_count, taken, remains)
        if not isinstance(picked, tuple):
            return Refused(reasons=(picked,))
        chosen, reasons = picked, ()
    obstacle = None if plan.displaces else in_the_way(chosen, remains)
    if obstacle:
        reasons = (*reasons, obstacle)
    return Refused(reasons=reasons) if reasons else chosen


def _not_free(
    work: Work, plan: BookingPlan, wanted: tuple[NodeId, ...], nodes: tuple[Node, ...], begins: Seconds
) -> tuple[Reason, ...]:
    """Return which of the nodes that a plan names are not in its pool, and which others have booked."""
    others = work.bookings.during(wanted, begins, plan.ends)
    return (*unknown_nodes(plan.pool, wanted, nodes), *collisions(wanted, begins, plan.ends, others))


def _subject(caller: Caller, booking: Booking) -> Subject:
    institution = institution_of(booking.project) if booking.project else reached_institution(caller.center)
    return Subject(institution=institution, project=booking.project)


def _view(caller: Caller, booking: Booking) -> BookingView:
    known = booking.project is None or caller.scope.covers(institution_of(booking.project))
    return BookingView(booking=booking, known=known)
