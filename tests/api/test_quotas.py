"""A quota is given by who has it to give, under the version that was read, and never twice."""

from typing import Any

from registry.resources import GIB
from tests.fronts import Front
from tests.lists import whole_list

NEW = {"If-None-Match": "*"}


def quota(cores: int = 0, gib: int = 0, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - what JSON can hold
    return {"nominal": {"millicores": cores * 1000, "memory": gib * GIB}, **more}


def etag(front: Front, share: str, pool: str = "main") -> dict[str, str]:
    """Return the header that changes the share as it stands."""
    return {"If-Match": front.client("root").get(f"/v1/shares/{share}/{pool}").headers["ETag"]}


def put(front: Front, name: str, share: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401
    seen = etag(front, share) if headers is None else headers
    return front.client(name).put(f"/v1/shares/{share}/main", json=body, headers=seen)


def test_the_center_gives_to_an_institution_and_that_to_its_projects(front: Front) -> None:
    given = put(front, "root", "vmu", quota(6, 8, borrowing={"millicores": 2000}, lending={"millicores": 1000}))
    assert given.status_code == 200
    assert given.json()["parent"] == "hcmc"
    assert given.json()["limit"] == {"millicores": 8000, "memory": 8 * GIB, "gpus": {}}
    assert given.headers["ETag"] == f'"{given.json()["version"]}"'
    passed_on = put(front, "dean", "vmu.vision", quota(6, 8))
    assert (passed_on.status_code, passed_on.json()["parent"]) == (200, "vmu")
    assert front.client("alice").get("/v1/shares/vmu.vision/main").json() == passed_on.json()


def test_a_new_share_is_asked_for_as_new(front: Front) -> None:
    front.client("dean").post("/v1/projects", json={"institution": "vmu", "id": "ports", "name": "Ports"})
    made = put(front, "dean", "vmu.ports", quota(), NEW)
    assert (made.status_code, made.json()["version"]) == (200, 1)
    assert put(front, "dean", "vmu.ports", quota(), NEW).json()["type"] == "changed-meanwhile"


def test_who_says_no_version_changes_nothing(front: Front) -> None:
    for headers in ({}, {"If-Match": "*"}, {"If-None-Match": '"1"'}):
        refused = put(front, "root", "vmu", quota(1, 1), headers)
        assert (refused.status_code, refused.json()["type"]) == (428, "version-missing")


def test_who_has_seen_another_version_changes_nothing(front: Front) -> None:
    for tag in ('"0"', '"99"', '"x"', "1", 'W/"1"', '"1", "2"', '"' + "9" * 40 + '"'):
        refused = put(front, "root", "vmu", quota(1, 1), {"If-Match": tag})
        assert (refused.status_code, refused.json()["type"]) == (412, "changed-meanwhile")


def test_of_two_who_read_the_same_version_one_is_told(front: Front) -> None:
    seen = etag(front, "vmu")
    assert put(front, "root", "vmu", quota(1), seen).status_code == 200
    assert put(front, "root", "vmu", quota(2), seen).status_code == 412
    assert front.client("root").get("/v1/shares/vmu/main").json()["quota"]["nominal"]["millicores"] == 1000


def test_siblings_are_never_promised_more_than_there_is(front: Front) -> None:
    assert put(front, "root", "vmu", quota(5, 8)).status_code == 200
    refused = put(front, "root", "hust", quota(4, 8))
    reason = refused.json()["reasons"][0]
    assert (refused.status_code, reason["code"], reason["field"]) == (422, "nominals-exceed-parent", "nominal")
    assert (reason["asked"], reason["left"], reason["resource"]) == (4000, 3000, "cpu")
    assert put(front, "root", "hust", quota(3, 8)).status_code == 200


def test_nothing_is_taken_back_that_was_passed_on(front: Front) -> None:
    put(front, "root", "vmu", quota(5, 8))
    put(front, "dean", "vmu.vision", quota(5, 8))
    refused = put(front, "root", "vmu", quota(4, 8))
    reason = refused.json()["reasons"][0]
    assert (reason["code"], reason["asked"], reason["promised"]) == ("children-promised-more", 4000, 5000)


def test_after_a_node_is_lost_quotas_go_down_step_by_step_and_not_up(front: Front) -> None:
    root = front.client("root")
    root.put("/v1/nodes/n2", json={"pool": "main", "capacity": {"millicores": 8000, "memory": 32 * GIB}})
    put(front, "root", "vmu", quota(10, 8))
    put(front, "root", "hust", quota(6, 8))
    root.post("/v1/nodes/n2/drain")
    assert put(front, "root", "vmu", quota(9, 8)).status_code == 200
    assert put(front, "root", "vmu", quota(10, 8)).json()["type"] == "nominals-exceed-parent"
    assert put(front, "root", "vmu", quota(2, 8)).status_code == 200
    assert put(front, "root", "hust", quota(7, 8)).json()["type"] == "nominals-exceed-parent"


def test_a_share_lends_at_most_what_it_has(front: Front) -> None:
    refused = put(front, "root", "vmu", quota(1, 1, lending={"millicores": 1001}))
    assert (refused.status_code, refused.json()["type"]) == (422, "lending-beyond-nominal")


def test_a_project_gets_nothing_where_its_institution_has_nothing(front: Front) -> None:
    front.client("root").put("/v1/pools/gpu", json={"tier": "hpc", "name": "GPUs"})
    refused = front.client("dean").put("/v1/shares/vmu.vision/gpu", json=quota(), headers=NEW)
    assert (refused.status_code, refused.json()["type"]) == (422, "parent-without-share")


def test_the_centers_share_is_set_by_its_nodes_alone(front: Front) -> None:
    assert put(front, "root", "hcmc", quota(1, 1)).json()["type"] == "follows-nodes"
    assert put(front, "dean", "hcmc", quota(1, 1)).status_code == 403


def test_who_is_given_a_quota_does_not_give_it_to_themselves(front: Front) -> None:
    assert put(front, "dean", "vmu", quota(1, 1)).json()["reasons"][0]["needs"] == "center_admin"
    assert put(front, "alice", "vmu.vision", quota(1, 1)).status_code == 403
    assert put(front, "root", "vmu.vision", quota()).status_code == 200


def test_a_quota_that_is_no_amount_names_its_field(front: Front) -> None:
    for wrong in (-1, 1.5, "1", True, 10**30, None):
        refused = put(front, "root", "vmu", {"nominal": {"millicores": wrong}})
        assert (refused.status_code, refused.json()["reasons"][0]["field"]) == (422, "nominal.millicores")


def test_shares_are_listed_by_pool_and_go_on_where_a_page_ended(front: Front) -> None:
    front.client("root").put("/v1/pools/gpu", json={"tier": "hpc", "name": "GPUs"})
    names = [(one["pool"], one["id"]) for one in whole_list(front.client("dean"), "/v1/shares", limit=2)]
    assert names == [("gpu", "hcmc"), ("main", "hcmc"), ("main", "vmu"), ("main", "vmu.vision")]
    only = front.client("dean").get("/v1/shares", params={"pool": "gpu"}).json()["items"]
    assert [one["id"] for one in only] == ["hcmc"]
