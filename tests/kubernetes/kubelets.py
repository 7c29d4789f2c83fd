"""Simulated nodes: to the API server they are kubelets that run pods, in truth no container ever starts.

Each pod is treated as if its restart policy were Never, and without init containers: it runs from when it is bound, and
ends when a test lets it end or when it is deleted. Whatever else there is to be seen of it is what a kubelet reports.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Address
from queue import SimpleQueue
from types import MappingProxyType
from typing import Final, Literal, Never

from kubernetes.client import ApiClient
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from tests.kubernetes import reports
from tests.kubernetes.reports import Run
from tests.kubernetes.wire import BusyError, Json, RefusedError, Wire, lines

NODES: Final = "/api/v1/nodes"
LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
BOUND_PODS: Final = "/api/v1/pods?fieldSelector=spec.nodeName!="

RENEW_SECONDS: Final = 1.5
RETRY_SECONDS: Final = 0.2
SEEN_SECONDS: Final = 20.0
WORKERS: Final = 6
GONE: Final = 404
ANOTHER: Final = 409
# Neither Services nor real pods have addresses from here on. Nobody gets one again that was another's in the same run.
HOSTS: Final = map(str, map(IPv4Address, itertools.count(int(IPv4Address("10.127.0.1")))))
PODS: Final = map(str, map(IPv4Address, itertools.count(int(IPv4Address("10.128.0.1")))))

TERMINATED: Final = 143
"""How a program ends that does not care for SIGTERM; what a deleted pod's containers end with."""
NOTHING: Final[Mapping[str, Never]] = MappingProxyType({})


