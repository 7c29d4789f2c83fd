"""Events over HTTP: told once, in order, soon, and to nobody who may not hear them any more."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Queue
from typing import Any

import httpx2
import pytest
import uvicorn

from api.streams import Rhythm, Streams
from operations.clusters import let_end
from operations.ports.store import StoreUnavailableError
from registry.ids import RequestId, Seconds, TokenId
from scheduler.requests import End
from tests.builders import NOW
from tests.databases import SqliteFiles, opened
from tests.fronts import Front, a_body, a_front, person_id

QUICK = Rhythm(poll_seconds=0.2, heartbeat_seconds=0.3, recheck_seconds=0.5, most_per_person=2)


@pytest.fixture
def front(seeded_files: SqliteFiles) -> Iterator[Front]:
    with seeded_files.fresh() as url, opened(url) as store, a_front(store, rhythm=QUICK) as front:
        yield front


@pytest.fixture
def request_id(front: Front) -> str:
    request: str = front.client("alice").post("/v1/requests", json=a_body()).json()["id"]
    return request


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A stream that is heard by a thread of its own: its lines as they come, and None at its end."""

    lines: Queue[str | None]
    response: httpx2.Response

    def next(self, prefix: str = "event") -> str | None:
        """Return what the next line with a prefix says; None at the end."""
        while (line := self.lines.get(timeout=10)) is not None:
            name, _, said = line.partition(":")
            if name == prefix and line:
                return said.strip()
        return None

    def rest(self) -> list[str]:
        """Return the kinds of all events until the end."""
        return list(iter(self.next, None))


@contextmanager
def listening(front: Front, request: str, name: str = "alice", **headers: str) -> Iterator[Heard]:
    lines: Queue[str | None] = Queue()

    def listen(response: httpx2.Response) -> None:
        for line in response.iter_lines():
            lines.put(line)
        lines.put(None)

    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    with front.client(name).stream("GET", f"/v1/requests/{request}/events", headers=sent) as response:
        assert response.status_code == 200, response.read()
        thread = threading.Thread(target=listen, args=(response,), daemon=True)
        thread.start()
        yield Heard(lines=lines, response=response)
        # The test client cannot leave a stream that another thread reads: the center ends it, as when it stops.
        front.app.state.desk.streams.close()
        thread.join(10)
    front.app.state.desk.streams.closing = False


def live_through(front: Front, request: str) -> None:
    """Let a request start, run and end."""
    front.cycle()
    front.start(request)
    front.client("alice").post(f"/v1/requests/{request}/cancel")
    front.end(request)


LIFE = [
    "submitted",
    "placed",
    "process_ready",
    "process_ready",
    "running",
    "ending",
    "process_ended",
    "process_ended",
    "ended",
]


def test_a_stream_tells_the_life_of_a_request_as_it_happens_and_ends_with_it(front: Front, request_id: str) -> None:
    with listening(front, request_id) as heard:
        assert heard.next() == "submitted"
        front.cycle()
        assert heard.next() == "placed"
        front.start(request_id)
        assert [heard.next() for _ in range(3)] == ["process_ready", "process_ready", "running"]
        front.store.transact(let_end, RequestId(request_id), End.IDLE, now=Seconds(NOW))
        assert heard.next() == "ending"
        front.end(request_id)
        assert heard.rest() == ["process_ended", "process_ended", "ended"]
        assert heard.response.headers["Content-Type"].startswith("text/event-stream")


def test_a_stream_goes_on_after_the_last_event_that_was_heard(front: Front, request_id: str) -> None:
    live_through(front, request_id)
    with listening(front, request_id) as heard:
        ids = list(iter(lambda: heard.next("id"), None))
    assert len(ids) == len(LIFE)
    for number, place in enumerate(ids[:-1], start=1):
        with listening(front, request_id, Last_Event_ID=place) as heard:
            assert heard.rest() == LIFE[number:]


def test_who_has_heard_the_end_is_told_not_to_come_again(front: Front, request_id: str) -> None:
    live_through(front, request_id)
    client = front.client("alice")
    listed = client.get(f"/v1/requests/{request_id}/events", headers={"Accept": "application/json"}).json()["items"]
    assert [item["kind"] for item in listed] == LIFE
    again = client.get(f"/v1/requests/{request_id}/events", headers={"Last-Event-ID": listed[-1]["id"]})
    assert (again.status_code, again.content) == (204, b"")


