"""A center in several processes on one database, as a chart starts it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
from cryptography.fernet import Fernet

from tests.centers import RealCenter, first_words, haidang, serve, until
from tests.databases import PostgresqlServer

PARTS: Final = (("api", "api"), ("first", "controller"), ("second", "controller"), ("exporter", "exporter"))


class PartedCenter(RealCenter):
    """A center of which an API, two controllers and an exporter run, each in a process of its own."""

    def __init__(self, data: Path, database: str, key: Path, *, site: Sequence[str], lease: Sequence[str]) -> None:
        super().__init__(data, database, "--sealing-key-file", str(key), *site)
        self._lease = lease
        self.parts: dict[str, subprocess.Popen[str]] = {}
        self.said: dict[str, dict[str, str]] = {}

    def begin(self, name: str, part: str, *, fronts: bool = True) -> None:
        """Start a part, and return when it listens; an API that `fronts` is the one that is asked."""
        lease = self._lease if part == "controller" else ()
        serving = serve(self._data, self._log, [*self._options, "--part", part, *lease])
        self.parts[name], self.said[name] = serving, first_words(serving)
        assert self.said[name], self._log.read_text()
        if part == "api" and fronts:
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

    def acts(self, name: str) -> bool:
        """Tell whether a controller acts: then it says how old its last round is."""
        return "\nhaidang_cycle_age_seconds " in self.page(name, "/metrics")


@contextmanager
def a_parted_center(
    folder: Path, server: PostgresqlServer, *, site: Sequence[str] = (), lease: Sequence[str] = ()
) -> Iterator[PartedCenter]:
    """Start one in a database of its own, with the options for its site and its Lease; leave nothing of it behind."""
    key, data = folder / "sealing.key", folder / "data"
    key.write_bytes(Fernet.generate_key())
    with server.bare() as url:
        told = haidang(data, "migrate", "--found", "--database", url, *site)
        assert "It holds a new center." in told
        center = PartedCenter(data, url, key, site=site, lease=lease)
        center.token = haidang(data, "token", "--database", url, "--sealing-key-file", str(key)).strip()
        for name, part in PARTS:
            center.begin(name, part)
        yield center
        for request in center.call("GET", "/v1/requests?limit=100")["items"]:
            center.call("POST", f"/v1/requests/{request['id']}/cancel")
        until(lambda: all(map(has_ended, center.call("GET", "/v1/requests?limit=100")["items"])))
        assert {name: center.end(name, signal.SIGTERM) for name in list(center.parts)} == dict.fromkeys(center.said, 0)


def has_ended(request: dict[str, Any]) -> bool:
    """Tell whether a request has ended."""
    return bool(request["state"] == "ended")
