"""Nodes are booked by the center, seen by everybody, given back by whom they are for, and named by requests."""

from typing import Any

import pytest

from registry.resources import GIB
from scheduler.policy import HOUR
from tests.builders import NOW, booking_id
from tests.fronts import Front, a_body, person_id
from tests.lists import whole_list

SLACK = 30
NODE = {"pool": "main", "capacity": {"millicores": 8000, "memory": 32 * GIB}}


def a_course(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - what JSON can hold
    """Return two hours of one node for a project, an hour from now."""
    course: dict[str, Any] = {
        "name": "Machine learning",
        "pool": "main",
        "nodes": ["n1"],
        "begins": NOW + HOUR,
        "ends": NOW + 3 * HOUR,
        "kind": "course",
        "project": "vmu.vision",
    }
    return course | changes


def maintenance(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - what JSON can hold
    return a_course(name="New disks", kind="maintenance", project=None) | changes


def booked(front: Front, body: dict[str, Any]) -> dict[str, Any]:
    made = front.client("root").post("/v1/bookings", json=body)
    assert made.status_code == 201, made.text
    shown: dict[str, Any] = made.json()
    return shown


def more_nodes(front: Front, *names: str) -> None:
    for name in names:
        assert front.client("root").put(f"/v1/nodes/{name}", json=NODE).status_code == 200


def running(front: Front, seconds: int) -> str:
    """Have a request of Alice run for so long; return its id."""
    asked = front.client("alice").post("/v1/requests", json=a_body(walltime_seconds=seconds))
    front.cycle()
    request: str = asked.json()["id"]
    assert front.client("alice").get(f"/v1/requests/{request}").json()["state"] == "placed"
    return request


# Booked


def test_a_booking_is_shown_as_it_was_made(front: Front) -> None:
    shown = booked(front, a_course())
    assert shown == {
        "id": shown["id"],
        "name": "Machine learning",
        "pool": "main",
        "nodes": ["n1"],
        "begins": NOW + HOUR,
        "ends": NOW + 3 * HOUR,
        "until": NOW + 3 * HOUR,
        "kind": "course",
        "project": "vmu.vision",
        "displaces": False,
        "made": NOW,
        "made_by": person_id("root"),
        "released": None,
        "released_by": None,
    }
    assert front.client("alice").get(f"/v1/bookings/{shown['id']}").json() == shown
    assert front.client("alice").get("/v1/bookings").json() == {"items": [shown], "next": None}


def test_a_booking_that_names_no_begin_begins_now(front: Front) -> None:
    assert booked(front, maintenance(begins=None))["begins"] == NOW


def test_a_number_of_nodes_is_chosen_that_others_have_not_booked_and_that_are_empty(front: Front) -> None:
    more_nodes(front, "n2", "n3", "n4")
    running(front, 2 * HOUR)
    booked(front, a_course(nodes=["n2"]))
    front.client("root").post("/v1/nodes/n4/drain")
    assert booked(front, a_course(nodes=[], node_count=1))["nodes"] == ["n3"]
    refused = front.client("root").post("/v1/bookings", json=a_course(nodes=[], node_count=2))
    assert (refused.status_code, refused.json()["type"]) == (409, "too-few-nodes-free")
    assert (refused.json()["reasons"][0]["asked"], refused.json()["reasons"][0]["free"]) == (2, 1)
    later = a_course(nodes=[], node_count=3, begins=NOW + 3 * HOUR, ends=NOW + 4 * HOUR)
    assert booked(front, later)["nodes"] == ["n1", "n2", "n3"]


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        ({"pool": "void"}, {("not-there", "pool")}),
        ({"project": "void.empty"}, {("not-there", "project")}),
        ({"project": None}, {("booking-without-project", "project")}),
        ({"kind": "maintenance"}, {("maintenance-of-project", "project")}),
        ({"displace": True}, {("only-maintenance-displaces", "displace")}),
        ({"nodes": []}, {("nodes-named-or-counted", "nodes")}),
        ({"node_count": 1}, {("nodes-named-or-counted", "nodes")}),
        ({"begins": NOW - 1}, {("too-early", "begins")}),
        ({"ends": NOW + HOUR}, {("period-ends-before-it-begins", "ends")}),
        ({"ends": NOW + 32 * 24 * HOUR}, {("booking-too-long", "ends")}),
        ({"nodes": ["n1", "n7", "n8"]}, {("booking-node-unknown", "nodes")}),
        ({"pool": "void", "project": None, "begins": 0}, {
            ("not-there", "pool"), ("booking-without-project", "project"), ("too-early", "begins"),
            ("booking-too-long", "ends"),
        }),
    ],
)  # fmt: skip
def test_what_cannot_be_booked_is_refused_with_every_reason(
    front: Front, change: dict[str, Any], reasons: set[tuple[str, str]]
) -> None:
    refused = front.client("root").post("/v1/bookings", json=a_course(**change))
    assert refused.status_code == 422
    assert {(one["code"], one["field"]) for one in refused.json()["reasons"]} == reasons
    assert front.client("root").get("/v1/bookings?over=true").json()["items"] == []


