"""Every error is a problem document that names the field and never repeats what was sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from api.bodies import MOST_BODY_BYTES, MOST_DEPTH, MOST_HEADER_BYTES
from api.languages import language_of
from operations.ports.store import StoreUnavailableError
from operations.sentences import Language
from registry.resources import GIB
from tests.fronts import Front, a_body

JSON = {"Content-Type": "application/json"}


def problem_of(response: Any, status: int) -> dict[str, Any]:  # noqa: ANN401 - the test client's response
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    told: dict[str, Any] = response.json()
    assert told["status"] == status
    assert told["type"] == told["reasons"][0]["code"]
    assert told["detail"] == " ".join(reason["sentence"] for reason in told["reasons"])
    return told


def sent(front: Front, body: bytes | str, **headers: str) -> Any:  # noqa: ANN401 - as above
    return front.client("alice").post("/v1/requests", content=body, headers=JSON | headers)


def field_of(response: Any, status: int = 422) -> tuple[str, str]:  # noqa: ANN401 - as above
    reason = problem_of(response, status)["reasons"][0]
    return reason["field"], reason["problem"]


def test_an_address_that_is_none_and_a_method_that_it_does_not_take(front: Front) -> None:
    assert problem_of(front.client("alice").get("/v1/nothing"), 404)["type"] == "unknown"
    assert problem_of(front.client("alice").get("/v1/requests/"), 404)["type"] == "unknown"
    assert problem_of(front.client("alice").get("/docs/assets/nothing"), 404)["type"] == "unknown"
    refused = front.client("alice").delete("/v1/requests")
    assert problem_of(refused, 405)["type"] == "method-not-allowed"
    assert refused.headers["Allow"]


def test_a_mistake_of_ours_tells_nothing_of_itself(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("the secret of secrets")

    monkeypatch.setattr(front.store, "transact", fail)
    broken = front.client("alice").post("/v1/requests", json=a_body())
    assert problem_of(broken, 500)["type"] == "broken"
    assert "secret" not in broken.text


def test_a_store_that_does_not_answer_is_asked_again_later(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise StoreUnavailableError

    monkeypatch.setattr(front.store, "read", fail)
    unavailable = front.client("alice").get("/v1/requests")
    assert problem_of(unavailable, 503)["type"] == "unavailable"
    assert int(unavailable.headers["Retry-After"]) > 0
    assert front.client().get("/v1/health").status_code == 200


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"project": None}, "project", "not-text"),
        ({"project": "vmu"}, "project", "not-of-shape"),
        ({"project": "Vmu.Vision"}, "project", "not-of-shape"),
        ({"pool": 5}, "pool", "not-text"),
        ({"class": "royal"}, "class", "not-one-of"),
        ({"class": 5}, "class", "not-one-of"),
        ({"name": "x" * 101}, "name", "longer-than"),
        ({"name": "a\x00b"}, "name", "not-of-shape"),
        ({"name": "a\nb"}, "name", "not-of-shape"),
        ({"name": "a\u202eb"}, "name", "not-of-shape"),
        ({"worker": 5}, "worker", "not-object"),
        ({"worker": {"memory": GIB}}, "worker.millicores", "missing"),
        ({"worker": {"millicores": "1000", "memory": GIB}}, "worker.millicores", "not-integer"),
        ({"worker": {"millicores": 1000.0, "memory": GIB}}, "worker.millicores", "not-integer"),
        ({"worker": {"millicores": True, "memory": GIB}}, "worker.millicores", "not-integer"),
        ({"worker": {"millicores": 0, "memory": GIB}}, "worker.millicores", "not-at-least"),
        ({"worker": {"millicores": -1, "memory": GIB}}, "worker.millicores", "not-at-least"),
        ({"worker": {"millicores": 2**63, "memory": GIB}}, "worker.millicores", "not-at-most"),
        ({"worker": {"millicores": 10**80, "memory": GIB}}, "worker.millicores", "not-at-most"),
        ({"worker": {"millicores": 1000, "memory": 4096}}, "worker.memory", "not-at-least"),
        ({"worker": {"millicores": 1000, "memory": GIB, "gpu": 1}}, "worker.gpu", "unexpected"),
        ({"worker": {"millicores": 1000, "memory": GIB, "gpus": {"A100": 1}}}, "worker.gpus.A100", "not-of-shape"),
        ({"worker": {"millicores": 1000, "memory": GIB, "gpus": {"a100": 0}}}, "worker.gpus.a100", "not-at-least"),
        ({"worker": {"millicores": 1000, "memory": GIB, "gpus": []}}, "worker.gpus", "not-object"),
        ({"workers": {"min": 1}}, "workers.max", "missing"),
        ({"workers": {"min": -1, "max": 1}}, "workers.min", "not-at-least"),
        ({"workers": {"min": 0, "max": 0}}, "workers.max", "not-at-least"),
        ({"workers": {"min": 1, "max": 901}}, "workers.max", "not-at-most"),
        ({"walltime_seconds": 9}, "walltime_seconds", "not-at-least"),
        ({"walltime_seconds": 10**9}, "walltime_seconds", "not-at-most"),
        ({"idle_seconds": None}, "idle_seconds", "not-integer"),
        ({"priority": 9}, "priority", "unexpected"),
        ({"<script>": 9}, "?", "unexpected"),
    ],
)
def test_a_bad_field_is_named_with_what_is_wrong(front: Front, change: Any, field: str, problem: str) -> None:  # noqa: ANN401 - what JSON can hold
    assert field_of(front.client("alice").post("/v1/requests", json=a_body(**change))) == (field, problem)


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ("", "body", "missing"),
        ("{", "body", "not-json"),
        ("null", "body", "not-object"),
        ("[]", "body", "not-object"),
        ('"{}"', "body", "not-object"),
        (b"\xff\xfe", "body", "not-json"),
        (b'{"name": "\xff"}', "body", "not-json"),
        ('{"name": NaN}', "body", "not-json"),
        ('{"name": -Infinity}', "body", "not-json"),
        ('{"name": "a", "name": "b"}', "name", "twice"),
        ('{"worker": {"memory": 1, "memory": 2}}', "memory", "twice"),
        ('{"idle_seconds": ' + "9" * 5000 + "}", "idle_seconds", "not-at-most"),
        ('\ufeff{"name": "a"}', "body", "not-json"),
        (json.dumps(a_body(name="\ud800")), "name", "not-text"),
        (json.dumps(a_body(project="\ud800")), "project", "not-text"),
        (json.dumps(a_body(idle_seconds=0)).replace(": 0", ": 1e999"), "idle_seconds", "not-integer"),
    ],
)
def test_json_that_is_none_or_means_two_things_is_refused(
    front: Front, body: bytes | str, field: str, problem: str
) -> None:
    assert field_of(sent(front, body)) == (field, problem)


JSON_TYPES = [
    "application/JSON",
    "Application/Json; charset=utf-16",
    " application/json ;",
    "application/vnd.api+json",
    "APPLICATION/X+JSON",
]
OTHER_TYPES = [
    "text/json",
    "application/jsonp",
    "json",
    "application/json/json",
    "application/x-json",
    ";application/json",
]


@pytest.mark.parametrize("media_type", JSON_TYPES)
def test_however_json_is_spelt_it_is_guarded(front: Front, media_type: str) -> None:
    ambiguous = json.dumps(a_body()).replace('"pool"', '"pool": "other", "pool"')
    spelt = {"Content-Type": media_type}
    assert field_of(sent(front, ambiguous, **spelt)) == ("pool", "twice")
    for encoding in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig"):
        assert field_of(sent(front, json.dumps(a_body()).encode(encoding), **spelt)) == ("body", "not-json")
    assert problem_of(sent(front, '{"a":' * 100 + "1" + "}" * 100, **spelt), 413)
    assert sent(front, json.dumps(a_body()), **spelt).status_code == 202


@pytest.mark.parametrize("media_type", OTHER_TYPES)
def test_what_is_not_guarded_is_not_read_as_json_either(front: Front, media_type: str) -> None:
    ambiguous = json.dumps(a_body()).replace('"pool"', '"pool": "other", "pool"')
    assert problem_of(sent(front, ambiguous, **{"Content-Type": media_type}), 415)


def test_many_errors_are_told_at_once_and_not_without_end(front: Front) -> None:
    wrong = {f"unknown_{number}": 1 for number in range(500)}
    told = problem_of(front.client("alice").post("/v1/requests", json=a_body() | wrong), 422)
    assert len(told["reasons"]) == 20
    assert [reason["field"] for reason in told["reasons"][:2]] == ["unknown_0", "unknown_1"]


def test_what_is_too_large_or_too_deep_is_not_parsed(front: Front) -> None:
    assert problem_of(sent(front, b" " * (MOST_BODY_BYTES + 1)), 413)["reasons"][0]["limit"] == MOST_BODY_BYTES
    assert problem_of(sent(front, "[" * 60_000), 413)["type"] == "too-large"
    assert problem_of(sent(front, '{"a":' * (MOST_DEPTH + 1) + "1" + "}" * (MOST_DEPTH + 1)), 413)
    assert field_of(sent(front, '{"name": "' + "[" * 200 + '"}'))[1] == "longer-than"
    huge = problem_of(front.client("alice").get("/v1/requests", headers={"X": "x" * MOST_HEADER_BYTES}), 431)
    assert huge["type"] == "headers-too-large"


def test_a_body_in_pieces_is_counted_whole(front: Front) -> None:
    pieces = (b" " * 1000 for _ in range(100))
    response = front.client("alice").post("/v1/requests", content=pieces, headers=JSON)
    assert problem_of(response, 413)["type"] == "too-large"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_a_body_must_say_that_it_is_json(front: Front, media_type: str | None) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    response = front.client("alice").post("/v1/requests", content=json.dumps(a_body()), headers=headers)
    assert problem_of(response, 415)["reasons"][0]["field"] == "Content-Type"


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "ключ"])
def test_an_impossible_key_is_refused_by_its_name(front: Front, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode()}
    response = front.client("alice").post("/v1/requests", json=a_body(), headers=headers)
    assert problem_of(response, 422)["reasons"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("state=sleeping", "state"),
        ("statee=pending", "statee"),
        ("project=vmu", "project"),
        ("project=%00", "project"),
        ("mine=perhaps", "mine"),
        ("cursor=nonsense", "cursor"),
        ("cursor=%ff", "cursor"),
        ("cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5L2FhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh", "cursor"),
        ("cursor=" + "A" * 400, "cursor"),
    ],
)
def test_a_bad_parameter_is_named(front: Front, query: str, field: str) -> None:
    response = front.client("alice").get(f"/v1/requests?{query}")
    assert problem_of(response, 422)["reasons"][0]["field"] == field


def test_a_place_that_is_none_is_refused_by_its_name(front: Front) -> None:
    request = front.client("alice").post("/v1/requests", json=a_body()).json()["id"]
    response = front.client("alice").get(f"/v1/requests/{request}/events", headers={"Last-Event-ID": "1'--"})
    assert problem_of(response, 422)["reasons"][0]["field"] == "Last-Event-ID"


@given(value=st.text(min_size=8, max_size=40, alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_what_was_sent_is_never_repeated(shared_front: Front, value: str) -> None:
    client, value = shared_front.client("alice"), f"☂{value}"  # no word of ours has one
    bodies: list[dict[str, Any]] = [
        a_body(project=value + "!"),
        a_body(idle_seconds=value),
        a_body(worker={"millicores": value, "memory": value}),
    ]
    for body in bodies:
        response = client.post("/v1/requests", json=body)
        problem_of(response, 422)
        assert value not in response.json()["detail"]
        assert value not in response.text


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    ["name", "project", "pool", "class", "worker", "head", "workers", "idle_seconds", "environment"]
)


@given(changes=st.dictionaries(FIELDS, ANYTHING, max_size=3))
def test_no_body_breaks_the_center(shared_front: Front, changes: dict[str, Any]) -> None:
    body = json.dumps(a_body(**changes), ensure_ascii=True)
    response = shared_front.client("alice").post("/v1/requests", content=body, headers=JSON)
    assert response.status_code in {202, 403, 413, 422}, response.text
    if response.status_code != 202:
        problem_of(response, response.status_code)


@given(body=st.binary(max_size=200))
def test_no_bytes_break_the_center(shared_front: Front, body: bytes) -> None:
    response = shared_front.client("alice").post("/v1/requests", content=body, headers=JSON)
    problem_of(response, response.status_code)
    assert response.status_code in {413, 422}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("vi", "vi"),
        ("vi-VN,vi;q=0.9,en;q=0.8", "vi"),
        ("en;q=0.5, vi;q=0.4", "en"),
        ("fr, vi;q=0.1", "vi"),
        ("vi;q=0", "en"),
        ("*", "en"),
        ("vi;q=bad, en;q=0.1", "en"),
        (";;;,,,q=,=", "en"),
        ("VI", "vi"),
    ],
)
def test_the_language_that_is_liked_best_is_spoken(header: str | None, language: str) -> None:
    headers = Headers({"Accept-Language": header} if header is not None else {})
    assert language_of(headers) is Language(language)


@given(header=st.text(alphabet=st.characters(max_codepoint=255), max_size=200))
def test_no_liking_is_too_strange(header: str) -> None:
    assert language_of(Headers({"Accept-Language": header})) in Language


def test_a_problem_says_which_language_it_is_in(front: Front) -> None:
    response = front.client("alice").get("/v1/requests/nothing", headers={"Accept-Language": "vi"})
    assert response.headers["Content-Language"] == "vi"
    assert "Accept-Language" in response.headers["Vary"]
    assert response.json()["detail"] == "Không có yêu cầu này, hoặc bạn không được xem."
