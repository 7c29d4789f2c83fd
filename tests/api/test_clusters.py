"""Running clusters over HTTP: shown, scaled, and reached by their owners alone."""

import pytest

from tests.fronts import Front, a_body


@pytest.fixture
def running(front: Front) -> str:
    """A request of alice whose cluster runs."""
    request: str = front.client("alice").post("/v1/requests", json=a_body()).json()["id"]
    front.cycle()
    front.give_credentials(request)
    front.start(request)
    return request


def test_a_cluster_is_listed_while_it_has_a_place(front: Front) -> None:
    client = front.client("bob")
    request = front.client("alice").post("/v1/requests", json=a_body()).json()["id"]
    assert client.get("/v1/clusters").json() == {"items": [], "next": None}
    front.cycle()
    assert [item["phase"] for item in client.get("/v1/clusters").json()["items"]] == ["starting"]
    front.start(request)
    shown = client.get(f"/v1/clusters/{request}").json()
    assert shown["phase"] == "running"
    assert shown["workers"] == {"min": 1, "max": 4, "wanted": 1, "placed": 1, "ready": 1, "leaving": 0}
    front.client("alice").post(f"/v1/requests/{request}/cancel")
    front.end(request)
    gone = client.get(f"/v1/clusters/{request}")
    assert (gone.status_code, gone.json()["reasons"][0]["state"]) == (409, "ended")


def test_scaling_asks_for_more_workers_and_lets_the_youngest_leave(front: Front, running: str) -> None:
    client = front.client("alice")
    assert client.post(f"/v1/clusters/{running}/scale", json={"workers": 3}).json()["workers"]["wanted"] == 3
    front.cycle()
    grown = client.get(f"/v1/clusters/{running}").json()["workers"]
    assert (grown["placed"], grown["ready"], grown["leaving"]) == (3, 1, 0)
    shrunk = client.post(f"/v1/clusters/{running}/scale", json={"workers": 1}).json()["workers"]
    assert (shrunk["wanted"], shrunk["placed"], shrunk["leaving"]) == (1, 1, 2)


def test_scaling_beyond_what_was_asked_for_is_refused_with_the_range(front: Front, running: str) -> None:
    refused = front.client("alice").post(f"/v1/clusters/{running}/scale", json={"workers": 5})
    assert refused.status_code == 422
    reason = refused.json()["reasons"][0]
    assert (reason["field"], reason["asked"], reason["least"], reason["most"]) == ("workers", 5, 1, 4)


def test_the_owner_alone_gets_the_keys_and_nobody_keeps_a_copy(front: Front, running: str) -> None:
    response = front.client("alice").get(f"/v1/clusters/{running}/connection")
    assert response.json() == {
        "address": "tls://127.0.0.1:9000",
        "authority": "authority certificate",
        "certificate": "owner certificate",
        "key": "owner key",
        "environment": {"id": "default", "version": "1", "python": "3.11", "distributed": "2026.8.0"},
    }
    assert response.headers["Cache-Control"] == "no-store"
    for name in ("bob", "dean", "root"):
        refused = front.client(name).get(f"/v1/clusters/{running}/connection")
        assert (refused.status_code, refused.json()["reasons"][0]["needs"]) == (403, "owner")
    assert front.client("eve").get(f"/v1/clusters/{running}/connection").status_code == 404


def test_there_is_no_connection_before_the_head_is_ready_nor_once_it_ends(front: Front) -> None:
    client = front.client("alice")
    request = client.post("/v1/requests", json=a_body()).json()["id"]

    def refusal() -> tuple[int, str, str]:
        response = client.get(f"/v1/clusters/{request}/connection")
        return response.status_code, response.json()["type"], response.json()["reasons"][0]["state"]

    assert refusal() == (409, "not-running", "pending")
    front.cycle()
    front.give_credentials(request)
    assert refusal() == (409, "not-running", "placed")
    front.start(request)
    assert client.get(f"/v1/clusters/{request}/connection").status_code == 200
    client.post(f"/v1/requests/{request}/cancel")
    assert refusal() == (409, "not-running", "placed")
    front.end(request)
    assert refusal() == (409, "not-running", "ended")
