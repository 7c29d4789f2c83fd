"""A person's own pod in their institution's namespace, as a notebook is one: a program with a cluster's certificate."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from tests.kubernetes.wire import Json, RefusedError, Wire
from tests.ordered import until

PAPERS: Final = "/papers"
CONNECTED: Final = f"""\
import json
from pathlib import Path

from distributed import Client, Security, get_worker

papers = {{paper.name: paper.read_text() for paper in Path("{PAPERS}").glob("*.pem")}}
security = Security(
    tls_ca_file=papers["authority.pem"],
    tls_client_cert=papers["certificate.pem"],
    tls_client_key=papers["key.pem"],
    require_encryption=True,
)
client = Client(Path("{PAPERS}/address").read_text(), security=security, timeout=30)
"""
"""How every program begins: with a `client` of Dask's, by what the center has told the cluster's owner."""


class ClientPods:
    """Pods of one namespace with the papers of one connection, in an image that has what a client needs."""

    def __init__(self, wire: Wire, namespace: str, image: str, connection: Json, *, papers: str = "papers") -> None:
        self._wire = wire
        self._pods = f"/api/v1/namespaces/{namespace}/pods"
        self._image = image
        self._secret = f"/api/v1/namespaces/{namespace}/secrets"
        self._papers = papers
        content = {f"{part}.pem": connection[part] for part in ("authority", "certificate", "key")}
        content["address"] = connection["address"]
        wire.create(self._secret, {"metadata": {"name": papers}, "stringData": content})

    @contextmanager
    def running(self, name: str, program: str) -> Iterator[None]:
        """Run a program beside the block, and remove its pod afterwards."""
        papers = {"secret": {"secretName": self._papers, "defaultMode": 0o440}}
        pod = restricted_pod(name, self._image, {"papers": papers, "tmp": {"emptyDir": {}}})
        pod["metadata"]["labels"] = {"haidang/client": "true"}
        pod["spec"]["containers"][0]["command"] = ["python", "-c", CONNECTED + program]
        self._wire.create(self._pods, pod)
        try:
            yield
        finally:
            self._wire.delete(f"{self._pods}/{name}", gracePeriodSeconds=0)

    def said(self, name: str) -> str:
        """Return what a program has printed so far; nothing before it has begun."""
        try:
            return self._wire.text(f"{self._pods}/{name}/log")
        except RefusedError:
            return ""

    def answer(self, name: str, program: str) -> Any:  # noqa: ANN401
        """Return what a program prints at its end, as JSON; what Dask logs after that as it closes is none of it."""
        with self.running(name, program):
            phase = until(lambda: self._ended(name), seconds=90)
            said = self._wire.text(f"{self._pods}/{name}/log")
            assert phase == "Succeeded", said
            for line in reversed(said.splitlines()):
                with suppress(json.JSONDecodeError):
                    return json.loads(line)
            raise AssertionError(said)

    def _ended(self, name: str) -> str | None:
        phase: str = self._wire.get(f"{self._pods}/{name}")["status"]["phase"]
        return phase if phase in {"Succeeded", "Failed"} else None


def restricted_pod(
    name: str, image: str, volumes: Mapping[str, Json], *, cpu: str = "300m", memory: str = "256Mi"
) -> Json:
    """Return a pod as the strictest of Kubernetes' standards lets one be, with each volume below the root."""
    needs = {"cpu": cpu, "memory": memory}
    return {
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "main",
                    "image": image,
                    "imagePullPolicy": "Never",
                    "resources": {"requests": needs, "limits": needs},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": volume, "mountPath": f"/{volume}"} for volume in volumes],
                }
            ],
            "volumes": [{"name": volume, **source} for volume, source in volumes.items()],
        },
    }
