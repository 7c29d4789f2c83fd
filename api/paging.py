"""Lists in pages: a page says where it ended, and the next one goes on from there."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from pydantic import ConfigDict, Field

from api.problems import refused
from api.schemas.shape import Closed, Open
from operations.ports.office import BEFORE_ALL, Place, Posted, RequestView, Told
from operations.reasons import Flaw, Invalid
from registry.ids import Mark

R = TypeVar("R")
T = TypeVar("T")

MOST_ITEMS: Final = 200
_LONGEST_CURSOR: Final = 300

REQUEST_PLACE: Final = r"[0-9]{1,12}/[a-z2-7]{26}"
"""Where a list of requests, newest first, goes on."""
PLACE_PATTERN: Final = r"^[0-9]{1,18}-[0-9]{1,18}$"
"""Where events, or the ledger's entries, go on."""


class Page(Open, Generic[T]):
    """Some of a list. `next` is the `cursor` of what comes after them, null at the end."""

    items: list[T]
    next: str | None


class PageQuery(Closed):
    """Which part of a list is asked for. A list with more to filter by inherits from this."""

    model_config = ConfigDict(strict=False)  # in an address all values are text

    limit: int = Field(default=50, ge=1, le=MOST_ITEMS)
    cursor: str | None = Field(default=None, max_length=_LONGEST_CURSOR, description="`next` of the page before.")

    def after(self, shape: str) -> str:
        """Return the place that the cursor stands for, of the given pattern; nothing at the beginning.

        Raises:
            RefusedError: the cursor is none of this list's.
        """
        if self.cursor is None:
            return ""
        try:
            place = urlsafe_b64decode(self.cursor.encode("ascii")).decode("ascii")
        except (Error, UnicodeError):
            place = ""
        if not re.fullmatch(shape, place):
            raise refused(Invalid(field="cursor", problem=Flaw.NOT_OF_SHAPE))
        return place


def page_of(rows: Sequence[R], limit: int, show: Callable[[R], T], place: Callable[[R], str]) -> Page[T]:
    """Return a page of what was read with `limit + 1`: the row too many says that there is more."""
    seen = rows[:limit]
    more = len(rows) > limit
    return Page(items=[show(row) for row in seen], next=cursor(place(seen[-1])) if more else None)


def request_place(view: RequestView) -> str:
    """Return the place of a request in a list."""
    return f"{view.request.submitted}/{view.request.id}"


def place_name(one: Told | Posted) -> str:
    """Return the name of an event's place, or of an entry's."""
    return f"{one.mark}-{one.number}"


def place_of(name: str | None) -> Place:
    """Return the place that a name of the right pattern stands for; without one, the place before everything."""
    if not name:
        return BEFORE_ALL
    mark, _, number = name.partition("-")
    return Place(mark=Mark(int(mark)), number=int(number))


def cursor(place: str) -> str:
    """Return a place as it is handed out: to be sent back, not to be read."""
    return urlsafe_b64encode(place.encode("ascii")).decode("ascii")
