"""What belongs to another institution answers as what does not exist, to the byte, and appears in no list."""

import re

import pytest

from tests.fronts import Front, person_id

EVE, NOBODY = person_id("eve"), "z" * 26

HIDDEN = [
    ("/v1/institutions/hust", "/v1/institutions/void"),
    ("/v1/projects/hust.climate", "/v1/projects/void.empty"),
    (f"/v1/people/{EVE}", f"/v1/people/{NOBODY}"),
    (f"/v1/people/{EVE}/tokens", f"/v1/people/{NOBODY}/tokens"),
    ("/v1/shares/hust/main", "/v1/shares/void/main"),
    ("/v1/shares/hust.climate/main", "/v1/shares/void.empty/main"),
    ("/v1/shares/hust/main", "/v1/shares/vmu/void"),
]
MISSHAPEN = [
    ("/v1/institutions/V%00", "/v1/institutions/void"),
    ("/v1/projects/vision", "/v1/projects/void.empty"),
    ("/v1/people/you", f"/v1/people/{NOBODY}"),
    ("/v1/pools/%27--", "/v1/pools/void"),
    ("/v1/nodes/N1", "/v1/nodes/void"),
    ("/v1/shares/vmu.vision.x/main", "/v1/shares/void/main"),
]


@pytest.mark.parametrize("name", ["dean", "alice"])
def test_a_strangers_row_reads_as_an_absent_one(front: Front, name: str) -> None:
    client = front.client(name)
    for hidden, absent in HIDDEN + MISSHAPEN:
        one, other = client.get(hidden), client.get(absent)
        assert one.status_code == 404, hidden
        assert one.content == other.content, hidden
        assert one.headers == other.headers, hidden


def test_a_strangers_share_is_set_as_little_as_an_absent_one(front: Front) -> None:
    quota, new = {"nominal": {"millicores": 1}}, {"If-None-Match": "*"}
    dean = front.client("dean")
    absent = dean.put("/v1/shares/void/main", json=quota, headers=new)
    for share in ("hust", "hust.climate"):
        hidden = dean.put(f"/v1/shares/{share}/main", json=quota, headers=new)
        assert hidden.status_code == 404
        assert hidden.content == absent.content


def test_a_strangers_token_is_revoked_as_little_as_an_absent_one(front: Front) -> None:
    dean = front.client("dean")
    one, other = (dean.delete(f"/v1/people/{who}/tokens/{EVE}") for who in (EVE, NOBODY))
    assert one.status_code == 404
    assert one.content == other.content
    assert front.client("eve").get("/v1/people/me").status_code == 200


def test_lists_show_ones_own_and_the_center_sees_all(front: Front) -> None:
    filtered = "ledger?project=hust.climate"
    for address in ("institutions", "projects", "people", "shares", "allocations", "ledger", filtered):
        own, all_of_it = (front.client(name).get(f"/v1/{address}").text for name in ("dean", "root"))
        hidden = "Eve" if address == "people" else "hust"
        assert hidden not in own
        assert hidden in all_of_it
        assert "vmu" in own or address in {"people", filtered}


def test_a_strangers_bill_is_that_of_no_project(front: Front) -> None:
    dean = front.client("dean")
    one, other = (dean.get(f"/v1/ledger/statement?project={name}") for name in ("hust.climate", "void.nothing"))
    assert one.status_code == 422
    assert one.text == other.text.replace("void.nothing", "hust.climate")


def test_who_has_no_role_sees_themselves_and_nothing_else(front: Front) -> None:
    front.client("dean").put(
        f"/v1/people/{person_id('alice')}/grants/researcher/vmu.vision", json={"until": 1800000060}
    )
    front.clock.time += 60
    alice = front.client("alice")
    assert alice.get("/v1/people/me").json()["name"] == "Alice"
    for address in ("institutions", "projects", "people", "allocations", "ledger"):
        assert alice.get(f"/v1/{address}").json() == {"items": [], "next": None}


def test_nothing_but_health_answers_who_shows_no_good_token(front: Front) -> None:
    asked = 0
    for address, operations in front.app.openapi()["paths"].items():
        path = re.sub(r"\{\w+\}", "researcher", address)
        for method in operations:
            for headers in ({}, {"Authorization": "Bearer no-such-secret"}):
                answer = front.client().request(method, path, json={}, headers=headers)
                assert (answer.status_code == 401) != address.startswith("/v1/health"), (method, path, answer.text)
                asked += 1
    assert asked > 60
