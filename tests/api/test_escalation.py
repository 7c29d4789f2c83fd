"""Nobody gets more than they hold: not by a role they give, a token they make, or somebody who changes sides."""

from starlette.testclient import TestClient

from tests.builders import NOW
from tests.fronts import Front, person_id


def with_secret(front: Front, secret: str) -> TestClient:
    """Return a client that shows a secret it was given."""
    return TestClient(front.app, headers={"Authorization": f"Bearer {secret}", "Accept-Language": "en"})


def token_of(front: Front, maker: str, name: str) -> TestClient:
    """Have somebody make a token for somebody, and return a client that shows it."""
    made = front.client(maker).post(f"/v1/people/{person_id(name)}/tokens", json={"label": "found"})
    assert made.status_code == 201, made.text
    return with_secret(front, made.json()["secret"])


def test_nobody_below_the_center_makes_an_administrator_of_it(front: Front) -> None:
    for giver in ("alice", "bob", "dean"):
        for name in ("alice", "dean", giver):
            put = front.client(giver).put(f"/v1/people/{person_id(name)}/grants/center_admin/hcmc", json={})
            assert put.status_code == 403
        added = front.client(giver).post("/v1/people", json={"name": "X", "role": "center_admin", "reach": "hcmc"})
        assert added.status_code == 403


def test_a_role_elsewhere_is_given_as_little_as_one_nowhere(front: Front) -> None:
    dean, grants = front.client("dean"), f"/v1/people/{person_id('alice')}/grants"
    for role, reaches in {
        "researcher": ("hust", "hust.climate", "void", "void.empty", "vmu.empty", "hcmc"),
        "institution_admin": ("hust", "void", "hcmc"),
    }.items():
        nowhere = dean.put(f"{grants}/{role}/nowhere", json={})
        assert (nowhere.status_code, nowhere.json()["type"]) == (422, "not-there")
        for reach in reaches:
            assert dean.put(f"{grants}/{role}/{reach}", json={}).text == nowhere.text.replace("nowhere", reach)


def test_a_role_is_given_to_nobody_of_another_institution(front: Front) -> None:
    stranger = front.client("dean").put(f"/v1/people/{person_id('eve')}/grants/researcher/vmu", json={})
    nobody = front.client("dean").put(f"/v1/people/{'z' * 26}/grants/researcher/vmu", json={})
    assert stranger.status_code == 404
    assert stranger.content == nobody.content


def test_a_researcher_gives_no_role_even_at_home(front: Front) -> None:
    for role in ("researcher", "institution_admin"):
        assert front.client("bob").put(f"/v1/people/{person_id('bob')}/grants/{role}/vmu", json={}).status_code == 403
    assert front.client("alice").delete(f"/v1/people/{person_id('bob')}/grants/researcher/vmu").status_code == 403


def test_no_token_is_made_for_who_may_more(front: Front) -> None:
    front.client("root").put(f"/v1/people/{person_id('root')}/grants/researcher/vmu", json={})
    for name in ("root", "eve"):
        assert front.client("dean").post(f"/v1/people/{person_id(name)}/tokens", json={}).status_code in {403, 404}
    for name in ("dean", "alice"):
        assert front.client("bob").post(f"/v1/people/{person_id(name)}/tokens", json={}).status_code == 403


def test_no_token_is_made_listed_or_revoked_for_who_works_elsewhere_too(front: Front) -> None:
    root = front.client("root")
    root.put(f"/v1/people/{person_id('bob')}/grants/researcher/hust", json={})
    root.put(f"/v1/people/{person_id('eve')}/grants/institution_admin/hust", json={})
    tokens = f"/v1/people/{person_id('bob')}/tokens"
    for name in ("dean", "eve"):
        admin = front.client(name)
        assert admin.post(tokens, json={}).status_code == 403
        assert admin.get(tokens).status_code == 403
        assert admin.delete(f"{tokens}/{person_id('bob')}").status_code == 403


def test_who_kept_a_secret_of_somebody_that_rises_keeps_nothing(front: Front) -> None:
    kept = token_of(front, "dean", "bob")
    assert kept.get("/v1/people/me").status_code == 200
    front.client("root").put(f"/v1/people/{person_id('bob')}/grants/researcher/hust", json={})
    assert kept.get("/v1/people/me").status_code == 401
    assert front.client("bob").get("/v1/people/me").status_code == 401
    assert token_of(front, "root", "bob").get("/v1/projects/hust.climate").status_code == 200


def test_a_secret_that_was_kept_makes_no_secret_that_lasts_longer(front: Front) -> None:
    tokens = f"/v1/people/{person_id('bob')}/tokens"
    short = front.client("dean").post(tokens, json={"until": NOW + 60}).json()["secret"]
    made = with_secret(front, short).post("/v1/people/me/tokens", json={"until": NOW + 3600}).json()
    assert made["until"] == NOW + 60
    front.clock.time += 60
    assert with_secret(front, made["secret"]).get("/v1/people/me").status_code == 401


def test_becoming_more_at_home_keeps_tokens(front: Front) -> None:
    assert front.client("dean").put(f"/v1/people/{person_id('bob')}/grants/institution_admin/vmu", json={}).is_success
    assert front.client("bob").get("/v1/people/me").status_code == 200


def test_an_institution_cannot_lock_out_somebody_elsewhere_by_taking_them_back(front: Front) -> None:
    bob = f"/v1/people/{person_id('bob')}/grants/researcher"
    root = front.client("root")
    root.put(f"{bob}/hust", json={})
    root.delete(f"{bob}/vmu")
    back = front.client("dean").put(f"{bob}/vmu", json={})
    assert (back.status_code, back.json()["reasons"][0]["needs"]) == (403, "center_admin")
    assert root.put(f"{bob}/vmu", json={}).status_code == 200


def test_who_has_no_role_left_gets_no_token(front: Front) -> None:
    front.client("dean").delete(f"/v1/people/{person_id('bob')}/grants/researcher/vmu")
    for maker in ("dean", "root"):
        made = front.client(maker).post(f"/v1/people/{person_id('bob')}/tokens", json={})
        assert (made.status_code, made.json()["type"]) == (422, "has-ended")
    assert front.client("alice").get(f"/v1/people/{person_id('bob')}/tokens").status_code == 403


def test_a_token_is_revoked_for_good_and_only_among_its_persons(front: Front) -> None:
    dean = front.client("dean")
    token = f"tokens/{person_id('bob')}"
    assert dean.delete(f"/v1/people/{person_id('alice')}/{token}").status_code == 404
    assert front.client("bob").get("/v1/people/me").status_code == 200
    for _again in range(2):
        assert dean.delete(f"/v1/people/{person_id('bob')}/{token}").status_code == 204
    assert front.client("bob").get("/v1/people/me").status_code == 401


def test_a_secret_is_shown_once_and_never_kept_by_the_way(front: Front) -> None:
    made = front.client("bob").post("/v1/people/me/tokens", json={"label": "notebook"})
    assert made.headers["cache-control"] == "no-store"
    listed = front.client("bob").get("/v1/people/me/tokens")
    assert made.json()["secret"] not in listed.text
    assert {token["label"] for token in listed.json()["items"]} == {"test", "notebook"}
