"""Requests over HTTP: asked for, shown, held, extended, cancelled and explained."""

import json
from hashlib import sha256
from typing import Any

import pytest

from api.schemas.requests import RequestIn
from registry.ids import Seconds
from registry.resources import GIB, MIB
from scheduler.policy import DAY, DEFAULT_POLICY
from scheduler.requests import RequestClass
from tests.builders import NOW
from tests.fronts import Front, a_body, person_id


def submitted(front: Front, name: str = "alice", **changes: Any) -> str:  # noqa: ANN401 - what JSON can hold
    response = front.client(name).post("/v1/requests", json=a_body(**changes))
    assert response.status_code == 202, response.text
    request: str = response.json()["id"]
    return request


def submitted_long_ago(front: Front, **changes: Any) -> str:  # noqa: ANN401 - what JSON can hold
    """Submit what has waited for so long that it is promised the first start that can be had."""
    front.clock.time = Seconds(NOW - DAY)
    request = submitted(front, **changes)
    front.clock.time = NOW
    return request


def test_a_request_gets_what_is_usual_where_it_says_nothing(front: Front) -> None:
    asked = front.client("alice").post("/v1/requests", json=a_body())
    assert asked.status_code == 202
    shown = asked.json()
    assert shown["state"] == "pending"
    assert shown["phase"] is None
    assert shown["person"] == person_id("alice")
    assert shown["institution"] == "vmu"
    assert shown["class"] == "interactive"
    assert shown["walltime_seconds"] == 3600
    assert shown["idle_seconds"] == 1800
    assert shown["environment"] == "default"
    assert shown["workers"] == {"min": 1, "max": 4, "wanted": 1}
    assert shown["head"] == {"millicores": 520, "memory": GIB + 16 * MIB, "gpus": {}}
    assert shown["submitted"] == NOW
    assert shown["tags"]["tier"] == "hpc"
    assert shown["tags"]["funding"] == "unreported"


def test_a_request_gets_what_it_asks_for(front: Front) -> None:
    shape = {"millicores": 500, "memory": GIB, "gpus": {}}
    wanted = a_body(name="Ảnh vệ tinh", head=shape, walltime_seconds=60, idle_seconds=10) | {"class": "normal"}
    shown = front.client("alice").post("/v1/requests", json=wanted).json()
    assert shown["name"] == "Ảnh vệ tinh"
    assert shown["head"] == shape
    assert (shown["walltime_seconds"], shown["idle_seconds"], shown["class"]) == (60, 10, "normal")


def test_what_could_never_run_is_refused_with_every_reason_and_the_field(front: Front) -> None:
    worker = {"millicores": 9000, "memory": 64 * GIB, "gpus": {"a100": 2}}
    refused = front.client("alice").post("/v1/requests", json=a_body(worker=worker, walltime_seconds=86_400))
    assert refused.status_code == 422
    told = refused.json()
    assert told["type"] == "walltime-too-long"
    assert {(one["code"], one["field"]) for one in told["reasons"]} >= {
        ("walltime-too-long", "walltime_seconds"),
        ("process-never-fits", "worker"),
        ("beyond-limit", "workers"),
    }
    never = next(one for one in told["reasons"] if one.get("resource") == "gpu/a100")
    assert (never["needed"], never["largest"]) == (2, 0)
    assert front.client("alice").get("/v1/requests").json()["items"] == []


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"project": "hust.climate"}, "not-there", "project"),
        ({"project": "nobody.nothing"}, "not-there", "project"),
        ({"pool": "elsewhere"}, "not-there", "pool"),
        ({"environment": "elsewhere"}, "unknown-environment", "environment"),
        ({"workers": {"min": 3, "max": 2}}, "minimum-above-maximum", "workers.min"),
        ({"workers": {"min": 1, "max": 900}}, "too-many-workers", "workers"),
        ({"class": "course", "workers": {"min": 5, "max": 5}}, "beyond-class-share", "workers"),
    ],
)
def test_a_refusal_names_the_field(front: Front, change: dict[str, Any], code: str, field: str) -> None:
    refused = front.client("alice").post("/v1/requests", json=a_body(**change))
    assert refused.status_code == 422
    assert (refused.json()["type"], refused.json()["reasons"][0]["field"]) == (code, field)


