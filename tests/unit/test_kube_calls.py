"""Sentences about calls to an API server that is busy, refuses, breaks off, forgets or falls silent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes.client import ApiClient, Configuration
from structlog.testing import capture_logs

from backends.kube import watching
from backends.kube.calls import CallRefusedError, Calls, Pace
from backends.kube.grounds import KubeGrounds
from backends.kube.manifests import Site
from backends.kube.watching import Watched
from operations.ports.backend import BackendUnavailableError
from registry.ids import CenterId
from tests.ordered import until

PODS = "/api/v1/pods"
Answer = Callable[["Asked"], None]


class Asked(BaseHTTPRequestHandler):
    """One call to the server, which a test answers."""

    protocol_version = "HTTP/1.1"
    answers: list[Answer]
    heard: list[tuple[str, str, dict[str, list[str]], Any]]
    over: threading.Event

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        parts = urlsplit(self.path)
        self.heard.append((self.command, parts.path, parse_qs(parts.query), body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        answer(self)

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._any
        raise AttributeError(name)

    def say(self, status: int, body: object, **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def tell(self, changes: Iterable[object], then_wait: float) -> None:
        """Answer a watch with these changes, in chunks as the API server does, and end it after a while."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for change in changes:
            line = json.dumps(change).encode() + b"\n"
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.flush()
        self.over.wait(then_wait)
        with suppress(OSError):
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[type[Asked]]:
    handler: type[Any] = type("Server", (Asked,), {"answers": [], "heard": [], "over": threading.Event()})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.daemon_threads = True
    handler.port = http.server_port
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield handler
    handler.over.set()
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("watch ")])  # they draw lots
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def calls(server: type[Any]) -> Iterator[Calls]:
    configuration = Configuration(host=f"http://127.0.0.1:{server.port}", retries=0)
    configuration.proxy = None
    with ApiClient(configuration) as api:
        yield Calls(api, Pace(per_second=1000, burst=1000))


def saying(status: int, body: object, **headers: str) -> Answer:
    return lambda asked: asked.say(status, body, **headers)


def telling(*changes: object, then_wait: float = 0) -> Answer:
    return lambda asked: asked.tell(changes, then_wait)


def a_list(version: int, *names: str) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(version)}, "items": [a_pod(name, version) for name in names]}


def a_pod(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}}


def change(kind: str, pod: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": pod}


def test_a_busy_server_is_asked_again_when_it_says(server: type[Any], calls: Calls) -> None:
    server.answers[:] = [saying(429, {}, Retry_After="1"), saying(503, {}), saying(200, {"kind": "Pod"})]
    began = time.monotonic()
    assert calls.get(f"{PODS}/a") == {"kind": "Pod"}
    assert time.monotonic() - began >= 1
    assert len(server.heard) == 3


def test_a_refusal_is_told_at_once_in_the_servers_words(server: type[Any], calls: Calls) -> None:
    said = {"reason": "Forbidden", "message": 'pods "a" is forbidden: exceeded quota: haidang, requested: cpu=1'}
    server.answers[:] = [saying(403, said)]
    with pytest.raises(CallRefusedError) as refused:
        calls.create(PODS, {})
    assert (refused.value.status, refused.value.reason, refused.value.is_over_quota) == (403, "Forbidden", True)
    assert len(server.heard) == 1


@pytest.mark.parametrize("body", [b"<html>nobody</html>", b"", b"[]", b"\xff"])
def test_a_refusal_that_is_no_status_is_a_refusal_still(server: type[Any], calls: Calls, body: bytes) -> None:
    server.answers[:] = [saying(404, body)]
    with pytest.raises(CallRefusedError) as refused:
        calls.get(f"{PODS}/a")
    assert refused.value.is_absent


def test_a_deletion_names_the_one_life_it_means_and_meets_another_without_a_word(
    server: type[Any], calls: Calls
) -> None:
    server.answers[:] = [saying(200, {}), saying(404, {}), saying(409, {})]
    for _ in range(3):
        calls.delete(f"{PODS}/a", uid="the-uid", grace_seconds=0)
    assert [heard[3]["preconditions"] for heard in server.heard] == [{"uid": "the-uid"}] * 3
    assert server.heard[0][3]["gracePeriodSeconds"] == 0


def test_a_long_list_is_read_page_by_page(server: type[Any], calls: Calls) -> None:
    first = a_list(7, "a", "b")
    first["metadata"]["continue"] = "more"
    server.answers[:] = [saying(200, first), saying(200, a_list(7, "c"))]
    items, version = calls.items(PODS, selector="x=y")
    assert ([one["metadata"]["name"] for one in items], version) == (["a", "b", "c"], "7")
    assert server.heard[1][2]["continue"] == ["more"]
    assert all(heard[2]["labelSelector"] == ["x=y"] for heard in server.heard)


def test_what_others_did_to_a_quota_at_the_same_moment_is_no_refusal(server: type[Any], calls: Calls) -> None:
    told = {"reason": "Conflict", "message": "Operation cannot be fulfilled on resourcequotas: try again"}
    server.answers[:] = [saying(409, json.dumps(told).encode()), saying(201, b'{"made": true}')]
    assert calls.create(PODS, {}) == {"made": True}
    told["reason"] = "AlreadyExists"
    server.answers[:] = [saying(409, json.dumps(told).encode())]
    with pytest.raises(CallRefusedError, match="AlreadyExists"):
        calls.create(PODS, {})


def test_of_a_text_the_end_is_kept_and_it_is_asked_for_once(server: type[Any], calls: Calls) -> None:
    server.answers[:] = [saying(200, b"x" * 995 + b"the end"), saying(503, b"")]
    assert calls.end_of(f"{PODS}/a/log", {}, most=10, seconds=5) == b"xxxthe end"
    with pytest.raises(BackendUnavailableError):
        calls.end_of(f"{PODS}/a/log", {}, most=10, seconds=5)
    assert len(server.heard) == 2


# Watching


@pytest.fixture
def watched(calls: Calls) -> Iterator[Watched]:
    watched = Watched(calls, PODS, kind="Pod", selector="", changed=lambda: None)
    yield watched
    watched.close()


def names(watched: Watched) -> set[str]:
    return {one["metadata"]["name"] for one in watched.objects()}


def test_changes_are_followed_from_the_list_on(server: type[Any], watched: Watched) -> None:
    changes = [
        change("ADDED", a_pod("b", 2)),
        change("DELETED", a_pod("a", 3)),
        change("BOOKMARK", {"metadata": {"resourceVersion": "9"}}),
    ]
    server.answers[:] = [saying(200, a_list(1, "a")), telling(*changes, then_wait=5)]
    watched.start()
    until(lambda: names(watched) == {"b"}, 5)
    assert server.heard[1][2]["resourceVersion"] == ["1"]


def test_nothing_is_held_in_memory_of_who_set_which_field(server: type[Any], watched: Watched) -> None:
    pods = [a_pod(name, version) for version, name in enumerate("abc", start=1)]
    for pod in pods:
        pod["metadata"]["managedFields"] = [{"manager": "kubelet"}]
    listed = {"metadata": {"resourceVersion": "1"}, "items": pods[:1]}
    server.answers[:] = [saying(200, listed), telling(change("ADDED", pods[1]), then_wait=5)]
    watched.start()
    until(lambda: names(watched) == {"a", "b"}, 5)
    watched.put(pods[2])
    assert names(watched) == {"a", "b", "c"}
    assert not [one for one in watched.objects() if "managedFields" in one["metadata"]]


def a_cluster(asked: Asked) -> None:
    """Answer with a node, one with a flaw, and a pod of others; nothing happens there."""
    if "watch" in asked.path:
        asked.tell((), 5)
        return
    nodes, pods = a_list(1, "n1", "n2"), a_list(1, "web")
    for node, tier in zip(nodes["items"], ("hpc", "gpu"), strict=True):
        node["metadata"]["labels"] = {"haidang/pool": "main", "haidang/tier": tier}
        node |= {"spec": {}, "status": {"allocatable": {"cpu": "8", "memory": "1Gi"}}}
    container = {"name": "web", "image": "a", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}}
    pods["items"][0] |= {"spec": {"nodeName": "n1", "containers": [container], "volumes": []}}
    empty = a_list(1)
    asked.say(200, {"/api/v1/nodes": nodes, PODS: pods}.get(asked.path.split("?")[0], empty))