def test_a_place_that_this_journal_does_not_have_yet_begins_it_anew(front: Front, request_id: str) -> None:
    live_through(front, request_id)
    with listening(front, request_id, Last_Event_ID="999999999999-1") as heard:
        assert heard.rest() == LIFE


def test_events_are_listed_for_who_reads_json_page_by_page(front: Front, request_id: str) -> None:
    live_through(front, request_id)
    client, found, cursor = front.client("bob"), [], None
    while True:
        query: dict[str, Any] = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = client.get(
            f"/v1/requests/{request_id}/events", params=query, headers={"Accept": "application/json"}
        ).json()
        assert len(page["items"]) <= 2
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert [item["kind"] for item in found] == LIFE
    assert len({item["id"] for item in found}) == len(LIFE)
    assert found[1] == {"id": found[1]["id"], "at": NOW, "kind": "placed", "details": {"waited_seconds": "0"}}


def test_a_quiet_stream_gives_a_sign_of_life(front: Front, request_id: str) -> None:
    with listening(front, request_id) as heard:
        assert heard.next("") == "ping"
        assert heard.next("") == "ping"


def test_a_stream_ends_when_its_token_does(front: Front, request_id: str) -> None:
    with listening(front, request_id, "bob") as heard:
        assert heard.next() == "submitted"
        bob = person_id("bob")
        front.store.transact(lambda office: office.tokens.revoke(bob, TokenId(bob), Seconds(NOW)))
        assert heard.rest() == []


def test_a_stream_lasts_while_the_store_does_not_answer(
    front: Front, request_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    def fail(*_args: object, **_kwargs: object) -> None:
        failed.set()
        raise StoreUnavailableError

    with listening(front, request_id) as heard:
        assert heard.next() == "submitted"
        with monkeypatch.context() as broken:
            broken.setattr(front.store, "read", fail)
            assert failed.wait(10)
        front.cycle()
        assert heard.next() == "placed"


def test_one_person_has_so_many_streams_and_gets_another_when_one_ends(front: Front, request_id: str) -> None:
    client, address = front.client("alice"), f"/v1/requests/{request_id}/events"
    with listening(front, request_id) as first, listening(front, request_id) as second:
        assert first.next() == second.next() == "submitted"
        refused = client.get(address)
        assert (refused.status_code, refused.json()["type"]) == (429, "too-many-streams")
        with listening(front, request_id, "bob") as other:
            assert other.next() == "submitted"
    with listening(front, request_id) as again:
        assert again.next() == "submitted"
    streams: Streams = front.app.state.desk.streams
    assert not streams._open
    assert not streams._listening


def test_what_is_streamed_is_what_is_listed(front: Front, request_id: str) -> None:
    live_through(front, request_id)
    client = front.client("alice")
    listed = client.get(f"/v1/requests/{request_id}/events", headers={"Accept": "application/json"}).json()["items"]
    with listening(front, request_id) as heard:
        told = [json.loads(said) for said in iter(lambda: heard.next("data"), None)]
    assert told == listed


@contextmanager
def served(front: Front) -> Iterator[str]:
    """Serve the application on a free port, and stop as a server does that has streams open."""
    server = uvicorn.Server(uvicorn.Config(front.app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    front.app.state.desk.streams.close()
    server.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


def test_who_leaves_makes_room_and_a_server_can_stop_while_others_listen(front: Front, request_id: str) -> None:
    streams: Streams = front.app.state.desk.streams
    headers = {"Authorization": "Bearer alice-secret"}
    address = f"/v1/requests/{request_id}/events"
    with served(front) as url, httpx2.Client(base_url=url, headers=headers, timeout=10) as client:
        for _ in range(5):
            with client.stream("GET", address) as response:
                assert next(response.iter_lines()) == "event: submitted"
            while streams._open:
                time.sleep(0.01)
        with client.stream("GET", address) as response:
            lines = response.iter_lines()
            assert next(lines) == "event: submitted"
            streams.close()
            assert "event: ended" not in list(lines)