def test_another_institutions_project_and_none_are_refused_alike(front: Front) -> None:
    def answer(project: str) -> str:
        refused = front.client("alice").post("/v1/requests", json=a_body(project=project))
        return refused.text.replace(project, "PROJECT")

    assert answer("hust.climate") == answer("hust.weather")


def test_an_urgent_request_is_for_administrators(front: Front) -> None:
    urgent = a_body() | {"class": "urgent"}
    refused = front.client("alice").post("/v1/requests", json=urgent)
    assert refused.status_code == 403
    assert refused.json()["reasons"][0]["field"] == "class"
    assert front.client("dean").post("/v1/requests", json=urgent).status_code == 202


def test_a_repeated_key_gets_its_first_answer_even_once_it_runs(front: Front) -> None:
    client, key = front.client("alice"), {"Idempotency-Key": "7f3a"}
    first = client.post("/v1/requests", json=a_body(), headers=key)
    again = client.post("/v1/requests", json=a_body(name="", idle_seconds=1800), headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.text == again.text
    front.cycle()
    later = client.post("/v1/requests", json=a_body(), headers=key).json()
    assert (later["id"], later["state"], later["phase"]) == (first.json()["id"], "placed", "starting")
    assert len(client.get("/v1/requests").json()["items"]) == 1


def test_how_work_scales_is_said_in_thousandths_or_not_at_all(front: Front) -> None:
    client = front.client("alice")
    said = client.post("/v1/requests", json=a_body(parallel_fraction=995)).json()
    assert client.get(f"/v1/requests/{said['id']}").json()["parallel_fraction"] == 995
    assert client.post("/v1/requests", json=a_body()).json()["parallel_fraction"] is None
    for wrong in (-1, 1001, 0.99):
        assert client.post("/v1/requests", json=a_body(parallel_fraction=wrong)).status_code == 422


def test_a_request_that_leaves_out_what_is_new_has_the_fingerprint_that_it_had_before_that() -> None:
    meant = json.loads(RequestIn.model_validate(a_body()).model_dump_json(by_alias=True))
    assert (meant.pop("booking"), meant.pop("parallel_fraction")) == (None, None)
    before = sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()
    asked = RequestIn.model_validate(a_body()).replay(person_id("alice"), "7f3a")
    assert asked is not None
    assert asked.fingerprint == before
    booked = RequestIn.model_validate(a_body(booking="a" * 26)).replay(person_id("alice"), "7f3a")
    assert booked is not None
    assert booked.fingerprint != before
    scaling = RequestIn.model_validate(a_body(parallel_fraction=995)).replay(person_id("alice"), "7f3a")
    assert scaling is not None
    assert scaling.fingerprint not in {before, booked.fingerprint}


def test_a_key_with_another_body_is_refused_and_belongs_to_one_person(front: Front) -> None:
    key = {"Idempotency-Key": "7f3a"}
    front.client("alice").post("/v1/requests", json=a_body(), headers=key)
    other = front.client("alice").post("/v1/requests", json=a_body(name="other"), headers=key)
    assert other.status_code == 422
    assert other.json()["type"] == "key-used-otherwise"
    assert front.client("bob").post("/v1/requests", json=a_body(name="other"), headers=key).status_code == 202


def test_one_request_is_shown_with_its_processes_but_not_where_they_answer(front: Front) -> None:
    request = submitted(front)
    front.cycle()
    front.start(request)
    shown = front.client("bob").get(f"/v1/requests/{request}")
    assert shown.json()["phase"] == "running"
    assert [process["part"] for process in shown.json()["processes"]] == ["head", "guaranteed"]
    assert all(process["ready"] for process in shown.json()["processes"])
    assert "127.0.0.1" not in shown.text


def test_cancelling_ends_a_waiting_request_at_once_and_a_running_one_soon(front: Front) -> None:
    client, waiting = front.client("alice"), submitted(front)
    assert client.post(f"/v1/requests/{waiting}/cancel").json()["state"] == "ended"
    running = submitted(front)
    front.cycle()
    ending = client.post(f"/v1/requests/{running}/cancel").json()
    assert (ending["state"], ending["phase"], ending["ending"]) == ("placed", "ending", "cancelled")
    again = client.post(f"/v1/requests/{running}/cancel")
    assert again.json() == ending
    front.end(running)
    assert client.get(f"/v1/requests/{running}").json()["end"] == "cancelled"


@pytest.mark.parametrize(
    ("name", "body", "held"),
    [
        ("alice", None, "user_hold"),
        ("alice", {"as": "user"}, "user_hold"),
        ("dean", None, "user_hold"),
        ("root", None, "operator_hold"),
        ("root", {"as": "user"}, "user_hold"),
    ],
)
def test_who_holds_a_request_decides_who_releases_it(
    front: Front, name: str, body: dict[str, str] | None, held: str
) -> None:
    client, request = front.client(name), submitted(front)
    shown = client.post(f"/v1/requests/{request}/hold", json=body).json()
    assert {key for key in ("user_hold", "operator_hold") if shown[key]} == {held}
    front.cycle()
    code = held.replace("_hold", "").replace("user", "held-by-user").replace("operator", "held-by-operator")
    assert client.get(f"/v1/requests/{request}").json()["reasons"] == [code]
    assert not client.post(f"/v1/requests/{request}/release", json=body).json()[held]
    front.cycle()
    assert client.get(f"/v1/requests/{request}").json()["state"] == "placed"


def test_only_the_center_holds_as_an_operator_and_only_it_releases_that(front: Front) -> None:
    request = submitted(front)
    refused = front.client("dean").post(f"/v1/requests/{request}/hold", json={"as": "operator"})
    assert (refused.status_code, refused.json()["reasons"][0]["field"]) == (403, "as")
    front.client("root").post(f"/v1/requests/{request}/hold")
    released = front.client("alice").post(f"/v1/requests/{request}/release")
    assert released.json()["operator_hold"]


def test_a_center_admin_holds_their_own_request_as_its_user(front: Front) -> None:
    request = submitted(front, "root")
    assert front.client("root").post(f"/v1/requests/{request}/hold").json()["user_hold"]


def test_only_what_waits_can_be_held(front: Front) -> None:
    request = submitted(front)
    front.cycle()
    refused = front.client("alice").post(f"/v1/requests/{request}/hold")
    assert refused.status_code == 409
    assert refused.json()["reasons"] == [
        {
            "code": "not-pending",
            "sentence": "Only a request that waits can be held or released; this one has been placed.",
            "state": "placed",
        }
    ]


def test_a_waiting_request_is_explained_with_numbers_place_and_rank(front: Front) -> None:
    large = a_body(worker={"millicores": 7000, "memory": GIB}, walltime_seconds=3600)
    client = front.client("alice")
    running = client.post("/v1/requests", json=large).json()["id"]
    front.cycle()
    waiting = submitted_long_ago(front, **large)
    front.cycle()
    told = client.get(f"/v1/requests/{waiting}/explain").json()
    assert (told["state"], told["place"], told["pending"]) == ("pending", 1, 1)
    factors = ("class_weight", "fair_share", "length", "size")
    assert told["rank"]["class_weight"] == 20.0
    assert told["rank"]["total"] == pytest.approx(sum(told["rank"][factor] for factor in factors))
    (full,) = told["reasons"]
    assert (full["code"], full["pool"], full["processes"], full["placeable"]) == ("nodes-full", "main", 2, 0)
    assert full["expected"] == told["expected"] > NOW + 3600
    assert "room for 0 of its 2 processes" in full["sentence"]
    vietnamese = client.get(f"/v1/requests/{waiting}/explain", headers={"Accept-Language": "vi"}).json()
    assert "chỉ đủ chỗ cho 0 trong 2 tiến trình" in vietnamese["reasons"][0]["sentence"]
    placed = client.get(f"/v1/requests/{running}/explain").json()
    assert placed == {
        "state": "placed",
        "place": None,
        "pending": None,
        "rank": None,
        "reasons": [],
        "expected": None,
        "overtakable": None,
        "borrowed": [],
    }


def test_a_waiting_request_is_told_for_how_long_it_may_be_overtaken_until_its_start_is_protected(front: Front) -> None:
    large = a_body(worker={"millicores": 7000, "memory": GIB}, walltime_seconds=3600)
    client = front.client("alice")
    client.post("/v1/requests", json=large)
    front.cycle()
    waiting = submitted(front, **large)
    told = client.get(f"/v1/requests/{waiting}/explain").json()
    assert told["expected"] is None
    overtakable = told["overtakable"]
    rule = DEFAULT_POLICY.classes[RequestClass.INTERACTIVE]
    assert overtakable["until"] > NOW + rule.overtaking_seconds
    assert NOW < overtakable["promised_from"] < overtakable["until"]
    assert overtakable["is_due"] is False
    front.cycle()
    assert client.get(f"/v1/requests/{waiting}/explain").json()["overtakable"] == overtakable
    front.clock.time = overtakable["promised_from"]
    promised = client.get(f"/v1/requests/{waiting}/explain").json()
    assert promised["overtakable"] is None
    assert promised["expected"] is not None


def test_a_waiting_request_is_told_what_alone_would_start_it(front: Front) -> None:
    large = a_body(worker={"millicores": 7000, "memory": GIB}, walltime_seconds=3600)
    client = front.client("alice")
    running, waiting = (client.post("/v1/requests", json=large).json()["id"] for _ in range(2))
    front.cycle()
    (end,) = client.get(f"/v1/requests/{waiting}/advice").json()["items"]
    assert (end["code"], end["requests"]) == ("end-own", [running])
    assert running in end["sentence"]
    vietnamese = client.get(f"/v1/requests/{waiting}/advice", headers={"Accept-Language": "vi"}).json()
    assert vietnamese["items"][0]["sentence"].startswith("Chạy ngay nếu 1 cụm")
    assert client.get(f"/v1/requests/{running}/advice").json() == {"items": []}
    assert front.client("eve").get(f"/v1/requests/{waiting}/advice").status_code == 404


def test_a_list_is_filtered_and_turned_page_by_page_newest_first(front: Front) -> None:
    requests = []
    for number in range(5):
        front.clock.time = NOW + number
        requests.append(submitted(front, "alice" if number % 2 else "bob"))
    client = front.client("alice")
    client.post(f"/v1/requests/{requests[0]}/cancel")
    found: list[str] = []
    cursor: str | None = None
    while len(found) < 5:
        page = client.get("/v1/requests", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
    assert cursor is None
    assert found == requests[::-1]
    mine = client.get("/v1/requests", params={"mine": "true", "state": "pending"}).json()["items"]
    assert [item["id"] for item in mine] == [requests[3], requests[1]]
    assert client.get("/v1/requests", params={"project": "vmu.other"}).json() == {"items": [], "next": None}


def running(front: Front, **changes: Any) -> str:  # noqa: ANN401 - what JSON can hold
    request = submitted(front, **changes)
    front.cycle()
    front.start(request)
    return request


def test_a_running_cluster_goes_on_for_as_much_longer_as_is_asked(front: Front) -> None:
    client, request = front.client("alice"), running(front, walltime_seconds=600)
    for times in (1, 2):
        answer = client.post(f"/v1/requests/{request}/extend", json={"walltime_seconds": 300})
        assert answer.status_code == 200
        assert answer.json()["deadline"] == NOW + 600 + times * 300
        assert answer.json()["extended_seconds"] == times * 300
    listed = client.get(f"/v1/requests/{request}/events", headers={"Accept": "application/json"})
    told = listed.json()["items"][-1]
    assert (told["kind"], told["details"]) == ("extended", {"seconds": "300", "deadline": str(NOW + 1200)})


@pytest.mark.parametrize(
    ("name", "status"), [("alice", 200), ("bob", 403), ("dean", 200), ("root", 200), ("eve", 404), (None, 401)]
)
def test_the_owner_and_who_administers_it_let_a_cluster_go_on(front: Front, name: str | None, status: int) -> None:
    request = running(front)
    answer = front.client(name).post(f"/v1/requests/{request}/extend", json={"walltime_seconds": 60})
    assert answer.status_code == status


def test_what_is_not_granted_says_whose_turn_it_is_and_what_would_be(front: Front) -> None:
    client, request = front.client("alice"), running(front, walltime_seconds=600)
    other = running(front, walltime_seconds=1800)
    submitted_long_ago(front, worker={"millicores": 6000, "memory": 2 * GIB}, workers={"min": 1, "max": 1})
    front.cycle()
    refused = client.post(f"/v1/requests/{request}/extend", json={"walltime_seconds": 7200})
    assert (refused.status_code, refused.json()["type"]) == (409, "extension-too-long")
    longer, delayed = refused.json()["reasons"]
    assert (longer["field"], longer["asked"], longer["longest"]) == ("walltime_seconds", 7200, 1200)
    assert delayed["code"] == "would-delay-promised"
    assert delayed["promised_from"] == NOW + 1800 + DEFAULT_POLICY.termination_slack_seconds
    assert "the longest extension that would be granted now is 20 min." in refused.json()["detail"]
    longest = {"walltime_seconds": longer["longest"]}
    assert client.post(f"/v1/requests/{other}/extend", json=longest).json()["reasons"][0]["longest"] == 0
    assert client.post(f"/v1/requests/{request}/extend", json=longest).status_code == 200


@pytest.mark.parametrize("seconds", [0, -1, 2_592_001, "60", 1.5, None, True])
def test_an_extension_is_a_number_of_seconds(front: Front, seconds: object) -> None:
    refused = front.client("alice").post(f"/v1/requests/{submitted(front)}/extend", json={"walltime_seconds": seconds})
    assert (refused.status_code, refused.json()["reasons"][0]["field"]) == (422, "walltime_seconds")


def test_what_waits_has_no_end_that_could_be_put_off(front: Front) -> None:
    answer = front.client("alice").post(f"/v1/requests/{submitted(front)}/extend", json={"walltime_seconds": 60})
    assert (answer.status_code, answer.json()["reasons"][0]["state"]) == (409, "pending")


def test_an_estimate_says_when_it_would_start_and_what_it_would_hold_and_keeps_nothing(front: Front) -> None:
    client, body = front.client("alice"), a_body(workers={"min": 7, "max": 7})
    asked = client.post("/v1/requests/estimate", json=body)
    assert asked.status_code == 200, asked.text
    found = asked.json()
    at_once = {"earliest": NOW, "latest": NOW}
    assert found["start"] == {"issued": NOW, "percent_50": at_once, "percent_90": at_once}
    assert (found["place"], found["pending"], found["reasons"]) == (1, 1, [])
    assert client.get("/v1/requests").json()["items"] == []
    submitted(front, workers={"min": 7, "max": 7})
    front.cycle()
    held = client.get("/v1/ledger", params={"project": "vmu.vision"}).json()["items"]
    assert [entry["micro_credits"] for entry in held if entry["kind"] == "hold"] == [found["micro_credits"]]


def test_who_would_wait_is_told_until_when_as_often_as_they_ask_and_once_more_when_they_do(front: Front) -> None:
    client, body = front.client("alice"), a_body(workers={"min": 7, "max": 7})
    submitted(front, workers={"min": 7, "max": 7})
    front.cycle()
    found = client.post("/v1/requests/estimate", json=body).json()
    start = found["start"]
    assert start["percent_90"]["earliest"] <= start["percent_50"]["earliest"]
    assert NOW < start["percent_50"]["latest"] < start["percent_90"]["latest"]
    assert [reason["code"] for reason in found["reasons"]] == ["nodes-full"]
    assert client.post("/v1/requests/estimate", json=body).json() == found
    request = submitted(front, workers={"min": 7, "max": 7})
    assert client.get(f"/v1/requests/{request}").json()["estimate"] is None
    front.cycle()
    assert client.get(f"/v1/requests/{request}").json()["estimate"] == start


def test_nobody_can_say_when_something_else_than_nodes_is_in_the_way(front: Front) -> None:
    course: dict[str, Any] = {"workers": {"min": 1, "max": 1}, "class": "course"}
    for _ in range(2):
        submitted(front, **course)
    front.cycle()
    found = front.client("alice").post("/v1/requests/estimate", json=a_body(**course)).json()
    assert "person-at-class-limit" in {reason["code"] for reason in found["reasons"]}
    assert found["start"] is None
    assert found["micro_credits"] > 0


@pytest.mark.parametrize(
    ("name", "change", "status"),
    [
        (None, {}, 401),
        ("alice", {"project": "hust.climate"}, 422),
        ("alice", {"class": "urgent"}, 403),
        ("alice", {"workers": {"min": 1, "max": 900}}, 422),
        ("alice", {"nonsense": 1}, 422),
    ],
)
def test_an_estimate_is_refused_to_whom_and_as_the_request_would_be(
    front: Front, name: str | None, change: dict[str, Any], status: int
) -> None:
    client = front.client(name)
    refused, asked = (client.post(f"/v1/requests{path}", json=a_body() | change) for path in ("/estimate", ""))
    assert refused.status_code == asked.status_code == status
    assert refused.json()["type"] == asked.json()["type"]