def test_a_node_is_booked_once_at_a_time_and_the_refusal_names_the_other_booking(front: Front) -> None:
    more_nodes(front, "n2")
    first = booked(front, a_course())
    refused = front.client("root").post("/v1/bookings", json=maintenance(nodes=["n1", "n2"], begins=NOW))
    (reason,) = refused.json()["reasons"]
    assert (refused.status_code, reason["code"]) == (409, "booking-overlaps")
    assert (reason["booking"], reason["node"], reason["until"]) == (first["id"], "n1", NOW + 3 * HOUR)
    assert "Node n1 is booked from" in reason["sentence"]
    booked(front, maintenance(begins=NOW + 3 * HOUR, ends=NOW + 4 * HOUR))
    booked(front, maintenance(nodes=["n2"]))


def test_running_work_is_waited_for_and_the_refusal_says_how_long(front: Front) -> None:
    running(front, 2 * HOUR)
    refused = front.client("root").post("/v1/bookings", json=a_course())
    (reason,) = refused.json()["reasons"]
    assert (refused.status_code, reason["code"], reason["field"]) == (409, "booked-work-runs", "begins")
    assert (reason["clusters"], reason["earliest"]) == (1, NOW + 2 * HOUR + SLACK)
    assert booked(front, a_course(begins=reason["earliest"]))["begins"] == NOW + 2 * HOUR + SLACK


def test_running_work_makes_way_for_maintenance_that_says_so(front: Front) -> None:
    running(front, 2 * HOUR)
    assert front.client("root").post("/v1/bookings", json=maintenance()).json()["type"] == "booked-work-runs"
    assert booked(front, maintenance(displace=True))["displaces"] is True


# Who may, and who sees what


def test_only_the_center_books(front: Front) -> None:
    for name in ("alice", "bob", "dean", "eve"):
        refused = front.client(name).post("/v1/bookings", json=a_course())
        assert (refused.status_code, refused.json()["reasons"][0]["needs"]) == (403, "center_admin")
    assert front.client("root").get("/v1/bookings").json()["items"] == []


def test_strangers_see_when_and_which_nodes_but_not_for_whom(front: Front) -> None:
    shown = booked(front, a_course())
    for address in (f"/v1/bookings/{shown['id']}", "/v1/bookings"):
        told = front.client("eve").get(address)
        assert told.status_code == 200
        assert "vmu" not in told.text
        assert "Machine" not in told.text
        assert person_id("root") not in told.text
    seen = front.client("eve").get(f"/v1/bookings/{shown['id']}").json()
    assert seen == shown | {"name": "", "project": None, "made_by": None}
    for name in ("dean", "bob", "root"):
        assert front.client(name).get(f"/v1/bookings/{shown['id']}").json() == shown


def test_everybody_sees_what_is_under_maintenance(front: Front) -> None:
    shown = booked(front, maintenance())
    assert front.client("eve").get(f"/v1/bookings/{shown['id']}").json() == shown


@pytest.mark.parametrize(("name", "status"), [("root", 200), ("dean", 200), ("alice", 200), ("bob", 200), ("eve", 403)])
def test_a_booking_is_given_back_by_the_center_and_by_who_works_on_its_project(
    front: Front, name: str, status: int
) -> None:
    booking = booked(front, a_course())["id"]
    answer = front.client(name).post(f"/v1/bookings/{booking}/release")
    assert answer.status_code == status, answer.text
    released = front.client("root").get(f"/v1/bookings/{booking}").json()["released_by"]
    assert released == (person_id(name) if status == 200 else None)


@pytest.mark.parametrize(("name", "status"), [("root", 200), ("dean", 403), ("alice", 403), ("eve", 403)])
def test_maintenance_is_ended_by_the_center_alone(front: Front, name: str, status: int) -> None:
    booking = booked(front, maintenance())["id"]
    answer = front.client(name).post(f"/v1/bookings/{booking}/release")
    assert answer.status_code == status
    if status == 403:
        assert "administrators of the center" in answer.json()["detail"]


