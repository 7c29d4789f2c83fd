"""Who gets in: nobody without a certificate of that cluster, and nobody to the state without the token."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import ssl
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from backends.authority import ClusterAuthority
from backends.door import LARGEST_ANSWER_BYTES, Door, NoAnswerError
from backends.heads import LONGEST_LOGGED, REST_FACTOR, THREADS, Heads, read_claim
from operations.ports.backend import Credentials
from registry.ids import RequestId, Seconds
from scheduler.requests import MOST_WORKERS
from tests.machine import Machine, TestCluster, a_machine
from tests.ordered import until

STRANGER = RequestId("s" * 26)


@pytest.fixture(scope="module")
def cluster() -> Iterator[TestCluster]:
    with a_machine() as machine:
        cluster = machine.cluster()
        cluster.ready()
        yield cluster


def listening(pid: int) -> list[tuple[str, int]]:
    """Every address on which a process listens, from the kernel's own tables."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(entry.stat().st_mode):
                inodes.add(entry.stat().st_ino)
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[9]) in inodes:
                host, port = fields[1].split(":")
                found.append((socket.inet_ntoa(bytes.fromhex(host)[::-1]) if table == "tcp" else host, int(port, 16)))
    return found


def context(credentials: Credentials | None, role: str = "owner") -> ssl.SSLContext:
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if credentials is not None:
        descriptor = os.memfd_create("leaf")
        os.write(descriptor, (credentials.leaves[role].certificate + credentials.leaves[role].key).encode())
        made.load_cert_chain(f"/proc/self/fd/{descriptor}")
        os.close(descriptor)
    return made


