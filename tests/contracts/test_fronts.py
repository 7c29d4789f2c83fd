"""The API gives the same answers on each database that has an office."""

import json
from collections.abc import Iterator

import pytest

from store.transactions import SqlStore
from tests.fronts import Front, a_body, a_front, seed_front

JSON = {"Accept": "application/json"}


@pytest.fixture
def front(sql_store: SqlStore) -> Iterator[Front]:
    seed_front(sql_store)
    with a_front(sql_store) as front:
        yield front


def test_a_request_lives_ends_and_is_told_of(front: Front) -> None:
    client = front.client("alice")
    request = client.post("/v1/requests", json=a_body(), headers={"Idempotency-Key": "k"}).json()["id"]
    front.cycle()
    front.give_credentials(request)
    front.start(request)
    assert client.get(f"/v1/clusters/{request}/connection").json()["key"] == "owner key"
    assert client.post(f"/v1/clusters/{request}/scale", json={"workers": 2}).json()["workers"]["wanted"] == 2
    client.post(f"/v1/requests/{request}/cancel")
    front.end(request)
    assert client.post("/v1/requests", json=a_body(), headers={"Idempotency-Key": "k"}).json()["end"] == "cancelled"
    streamed = client.get(f"/v1/requests/{request}/events").text
    listed = client.get(f"/v1/requests/{request}/events", headers=JSON).json()["items"]
    told = [json.loads(line.removeprefix("data: ")) for line in streamed.splitlines() if line.startswith("data: ")]
    assert told == listed
    assert [event["kind"] for event in told][:: len(told) - 1] == ["submitted", "ended"]
    again = client.get(f"/v1/requests/{request}/events", headers={"Last-Event-ID": told[-1]["id"]})
    assert again.status_code == 204


def test_pages_go_on_where_the_one_before_ended(front: Front) -> None:
    client = front.client("alice")
    submitted = [client.post("/v1/requests", json=a_body()).json()["id"] for _ in range(3)]
    first = client.get("/v1/requests?limit=2").json()
    rest = client.get("/v1/requests", params={"limit": 2, "cursor": first["next"]}).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == submitted[::-1]
    assert rest["next"] is None


@pytest.mark.parametrize("name", ["a\x00b", "\ud800", "Ảnh", "\U0001f30a", "'; --", "%s{}"])
def test_text_comes_back_as_it_went_in_or_not_at_all(front: Front, name: str) -> None:
    client = front.client("alice")
    response = client.post(
        "/v1/requests", content=json.dumps(a_body(name=name)), headers={"Content-Type": "application/json"}
    )
    if response.status_code == 202:
        shown = client.get(f"/v1/requests/{response.json()['id']}").json()
        assert shown["name"] == name
    else:
        assert response.status_code == 422
        assert response.json()["reasons"][0]["field"] == "name"


def test_a_foreign_request_is_as_absent_as_one_that_is_not_there(front: Front) -> None:
    request = front.client("alice").post("/v1/requests", json=a_body()).json()["id"]
    eve = front.client("eve")
    assert eve.get(f"/v1/requests/{request}").content == eve.get(f"/v1/requests/{'z' * 26}").content
