"""What a kubelet tells the API server of its node and of each pod, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from tests.kubernetes.wire import Json

DONE: Final = frozenset({"Succeeded", "Failed"})
REFUSED_IMAGE: Final = "ImagePullBackOff"
VERSION: Final = "v1.36.2"


class Run:
    """One pod as its kubelet knows it: what was seen of it, when it started, and how it is to end."""

    def __init__(self, pod: Json, *, address: str, host: str) -> None:
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.name: str = pod["metadata"]["name"]
        self.namespace: str = pod["metadata"]["namespace"]
        self.node: str = pod["spec"]["nodeName"]
        self.path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"
        self.hangs = False
        self.is_released = False
        self._addresses = {
            "hostIP": host,
            "hostIPs": [{"ip": host}],
            "podIP": address,
            "podIPs": [{"ip": address}],
        }
        self._seen = now()
        self._started = ""
        self._terminated: Json = {}

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.name, f"{self.namespace}/{self.name}"})

    @property
    def is_deleted(self) -> bool:
        return "deletionTimestamp" in self.pod["metadata"]

    def hang(self, *, hangs: bool) -> None:
        self.hangs = hangs

    def end(self, exit_code: int, reason: str = "") -> None:
        """Let the containers end, unless they have: their first end is their only one."""
        self._started = self._started or now()
        self._terminated = self._terminated or {
            "exitCode": exit_code,
            "reason": reason or ("Error" if exit_code else "Completed"),
            "startedAt": self._started,
            "finishedAt": now(),
            "containerID": f"simulated://{self.uid}",
        }

    def stop(self, exit_code: int) -> None:
        """Let the containers end because the pod is deleted; of those that never ran nothing is known."""
        if self._started:
            self.end(exit_code)
        else:
            self._terminated = self._terminated or {"exitCode": 137, "reason": "ContainerStatusUnknown"}

    def news(self, *, refused: bool) -> Json | None:
        """Return the status to report, if what was seen last is not that already."""
        phase = self.pod["status"].get("phase")
        if phase in DONE:
            return None
        if self._terminated:
            return self._ended()
        if self.is_deleted:
            return None
        if refused and not self._started:
            return None if self._waits() else self._waiting()
        if phase == "Running":
            return None
        self._started = self._started or now()
        return self._running()

    def _waits(self) -> bool:
        return any(
            container["state"].get("waiting", {}).get("reason") == REFUSED_IMAGE
            for container in self.pod["status"].get("containerStatuses", ())
        )

    def _waiting(self) -> Json:
        state = {"waiting": {"reason": REFUSED_IMAGE, "message": "Back-off pulling image: it was refused by a test"}}
        return self._status("Pending", state, since=self._seen, why="ContainersNotReady")

    def _running(self) -> Json:
        return self._status("Running", {"running": {"startedAt": self._started}}, since=self._started)

    def _ended(self) -> Json:
        phase, why = ("Failed", "PodFailed") if self._terminated["exitCode"] else ("Succeeded", "PodCompleted")
        since = self._terminated.get("finishedAt", self._seen)
        return self._status(phase, {"terminated": self._terminated}, since=since, why=why)

    def _status(self, phase: str, state: Json, *, since: str, why: str = "") -> Json:
        """Say the same of every container; `why` they are not ready, unless they are."""
        ready = not why
        reason = {"reason": why} if why else {}
        return {
            "phase": phase,
            "startTime": self._seen,
            **self._addresses,
            "conditions": [
                {"type": "PodReadyToStartContainers", "status": "True", "lastTransitionTime": self._seen},
                {"type": "Initialized", "status": "True", "lastTransitionTime": self._seen},
                {"type": "ContainersReady", "status": str(ready), "lastTransitionTime": since, **reason},
                {"type": "Ready", "status": str(ready), "lastTransitionTime": since, **reason},
            ],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "imageID": "" if "waiting" in state else f"simulated://{container['image']}",
                    "containerID": "" if "waiting" in state else f"simulated://{self.uid}",
                    "restartCount": 0,
                    "ready": ready,
                    "started": ready,
                    "state": state,
                }
                for container in self.pod["spec"]["containers"]
            ],
        }


def node(name: str, amounts: Mapping[str, int], labels: Mapping[str, str], address: str) -> Json:
    """A node that is ready; the API server keeps pods away from it until a controller has seen so, too."""
    all_amounts = {
        "pods": "110",
        "ephemeral-storage": "100Gi",
        **{kind: str(amount) for kind, amount in amounts.items()},
    }
    system = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**system, **labels}},
        "status": {
            "capacity": all_amounts,
            "allocatable": all_amounts,
            "conditions": conditions(),
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": name,
                "containerRuntimeVersion": "simulated://1",
                "kernelVersion": "simulated",
                "kubeProxyVersion": VERSION,
                "kubeletVersion": VERSION,
                "machineID": name,
                "operatingSystem": "linux",
                "osImage": "simulated",
                "systemUUID": name,
            },
        },
    }


def conditions() -> list[Json]:
    """The conditions of a node that is well."""
    time = now()
    troubles = ("MemoryPressure", "DiskPressure", "PIDPressure")
    return [
        {
            "type": kind,
            "status": str(kind == "Ready"),
            "reason": "Simulated",
            "message": "as a test wants it",
            "lastHeartbeatTime": time,
            "lastTransitionTime": time,
        }
        for kind in ("Ready", *troubles)
    ]


def is_ready(seen: Json) -> bool:
    return any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in seen["status"]["conditions"]
    )


def lease(owner: Json) -> Json:
    """What a kubelet renews as long as it lives; it goes with its node."""
    name = owner["metadata"]["name"]
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": name,
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": name, "uid": owner["metadata"]["uid"]},
            ],
        },
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, **renewal()},
    }


def renewal() -> Json:
    return {"renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}


def now() -> str:
    """The time as kubelets tell it, in whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