def test_who_works_on_the_project_no_longer_gives_nothing_back(front: Front) -> None:
    booking = booked(front, a_course())["id"]
    front.client("dean").delete(f"/v1/people/{person_id('bob')}/grants/researcher/vmu")
    front.client("dean").put(f"/v1/people/{person_id('alice')}/grants/researcher/vmu.vision", json={"until": NOW + 60})
    front.clock.time += 60
    for name in ("alice", "bob"):
        assert front.client(name).post(f"/v1/bookings/{booking}/release").status_code in {401, 403}
    assert front.client("root").get(f"/v1/bookings/{booking}").json()["released"] is None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_absent_and_an_impossible_booking_get_the_same_answer(front: Front, method: str) -> None:
    address = "/v1/bookings/{}" + ("/release" if method == "POST" else "")
    answers = [front.client("eve").request(method, address.format(name)) for name in ("z" * 26, "no-id", "%00")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["reasons"][0]["what"] == "booking"


# Given back, over, and listed


def test_nodes_that_are_given_back_early_are_free_from_then_on(front: Front) -> None:
    booking = booked(front, a_course())["id"]
    front.clock.time += 2 * HOUR
    given_back = front.client("alice").post(f"/v1/bookings/{booking}/release").json()
    assert (given_back["released"], given_back["until"]) == (NOW + 2 * HOUR, NOW + 2 * HOUR)
    front.clock.time += 1
    assert front.client("root").post(f"/v1/bookings/{booking}/release").json() == given_back
    assert front.client("alice").get("/v1/bookings").json()["items"] == []
    assert front.client("alice").get("/v1/bookings?over=true").json()["items"] == [given_back]
    booked(front, maintenance(begins=None))


def test_a_booking_that_is_given_back_before_it_begins_leaves_its_whole_time(front: Front) -> None:
    booking = booked(front, a_course())["id"]
    front.client("dean").post(f"/v1/bookings/{booking}/release")
    assert booked(front, a_course())["nodes"] == ["n1"]


def test_what_is_over_is_not_given_back(front: Front) -> None:
    booking = booked(front, a_course())["id"]
    front.clock.time += 3 * HOUR
    assert front.client("root").post(f"/v1/bookings/{booking}/release").json()["released"] is None


def test_bookings_are_listed_by_their_begin_and_by_pool(front: Front) -> None:
    root = front.client("root")
    root.put("/v1/pools/gpu", json={"tier": "hpc", "name": "GPUs"})
    root.put("/v1/nodes/g1", json=NODE | {"pool": "gpu"})
    periods = [(NOW + begin * HOUR, NOW + (begin + 1) * HOUR) for begin in (5, 1, 3)]
    made = [booked(front, a_course(begins=begins, ends=ends)) for begins, ends in periods]
    other = booked(front, maintenance(pool="gpu", nodes=["g1"]))
    alice = front.client("alice")
    in_order = sorted([*made, other], key=lambda one: (one["begins"], one["id"]))
    assert list(whole_list(alice, "/v1/bookings", limit=1)) == in_order
    assert alice.get("/v1/bookings", params={"pool": "gpu"}).json()["items"] == [other]
    front.clock.time += 2 * HOUR
    assert {one["id"] for one in alice.get("/v1/bookings").json()["items"]} == {
        made[0]["id"],
        made[2]["id"],
        other["id"],
    }


# Named by requests


def test_a_request_names_a_booking_of_its_project(front: Front) -> None:
    booking = booked(front, a_course())["id"]
    asked = front.client("alice").post("/v1/requests", json=a_body(booking=booking, walltime_seconds=2 * HOUR))
    assert asked.status_code == 202, asked.text
    assert asked.json()["booking"] == booking
    assert front.client("bob").get(f"/v1/requests/{asked.json()['id']}").json()["booking"] == booking
    assert front.client("alice").post("/v1/requests", json=a_body()).json()["booking"] is None


def test_a_request_that_could_never_run_in_its_booking_is_refused_with_every_reason(front: Front) -> None:
    small = NODE | {"capacity": {"millicores": 4000, "memory": 16 * GIB}}
    front.client("root").put("/v1/nodes/n2", json=small)
    booking = booked(front, a_course(nodes=["n2"]))["id"]
    refused = front.client("eve").post(
        "/v1/requests",
        json=a_body(project="hust.climate", booking=booking, walltime_seconds=3 * HOUR, workers={"min": 6, "max": 6}),
    )
    assert refused.status_code == 422
    assert [(one["code"], one["field"]) for one in refused.json()["reasons"]] == [
        ("booking-not-of-project", "booking"),
        ("booking-too-short", "walltime_seconds"),
        ("booking-too-small", "workers"),
    ]
    assert "vmu" not in refused.text


def test_a_booking_that_is_none_over_or_elsewhere_takes_no_request(front: Front) -> None:
    front.client("root").put("/v1/pools/gpu", json={"tier": "hpc", "name": "GPUs"})
    front.client("root").put("/v1/nodes/g1", json=NODE | {"pool": "gpu"})
    over, elsewhere = booked(front, a_course())["id"], booked(front, a_course(pool="gpu", nodes=["g1"]))["id"]
    front.client("root").post(f"/v1/bookings/{over}/release")

    def reasons(booking: str) -> list[tuple[str, str]]:
        refused = front.client("alice").post("/v1/requests", json=a_body(booking=booking))
        return [(one["code"], one["field"]) for one in refused.json()["reasons"]]

    assert reasons(booking_id(999)) == [("not-there", "booking")]
    assert reasons(over) == [("booking-over", "booking")]
    assert reasons(elsewhere) == [("booking-of-other-pool", "pool")]
    assert front.client("alice").post("/v1/requests", json=a_body(booking="no-id")).status_code == 422
