"""The last words of pods are the end of what they printed, and nobody waits long for them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kubernetes.client import ApiClient, Configuration

from backends.kube import tails
from backends.kube.calls import Calls, Pace
from backends.kube.naming import REQUEST
from backends.kube.tails import Tails
from operations.ports.backend import LAST_WORDS_BYTES

Answer = Callable[[BaseHTTPRequestHandler], None]


def a_pod(node: str | None = "n1", request: str = "a") -> dict[str, Any]:
    return {"metadata": {"uid": "x", "labels": {REQUEST: request}}, "spec": {"nodeName": node} if node else {}}


class World:
    """An API server that answers as a test has it answer, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Answer = printed(b"")
        self.tails: Tails

    def of(self, node: str | None = "n1", request: str = "a") -> bytes | None:
        return self.tails.of("/pods/x", a_pod(node, request))


@pytest.fixture
def world() -> Iterator[World]:
    world = World()

    class Server(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            world.asked.append(self.path)
            world.answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    configuration = Configuration(host=f"http://127.0.0.1:{server.server_port}", retries=0)
    configuration.proxy = None
    with ApiClient(configuration) as api:
        world.tails = Tails(Calls(api, Pace(per_second=1000, burst=1000)))
        yield world
    server.shutdown()
    server.server_close()
    thread.join()


def status(code: int) -> Answer:
    def answer(server: BaseHTTPRequestHandler) -> None:
        server.send_response(code)
        server.send_header("Content-Length", "0")
        server.end_headers()

    return answer


def printed(*chunks: bytes, pause_seconds: float = 0) -> Answer:
    """Answer in chunks, as an API server passes on what a kubelet says."""

    def answer(server: BaseHTTPRequestHandler) -> None:
        server.send_response(200)
        server.send_header("Transfer-Encoding", "chunked")
        server.end_headers()
        server.close_connection = True
        with suppress(OSError):  # whoever asked has left
            for chunk in (*filter(None, chunks), b""):
                server.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
                time.sleep(pause_seconds)

    return answer


def test_the_end_of_a_long_log_is_kept_to_the_byte(world: World) -> None:
    lines = [f"{number:06}{'x' * 2000}\n".encode() for number in range(1000)]
    world.answer = printed(*lines)
    assert world.of() == b"".join(lines)[-LAST_WORDS_BYTES:]
    (asked,) = map(urlsplit, world.asked)
    assert (asked.path, parse_qs(asked.query)) == ("/pods/x/log", {"tailLines": ["1000"]})


def test_a_short_log_is_whole_and_an_empty_one_is_none(world: World) -> None:
    world.answer = printed(b"a\xff\0b\n")
    assert world.of() == b"a\xff\0b\n"
    world.answer = printed()
    assert world.of() is None


def test_what_a_kubelet_says_of_a_container_that_is_gone_is_no_log(world: World) -> None:
    world.answer = printed(b"unable to retrieve container logs for containerd://", b"0" * 64)
    assert world.of() is None


def test_what_was_heard_before_the_end_is_kept_until_it_is_forgotten(world: World) -> None:
    world.answer = printed(b"going\n")
    world.tails.hear("/pods/x", a_pod())
    world.answer = status(404)
    assert world.of() == b"going\n"
    world.tails.forget("x")
    assert world.of() is None


def test_a_pod_without_a_log_says_nothing_about_its_node(world: World) -> None:
    for refused in (400, 403, 404):
        world.answer = status(refused)
        assert world.of() is None
    world.answer = printed(b"here\n")
    assert world.of() == b"here\n"


def test_a_node_that_keeps_one_waiting_is_left_alone_for_a_while_and_the_others_are_asked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "ANSWER_SECONDS", 0.2)
    world.answer = lambda _server: time.sleep(0.5)
    assert world.of() is None
    world.answer = printed(b"here\n")
    assert world.of() is None
    assert len(world.asked) == 1
    assert world.of(request="b") is None
    assert len(world.asked) == 1
    assert world.of("n2") == b"here\n"


def test_an_error_that_comes_at_once_is_of_that_pod_alone(world: World) -> None:
    for failed in (429, 502):
        world.answer = status(failed)
        assert world.of() is None
    world.answer = printed(b"here\n")
    assert world.of() == b"here\n"


def test_that_nothing_was_printed_is_remembered_too(world: World) -> None:
    world.tails.hear("/pods/x", a_pod())
    assert world.of() is None
    assert len(world.asked) == 1


def test_a_pod_that_was_never_given_a_node_is_not_asked_for(world: World) -> None:
    assert world.of(None) is None
    assert world.asked == []


def test_who_falls_silent_is_given_up_with_its_node(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tails, "ANSWER_SECONDS", 0.5)
    world.answer = printed(b"one\n", pause_seconds=2)
    began = time.monotonic()
    assert world.of() is None
    assert time.monotonic() - began < 2
    world.answer = printed(b"here\n")
    assert world.of() is None, "its node is taken for silent"


def test_of_a_log_without_end_what_came_in_time_is_kept_and_only_its_own_cluster_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tails, "ANSWER_SECONDS", 0.5)
    world.answer = printed(*[b"drop\n"] * 60, pause_seconds=0.1)
    began = time.monotonic()
    assert set((world.of() or b"").splitlines()) == {b"drop"}
    assert time.monotonic() - began < 2
    world.answer = printed(b"here\n")
    assert world.of("n2") is None, "the cluster may print without end wherever it runs"
    assert world.of(request="b") == b"here\n"
