"""A call that comes twice with the same key takes effect once on each database, also when both come at once."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from httpx2 import Response

from scheduler.policy import DAY, HOUR
from store.transactions import SqlStore
from tests.builders import CREDIT, NOW
from tests.contracts.test_office_races import THREADS, at_once
from tests.fronts import Front, a_body, a_front, seed_front

KEY: Final = {"Idempotency-Key": "7f3a"}

COURSE: Final = {
    "pool": "main",
    "nodes": ["n1"],
    "begins": NOW + DAY,
    "ends": NOW + DAY + HOUR,
    "kind": "course",
    "project": "vmu.vision",
}
AWARD: Final = {"project": "vmu.vision", "micro_credits": 7 * CREDIT, "ends": NOW + DAY}
MAI: Final = {"name": "Mai", "role": "researcher", "reach": "vmu.vision"}

MAKING: Final = [
    ("/v1/requests", a_body(), {"name": "another"}),
    ("/v1/bookings", COURSE, {"ends": NOW + DAY + 2 * HOUR}),
    ("/v1/allocations", AWARD, {"micro_credits": 8 * CREDIT}),
    ("/v1/people", MAI, {"name": "Lan"}),
]
"""What makes something, what it is asked to make, and what else it might be."""


@pytest.fixture
def front(sql_store: SqlStore) -> Iterator[Front]:
    seed_front(sql_store)
    with a_front(sql_store) as front:
        yield front


def caller(path: str) -> str:
    return "alice" if path == "/v1/requests" else "root"


def post(front: Front, path: str, body: dict[str, Any]) -> Response:
    return front.client(caller(path)).post(path, json=body, headers=KEY)


def listed(front: Front, path: str) -> list[str]:
    return [item["id"] for item in front.client(caller(path)).get(path, params={"limit": 100}).json()["items"]]


def running(front: Front) -> str:
    """Have a request of Alice run for an hour; return its id."""
    request: str = front.client("alice").post("/v1/requests", json=a_body(walltime_seconds=HOUR)).json()["id"]
    front.cycle()
    return request


def extend(front: Front, request: str, seconds: int = 300, key: str = "7f3a") -> Response:
    path, body = f"/v1/requests/{request}/extend", {"walltime_seconds": seconds}
    return front.client("alice").post(path, json=body, headers={"Idempotency-Key": key})


def refusal(response: Response) -> str:
    assert response.status_code == 422, response.text
    code: str = response.json()["type"]
    return code


@pytest.mark.parametrize(("path", "body", "change"), MAKING)
def test_what_is_made_with_a_key_is_made_once_and_nothing_else_is(
    front: Front, path: str, body: dict[str, Any], change: dict[str, Any]
) -> None:
    before = listed(front, path)
    first, again = post(front, path, body), post(front, path, body)
    assert first.is_success, first.text
    assert (first.status_code, first.text) == (again.status_code, again.text)
    assert refusal(post(front, path, body | change)) == "key-used-otherwise"
    assert set(listed(front, path)) == {*before, first.json()["id"]}


@pytest.mark.parametrize(("path", "body", "change"), MAKING)
def test_of_many_at_once_with_one_key_all_are_told_of_the_same_thing(
    front: Front, path: str, body: dict[str, Any], change: dict[str, Any]
) -> None:
    before = listed(front, path)
    answers = at_once(lambda one: post(front, path, body if one else body | change))
    made = {answer.json()["id"] for answer in answers if answer.is_success}
    assert len(made) == 1
    assert {refusal(answer) for answer in answers if not answer.is_success} == {"key-used-otherwise"}
    assert set(listed(front, path)) == {*before, *made}


def test_a_booking_that_was_given_back_is_not_made_again_but_shown_as_it_is(front: Front) -> None:
    made = post(front, "/v1/bookings", COURSE).json()
    front.clock.time = NOW + 60
    given_back = front.client("root").post(f"/v1/bookings/{made['id']}/release").json()
    assert given_back["released"] == NOW + 60
    again = post(front, "/v1/bookings", COURSE)
    assert (again.status_code, again.json()) == (201, given_back)


def test_any_one_of_the_nodes_is_booked_once_however_often_it_is_asked_for(front: Front) -> None:
    node = {"pool": "main", "capacity": {"millicores": 8000, "memory": 2**35}}
    for name in ("n2", "n3"):
        assert front.client("root").put(f"/v1/nodes/{name}", json=node).is_success
    any_node = COURSE | {"nodes": [], "node_count": 1}
    answers = at_once(lambda _: post(front, "/v1/bookings", any_node))
    assert len({answer.text for answer in answers}) == 1
    assert len(listed(front, "/v1/bookings")) == 1


def test_an_extension_with_a_key_is_granted_once_even_after_the_cluster_has_ended(front: Front) -> None:
    request = running(front)
    first, again = extend(front, request), extend(front, request)
    assert (first.status_code, first.json()["deadline"]) == (200, NOW + HOUR + 300)
    assert again.text == first.text
    assert extend(front, request, key="another").json()["extended_seconds"] == 600
    assert extend(front, request).json()["extended_seconds"] == 600
    front.client("alice").post(f"/v1/requests/{request}/cancel")
    front.start(request)
    front.end(request)
    told = extend(front, request)
    assert (told.status_code, told.json()["state"], told.json()["extended_seconds"]) == (200, "ended", 600)


def test_a_key_is_for_one_length_of_one_cluster_and_for_one_kind_of_call(front: Front) -> None:
    one, other = running(front), running(front)
    assert extend(front, one).is_success
    assert refusal(extend(front, one, 301)) == "key-used-otherwise"
    assert refusal(extend(front, other)) == "key-used-otherwise"
    assert refusal(post(front, "/v1/requests", a_body())) == "key-used-otherwise"
    assert front.client("alice").get(f"/v1/requests/{other}").json()["extended_seconds"] == 0


@pytest.mark.parametrize("seconds", [60, 6 * HOUR])
def test_of_many_extensions_at_once_with_one_key_one_is_granted(front: Front, seconds: int) -> None:
    """Twice the longer time would be more than the class allows: whoever comes second is not told that."""
    request = running(front)
    answers = at_once(lambda _: extend(front, request, seconds))
    assert [answer.status_code for answer in answers] == [200] * THREADS
    assert {answer.json()["deadline"] for answer in answers} == {NOW + HOUR + seconds}


def test_what_was_refused_may_be_tried_again_with_its_key(front: Front) -> None:
    request = running(front)
    assert extend(front, request, 600 * HOUR).status_code == 409
    assert extend(front, request, 300).json()["extended_seconds"] == 300
