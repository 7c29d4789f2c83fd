"""Bookings as they are made and shown."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from api.paging import REQUEST_PLACE, PageQuery
from api.schemas.shape import PRINTABLE, Choice, Closed, Moment, Open, ProjectName, Slug
from operations.bookings import BookingPlan, BookingView
from operations.ports.store import BookingFilter
from registry.ids import BookingId, NodeId, PoolId, ProjectId, Seconds
from scheduler.bookings import MOST_BOOKED_NODES, BookingKind, until
from scheduler.requests import NAME_LENGTH

BOOKING_PLACE: Final = REQUEST_PLACE
"""Where a list of bookings, by their begin, goes on."""


class BookingIn(Closed):
    """Whole nodes that are to be somebody's for a time, or nobody's: those that `nodes` names, or `node_count` of them.

    `displace` ends what still runs there when it begins, which only maintenance may.
    """

    name: Annotated[str, StringConstraints(max_length=NAME_LENGTH, pattern=PRINTABLE)] = ""
    pool: Slug = Field(examples=["main"])
    nodes: list[Slug] = Field(default_factory=list, max_length=MOST_BOOKED_NODES, examples=[["n1", "n2"]])
    node_count: int | None = Field(default=None, ge=1, le=MOST_BOOKED_NODES, description="The center chooses which.")
    begins: Moment | None = Field(default=None, description="Now, if left out.")
    ends: Moment
    kind: Choice[BookingKind]
    project: ProjectName | None = Field(
        default=None, description="Whose work may use the nodes; left out for maintenance.", examples=["vmu.vision"]
    )
    displace: bool = False

    def to_plan(self, booking: BookingId) -> BookingPlan:
        """Return what is to be booked by that id."""
        return BookingPlan(
            id=booking,
            name=self.name,
            pool=PoolId(self.pool),
            nodes=tuple(map(NodeId, self.nodes)),
            node_count=self.node_count,
            begins=None if self.begins is None else Seconds(self.begins),
            ends=Seconds(self.ends),
            project=None if self.project is None else ProjectId(self.project),
            kind=self.kind,
            displaces=self.displace,
        )


class BookingOut(Open):
    """Nodes that are booked from `begins` until `until`: its `ends`, unless they were given back before.

    Everybody sees when and which nodes. For whom, and what they call it, is told to those of the same institution: for
    others `project` and the people are null and `name` is empty. Under maintenance there is no project.
    """

    id: str
    name: str
    pool: str
    nodes: list[str]
    begins: int
    ends: int
    until: int
    kind: BookingKind
    project: str | None
    displaces: bool
    made: int
    made_by: str | None
    released: int | None
    released_by: str | None

    @classmethod
    def from_view(cls, view: BookingView) -> "BookingOut":
        """Return a booking as it goes out."""
        booking = view.booking
        return cls(
            id=booking.id,
            name=booking.name if view.known else "",
            pool=booking.pool,
            nodes=list(booking.nodes),
            begins=booking.begins,
            ends=booking.ends,
            until=until(booking),
            kind=booking.kind,
            project=booking.project if view.known else None,
            displaces=booking.displaces,
            made=booking.made,
            made_by=booking.made_by if view.known else None,
            released=booking.released,
            released_by=booking.released_by if view.known else None,
        )


class BookingsQuery(PageQuery):
    """Which bookings are listed."""

    pool: Annotated[Slug | None, Field(default=None)]
    over: bool = Field(default=False, description="Also those that are over.")

    def to_filter(self, now: Seconds) -> BookingFilter:
        """Return what is asked for."""
        return BookingFilter(pool=PoolId(self.pool) if self.pool else None, since=None if self.over else now)


def booking_place(view: BookingView) -> str:
    """Return the place of a booking in a list."""
    return f"{view.booking.begins}/{view.booking.id}"