def gets_in(port: int, credentials: Credentials | None) -> bool:
    """Tell whether somebody with these papers is let in; in TLS 1.3 a refusal comes with the first answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        try:
            with context(credentials).wrap_socket(plain) as stream:
                stream.settimeout(0.5)
                stream.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                try:
                    return bool(stream.recv(100))
                except TimeoutError:
                    return True  # it waits for more
        except (ssl.SSLError, ConnectionError):
            return False


def test_no_socket_of_a_cluster_lets_a_stranger_in(cluster: TestCluster) -> None:
    other = ClusterAuthority().issue(STRANGER, now=Seconds(int(time.time())), until=Seconds(int(time.time()) + 60))
    knocked = 0
    for ordinal in range(3):
        doors = listening(cluster.pid(ordinal))
        assert doors
        assert {host for host, _ in doors} == {"127.0.0.1"}
        for _, port in doors:
            assert not gets_in(port, None)
            assert not gets_in(port, other)
            assert gets_in(port, cluster.credentials)
            with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                with contextlib.suppress(ConnectionError):
                    assert b"HTTP" not in plain.recv(100)
            knocked += 1
    assert knocked == 4  # the head's two and one of each worker


def test_keepers_and_the_warm_process_listen_nowhere(cluster: TestCluster) -> None:
    for pid in (cluster.keeper_pid(0), cluster.keeper_pid(1), cluster.machine.warm_pid()):
        assert listening(pid) == []


def state_door(cluster: TestCluster, credentials: Credentials) -> Door:
    doors = cluster.run(0).doors
    assert doors is not None
    assert doors.state is not None
    return Door(request=cluster.request, credentials=credentials, address=("127.0.0.1", doors.state))


def test_the_state_needs_the_token(cluster: TestCluster) -> None:
    knowing = state_door(cluster, cluster.credentials)
    until(lambda: len(knowing.ask("GET", "/state")["workers"]) == 2)  # type: ignore[arg-type]
    guessing = state_door(cluster, replace(cluster.credentials, token="guessed"))
    with pytest.raises(NoAnswerError, match="401"):
        guessing.ask("GET", "/state")
    with pytest.raises(NoAnswerError, match="401"):
        guessing.ask("POST", "/drain", {"workers": [cluster.name(1)], "deadline_seconds": 0})
    for asked in (knowing, guessing):
        asked.close()
    assert all(process.ended is None for process in cluster.seen().values())


def test_a_drain_of_nonsense_is_refused(cluster: TestCluster) -> None:
    asked = state_door(cluster, cluster.credentials)
    questions: list[object] = [[], {"workers": "all"}, {"workers": [], "deadline_seconds": -1}, {"workers": {}}]
    for question in questions:
        with pytest.raises(NoAnswerError, match="400"):
            asked.ask("POST", "/drain", question)
    asked.close()


def test_only_the_clusters_own_head_is_believed(cluster: TestCluster) -> None:
    machine: Machine = cluster.machine
    other = machine.cluster(workers=0)
    other.ready()
    doors = other.run(0).doors
    assert doors is not None
    assert doors.state is not None
    misled = Door(request=cluster.request, credentials=cluster.credentials, address=("127.0.0.1", doors.state))
    with pytest.raises(NoAnswerError, match="CERTIFICATE_VERIFY_FAILED"):
        misled.ask("GET", "/state")


@contextlib.contextmanager
def a_tenants_head(answer: list[bytes], pause: float) -> Iterator[tuple[Credentials, int]]:
    """A head that a tenant wrote: it sends these pieces with pauses between them."""
    now = int(time.time())
    credentials = ClusterAuthority().issue(STRANGER, now=Seconds(now), until=Seconds(now + 60))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    descriptor = os.memfd_create("leaf")
    leaf = credentials.leaves["head"]
    os.write(descriptor, (leaf.certificate + leaf.key).encode())
    serving.load_cert_chain(f"/proc/self/fd/{descriptor}")
    os.close(descriptor)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            plain, _ = listener.accept()
            with serving.wrap_socket(plain, server_side=True) as stream:
                stream.recv(65536)
                for piece in answer:
                    stream.sendall(piece)
                    time.sleep(pause)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield credentials, listener.getsockname()[1]
    finally:
        listener.close()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "pause", "error"),
    [
        ([b"HTTP/1.1 200 OK\r\n"] + [b"A: b\r\n"] * 40, 0.1, "TimeoutError"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"] + [b" "] * 40, 0.1, "TimeoutError"),
        ([b"x" * 1000] * 40, 0, "too long a header"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (LARGEST_ANSWER_BYTES + 1)], 0, "too large"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{}"], 0, "more than one"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"], 0, "no length"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}"], 0, "no length"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"], 0, "200"),
        ([b"\r\n\r\n"], 0, "no length"),
        ([b"HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"], 0, "answered 0"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100000], 0, "RecursionError"),
        ([], 0, "hung up|EOF"),
    ],
    ids=range(12),
)
def test_a_head_that_answers_as_it_likes_holds_nobody_up(answer: list[bytes], pause: float, error: str) -> None:
    began = time.monotonic()
    with a_tenants_head(answer, pause) as (credentials, port):
        asked = Door(request=STRANGER, credentials=credentials, address=("127.0.0.1", port), patience_seconds=1.0)
        with contextlib.closing(asked), pytest.raises(NoAnswerError, match=re.compile(error)):
            asked.ask("GET", "/state")
        assert time.monotonic() - began < 2.0


def answered_with(fields: dict[str, object]) -> list[bytes]:
    body = json.dumps(fields).encode()
    return [b"HTTP/1.1 200 OK\r\n", b"Content-Length: %d\r\n\r\n" % len(body), body]


def a_state(workers: int) -> dict[str, object]:
    """What the head of a cluster says, each of whose workers has the longest name and the largest figures."""
    worker = {"status": "closing_gracefully", "processing": 2**53, "bytes": 2**53, "drain": "draining"}
    named = [worker | {"name": f"{number:x<64}"} for number in range(workers)]
    return {"workers": named, "idle_since": None, "desired_workers": 2**53, "clients": 2**53, "tasks": 2**53}


def test_the_largest_cluster_is_heard_and_no_head_says_much_more() -> None:
    with a_tenants_head(answered_with(a_state(MOST_WORKERS)), 0) as (credentials, port):
        with contextlib.closing(Door(request=STRANGER, credentials=credentials, address=("127.0.0.1", port))) as door:
            answer = door.ask("GET", "/state")
        assert len(read_claim(answer, now=0).workers) == MOST_WORKERS
    assert 2 * len(json.dumps(answer)) > LARGEST_ANSWER_BYTES
    assert len(read_claim(a_state(MOST_WORKERS + 1), now=0).workers) == MOST_WORKERS


def test_the_longer_a_head_takes_the_less_often_it_is_asked() -> None:
    state: dict[str, object] = {"workers": [], "idle_since": None, "desired_workers": 0, "clients": 0, "tasks": 0}
    with a_tenants_head(answered_with(state), 0.2) as (credentials, port):
        heads = Heads(lambda: None)
        heads.know(STRANGER, credentials)
        until(lambda: heads.look({STRANGER: ("127.0.0.1", port)}))
        known = heads._heads[STRANGER]
        assert known.due - known.answered >= 0.4 * REST_FACTOR
        heads.close()


def test_a_head_does_not_fill_the_centers_log() -> None:
    with a_tenants_head(answered_with({"workers": "x" * 100_000}), 0) as (credentials, port), capture_logs() as logs:
        heads = Heads(lambda: None)
        heads.know(STRANGER, credentials)
        assert heads.drain(STRANGER, ("127.0.0.1", port), {"w": 5})
        (said,) = until(lambda: [line for line in logs if line["event"] == "drain"])
        heads.close()
    assert len(said["answer"]) <= LONGEST_LOGGED


def test_however_many_heads_are_silent_another_is_asked_to_drain_within_seconds() -> None:
    silent = [socket.create_server(("127.0.0.1", 0)) for _ in range(3 * THREADS)]
    heads = Heads(lambda: None)
    try:
        with socket.create_server(("127.0.0.1", 0)) as victim:
            knows = ClusterAuthority().issue(STRANGER, now=Seconds(int(time.time())), until=Seconds(2**31))

            def drain(number: int, listening: socket.socket) -> None:
                request = RequestId(f"{number:026}")
                heads.know(request, knows)
                assert heads.drain(request, listening.getsockname(), {"worker": 30, "other": 40})

            for _ in range(20):  # as each pass of a reconciler names all that leave
                for number, listening in enumerate(silent):
                    drain(number, listening)
                time.sleep(0.3)
            began = time.monotonic()
            drain(len(silent), victim)
            victim.settimeout(30)
            victim.accept()[0].close()
            assert time.monotonic() - began < 10
    finally:
        for listening in silent:
            listening.close()
        heads.close()
