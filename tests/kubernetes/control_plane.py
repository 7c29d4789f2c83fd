"""A real control plane of Kubernetes for tests: etcd, API server, controllers and scheduler, without any node.

It runs in the network that `run.sh` makes, where the ports are nobody else's, and takes its programs from the PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from kubernetes.client import ApiClient, Configuration
from urllib3.exceptions import HTTPError

from tests.kubernetes.certificates import Authority
from tests.kubernetes.wire import BusyError, Json, RefusedError, Wire

ADDRESS: Final = "10.99.0.1"
"""What `run.sh` gives to the bridge: the API server tells its address to others, so it may not be loopback."""
URL: Final = f"https://{ADDRESS}:6443"
ETCD_PORT: Final = 2379
ETCD: Final = f"http://127.0.0.1:{ETCD_PORT}"
SERVICES: Final = "10.96.0.0/16"
FIRST_SERVICE: Final = "10.96.0.1"
PROGRAMS: Final = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")

START_SECONDS: Final = 60.0
END_SECONDS: Final = 15.0
LAST_LINES: Final = 20


class NotStartedError(Exception):
    """A program ended, or is not ready in time; its last words are part of the message."""


class Program:
    """One program that runs until it is stopped, with what it says in a log."""

    def __init__(self, arguments: Sequence[str | Path], folder: Path) -> None:
        self._arguments = arguments
        self._folder = folder
        self.name = Path(arguments[0]).name
        self.log = folder / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs; Ctrl-C is not for it but for whoever will stop it."""
        if self._process is None:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._arguments,
                    cwd=self._folder,
                    env=environment(self._folder),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

    def ask_to_end(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """Let it end, and end it when it takes too long."""
        if self._process is not None:
            self.ask_to_end()
            try:
                self._process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def until(self, look: Callable[[], object]) -> None:
        """Return when a look no longer meets a refusal or a closed door.

        Raises:
            NotStartedError: the program has ended, or it takes too long.
        """
        patience = time.monotonic() + START_SECONDS
        while True:
            with suppress(RefusedError, BusyError, HTTPError, OSError):
                look()
                return
            self.check()
            if time.monotonic() > patience:
                raise NotStartedError(f"{self.name} is not ready after {START_SECONDS} s\n{self.last_words()}")
            time.sleep(0.1)

    def check(self) -> None:
        """Raise when it has ended by itself."""
        if self._process is None or self._process.poll() is not None:
            raise NotStartedError(f"{self.name} has ended\n{self.last_words()}")

    def last_words(self) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join([f"the end of {self.log}:", *text.splitlines()[-LAST_LINES:]])


COUNTED: Final = "counted"
"""The user whose calls are written down, for whoever counts them; nobody else's are."""
AUDIT: Final = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata", "users": [COUNTED]}, {"level": "None"}],
}


