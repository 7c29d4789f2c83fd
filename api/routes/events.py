"""What happens to a request, as a list or as a stream that lasts until the request has ended."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query
from starlette.responses import Response

from api.dependencies import CallerDep, DeskDep, RequestIdDep, SecretDep, policy
from api.paging import PLACE_PATTERN, Page, place_of
from api.problems import accepted, problems
from api.schemas.events import EventOut, EventsQuery, events_page
from api.streams import EventStream, Reading
from operations.callers import authenticate
from operations.permitted import Story, events_seen, news_of
from operations.ports.office import Place
from operations.ports.store import StoreUnavailableError
from operations.reasons import Refused

router = APIRouter(prefix="/v1/requests/{request}/events", tags=["requests"])

_AT_ONCE: Final = 500
_NO_NEWS: Final = Story(told=(), more=False, ended=False)
_EVENT_STREAM: Final[dict[str, Any]] = {
    "description": "A page of events; or, unless the call accepts JSON only, the stream of them as server-sent events.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
_NOTHING_MORE: Final = {
    "description": "The stream was heard to its end before: nothing will come, do not connect again."
}


class Following:
    """One caller's way to the events of one request."""

    def __init__(self, desk: DeskDep, secret: SecretDep, caller: CallerDep, request: RequestIdDep) -> None:
        """Take whose events are asked for, and by whom."""
        self._desk = desk
        self._secret = secret
        self._caller = caller
        self._request = request

    def read(self, place: Place, limit: int) -> Story | Refused:
        """Return the events after a place."""
        return self._desk.ports.store.read(events_seen, self._caller, self._request, place, limit=limit)

    def stream(self, place: Place, first: Story) -> EventStream:
        """Return the stream that goes on from what was read first."""
        reading = Reading(look=self._look, person=self._caller.person, request=self._request)
        return EventStream(self._desk.streams, reading, place, first)

    def _look(self, place: Place, *, anew: bool) -> Story | None:
        """Return what is new; nothing for a moment in which the store does not answer."""
        try:
            if anew and not self._may_still_listen():
                return None
            story = self.read(place, _AT_ONCE) if anew else self._read_on(place)
        except StoreUnavailableError:
            return _NO_NEWS
        return None if isinstance(story, Refused) else story

    def _read_on(self, place: Place) -> Story:
        """Return what follows what was told before: several times for each event, so no more is read than that."""
        return self._desk.ports.store.read(news_of, self._caller, self._request, place, limit=_AT_ONCE)

    def _may_still_listen(self) -> bool:
        """Find out again who calls: a token may have ended since, or its person's part in the institution."""
        ports = self._desk.ports
        caller = ports.store.read(authenticate, self._secret, now=ports.clock.now())
        self._caller = caller or self._caller
        return caller is not None


FollowingDep = Annotated[Following, Depends(Following)]
Accept = Annotated[str, Header(include_in_schema=False)]  # the description names the media types instead
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", pattern=PLACE_PATTERN, description="The last event heard: goes on after it."),
]


@router.get(
    "",
    response_model=Page[EventOut],
    responses={200: _EVENT_STREAM, 204: _NOTHING_MORE, **problems(404, 429)},
    openapi_extra=policy("requests:follow"),
)
def follow_request(
    query: Annotated[EventsQuery, Query()],
    following: FollowingDep,
    accept: Accept = "",
    last_event_id: LastEventId = None,
) -> Page[EventOut] | Response:
    """Return what has happened to a request: as a page, or as a stream that goes on until the request has ended."""
    place = query.place() if query.cursor else place_of(last_event_id)
    if "application/json" in accept and "text/event-stream" not in accept:
        return events_page(accepted(following.read(place, query.limit)))
    first = accepted(following.read(place, _AT_ONCE))
    return following.stream(place, first) if first.told or not first.ended else Response(status_code=204)
