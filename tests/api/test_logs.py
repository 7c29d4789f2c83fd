"""What processes printed last, over HTTP and on a terminal: for its owner and who administers it, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner
from haidang.commands import main

from operations.logs import keep_log
from registry.ids import Seconds
from scheduler.observed import Cause
from tests import fronts
from tests.fronts import Front, a_body
from tests.served import served

HOSTILE = "<script>alert(1)</script>\n\x1b]0;owned\x07\x9b31m red\u202e\r\nđèn biển\n"
SHOWN = "<script>alert(1)</script>\n\ufffd]0;owned\ufffd\ufffd31m red\ufffd\ufffd\nđèn biển\n"


@pytest.fixture
def request_id(front: Front) -> str:
    """A running request of Alice, of which the head and a worker have ended and left a log."""
    made: str = front.client("alice").post("/v1/requests", json=a_body()).json()["id"]
    front.cycle()
    front.start(made)
    for slot in front._slots(made)[:2]:
        at = Seconds(front.clock.now() + slot.ordinal)
        seen = replace(fronts._seen(slot, front.clock.now()), ended=at, cause=Cause.EXITED)
        front.store.transact(keep_log, seen, HOSTILE.encode() + b"\xff", now=at)
    return made


@pytest.fixture
def url(front: Front) -> Iterator[str]:
    with served(front) as url:
        yield url


def test_logs_are_listed_without_their_text_and_read_as_they_were_printed(front: Front, request_id: str) -> None:
    client, now = front.client("alice"), front.clock.now()
    listed = client.get(f"/v1/requests/{request_id}/logs").json()
    length = len(HOSTILE) + 1
    assert listed == {
        "items": [
            {"process": f"h-{request_id}-1-1", "at": now + 1, "characters": length},
            {"process": f"h-{request_id}-0-1", "at": now, "characters": length},
        ]
    }
    answer = client.get(f"/v1/requests/{request_id}/logs/h-{request_id}-1-1")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json() == listed["items"][0] | {"text": f"{HOSTILE}\ufffd"}


@pytest.mark.parametrize(("name", "status"), [("alice", 200), ("dean", 200), ("root", 200), ("bob", 403), ("eve", 404)])
def test_what_a_program_printed_is_for_its_owner_and_administrators(
    front: Front, request_id: str, name: str, status: int
) -> None:
    client = front.client(name)
    for path in ("", f"/h-{request_id}-1-1"):
        answer = client.get(f"/v1/requests/{request_id}/logs{path}")
        assert answer.status_code == status
        assert ("characters" in answer.text) == (status == 200)
        assert status == 200 or "alert" not in answer.text


def test_a_process_that_left_no_log_or_is_of_another_request_is_not_there(front: Front, request_id: str) -> None:
    client = front.client("alice")
    other = client.post("/v1/requests", json=a_body()).json()["id"]
    assert client.get(f"/v1/requests/{other}/logs").json() == {"items": []}
    for path in (f"{request_id}/logs/h-{request_id}-1-9", f"{other}/logs/h-{request_id}-1-1"):
        answer = client.get(f"/v1/requests/{path}")
        assert (answer.status_code, answer.json()["type"]) == (404, "unknown")


@pytest.mark.parametrize(("language", "heading"), [("en", "PROCESS"), ("vi", "TIẾN TRÌNH")])
def test_the_command_lists_them_and_shows_one_that_steers_no_terminal(
    url: str, request_id: str, language: str, heading: str
) -> None:
    settings = {"HAIDANG_URL": url, "HAIDANG_TOKEN": "alice-secret", "HAIDANG_LANGUAGE": language}

    def told(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["logs", request_id, *arguments], env=settings)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    first, *rows = told().splitlines()
    assert first.startswith(heading)
    assert [row.split()[0] for row in rows] == [f"h-{request_id}-1-1", f"h-{request_id}-0-1"]
    assert told(f"h-{request_id}-1-1") == f"{SHOWN}\ufffd\n"
    document = told(f"h-{request_id}-1-1", "--json")
    assert json.loads(document)["text"] == f"{HOSTILE}\ufffd"
    assert all(letter == "\n" or letter.isprintable() for letter in document)
    assert "đèn biển" in document
    assert [one["process"] for one in json.loads(told("--json"))] == [row.split()[0] for row in rows]