def test_grounds_hold_of_others_pods_what_they_read_and_tell_of_a_flaw_once(server: type[Any], calls: Calls) -> None:
    server.answers[:] = [a_cluster]
    grounds = KubeGrounds(calls, Site(center=CenterId("haiphong"), images={}))
    grounds.start()
    try:
        with capture_logs() as logs:
            seen = [grounds.machines() for _ in range(2)]
        (pod,) = grounds._others.objects()
    finally:
        grounds.close()
    assert [(machine.id, machine.capacity.millicores) for machine in (*seen[0], *seen[1])] == [("n1", 7000)] * 2
    assert [one["node"] for one in logs if one["log_level"] == "warning"] == ["n2"]
    assert "image" not in pod["spec"]["containers"][0]


@pytest.mark.parametrize(
    "broken",
    [
        telling(change("ERROR", {"code": 410, "reason": "Expired", "message": "too old"})),
        saying(410, {"reason": "Expired"}),
        telling("no change at all"),
        saying(500, {}),
        saying(403, {}),
    ],
    ids=["too old", "gone", "nonsense", "failing", "forbidden"],
)
def test_a_watch_that_breaks_is_begun_anew_from_a_new_list(server: type[Any], watched: Watched, broken: Answer) -> None:
    server.answers[:] = [
        saying(200, a_list(1, "a")),
        broken,
        saying(200, a_list(5, "c")),
        telling(change("ADDED", a_pod("d", 6)), then_wait=5),
    ]
    watched.start()
    until(lambda: names(watched) == {"c", "d"}, 10)
    assert server.heard[3][2]["resourceVersion"] == ["5"]


def test_a_watch_that_falls_silent_is_taken_for_dead(
    server: type[Any], watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SILENCE_SECONDS", 0.3)
    server.answers[:] = [
        saying(200, a_list(1, "a")),
        telling(then_wait=3),
        saying(200, a_list(5, "c")),
        telling(then_wait=3),
    ]
    watched.start()
    until(lambda: names(watched) == {"c"}, 5)


def test_what_was_written_here_is_known_before_the_stream_tells_it(server: type[Any], watched: Watched) -> None:
    server.answers[:] = [saying(200, a_list(1, "a")), telling(change("MODIFIED", a_pod("b", 3)), then_wait=5)]
    watched.start()
    until(lambda: names(watched) == {"a", "b"}, 5)
    watched.put(a_pod("new", 9))
    watched.put(a_pod("b", 2))
    watched.drop("uid-a")
    found = {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in watched.objects()}
    assert found == {"b": "3", "new": "9"}, "an older version of it is no news"


def test_nothing_is_said_of_what_was_never_listed(
    server: type[Any], watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "STALE_SECONDS", 0.1)
    server.answers[:] = [saying(403, {})]
    watched.start()
    with pytest.raises(BackendUnavailableError, match="cannot be followed"):
        watched.objects()
