"""A machine with a local backend on it, as tests of real processes use it."""

from __future__ import annotations

import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from distributed import Client
from distributed.security import Security
from haidang.inside import runs

from backends.local.backend import LocalBackend
from operations.ports.backend import Credentials
from registry.ids import ProjectId
from registry.resources import GIB
from tests.ordered import HERE, OrderedCluster, until


@dataclass
class Machine:
    """A backend in folders of its own, which other uids reach as the installation guide asks for."""

    folder: Path
    separate_uids: bool = False
    cgroup: Path | None = None
    clusters: list[TestCluster] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.backend = self.another_backend()

    def another_backend(self) -> LocalBackend:
        return LocalBackend(
            data=self.folder / "data",
            scratch=self.folder / "scratch",
            environments={HERE: Path(sys.prefix)},
            separate_uids=self.separate_uids,
            cgroup=self.cgroup,
        )

    @property
    def place(self) -> Path:
        return self.folder / "data" / "warm" / HERE

    def cluster(self, workers: int = 2, *, memory: int = GIB, project: str = "hust.vision") -> TestCluster:
        cluster = TestCluster(backend=self.backend, machine=self, memory=memory, project=ProjectId(project))
        self.clusters.append(cluster)
        cluster.start(range(workers + 1))
        return cluster

    def warm_pid(self) -> int:
        """The one that listens in the folder."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            with runs.socket_path(self.place, runs.SOCKET) as path:
                connection.connect(path)
            return int.from_bytes(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 4), sys.byteorder)

    def close(self) -> None:
        for cluster in self.clusters:
            cluster.delete()
        for cluster in self.clusters:
            cluster.gone()
        self.backend.leave()


@dataclass(kw_only=True)
class TestCluster(OrderedCluster):
    """One cluster of a machine, with what its processes leave there."""

    __test__ = False

    machine: Machine

    def run(self, ordinal: int) -> runs.Run:
        found = runs.read_run(self.machine.place, self.name(ordinal))
        assert found is not None
        return found

    def pid(self, ordinal: int) -> int:
        return until(lambda: self.run(ordinal).pulse).process.pid

    def keeper_pid(self, ordinal: int) -> int:
        return until(lambda: self.run(ordinal).pulse).keeper.pid

    def prints(self) -> str:
        logs = self.machine.place.glob(f"run/h-{self.request}-*/log")
        return "\n".join(f"{log}:\n{log.read_text()}" for log in logs)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of the owner's."""
        with Client(
            self.ready()[0].address, security=security(self.credentials), timeout=20, set_as_default=False
        ) as client:
            yield client


def security(credentials: Credentials) -> Security:
    leaf = credentials.leaves["owner"]
    return Security(
        tls_ca_file=credentials.authority,
        tls_client_cert=leaf.certificate,
        tls_client_key=leaf.key,
        require_encryption=True,
    )


@contextmanager
def a_machine(*, separate_uids: bool = False, cgroup: Path | None = None) -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="haidang-test-"))
    folder.chmod(0o755)
    machine = Machine(folder=folder, separate_uids=separate_uids, cgroup=cgroup)
    try:
        yield machine
    finally:
        try:
            machine.close()
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # keepers are still removing theirs


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
