"""Sentences about measured use: what a kubelet says is added up, and what it does not say is unknown, not nothing."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.client import ApiClient, Configuration

from backends.kube import measuring
from backends.kube.measuring import Kubelets, Measured, Measuring, measured_in
from tests.kubernetes.certificates import Authority

Json = dict[str, Any]
PODS = [
    {"spec": {"nodeName": "n1"}, "metadata": {"uid": "a"}},
    {"spec": {"nodeName": "n1"}, "metadata": {"uid": "b"}},
    {"spec": {"nodeName": "n2"}, "metadata": {"uid": "c"}},
    {"spec": {}, "metadata": {"uid": "waiting"}},
]
NODES = [{"metadata": {"name": name}} for name in ("n1", "n2", "empty")]


def of_pod(uid: str, cpu_seconds: float, memory: int) -> Json:
    return {
        "podRef": {"uid": uid},
        "cpu": {"usageCoreNanoSeconds": int(cpu_seconds * 10**9)},
        "memory": {"workingSetBytes": memory},
    }


class World:
    """Kubelets that say what a test has them say; one that says nothing is away."""

    def __init__(self) -> None:
        self.said: dict[str, Json] = {}
        self.asked: list[str] = []
        self.pods = list(PODS)
        self.measuring = Measuring(self.summary, nodes=lambda: NODES, pods=lambda: self.pods)

    def summary(self, node: Json) -> Json | None:
        self.asked.append(node["metadata"]["name"])
        return self.said.get(node["metadata"]["name"])

    def sample(self, **said: list[Json]) -> None:
        self.said = {node: {"pods": pods} for node, pods in said.items()}
        self.measuring.sample()


def test_cpu_is_what_was_said_last_and_memory_the_largest_of_all_samples() -> None:
    world = World()
    world.sample(n1=[of_pod("a", 1.5, 300), of_pod("b", 0, 0)])
    world.sample(n1=[of_pod("a", 2.5, 100)])
    assert world.measuring.of("a") == Measured(cpu_milliseconds=2500, peak_memory=300)
    assert world.measuring.of("b") == Measured(cpu_milliseconds=0, peak_memory=0), "measured, and nothing"


def test_what_nobody_measured_is_unknown() -> None:
    world = World()
    world.sample(n1=[of_pod("a", 1, 1)])
    assert (world.measuring.of("b"), world.measuring.of("c"), world.measuring.of("waiting")) == (None, None, None)


def test_a_kubelet_that_falls_silent_or_forgets_takes_nothing_back() -> None:
    world = World()
    world.sample(n1=[of_pod("a", 9, 900)])
    world.sample()
    world.sample(n1=[of_pod("a", 1, 10)])
    assert world.measuring.of("a") == Measured(cpu_milliseconds=9000, peak_memory=900)


def test_only_nodes_with_pods_of_ours_are_asked_and_what_is_gone_is_forgotten() -> None:
    world = World()
    world.sample(n1=[of_pod("a", 1, 1), of_pod("stranger", 5, 5)])
    assert world.asked == ["n1", "n2"]
    assert world.measuring.of("stranger") is None
    world.pods = PODS[2:]
    world.sample(n2=[of_pod("c", 1, 1)])
    assert world.measuring.of("a") is None


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["pods", "podRef", "uid", "cpu", "memory"]), inner),
)


@given(any_json)
def test_whatever_a_kubelet_answers_is_read_without_a_fault(answer: object) -> None:
    found = measured_in({"pods": answer}, ["a"])
    assert set(found) <= {"a"}


@pytest.mark.parametrize("value", [-1, 2**63, 1.5, "7", True, None])
def test_an_amount_that_is_none_is_not_measured(value: object) -> None:
    pod = of_pod("a", 1, 1)
    pod["memory"]["workingSetBytes"] = value
    assert measured_in({"pods": [pod]}, ["a"]) == {}


# The kubelet's door


class Door(BaseHTTPRequestHandler):
    """A kubelet's HTTPS server as far as it matters here."""

    status = 200
    body = b""
    asked: tuple[str, str | None] = ("", None)

    def do_GET(self) -> None:
        type(self).asked = (self.path, self.headers["Authorization"])
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
def door(authority: Authority) -> Iterator[type[Door]]:
    leaf = authority.leaf("kubelet", "system:node:n1", hosts=["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.certificate, leaf.key)
    handler: type[Any] = type("OneDoor", (Door,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    handler.port = server.server_port
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who hangs up on it is as expected
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


def a_node(port: int, address: str = "127.0.0.1") -> Json:
    status = {
        "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": address}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    return {"metadata": {"name": "n1"}, "status": status}


def kubelets(authority: Path) -> Kubelets:
    configuration = Configuration(host="https://api.example")
    configuration.api_key = {"authorization": "the-token"}
    configuration.api_key_prefix = {"authorization": "Bearer"}
    return Kubelets(ApiClient(configuration), str(authority))


def test_a_kubelet_is_asked_with_the_accounts_token(door: type[Any], authority: Authority) -> None:
    door.body = json.dumps({"pods": [of_pod("a", 1, 2)]}).encode()
    said = kubelets(authority.certificate).summary(a_node(door.port))
    assert said is not None
    assert measured_in(said, ["a"]) == {"a": Measured(cpu_milliseconds=1000, peak_memory=2)}
    assert door.asked == ("/stats/summary", "Bearer the-token")


def test_nobody_else_is_told_the_token(door: type[Any], tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "theirs")
    assert kubelets(stranger.certificate).summary(a_node(door.port)) is None
    assert door.asked == ("", None)


@pytest.mark.parametrize(
    ("status", "body"), [(403, b"{}"), (500, b""), (200, b"no JSON"), (200, b"[]"), (200, b"\xff"), (200, b"")]
)
def test_an_answer_that_says_nothing_measures_nothing(
    door: type[Any], authority: Authority, status: int, body: bytes
) -> None:
    door.status, door.body = status, body
    assert kubelets(authority.certificate).summary(a_node(door.port)) is None


def test_an_answer_without_end_is_cut_off(
    door: type[Any], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "LARGEST_ANSWER_BYTES", 1000)
    door.body = json.dumps({"pods": [], "more": "x" * 2000}).encode()
    assert kubelets(authority.certificate).summary(a_node(door.port)) is None


def test_a_kubelet_that_is_away_or_nowhere_measures_nothing(authority: Authority) -> None:
    ours = kubelets(authority.certificate)
    assert ours.summary(a_node(1)) is None
    assert ours.summary({"metadata": {"name": "n1"}}) is None
