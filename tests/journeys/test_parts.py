"""A center in several processes on one database: each does its part, and any of them may be killed."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.fernet import Fernet

from tests.centers import RealCenter, first_words, haidang, serve, until
from tests.databases import PostgresqlServer


class PartedCenter(RealCenter):
    """A center of which an API, two controllers and an exporter run, each in a process of its own."""

    def __init__(self, data: Path, database: str) -> None:
        key = data.parent / "sealing.key"
        key.write_bytes(Fernet.generate_key())
        super().__init__(data, database, "--sealing-key-file", str(key))
        self.parts: dict[str, subprocess.Popen[str]] = {}
        self.said: dict[str, dict[str, str]] = {}

    def begin(self, name: str, part: str) -> None:
        """Start a part, and return when it listens."""
        serving = serve(self._data, self._log, [*self._options, "--part", part])
        self.parts[name], self.said[name] = serving, first_words(serving)
        assert self.said[name], self._log.read_text()
        if part == "api":
            self.url = self.said[name]["api"]

    def end(self, name: str, how: signal.Signals) -> int:
        """End a part by a signal; return its exit status."""
        serving = self.parts.pop(name)
        serving.send_signal(how)
        status = serving.wait(30)
        assert serving.stdout is not None
        serving.stdout.close()
        return status

    def page(self, name: str, path: str) -> str:
        """Return a page of a part that is no API."""
        place = self.said[name]["metrics"].removesuffix("/metrics")
        return httpx2.get(place + path).raise_for_status().text


@pytest.fixture
def center(postgresql_server: PostgresqlServer, tmp_path: Path) -> Iterator[PartedCenter]:
    with postgresql_server.bare() as url:
        center = PartedCenter(tmp_path / "data", url)
        told = haidang(tmp_path / "data", "migrate", "--found", "--database", url)
        assert "It holds a new center." in told
        key = str(tmp_path / "sealing.key")
        center.token = haidang_token(tmp_path / "data", url, key)
        for name, part in (("api", "api"), ("first", "controller"), ("second", "controller"), ("exporter", "exporter")):
            center.begin(name, part)
        yield center
        for request in center.call("GET", "/v1/requests?limit=100")["items"]:
            center.call("POST", f"/v1/requests/{request['id']}/cancel")
        until(lambda: all(map(has_ended, center.call("GET", "/v1/requests?limit=100")["items"])))
        assert {name: center.end(name, signal.SIGTERM) for name in list(center.parts)} == dict.fromkeys(center.said, 0)


def haidang_token(data: Path, url: str, key: str) -> str:
    return haidang(data, "token", "--database", url, "--sealing-key-file", key).strip()


def has_ended(request: dict[str, Any]) -> bool:
    return bool(request["state"] == "ended")


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
    assert {center.page(name, "/health") for name in ("first", "second", "exporter")} == {"ok\n"}
    assert center.call("GET", "/v1/health") == {
        "status": "ok",
        "cycle_age_seconds": None,
        "reconcile_age_seconds": None,
    }


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
