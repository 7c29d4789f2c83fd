"""The API's description is reviewed as a file, and says of every operation who may do it and how it can refuse."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import current_default_thread_limiter
from fastapi.routing import APIRoute

from api.app import ROUTERS
from api.dependencies import POLICY
from api.problems import STATUS
from api.schemas.health import HealthOut
from operations.policies import POLICIES, Who
from operations.ports.outside import Pulse
from registry.ids import Seconds
from tests.builders import NOW
from tests.fronts import Front
from tests.house import ROOT
from tests.served import served

GOLDEN = ROOT / "tests" / "golden" / "openapi.json"


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for address, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {address}", operation


def described(front: Front) -> dict[str, Any]:
    response: dict[str, Any] = front.client().get("/openapi.json").json()
    return response


def test_the_description_is_the_reviewed_one(front: Front) -> None:
    """To accept a change, run this test with UPDATE_GOLDEN=1 and review the difference."""
    now = json.dumps(described(front), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(now, encoding="utf-8")
    assert now == GOLDEN.read_text(encoding="utf-8")


def test_every_operation_declares_a_policy_that_the_table_has() -> None:
    routes = [route for router in ROUTERS for route in router.routes]
    assert all(isinstance(route, APIRoute) for route in routes)
    declared = [
        route.openapi_extra and route.openapi_extra.get(POLICY) for route in routes if isinstance(route, APIRoute)
    ]
    assert None not in declared
    assert len(declared) == len(routes)
    assert set(declared) <= set(POLICIES)


def test_every_action_of_the_table_is_done_by_an_operation_or_within_one(front: Front) -> None:
    declared = {operation[POLICY] for _, operation in operations(described(front))}
    assert set(POLICIES) - declared <= {"shares:set-of-institution"}, "an action that nothing asks for"


def test_whoever_is_not_known_may_do_only_what_anybody_may(front: Front) -> None:
    for name, operation in operations(described(front)):
        method, _, address = name.partition(" ")
        answer = front.client().request(method, re.sub(r"{\w+}", "a" * 26, address))
        assert (answer.status_code == 401) == (POLICIES[operation[POLICY]] is not Who.ANYBODY), name
        assert ("security" in operation) == (answer.status_code == 401), name


def test_every_error_that_is_described_is_a_problem_with_a_status_of_ours(front: Front) -> None:
    api = described(front)
    for name, operation in operations(api):
        errors = {int(status) for status in operation["responses"] if int(status) >= 400}
        assert errors <= {int(status) for status in STATUS.values()}, name
        assert {401, 403, 422, 503} <= errors, name
    for response in api["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in api["components"]["schemas"]


def test_operations_are_named_by_their_functions_each_once(front: Front) -> None:
    names = [operation["operationId"] for _, operation in operations(described(front))]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in {"src", "href"} and value]
        self.inline |= tag == "style" or (tag == "script" and "src" not in dict(attrs))


def test_the_reference_page_has_all_it_needs_and_runs_nothing_of_others(front: Front) -> None:
    client = front.client()
    page = client.get("/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe-eval" not in page.headers["Content-Security-Policy"]
    links = _Links()
    links.feed(page.text)
    assert not links.inline
    assert links.found
    for link in links.found:
        if not link.startswith("data:"):
            assert not re.match(r"[a-z]*:?//", link), link
            assert client.get(f"/{link}").status_code == 200, link
    assert 'url: "openapi.json"' in client.get("/docs/start.js").text


def test_what_the_page_needs_is_in_memory_and_nothing_else_of_its_package_is_there(front: Front) -> None:
    client = front.client()
    assert len(client.get("/docs/assets/swagger-ui-bundle.js").content) > 1_000_000
    asked = client.head("/docs/assets/swagger-ui.css")
    assert (asked.status_code, asked.headers["Content-Type"]) == (200, "text/css; charset=utf-8")
    for other in ("", "LICENSE", "../swagger/swagger-ui.css", "%2e%2e/redoc/index.html", "swagger-ui.css%00"):
        assert client.get(f"/docs/assets/{other}").status_code == 404, other


def test_who_asks_for_a_file_and_does_not_take_it_holds_none_open(front: Front) -> None:
    with served(front) as url, socket.socket() as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.connect(("127.0.0.1", int(url.rpartition(":")[2])))
        stream.sendall(b"GET /docs/assets/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        assert stream.recv(12) == b"HTTP/1.1 200"
        for _ in range(50):
            assert not [link for link in map(link_of, Path("/proc/self/fd").iterdir()) if "swagger-ui" in link]
            time.sleep(0.01)


def link_of(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""


def test_health_tells_how_long_ago_each_loop_went_round(front: Front) -> None:
    assert front.client().get("/v1/health").json() == {
        "status": "ok",
        "cycle_age_seconds": None,
        "reconcile_age_seconds": None,
        "tend_age_seconds": None,
    }
    pulse = Pulse(cycle=Seconds(NOW - 3), reconciled=Seconds(NOW + 1), tended=Seconds(NOW - 4))
    told = HealthOut.from_pulse(pulse, Seconds(NOW))
    assert (told.cycle_age_seconds, told.reconcile_age_seconds, told.tend_age_seconds) == (3, 0, 4)


def test_health_is_told_while_every_thread_waits_for_the_database(front: Front) -> None:
    limiter = front.portal.call(current_default_thread_limiter)
    waiting = [object() for _ in range(int(limiter.total_tokens))]
    for one in waiting:
        front.portal.call(limiter.acquire_on_behalf_of_nowait, one)
    with ThreadPoolExecutor(1) as asking:
        try:
            answer = asking.submit(front.client().get, "/v1/health")
            assert answer.result(timeout=5).status_code == 200
        finally:
            for one in waiting:
                front.portal.call(limiter.release_on_behalf_of, one)


@pytest.mark.parametrize(
    ("pulse", "status"),
    [
        (Pulse(), "ok"),
        (Pulse(store_answers=False), "late"),
        (Pulse(began=Seconds(NOW - 59)), "ok"),
        (Pulse(began=Seconds(NOW - 60)), "late"),
        (Pulse(began=Seconds(NOW - 600), cycle=NOW), "late"),
        (Pulse(began=Seconds(NOW - 600), cycle=NOW, reconciled=Seconds(NOW - 59)), "ok"),
        (Pulse(began=Seconds(NOW - 600), cycle=Seconds(NOW - 60), reconciled=NOW), "late"),
        (Pulse(began=Seconds(NOW - 600), cycle=NOW, reconciled=NOW, tended=Seconds(NOW - 59)), "ok"),
        (Pulse(began=Seconds(NOW - 600), cycle=NOW, reconciled=NOW, tended=Seconds(NOW - 60)), "late"),
    ],
)
def test_health_is_late_when_anything_is_away_that_this_process_needs(pulse: Pulse, status: str) -> None:
    assert HealthOut.from_pulse(pulse, NOW).status == status
