"""What happened to a request, one event at a time."""

from pydantic import Field

from api.paging import PLACE_PATTERN, Page, PageQuery, cursor, place_name, place_of
from api.schemas.shape import Open
from operations.events import EventKind
from operations.permitted import Story
from operations.ports.office import Place, Told


class EventsQuery(PageQuery):
    """Which of a request's events are asked for: those after the cursor."""

    def place(self) -> Place:
        """Return the place in the journal that the cursor stands for."""
        return place_of(self.after(PLACE_PATTERN))


class EventOut(Open):
    """One event; `id` is its place in the journal, after which a stream goes on. `details` are codes and numbers."""

    id: str = Field(examples=["4711-12"])
    at: int
    kind: EventKind
    details: dict[str, str]

    @classmethod
    def from_told(cls, told: Told) -> "EventOut":
        """Return the event as it goes out."""
        return cls(id=place_name(told), at=told.event.at, kind=told.event.kind, details=dict(told.event.details))


def events_page(story: Story) -> Page[EventOut]:
    """Return a page of a story."""
    items = [EventOut.from_told(told) for told in story.told]
    return Page(items=items, next=cursor(items[-1].id) if story.more else None)
