"""Pools and nodes change by the center's hand, and what the center can promise changes in the same step."""

from typing import Any

from registry.resources import GIB
from tests.fronts import Front, a_body
from tests.lists import whole_list

NODE = {"pool": "main", "capacity": {"millicores": 4000, "memory": 16 * GIB}}


def center(front: Front, pool: str = "main") -> dict[str, Any]:
    """Return the center's own share."""
    share: dict[str, Any] = front.client("alice").get(f"/v1/shares/hcmc/{pool}").json()
    return share


def nominal(front: Front, pool: str = "main") -> tuple[int, int, dict[str, int]]:
    amounts = center(front, pool)["quota"]["nominal"]
    return amounts["millicores"], amounts["memory"], amounts["gpus"]


def test_a_new_pool_has_an_empty_share_for_the_center(front: Front) -> None:
    root = front.client("root")
    made = root.put("/v1/pools/gpu", json={"tier": "hpc", "name": "GPUs"})
    assert made.json() == {"id": "gpu", "center": "hcmc", "tier": "hpc", "name": "GPUs"}
    assert nominal(front, "gpu") == (0, 0, {})
    assert front.client("alice").get("/v1/pools/gpu").json() == made.json()
    assert [pool["id"] for pool in front.client("alice").get("/v1/pools").json()["items"]] == ["gpu", "main"]


def test_a_pool_that_is_described_anew_keeps_its_nodes_and_its_share(front: Front) -> None:
    root, before = front.client("root"), center(front)
    assert root.put("/v1/pools/main", json={"tier": "cloud", "name": "Cloud"}).json()["tier"] == "cloud"
    assert center(front) == before


def test_the_centers_share_follows_nodes_that_come_grow_shrink_and_drain(front: Front) -> None:
    root = front.client("root")
    root.put("/v1/nodes/n2", json=NODE)
    assert nominal(front) == (12_000, 48 * GIB, {})
    root.put("/v1/nodes/n2", json=NODE | {"capacity": {"millicores": 6000, "memory": 16 * GIB, "gpus": {"a100": 2}}})
    assert nominal(front) == (14_000, 48 * GIB, {"a100": 2})
    root.put("/v1/nodes/n2", json=NODE | {"capacity": {"millicores": 1000, "memory": GIB}})
    assert nominal(front) == (9_000, 33 * GIB, {})
    assert root.post("/v1/nodes/n2/drain").json()["state"] == "draining"
    assert nominal(front) == (8_000, 32 * GIB, {})
    assert root.post("/v1/nodes/n2/undrain").json()["state"] == "ready"
    assert nominal(front) == (9_000, 33 * GIB, {})


def test_to_drain_again_changes_nothing(front: Front) -> None:
    root = front.client("root")
    root.post("/v1/nodes/n1/drain")
    before = center(front)
    assert root.post("/v1/nodes/n1/drain").status_code == 200
    assert center(front) == before


def test_work_on_a_drained_node_takes_no_room_from_the_others(front: Front) -> None:
    """The limit keeps room for what still runs there, or one full node would close the whole pool."""
    root = front.client("root")
    front.client("alice").post("/v1/requests", json=a_body(workers={"min": 4, "max": 4}))
    front.cycle()
    root.put("/v1/nodes/n2", json=NODE)
    root.post("/v1/nodes/n1/drain")
    second = front.client("bob").post("/v1/requests", json=a_body(workers={"min": 2, "max": 2})).json()["id"]
    front.cycle()
    assert front.client("bob").get(f"/v1/requests/{second}").json()["state"] == "placed"


def test_a_node_moves_to_another_pool_only_while_nothing_runs_on_it(front: Front) -> None:
    root = front.client("root")
    root.put("/v1/pools/gpu", json={"tier": "hpc", "name": "GPUs"})
    root.put("/v1/nodes/n2", json=NODE)
    moved = root.put("/v1/nodes/n2", json=NODE | {"pool": "gpu"})
    assert moved.json()["pool"] == "gpu"
    assert nominal(front) == (8_000, 32 * GIB, {})
    assert nominal(front, "gpu") == (4_000, 16 * GIB, {})
    front.client("alice").post("/v1/requests", json=a_body())
    front.cycle()
    busy = root.put("/v1/nodes/n1", json=NODE | {"pool": "gpu"})
    assert (busy.status_code, busy.json()["type"], busy.json()["reasons"][0]["pool"]) == (409, "node-busy", "main")
    assert nominal(front) == (8_000, 32 * GIB, {})


def test_a_node_in_no_pool_is_refused(front: Front) -> None:
    refused = front.client("root").put("/v1/nodes/n2", json=NODE | {"pool": "void"})
    assert (refused.status_code, refused.json()["reasons"][0]["field"]) == (422, "pool")


def test_a_new_name_that_cannot_be_one_is_named(front: Front) -> None:
    for field, address in (("node", "/v1/nodes/N_2"), ("pool", "/v1/pools/x")):
        refused = front.client("root").put(address, json=NODE)
        reason = next(one for one in refused.json()["reasons"] if one["field"] == field)
        assert (refused.status_code, reason["problem"]) == (422, "not-of-shape")


def test_nodes_are_listed_by_pool(front: Front) -> None:
    root, alice = front.client("root"), front.client("alice")
    root.put("/v1/pools/gpu", json={"tier": "hpc", "name": "GPUs"})
    root.put("/v1/nodes/g1", json=NODE | {"pool": "gpu"})
    listed = alice.get("/v1/nodes", params={"pool": "gpu"}).json()["items"]
    assert listed == [alice.get("/v1/nodes/g1").json()]
    assert [node["id"] for node in whole_list(alice, "/v1/nodes", limit=1)] == ["g1", "n1"]


def test_only_the_center_changes_its_machines(front: Front) -> None:
    for method, address, body in (
        ("PUT", "/v1/pools/gpu", {"tier": "hpc", "name": "GPUs"}),
        ("PUT", "/v1/nodes/n1", NODE),
        ("POST", "/v1/nodes/n1/drain", None),
        ("POST", "/v1/nodes/n1/undrain", None),
    ):
        for name in ("dean", "alice"):
            assert front.client(name).request(method, address, json=body).status_code == 403
        assert front.client("root").request(method, address, json=body).status_code == 200


def test_a_node_nobody_knows_is_not_drained(front: Front) -> None:
    assert front.client("root").post("/v1/nodes/void/drain").status_code == 404
