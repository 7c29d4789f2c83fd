"""A center as its operator meets it: the command `haidang serve` in a process of its own, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx2

from registry.resources import GIB

HAIDANG: Final = str(Path(sys.executable).with_name("haidang"))
NODE: Final = {"millicores": 16_000, "memory": 32 * GIB}
START_SECONDS: Final = 60
T = TypeVar("T")


class RealCenter:
    """One data folder and whatever process serves from it; `token` is the center admin's."""

    def __init__(self, data: Path, database: str | None = None, *options: str) -> None:
        self._data = data
        self._options = [*(["--database", database] if database else []), *options]
        self._log = data.parent / "serve.log"
        self._serving: subprocess.Popen[str] | None = None
        self.token = ""
        self.url = ""

    def start(self) -> dict[str, str]:
        """Serve on any free ports; returns what is said when everything listens."""
        said = self._begin()
        assert said, self._log.read_text()
        self.url = said["api"]
        return said

    def refuses_to_start(self, *options: str) -> str:
        """Start it where it cannot serve; return what it has logged so far."""
        self._begin(*options)
        assert self._serving is not None
        assert self._serving.wait(START_SECONDS) == 1
        assert self._serving.stdout is not None
        self._serving.stdout.close()
        self._serving = None
        return self._log.read_text()

    @contextmanager
    def another_key(self) -> Iterator[None]:
        """Hide the key that credentials were sealed with, for as long as the block lasts."""
        key, hidden = self._data / "sealing.key", self._data / "sealing.key.hidden"
        key.rename(hidden)
        yield
        hidden.rename(key)

    def _begin(self, *options: str) -> dict[str, str]:
        """Start the process and return the one thing it says; nothing if it has nothing to say and ends."""
        self._serving = serve(self._data, self._log, [*self._options, *options])
        said = first_words(self._serving)
        self.token = said.get("token", self.token)
        return said

    def kill(self) -> None:
        """End the serving process as a power cut would."""
        self._end(signal.SIGKILL)

    def interrupt(self) -> int:
        """End the serving process as Ctrl-C does; return its exit status."""
        return self._end(signal.SIGINT)

    def call(self, method: str, path: str, body: object = None, *, token: str | None = None, **headers: str) -> Any:  # noqa: ANN401
        """Ask the API and return its JSON; a problem fails the test."""
        headers["Authorization"] = f"Bearer {token or self.token}"
        answer = httpx2.request(method, self.url + path, json=body, headers=headers, timeout=30)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def admit(self, institution: str, project: str) -> str:
        """Make an institution with a project that may use the whole node; return its researcher's token."""
        self.call("POST", "/v1/institutions", {"id": institution, "name": institution, "kind": "university"})
        self.call("POST", "/v1/projects", {"institution": institution, "id": project, "name": project})
        name = f"{institution}.{project}"
        quota = {"nominal": {"millicores": 0, "memory": 0}, "borrowing": NODE}
        for share in (institution, name):
            self.call("PUT", f"/v1/shares/{share}/main", quota, **{"If-None-Match": "*"})
        self.call(
            "POST", "/v1/allocations", {"project": name, "micro_credits": 10**12, "ends": int(time.time()) + 10**7}
        )
        person = self.call("POST", "/v1/people", {"name": "Researcher", "role": "researcher", "reach": name})
        made = self.call("POST", f"/v1/people/{person['id']}/tokens", {"label": "test"})
        secret: str = made["secret"]
        return secret

    def submit(self, token: str, project: str, **changes: object) -> str:
        """Ask for a small cluster; return the request's id."""
        shape = {"millicores": 500, "memory": GIB // 4}
        body = {"project": project, "pool": "main", "worker": shape, "head": shape, "workers": {"min": 2, "max": 4}}
        made = self.call("POST", "/v1/requests", body | {"walltime_seconds": 600} | changes, token=token)
        request: str = made["id"]
        return request

    def wait(self, token: str, request: str, accept: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the request once it is as wanted."""

        def as_wanted() -> dict[str, Any] | None:
            seen: dict[str, Any] = self.call("GET", f"/v1/requests/{request}", token=token)
            return seen if accept(seen) else None

        return until(as_wanted)

    def _end(self, how: signal.Signals) -> int:
        assert self._serving is not None
        self._serving.send_signal(how)
        status = self._serving.wait(START_SECONDS)
        assert self._serving.stdout is not None
        self._serving.stdout.close()
        self._serving = None
        return status

    def clean_up(self) -> None:
        """End every cluster, and then the center with its warm processes."""
        if self._serving is None:
            self.start()
        for request in self.call("GET", "/v1/requests?limit=100")["items"]:
            self.call("POST", f"/v1/requests/{request['id']}/cancel")
        until(lambda: all(one["state"] == "ended" for one in self.call("GET", "/v1/requests?limit=100")["items"]))
        assert self.interrupt() == 0


def haidang(data: Path, *arguments: str) -> str:
    """Run a command of a center whose data lies there; return what it prints."""
    done = subprocess.run(
        [HAIDANG, *arguments], capture_output=True, text=True, env=environment(data), check=False, timeout=START_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment(data: Path) -> dict[str, str]:
    """Return what a center's process is told by its environment; uids are not noted where real centers note theirs."""
    folder = data.parent
    found = {"PATH": os.environ["PATH"], "HOME": str(folder), "HAIDANG_DATA": str(data)}
    return found | {"HAIDANG_USERS": str(folder / "users"), "HAIDANG_NODE_CORES": "16", "HAIDANG_NODE_MEMORY": "32GiB"}


def serve(data: Path, log: Path, options: Sequence[str]) -> subprocess.Popen[str]:
    """Begin to serve on any free ports."""
    command = [HAIDANG, "serve", "--json", "--port", "0", "--metrics-port", "0", "--trust-everyone", *options]
    with log.open("a") as file:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=file, text=True, env=environment(data), start_new_session=True
        )


def first_words(serving: subprocess.Popen[str]) -> dict[str, str]:
    """Return the one thing that a process says when it listens; nothing if it has nothing to say and ends."""
    assert serving.stdout is not None
    said: dict[str, str] = json.loads(serving.stdout.readline() or "{}")
    return said


def until(look: Callable[[], T | None], *, seconds: float = 60) -> T:
    """Return the first true answer."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    return found


@contextmanager
def a_center(folder: Path, database: str | None = None, *options: str) -> Iterator[RealCenter]:
    """Start a center and leave nothing of it behind."""
    center = RealCenter(folder / "data", database, *options)
    center.start()
    try:
        yield center
    finally:
        center.clean_up()
