"""Institutions, projects and people are added by who may, and seen by their own."""

from dataclasses import replace

import pytest

from registry.ids import Seconds
from tests.builders import NOW
from tests.fronts import Front, person_id
from tests.lists import whole_list
from tests.seeding import an_institution

CITY = {"id": "city-health", "name": "Department of Health", "kind": "department"}
PORTS = {"institution": "vmu", "id": "ports", "name": "Ships seen from the quay", "sector": "transport_logistics_ports"}
NEWCOMER = {"name": "Trần Thị Mai", "role": "researcher", "reach": "vmu.vision"}


def test_an_admitted_institution_is_listed_to_the_center_and_not_to_others(front: Front) -> None:
    admitted = front.client("root").post("/v1/institutions", json=CITY)
    assert admitted.status_code == 201
    assert admitted.json() == CITY | {"joined": NOW, "ended": None}
    listed = [one["id"] for one in front.client("root").get("/v1/institutions").json()["items"]]
    assert listed == ["city-health", "hust", "vmu"]
    assert [one["id"] for one in front.client("dean").get("/v1/institutions").json()["items"]] == ["vmu"]


def test_no_two_institutions_have_one_name_and_none_has_the_centers(front: Front) -> None:
    root = front.client("root")
    for name in ("vmu", "hcmc"):
        again = root.post("/v1/institutions", json=CITY | {"id": name})
        assert (again.status_code, again.json()["type"]) == (409, "taken")


def test_only_the_center_admits(front: Front) -> None:
    refused = front.client("dean").post("/v1/institutions", json=CITY)
    assert (refused.status_code, refused.json()["reasons"][0]["needs"]) == (403, "center_admin")


def test_an_institution_opens_projects_under_its_own_name(front: Front) -> None:
    opened = front.client("dean").post("/v1/projects", json=PORTS)
    assert opened.status_code == 201
    assert opened.json()["id"] == "vmu.ports"
    assert opened.json()["topic"] == "unreported"
    assert front.client("alice").get("/v1/projects/vmu.ports").json() == opened.json()
    assert front.client("dean").post("/v1/projects", json=PORTS).json()["type"] == "taken"


def test_a_sector_is_one_that_the_city_plan_names(front: Front) -> None:
    refused = front.client("dean").post("/v1/projects", json=PORTS | {"sector": "fortune_telling"})
    assert refused.status_code == 422
    assert refused.json()["reasons"][0]["field"] == "sector"
    assert "health" in refused.json()["reasons"][0]["bound"]


def test_a_project_of_another_institution_is_opened_as_little_as_of_none(front: Front) -> None:
    dean = front.client("dean")
    stranger, nobody = (dean.post("/v1/projects", json=PORTS | {"institution": one}) for one in ("hust", "void"))
    assert stranger.status_code == 422
    assert stranger.text == nobody.text.replace("void", "hust")


def test_a_researcher_opens_no_project(front: Front) -> None:
    assert front.client("alice").post("/v1/projects", json=PORTS).status_code == 403


def test_an_institution_that_has_ended_gets_nothing_new(front: Front) -> None:
    past = replace(an_institution("old"), ended=Seconds(1))
    front.store.transact(lambda office: office.institutions.add(past))
    root = front.client("root")
    opened = root.post("/v1/projects", json=PORTS | {"institution": "old"})
    added = root.post("/v1/people", json=NEWCOMER | {"reach": "old"})
    for refused, field in ((opened, "institution"), (added, "reach")):
        reason = refused.json()["reasons"][0]
        assert (refused.status_code, reason["code"], reason["field"]) == (422, "has-ended", field)


def test_a_person_is_added_with_a_first_role_and_can_act_with_a_token(front: Front) -> None:
    dean = front.client("dean")
    added = dean.post("/v1/people", json=NEWCOMER)
    assert added.status_code == 201
    mai = added.json()["id"]
    assert added.json()["grants"] == [{"role": "researcher", "reach": "vmu.vision", "until": None}]
    secret = dean.post(f"/v1/people/{mai}/tokens", json={}).json()["secret"]
    own = front.client().get("/v1/people/me", headers={"Authorization": f"Bearer {secret}"})
    assert own.json() == added.json()