class ControlPlane:
    """The control plane as a test meets it: by addresses, by clients, and by taking its API server away."""

    url = URL

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder / "pki")
        self._administrator = self.authority.leaf("admin", "admin", organization="system:masters")
        self.admin = self.authority.kubeconfig("admin", URL, self._administrator).rename(folder / "admin.kubeconfig")
        self._accounts = self.authority.bare_key("accounts")
        self._etcd = Program(_etcd(folder), folder)
        self._apiserver = Program(_apiserver(self.authority, self._accounts, folder), folder)
        self._controllers = Program(_controllers(self.authority, self._accounts), folder)
        self._scheduler = Program(_scheduler(self.authority), folder)
        self._api = self.api()
        self.wire = Wire(self._api)

    def api(self) -> ApiClient:
        """Make a client of the administrator's, to be closed by whoever asks for it."""
        configuration = Configuration(host=URL)
        configuration.ssl_ca_cert = str(self.authority.certificate)
        configuration.cert_file = str(self._administrator.certificate)
        configuration.key_file = str(self._administrator.key)
        configuration.proxy = None  # of this machine, which leads out of it
        configuration.connection_pool_maxsize = 32
        return ApiClient(configuration)

    def counted(self) -> Path:
        """Return the kubeconfig of an administrator whose calls are written down."""
        leaf = self.authority.leaf(COUNTED, COUNTED, organization="system:masters")
        return self.authority.kubeconfig(COUNTED, URL, leaf)

    def calls(self) -> list[Json]:
        """Return what that administrator has called so far, oldest first."""
        return [json.loads(line) for line in (self.folder / "audit.log").read_text().splitlines()]

    def kubectl(self, *arguments: str, given: str = "") -> str:
        """Return what kubectl prints; what is given can be read by it as the file `-`."""
        done = subprocess.run(
            ["kubectl", "--kubeconfig", self.admin, *arguments],
            env=environment(self.folder),
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def start_apiserver(self) -> None:
        """Start the API server unless it runs, and return when it answers."""
        self._apiserver.start()
        self._apiserver.until(lambda: self.wire.text("/readyz"))

    def stop_apiserver(self) -> None:
        self._apiserver.stop()

    def start_scheduler(self) -> None:
        """Start kube-scheduler unless it runs."""
        self._scheduler.start()
        self._scheduler.check()

    def stop_scheduler(self) -> None:
        self._scheduler.stop()

    def restart_apiserver(self) -> None:
        self.stop_apiserver()
        self.start_apiserver()

    def start(self) -> None:
        """Start everything, and return when a pod could be made: its account is there."""
        self._etcd.start()
        self._etcd.until(lambda: socket.create_connection(("127.0.0.1", ETCD_PORT)).close())
        self.start_apiserver()
        self._controllers.start()
        self._scheduler.start()
        self._controllers.until(lambda: self.wire.get("/api/v1/namespaces/default/serviceaccounts/default"))
        self._scheduler.check()

    def stop(self) -> None:
        """End everything, last what the others need; the logs stay."""
        self._scheduler.ask_to_end()
        for program in (self._controllers, self._scheduler, self._apiserver, self._etcd):
            program.stop()
        self._api.close()
        shutil.rmtree(self.folder / "etcd", ignore_errors=True)


@contextmanager
def control_plane(folder: Path) -> Iterator[ControlPlane]:
    """Run a control plane with everything of it in a folder that exists."""
    plane = ControlPlane(folder)
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


def missing() -> str:
    """Return what a control plane lacks here, or nothing."""
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    if lacking:
        return f"no {', '.join(lacking)}"
    with socket.socket() as door:
        try:
            door.bind((ADDRESS, 0))
        except OSError:
            return f"no {ADDRESS}"
    return ""


def environment(folder: Path) -> dict[str, str]:
    """What Kubernetes' programs are told of this machine: no proxy, and a home that is not the user's."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder)}


def _etcd(folder: Path) -> list[str]:
    peers = "http://127.0.0.1:2380"
    return [
        "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={ETCD}",
        f"--advertise-client-urls={ETCD}",
        f"--listen-peer-urls={peers}",
        "--unsafe-no-fsync",  # what tests write need not survive a power cut
        "--log-level=warn",
    ]


def _apiserver(authority: Authority, accounts: Path, folder: Path) -> list[str]:
    names = [f"kubernetes{rest}" for rest in ("", ".default", ".default.svc", ".default.svc.cluster.local")]
    serving = authority.leaf("apiserver", "kube-apiserver", hosts=[*names, FIRST_SERVICE, ADDRESS])
    to_kubelets = authority.leaf("apiserver-kubelet", "apiserver-kubelet", organization="system:masters")
    return [
        "kube-apiserver",
        f"--etcd-servers={ETCD}",
        f"--bind-address={ADDRESS}",
        f"--advertise-address={ADDRESS}",
        "--secure-port=6443",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--client-ca-file={authority.certificate}",
        f"--kubelet-client-certificate={to_kubelets.certificate}",
        f"--kubelet-client-key={to_kubelets.key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={accounts}",
        f"--service-account-signing-key-file={accounts}",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--shutdown-watch-termination-grace-period=1s",
        # It measures objects in a way that etcd 3.4, which is Debian's, does not know, and ends only once that is done.
        "--feature-gates=SizeBasedListCostEstimate=false",
        "--profiling=false",
        f"--audit-policy-file={_written(folder, 'audit-policy.json', AUDIT)}",
        f"--audit-log-path={folder / 'audit.log'}",
    ]


def _controllers(authority: Authority, accounts: Path) -> list[str]:
    user = "system:kube-controller-manager"
    return [
        "kube-controller-manager",
        f"--kubeconfig={authority.kubeconfig('controllers', URL, authority.leaf('controllers', user))}",
        f"--service-account-private-key-file={accounts}",
        f"--root-ca-file={authority.certificate}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
        # Nobody else asks this server: a test waits for what its controllers do, not for their turn.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        # A lost node is seen in seconds instead of most of a minute, and its pods are let go at once.
        "--node-monitor-period=2s",
        "--node-monitor-grace-period=8s",
        "--node-eviction-rate=100",
    ]


def _scheduler(authority: Authority) -> list[str]:
    user = "system:kube-scheduler"
    return [
        "kube-scheduler",
        f"--kubeconfig={authority.kubeconfig('scheduler', URL, authority.leaf('scheduler', user))}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
    ]


def _written(folder: Path, name: str, settings: object) -> Path:
    path = folder / name
    path.write_text(json.dumps(settings))
    return path
