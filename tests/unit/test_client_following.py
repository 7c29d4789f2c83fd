"""Following events survives whatever lies between a client and its center."""

import json
import threading
from contextlib import closing

import pytest
from haidang.answers import Event
from haidang.errors import UnknownError
from haidang.following import EventQueue, follow, so_far
from haidang.transport import Transport
from haidang.words import Words

from tests.scripted import Script, Scripted, scripted


def event(number: int, kind: str) -> dict[str, object]:
    return {"id": f"1-{number}", "at": 0, "kind": kind, "details": {}}


def stream(*events: dict[str, object]) -> Scripted:
    text = "".join(f"id: {one['id']}\nevent: {one['kind']}\ndata: {json.dumps(one)}\n\n" for one in events)
    return Scripted(text=f": here\n\n{text}", content_type="text/event-stream")


def page(*events: dict[str, object], more: str | None = None) -> Scripted:
    return Scripted(body={"items": list(events), "next": more})


SUBMITTED, PLACED, ENDED = event(1, "submitted"), event(2, "placed"), event(3, "ended")
BROKEN = Scripted(hang_up=True)
PLAIN = Scripted(text="<html>Streams are not let through</html>", content_type="text/html")


def followed(script: Script, since: str | None = None) -> list[str]:
    with closing(Transport(script.url, "a-token", Words("en"))) as transport:
        return [event.kind for event in follow(transport, "r1", since)]


@pytest.mark.parametrize(
    "answers",
    [
        [stream(SUBMITTED, PLACED, ENDED)],
        [stream(SUBMITTED), page(PLACED), stream(ENDED)],
        [stream(SUBMITTED), page(), stream(PLACED), page(ENDED)],
        [BROKEN, page(SUBMITTED), BROKEN, page(PLACED, ENDED)],
        [PLAIN, page(SUBMITTED, PLACED, more="x"), page(ENDED)],
        [Scripted(status=429, body={"title": "Too many streams"}), page(SUBMITTED, PLACED, ENDED)],
        [Scripted(status=503, body={"title": "Starting"}), page(SUBMITTED), stream(PLACED, ENDED)],
        [stream({"id": "1-1", "kind": "submitted"}), page(SUBMITTED, PLACED, ENDED)],
    ],
    ids=[
        "one stream",
        "a stream that broke",
        "a stream that broke twice",
        "streams that never open",
        "a proxy's page in place of the stream",
        "too many streams",
        "a center that starts",
        "a stream that cannot be read",
    ],
)
def test_each_event_is_told_once_and_in_order_through(answers: list[Scripted]) -> None:
    with scripted(answers) as center:
        assert followed(center) == ["submitted", "placed", "ended"]


def test_what_broke_is_taken_up_after_the_last_event_that_was_heard() -> None:
    with scripted([stream(SUBMITTED), page(PLACED), stream(ENDED)]) as center:
        followed(center)
    assert [asked.headers.get("Last-Event-ID") for asked in center.asked] == [None, "1-1", "1-2"]
    assert [asked.headers["Accept"] for asked in center.asked] == [
        "text/event-stream",
        "application/json",
        "text/event-stream",
    ]


def test_following_ends_where_the_center_says_that_nothing_comes_any_more() -> None:
    with scripted([Scripted(status=204, text="")]) as center:
        assert followed(center, since="1-3") == []
    assert len(center.asked) == 1


def test_what_may_not_be_seen_is_not_asked_for_again() -> None:
    no = Scripted(status=404, body={"title": "Unknown", "detail": "There is no such request."})
    with scripted([no]) as center:
        with pytest.raises(UnknownError):
            followed(center)
        assert len(center.asked) == 1


def test_a_queue_hands_over_events_until_the_wanted_one_and_then_lets_go_of_the_center() -> None:
    answers = [stream(SUBMITTED, PLACED), page(ENDED)]
    with scripted(answers) as center, closing(Transport(center.url, "a-token", Words("en"))) as transport:
        events = EventQueue(transport, "r1", until=frozenset({"placed"}))
        told = [events.next(5), events.next(5), events.next(0.6)]
        assert [one.kind if isinstance(one, Event) else None for one in told] == ["submitted", "placed", None]
        assert len(center.asked) == 1


def test_a_queue_raises_what_following_raised() -> None:
    no = Scripted(status=404, body={"title": "Unknown"})
    with scripted([no]) as center, closing(Transport(center.url, "a-token", Words("en"))) as transport:
        events = EventQueue(transport, "r1", until=frozenset())
        with pytest.raises(UnknownError):
            events.next(5)


def test_what_happened_so_far_is_told_without_waiting_for_more() -> None:
    with (
        scripted([page(SUBMITTED, more="x"), page(PLACED)]) as center,
        closing(Transport(center.url, "a-token", Words("en"))) as transport,
    ):
        assert [one.kind for one in so_far(transport, "r1")] == ["submitted", "placed"]


def test_following_ends_at_a_heartbeat_when_nothing_is_wanted_any_more() -> None:
    with (
        scripted([stream(SUBMITTED, PLACED)]) as center,
        closing(Transport(center.url, "a-token", Words("en"))) as transport,
    ):
        left = threading.Event()
        events = follow(transport, "r1", wanted=lambda: not left.is_set())
        assert next(events).kind == "submitted"
        left.set()
        assert list(events) == []
        assert len(center.asked) == 1
