"""A real center for one benchmark: `haidang serve` in a folder of its own, founded over HTTP, and gone afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from haidang import Client

from benchmarks import machine
from server.settings import Settings

INSTITUTION: Final = "benchmarks"
PROJECT: Final = "benchmarks.project"
POOL: Final = "main"
# More than any machine has: a benchmark measures the center and the machine, not how one waits for the other.
CORES: Final = 1000
MEMORY_GIB: Final = 4000
MOST_PROJECTS: Final = 2
_MICRO_CREDITS: Final = 10**15
_YEAR_SECONDS: Final = 365 * 86400
_STOP_SECONDS: Final = 60.0
_QUIET_SECONDS: Final = 1.0


class NoCenterError(Exception):
    """The center did not start; the message is what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCenter:
    """A center that answers at `url`; `pid` serves, `admin` may do everything there."""

    url: str
    pid: int
    folder: Path
    admin: Client

    def person(self, name: str) -> Client:
        """Return the client of a new researcher."""
        return Client(self.url, self.token(name), project=PROJECT, language="en")

    def token(self, name: str, project: str = PROJECT) -> str:
        """Return the token of a new researcher."""
        asked = {"name": name, "role": "researcher", "reach": project}
        person = self.admin.call("POST", "/v1/people", asked)["id"]
        return str(self.admin.call("POST", f"/v1/people/{person}/tokens", {"label": "benchmark"})["secret"])

    def project(self, name: str, *, micro_credits: int = _MICRO_CREDITS) -> str:
        """Open a project that may use its part of the pool and has millionths of a credit; return its id."""
        self.admin.call("POST", "/v1/projects", {"institution": INSTITUTION, "id": name, "name": name})
        project = f"{INSTITUTION}.{name}"
        self._give_quota(project, part=MOST_PROJECTS)
        if micro_credits:
            ends = int(time.time()) + _YEAR_SECONDS
            award = {"project": project, "micro_credits": micro_credits, "ends": ends}
            self.admin.call("POST", "/v1/allocations", award)
        return project

    def found(self) -> None:
        """Admit the institution and open its project."""
        member = {"id": INSTITUTION, "name": "Benchmarks", "kind": "university"}
        self.admin.call("POST", "/v1/institutions", member)
        self._give_quota(INSTITUTION)
        self.project(PROJECT.partition(".")[2])

    def cluster_processes(self) -> set[int]:
        """Return the processes of all clusters, their keepers too, without the process that forked them."""
        family = machine.started_with(str(self.folder)) - {self.pid}
        return {pid for pid in family if machine.parent(pid) in family}

    def warm_processes(self) -> set[int]:
        """Return the processes that fork clusters."""
        return machine.started_with(str(self.folder)) - {self.pid} - self.cluster_processes()

    def _give_quota(self, share: str, *, part: int = 1) -> None:
        nominal = {"millicores": CORES * 1000 // part, "memory": MEMORY_GIB * 2**30 // part}
        there_is_none = {"If-None-Match": "*"}
        self.admin.call("PUT", f"/v1/shares/{share}/{POOL}", {"nominal": nominal}, headers=there_is_none)


@contextmanager
def a_center(database: str | None = None) -> Iterator[RunningCenter]:
    """Start a center, founded with one institution and one rich project, and leave nothing of it behind."""
    folder = Path(tempfile.mkdtemp(prefix="haidang-benchmark-"))
    try:
        with (
            (folder / "log").open("w") as log,
            _serving(folder, database, log) as serving,
            _announced(serving, folder) as center,
        ):
            center.found()
            # The warm process imports meanwhile; who measures an idle center waits until it is one.
            _until(lambda: _is_quiet(center), _STOP_SECONDS)
            yield center
    finally:
        machine.end(machine.started_with(str(folder)))
        shutil.rmtree(Settings(data=folder / "data").public_scratch, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def until_ended(user: Client, request: str) -> None:
    """Return when a request has ended, its processes too."""
    for _ in user.events(request):
        pass


@contextmanager
def _serving(folder: Path, database: str | None, log: IO[str]) -> Iterator[subprocess.Popen[str]]:
    command = [str(Path(sys.prefix, "bin", "haidang")), "serve", "--json", "--trust-everyone"]
    command += ["--data", str(folder / "data"), "--port", "0", "--metrics-port", "0"]
    command += ["--node-cores", str(CORES), "--node-memory", f"{MEMORY_GIB}GiB"]
    command += ["--database", database] if database else []
    environment = os.environ | {"HAIDANG_USERS": str(folder / "users")}
    serving = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder, env=environment)
    try:
        yield serving
    finally:
        serving.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            serving.wait(_STOP_SECONDS)
        serving.kill()
        serving.communicate()


@contextmanager
def _announced(serving: subprocess.Popen[str], folder: Path) -> Iterator[RunningCenter]:
    """Give the center once it has said where it is, and end what still runs there."""
    assert serving.stdout is not None
    said = json.loads(serving.stdout.readline() or "{}")
    if "api" not in said:
        raise NoCenterError((folder / "log").read_text())
    with Client(said["api"], said["token"], language="en") as admin:
        center = RunningCenter(url=said["api"], pid=serving.pid, folder=folder, admin=admin)
        yield center
        left = [request.id for request in admin.requests() if request.state != "ended"]
        for request in left:
            admin.cancel(request)
        _until(lambda: not center.cluster_processes(), _STOP_SECONDS)


def _is_quiet(center: RunningCenter) -> bool:
    """Tell whether the center computes next to nothing for a while."""
    pids = machine.started_with(str(center.folder))
    before = machine.cpu_seconds(pids)
    time.sleep(_QUIET_SECONDS)
    return machine.cpu_seconds(pids) - before < _QUIET_SECONDS * 0.05


def _until(look: Callable[[], bool], patience_seconds: float) -> None:
    patience = time.monotonic() + patience_seconds
    while not look() and time.monotonic() < patience:
        time.sleep(0.02)
