"""Who sees what: a foreign row and an absent one are the same answer, to the byte."""

import pytest

from operations.ports.office import Office
from registry.ids import Seconds, TokenId
from registry.people import Person, RoleGrant
from tests.builders import NOW, request_id
from tests.fronts import PEOPLE, Front, a_body, person_id

ABSENT = request_id(999)
ADDRESSES = [
    ("GET", "/v1/requests/{}"),
    ("GET", "/v1/requests/{}/explain"),
    ("GET", "/v1/requests/{}/events"),
    ("GET", "/v1/requests/{}/logs"),
    ("GET", f"/v1/requests/{{}}/logs/h-{ABSENT}-1-1"),
    ("POST", "/v1/requests/{}/cancel"),
    ("POST", "/v1/requests/{}/extend"),
    ("POST", "/v1/requests/{}/hold"),
    ("POST", "/v1/requests/{}/release"),
    ("GET", "/v1/clusters/{}"),
    ("POST", "/v1/clusters/{}/scale"),
    ("GET", "/v1/clusters/{}/connection"),
]


@pytest.fixture
def request_of_alice(front: Front) -> str:
    request: str = front.client("alice").post("/v1/requests", json=a_body()).json()["id"]
    front.cycle()
    return request


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
@pytest.mark.parametrize("language", ["vi", "en"])
def test_a_foreign_a_missing_and_an_impossible_id_get_the_same_bytes(
    front: Front, request_of_alice: str, method: str, address: str, language: str
) -> None:
    client = front.client("eve")
    bodies = {"scale": {"workers": 1}, "extend": {"walltime_seconds": 60}}
    body = bodies.get(address.rpartition("/")[2])

    def answer(request: str) -> tuple[int, bytes, dict[str, str]]:
        response = client.request(method, address.format(request), json=body, headers={"Accept-Language": language})
        return response.status_code, response.content, dict(response.headers)

    foreign = answer(request_of_alice)
    assert foreign[0] == 404
    assert foreign == answer(ABSENT) == answer("no-id") == answer("%00") == answer("%ED%A0%80") == answer("a" * 2000)


@pytest.mark.parametrize(("method", "address"), ADDRESSES)
def test_nothing_is_told_without_a_good_token(front: Front, request_of_alice: str, method: str, address: str) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
    ):
        response = front.client().request(method, address.format(request_of_alice), headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.json()["type"] == "unauthenticated"


@pytest.mark.parametrize(
    ("name", "sees", "cancels"),
    [("alice", 200, 200), ("bob", 200, 403), ("dean", 200, 200), ("root", 200, 200), ("eve", 404, 404)],
)
def test_an_institution_sees_its_own_and_the_owner_and_administrators_act(
    front: Front, request_of_alice: str, name: str, sees: int, cancels: int
) -> None:
    client = front.client(name)
    assert client.get(f"/v1/requests/{request_of_alice}").status_code == sees
    assert [item["id"] for item in client.get("/v1/requests").json()["items"]] == [request_of_alice] * (sees == 200)
    assert client.post(f"/v1/requests/{request_of_alice}/cancel").status_code == cancels


def test_access_ends_with_the_revocation_of_a_token_and_with_the_leave_of_its_person(front: Front) -> None:
    def end(office: Office) -> None:
        office.tokens.revoke(person_id("bob"), TokenId(person_id("bob")), Seconds(NOW))
        office.people.update(Person(id=person_id("eve"), name="Eve", left=Seconds(NOW)))

    assert [front.client(name).get("/v1/requests").status_code for name in ("bob", "eve")] == [200, 200]
    front.store.transact(end)
    assert [front.client(name).get("/v1/requests").status_code for name in ("bob", "eve")] == [401, 401]


def test_what_a_role_lets_see_ends_with_the_role(front: Front, request_of_alice: str) -> None:
    role, reach = PEOPLE["dean"]
    ending = RoleGrant(person=person_id("dean"), role=role, reach=reach, until=Seconds(NOW + 10))
    front.store.transact(lambda office: office.grants.put(ending))
    assert front.client("dean").get(f"/v1/requests/{request_of_alice}").status_code == 200
    front.clock.time += 10
    assert front.client("dean").get(f"/v1/requests/{request_of_alice}").status_code == 404
