"""A center that runs every process under one uid takes one institution, and says what would help."""

from fastapi.testclient import TestClient

from api.app import create_app
from scheduler.policy import DEFAULT_POLICY
from tests.fronts import Front


def test_a_second_institution_is_refused_where_tenants_are_not_kept_apart(front: Front) -> None:
    app = create_app(front.ports, front.app.state.desk.explainer, DEFAULT_POLICY, keeps_apart=False)
    with TestClient(app) as client:
        answer = client.post(
            "/v1/institutions",
            json={"id": "uit", "name": "UIT", "kind": "university"},
            headers={"Authorization": "Bearer root-secret", "Accept-Language": "en"},
        )
    assert answer.status_code == 409
    assert answer.json()["reasons"][0]["code"] == "not-kept-apart"
    assert "--trust-everyone" in answer.json()["detail"]


def test_nodes_that_follow_a_cluster_are_shown_and_administered_there(front: Front) -> None:
    app = create_app(front.ports, front.app.state.desk.explainer, DEFAULT_POLICY, own_nodes=False)
    admin = {"Authorization": "Bearer root-secret", "Accept-Language": "en"}
    with TestClient(app, headers=admin) as client:
        node = {"pool": "main", "capacity": {"millicores": 1000, "memory": 2**30}}
        refused = [
            client.put("/v1/nodes/n9", json=node),
            client.post("/v1/nodes/n1/drain"),
            client.post("/v1/nodes/n1/undrain"),
        ]
        assert client.get("/v1/nodes/n1").json()["state"] == "ready"
    assert {(answer.status_code, answer.json()["type"]) for answer in refused} == {(409, "nodes-follow")}
    assert "kubectl cordon" in refused[0].json()["detail"]
