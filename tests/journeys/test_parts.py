"""A center in several processes on one database: each does its part, and any of them may be killed."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from haidang import Client

from tests.centers import RealCenter, haidang
from tests.databases import PostgresqlServer
from tests.parted import PartedCenter, a_parted_center, has_ended


@pytest.fixture
def center(postgresql_server: PostgresqlServer, tmp_path: Path) -> Iterator[PartedCenter]:
    with a_parted_center(tmp_path, postgresql_server) as center:
        yield center


def running(request: dict[str, Any]) -> bool:
    return bool(request["phase"] == "running")


def test_a_request_passes_from_part_to_part_without_waiting_for_a_clock(center: PartedCenter) -> None:
    token = center.admit("vmu", "vision")
    center.wait(token, center.submit(token, "vmu.vision"), running)
    began = time.monotonic()
    request = center.submit(token, "vmu.vision")
    center.wait(token, request, running)
    taken = time.monotonic() - began
    assert taken < 5, "a controller that hears nothing looks every five seconds, and this is the second request"
    assert "haidang_cycle_age_seconds" in center.page("first", "/metrics")
    assert "haidang_granted" not in center.page("first", "/metrics")
    assert 'haidang_granted{center="center",institution="vmu"' in center.page("exporter", "/metrics")
    assert "\nhaidang_cycle_age_seconds " not in center.page("exporter", "/metrics"), "it has no loops"
    for page in ("/health", "/alive"):
        assert {center.page(name, page) for name in ("first", "second", "exporter")} == {"ok\n"}
    assert center.call("GET", "/v1/health") == {
        "status": "ok",
        "cycle_age_seconds": None,
        "reconcile_age_seconds": None,
        "tend_age_seconds": None,
    }


def test_what_one_api_is_told_is_heard_at_another_at_once(center: PartedCenter) -> None:
    token = center.admit("vmu", "vision")
    center.begin("second api", "api", fronts=False)
    with closing(Client(center.said["second api"]["api"], token)) as user:
        request = center.submit(token, "vmu.vision", workers={"min": 1, "max": 1})
        heard = user.events(request)
        while next(heard).kind != "running":
            pass
        began = time.monotonic()
        center.call("POST", f"/v1/requests/{request}/cancel", token=token)
        kinds = [event.kind for event in heard]
        assert kinds[-1] == "ended"
        assert time.monotonic() - began < 10


def test_two_controllers_at_once_and_one_that_is_killed_do_nothing_twice(center: PartedCenter) -> None:
    token = center.admit("vmu", "vision")
    requests = [center.submit(token, "vmu.vision", workers={"min": 1, "max": 1}) for _ in range(4)]
    center.end("first", signal.SIGKILL)
    for request in requests:
        center.wait(token, request, running)
    center.begin("first", "controller")
    for request in requests:
        center.call("POST", f"/v1/requests/{request}/cancel", token=token)
    for request in requests:
        center.wait(token, request, has_ended)
    entries = center.call("GET", "/v1/ledger?project=vmu.vision&limit=200")["items"]
    charges = Counter(entry["key"].split(":")[1] for entry in entries if entry["kind"] == "charge")
    assert len(charges) == 8, "four heads and four workers, each with one life"
    balance = Counter(entry["kind"] for entry in entries)
    assert balance["hold"] == 4


def test_a_part_by_itself_says_what_it_lacks(postgresql_server: PostgresqlServer, tmp_path: Path) -> None:
    center = RealCenter(tmp_path / "data")
    assert "needs --database postgresql://" in center.refuses_to_start("--part", "api")
    with postgresql_server.bare() as url:
        database = ("--database", url)
        assert "needs --sealing-key-file" in center.refuses_to_start("--part", "controller", *database)
        key = tmp_path / "key"
        key.write_bytes(Fernet.generate_key())
        parts = ("api", "controller", "exporter")
        empty = [center.refuses_to_start("--part", part, *database, "--sealing-key-file", str(key)) for part in parts]
        haidang(tmp_path / "data", "migrate", *database)  # a schema is no center
        bare = [center.refuses_to_start("--part", part, *database, "--sealing-key-file", str(key)) for part in parts]
        assert [log.count("run `haidang migrate --found`") for log in empty + bare] == [1, 2, 3, 4, 5, 6]