class Kubelets:
    """The kubelets of nodes that tests add, fail, lose and remove.

    A pod is named as in `kubectl get`; a name that several namespaces know is written NAMESPACE/NAME. An order for a
    pod waits until its node has seen the pod, and is carried out in the background.
    """

    def __init__(self, api: ApiClient, *, deleted_exit_code: int = TERMINATED) -> None:
        self._wire = Wire(api)
        self._deleted_exit_code = deleted_exit_code
        self._lock = threading.Condition()
        self._nodes: dict[str, Json] = {}
        self._lost: set[str] = set()
        self._refused: set[str] = set()
        self._runs: dict[str, Run] = {}
        self._hosts: dict[str, str] = {}
        self._closing = threading.Event()
        self._stream: BaseHTTPResponse | None = None
        self._queues: list[SimpleQueue[str]] = [SimpleQueue() for _ in range(WORKERS)]
        self._threads = [
            threading.Thread(target=self._follow, name="kubelets follow", daemon=True),
            threading.Thread(target=self._renew, name="kubelets renew", daemon=True),
            *(
                threading.Thread(target=self._work, args=(queue,), name="kubelet", daemon=True)
                for queue in self._queues
            ),
        ]
        for thread in self._threads:
            thread.start()

    # What tests do with nodes

    def add(
        self,
        name: str,
        cores: int,
        memory_bytes: int,
        labels: Mapping[str, str] = NOTHING,
        extended: Mapping[str, int] = NOTHING,
    ) -> None:
        """Register a node, with whatever extended resources it offers; pods come as soon as it was seen to be ready."""
        amounts = {"cpu": cores, "memory": memory_bytes, **extended}
        with self._lock:
            self._hosts[name] = next(HOSTS)
        node = self._wire.create(NODES, reports.node(name, amounts, labels, self._hosts[name]))
        self._beat(node)
        with self._lock:
            self._nodes[name] = node
        self._look_again()

    def remove(self, name: str) -> None:
        """Take a node away with its machine: nobody reports how its pods ended."""
        with self._lock:
            del self._nodes[name]
            self._lost.discard(name)
        self._gone(f"{NODES}/{name}")
        self._gone(f"{LEASES}/{name}")

    def lose(self, name: str) -> None:
        """Cut a node off: nothing is heard of it, and it hears nothing."""
        with self._lock:
            assert name in self._nodes
            self._lost.add(name)

    def find(self, name: str) -> None:
        """Let a lost node return, with its pods, and let it catch up."""
        with self._lock:
            self._lost.remove(name)
        self._look_again()

    # What tests do with pods

    def fail(self, pod: str, reason: Literal["OOMKilled", "Error"] = "Error", exit_code: int | None = None) -> None:
        """Let a pod's containers fail, with the exit code that the reason has if none is given."""
        code = (137 if reason == "OOMKilled" else 1) if exit_code is None else exit_code
        self._order(pod, lambda run: run.end(code, reason))

    def end(self, pod: str, exit_code: int = 0) -> None:
        """Let a pod's containers end by themselves."""
        self._order(pod, lambda run: run.end(exit_code))

    def hang(self, pod: str) -> None:
        """Let a pod's deletion go unanswered."""
        self._order(pod, lambda run: run.hang(hangs=True))

    def respond(self, pod: str) -> None:
        """Answer the deletion of a pod again that was made to hang."""
        self._order(pod, lambda run: run.hang(hangs=False))

    def refuse_image(self, pod_prefix: str) -> None:
        """Let pods whose names begin so wait for an image that cannot be pulled, unless they run already."""
        with self._lock:
            self._refused.add(pod_prefix)

    def allow_image(self, pod_prefix: str) -> None:
        """Let the refused image be pulled."""
        with self._lock:
            self._refused.remove(pod_prefix)
        self._look_again()

    def close(self) -> None:
        """Take all nodes away and all that was on them, finalizers or not, so that the next test meets none of it."""
        self._closing.set()
        if (stream := self._stream) is not None:
            with suppress(RuntimeError, ValueError):  # it has just ended by itself
                stream.shutdown()
        for queue in self._queues:
            queue.put("")
        for thread in self._threads:
            thread.join()
        with ThreadPoolExecutor(WORKERS) as threads:
            list(threads.map(self._erase, self._runs.values()))
            list(threads.map(self.remove, list(self._nodes)))

    def _order(self, pod: str, order: Callable[[Run], None]) -> None:
        with self._lock:
            if not self._lock.wait_for(lambda: self._named(pod), SEEN_SECONDS):
                raise TimeoutError(f"no simulated node was given a pod {pod}")
            (run,) = self._named(pod)
            order(run)
        self._queue(run)

    def _named(self, pod: str) -> list[Run]:
        return [run for run in self._runs.values() if pod in run.names and run.node in self._nodes]

    def _erase(self, run: Run) -> None:
        if run.pod["metadata"].get("finalizers"):
            with suppress(RefusedError):
                self._wire.patch(run.path, {"metadata": {"finalizers": None}})
        self._gone(run.path)

    def _gone(self, path: str) -> None:
        with suppress(RefusedError):
            self._wire.delete(path, gracePeriodSeconds=0)

    # What kubelets hear

    def _follow(self) -> None:
        while not self._closing.is_set():
            # What still comes from a stream that was shut down is no JSON.
            with suppress(RefusedError, BusyError, HTTPError, OSError, ValueError):
                self._watch(self._list())
            self._closing.wait(RETRY_SECONDS)

    def _list(self) -> str:
        found = self._wire.get(BOUND_PODS)
        with self._lock:
            present = {pod["metadata"]["uid"] for pod in found["items"]}
            self._runs = {uid: run for uid, run in self._runs.items() if uid in present}
        for pod in found["items"]:
            self._see(pod)
        return str(found["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> None:
        self._stream = self._wire.watch(f"{BOUND_PODS}&watch=1&resourceVersion={version}")
        with self._stream as stream:
            if self._closing.is_set():  # before it could be seen by whoever closes
                return
            for event in lines(stream):
                if event["type"] == "ERROR":
                    return
                if event["type"] == "DELETED":
                    with self._lock:
                        self._runs.pop(event["object"]["metadata"]["uid"], None)
                else:
                    self._see(event["object"])

    def _see(self, pod: Json) -> None:
        with self._lock:
            run = self._runs.get(pod["metadata"]["uid"])
            if run is None:
                host = self._hosts.get(pod["spec"]["nodeName"])
                if host is None:
                    return  # a node of somebody else's
                run = Run(pod, address=next(PODS), host=host)
                self._runs[run.uid] = run
            run.pod = pod
            self._lock.notify_all()
        self._queue(run)

    def _look_again(self) -> None:
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            self._queue(run)

    def _queue(self, run: Run) -> None:
        """Hand a pod to the one worker that it has, so that nothing about it is done twice at a time."""
        self._queues[hash(run.uid) % WORKERS].put(run.uid)

    # What kubelets report

    def _work(self, queue: SimpleQueue[str]) -> None:
        while not self._closing.is_set():
            uid = queue.get()
            with self._lock:
                run = self._runs.get(uid)
            if run is None:
                continue
            try:
                self._attend(run)
            except RefusedError as refused:
                if refused.status not in {GONE, ANOTHER}:
                    raise
            except (BusyError, HTTPError, OSError):
                self._closing.wait(RETRY_SECONDS)
                queue.put(uid)

    def _attend(self, run: Run) -> None:
        """Report the news of a pod, and that nothing is left of it, if its node is heard."""
        with self._lock:
            if run.node not in self._nodes or run.node in self._lost:
                return
            let_go = run.is_deleted and not run.hangs
            if let_go:
                run.stop(self._deleted_exit_code)
            news = run.news(refused=any(run.name.startswith(prefix) for prefix in self._refused))
        if news is not None:
            self._wire.patch(f"{run.path}/status", {"metadata": {"uid": run.uid}, "status": news})
        if let_go and not run.is_released:
            self._wire.delete(run.path, gracePeriodSeconds=0, preconditions={"uid": run.uid})
            run.is_released = True

    def _renew(self) -> None:
        while not self._closing.wait(RENEW_SECONDS):
            with suppress(RefusedError, BusyError, HTTPError, OSError):
                ready = {node["metadata"]["name"]: reports.is_ready(node) for node in self._wire.get(NODES)["items"]}
                with self._lock:
                    heard = [node for name, node in self._nodes.items() if name not in self._lost]
                for node in heard:
                    self._beat(node, ready=ready.get(node["metadata"]["name"], True))

    def _beat(self, node: Json, *, ready: bool = True) -> None:
        """Renew a node's Lease, which is what it lives by, and its conditions only when they were judged otherwise."""
        name = node["metadata"]["name"]
        try:
            self._wire.patch(f"{LEASES}/{name}", {"spec": reports.renewal()})
        except RefusedError as refused:
            if refused.status != GONE:
                raise
            self._wire.create(LEASES, reports.lease(node))
        if not ready:
            self._wire.patch(f"{NODES}/{name}/status", {"status": {"conditions": reports.conditions()}})