def test_a_persons_roles_elsewhere_are_not_told(front: Front) -> None:
    root, bob = front.client("root"), person_id("bob")
    root.put(f"/v1/people/{bob}/grants/researcher/hust", json={})
    seen = front.client("dean").get(f"/v1/people/{bob}").json()["grants"]
    assert [grant["reach"] for grant in seen] == ["vmu"]
    assert len(root.get(f"/v1/people/{bob}").json()["grants"]) == 2


def test_pages_of_people_meet_without_a_gap(front: Front) -> None:
    people = whole_list(front.client("root"), "/v1/people", limit=2)
    assert [person["name"] for person in people] == ["Alice", "Bob", "Dean", "Eve", "Root"]


def test_a_role_ends_now_and_the_last_one_takes_all_access_along(front: Front) -> None:
    alice = front.client("alice")
    assert alice.get("/v1/people/me").status_code == 200
    ended = front.client("dean").delete(f"/v1/people/{person_id('alice')}/grants/researcher/vmu.vision")
    assert ended.json()["left"] == NOW
    assert ended.json()["grants"] == [{"role": "researcher", "reach": "vmu.vision", "until": NOW}]
    assert alice.get("/v1/people/me").status_code == 401
    tokens = front.client("dean").get(f"/v1/people/{person_id('alice')}/tokens").json()["items"]
    assert [token["revoked"] for token in tokens] == [NOW]


def test_who_comes_back_has_the_role_and_needs_a_new_token(front: Front) -> None:
    dean, grant = front.client("dean"), f"/v1/people/{person_id('alice')}/grants/researcher/vmu.vision"
    dean.delete(grant)
    assert dean.put(grant, json={}).json()["left"] is None
    assert front.client("alice").get("/v1/people/me").status_code == 401


def test_a_role_that_lasts_until_a_day_is_over_on_that_day(front: Front) -> None:
    grant = f"/v1/people/{person_id('alice')}/grants/researcher/vmu.vision"
    assert front.client("dean").put(grant, json={"until": NOW + 60}).status_code == 200
    front.clock.time += 60
    assert front.client("alice").get("/v1/projects").json()["items"] == []
    assert front.client("dean").delete(grant).json()["type"] == "unknown"


def test_a_role_never_ends_in_the_past(front: Front) -> None:
    grant = f"/v1/people/{person_id('alice')}/grants/researcher/vmu.vision"
    refused = front.client("dean").put(grant, json={"until": NOW})
    assert refused.json()["reasons"][0]["earliest"] == NOW + 1


@pytest.mark.parametrize(
    ("role", "reach"),
    [("institution_admin", "vmu.vision"), ("center_admin", "vmu"), ("center_admin", "vmu.vision")],
)
def test_a_role_reaches_what_it_is_made_for(front: Front, role: str, reach: str) -> None:
    refused = front.client("root").put(f"/v1/people/{person_id('bob')}/grants/{role}/{reach}", json={})
    assert (refused.status_code, refused.json()["type"]) == (422, "role-reach-mismatch")


def test_only_the_center_dismisses_and_nobody_dismisses_themselves(front: Front) -> None:
    assert front.client("dean").post(f"/v1/people/{person_id('alice')}/leave").status_code == 403
    root = front.client("root")
    assert root.post("/v1/people/me/leave").json()["type"] == "own-access"
    own = f"/v1/people/{person_id('root')}/grants/center_admin/hcmc"
    assert root.delete(own).json()["type"] == "own-access"
    left = root.post(f"/v1/people/{person_id('dean')}/leave").json()
    assert (left["left"], left["grants"][0]["until"]) == (NOW, NOW)
    assert root.post(f"/v1/people/{person_id('dean')}/leave").json() == left
    assert front.client("dean").get("/v1/people/me").status_code == 401
