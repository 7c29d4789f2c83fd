"""The doors of Dask schedulers on simulated nodes: behind each pod's address stands what its Secret lets it be.

All addresses of simulated pods lead here. Which head is asked is told by the name that the caller expects; its
certificate, its authority and its token are those of the cluster's Secret, so a caller with others is a stranger.
"""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from urllib3.exceptions import HTTPError

from backends.kube.naming import HEAD, ORDINAL, REQUEST, STATE_PORT
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.kubelets import Kubelets
from tests.kubernetes.wire import BusyError, Json, RefusedError

LOOK_SECONDS: Final = 0.3
ADDRESSES: Final = "10.128.0.0/9"


class Heads:
    """Every head that the cluster's Secrets make possible; told to drain workers, it lets their pods end."""

    def __init__(self, plane: ControlPlane, kubelets: Kubelets, folder: Path) -> None:
        self._plane = plane
        self._kubelets = kubelets
        self._folder = folder
        self._lock = threading.Lock()
        self._drained: set[str] = set()
        subprocess.run(["ip", "route", "replace", "local", ADDRESSES, "dev", "lo"], check=True)
        handler = type("Handler", (_Door,), {"heads": self})
        self._server = ThreadingHTTPServer(("0.0.0.0", STATE_PORT), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = self._choose
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, name="heads", daemon=True),
            threading.Thread(target=self._take_along, name="workers of ended heads", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join()

    def token(self, request: str) -> str:
        return self._papers(request)["token"]

    def state(self, request: str) -> Json:
        """What the head says: the workers that run."""
        pods = self._plane.wire.get(f"/api/v1/pods?labelSelector={REQUEST}={request}")["items"]
        names = [pod["metadata"]["name"] for pod in pods if pod["metadata"]["labels"][ORDINAL] != "0"]
        workers = [{"name": name, "status": "running", "processing": 0, "bytes": 0} for name in names]
        return {"desired_workers": 0, "idle_since": None, "clients": 0, "tasks": 0, "workers": workers}

    def drain(self, names: list[str]) -> Json:
        with self._lock:
            new = [name for name in names if name not in self._drained]
            self._drained.update(new)
        for name in new:
            self._kubelets.end(name)
        return {"workers": dict.fromkeys(names, "closed")}

    def _take_along(self) -> None:
        """Let workers end by themselves once their head has ended, as Dask's do."""
        while not self._closing.wait(LOOK_SECONDS):
            with suppress(BusyError, HTTPError, OSError):  # nobody hears of it while the API server is away
                self._take_along_once()

    def _take_along_once(self) -> None:
        pods = self._plane.wire.get(f"/api/v1/pods?labelSelector={REQUEST}")["items"]
        ended = [pod["metadata"]["labels"] for pod in pods if _has_ended(pod)]
        headless = {labels[REQUEST] for labels in ended if labels[ORDINAL] == "0"}
        for pod in pods:
            if pod["metadata"]["labels"][REQUEST] in headless and not _has_ended(pod):
                self._kubelets.end(pod["metadata"]["name"])

    def _choose(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        try:
            papers = self._papers((name or "").removeprefix("head.h-"))
        except (RefusedError, ValueError, BusyError, HTTPError, OSError):  # it is gone, or nobody can be asked
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=papers["authority.pem"])
        leaf = self._folder / f"{threading.get_ident()}.pem"
        leaf.write_text(papers["leaf.pem"])
        context.load_cert_chain(leaf)
        connection.context = context
        return None

    def _papers(self, request: str) -> dict[str, str]:
        found = self._plane.wire.get(f"/api/v1/secrets?labelSelector={REQUEST}={request}")["items"]
        (secret,) = [one for one in found if one["metadata"]["name"].endswith(f"-{HEAD}")]
        return {name: base64.b64decode(content).decode() for name, content in secret["data"].items()}


def _has_ended(pod: Json) -> bool:
    return pod.get("status", {}).get("phase") in {"Succeeded", "Failed"}


class _Door(BaseHTTPRequestHandler):
    """`GET /state` and `POST /drain` of whichever head was called by its name."""

    protocol_version = "HTTP/1.1"
    heads: Heads

    def setup(self) -> None:
        with suppress(ssl.SSLError, OSError):
            self.request.do_handshake()
        super().setup()

    def do_GET(self) -> None:
        self._answer(self.heads.state)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(lambda _request: self.heads.drain(asked["workers"]))

    def _answer(self, act: Any) -> None:  # noqa: ANN401
        request = self.headers["Host"].removeprefix("head.h-")
        known = self.headers["Authorization"] == f"Bearer {self.heads.token(request)}"
        body = json.dumps(act(request) if known else {}).encode()
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
