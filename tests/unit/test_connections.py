"""Who connects to the API and says nothing, never finishes or takes nothing is let go; who calls is answered."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import uvicorn

from server import connections
from server.connections import Connection
from tests.ordered import until

HEADER = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
SECONDS = 0.3
TAKING_SECONDS = 1.0
LARGE_BYTES = 2 * 1024 * 1024
BUFFER_BYTES = 32 * 1024


async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - an ASGI application
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    body = b"x" * (LARGE_BYTES if scope["path"] == "/large" else 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def news(scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - an ASGI application
    """Tell a thing now and one much later, in pieces as large as what the other side can take at once."""
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * 2 * BUFFER_BYTES, "more_body": True})
    await asyncio.sleep(2 * TAKING_SECONDS)
    await send({"type": "http.response.body", "body": b"the end"})


@contextlib.contextmanager
def serving(application: Any) -> Iterator[tuple[tuple[str, int], uvicorn.Server]]:  # noqa: ANN401 - an ASGI application
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)  # as each connection then has it
        server = uvicorn.Server(uvicorn.Config(application, http=Connection, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname(), server
        server.should_exit = True
        thread.join()


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "ARRIVAL_SECONDS", SECONDS)
    monkeypatch.setattr(connections, "TAKING_SECONDS", TAKING_SECONDS)
    monkeypatch.setattr(connections, "most_connections", lambda: 4)


@pytest.fixture
def serving_app() -> Iterator[tuple[tuple[str, int], uvicorn.Server]]:
    with serving(app) as served:
        yield served


@pytest.fixture
def address(serving_app: tuple[tuple[str, int], uvicorn.Server]) -> tuple[str, int]:
    return serving_app[0]


@pytest.fixture
def is_let_go(serving_app: tuple[tuple[str, int], uvicorn.Server]) -> Callable[[], bool]:
    return lambda: not serving_app[1].server_state.connections


@contextlib.contextmanager
def connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    """Give a connection of which little is kept on the way."""
    with socket.socket() as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        stream.settimeout(10)
        stream.connect(address)
        yield stream


def taken(stream: socket.socket, *, pause: float = 0.0) -> bytes:
    """Return all that comes before the other side hangs up, taken in pieces with pauses between them."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := stream.recv(256 * 1024):
            received += piece
            time.sleep(pause)
    return received


def ends(stream: socket.socket) -> bool:
    """Tell whether the other side hangs up before anything is answered."""
    try:
        return not stream.recv(100)
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("begun", [b"", b"POST / HT", HEADER, HEADER + b"{"])
def test_what_does_not_arrive_whole_is_not_waited_for(address: tuple[str, int], begun: bytes) -> None:
    with socket.create_connection(address, timeout=10) as stream:
        stream.sendall(begun)
        assert ends(stream)


def test_a_byte_now_and_then_is_no_call(address: tuple[str, int]) -> None:
    began = time.monotonic()
    with socket.create_connection(address, timeout=0.05) as stream, contextlib.suppress(ConnectionError):
        for sign in HEADER * 10:
            stream.sendall(bytes([sign]))
            time.sleep(0.05)
    assert time.monotonic() - began < 10 * SECONDS


def test_calls_on_a_kept_connection_are_each_given_their_time(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=10) as stream:
        for _ in range(4):
            stream.sendall(HEADER)
            time.sleep(SECONDS / 2)
            stream.sendall(b"{}")
            assert stream.recv(1000).startswith(b"HTTP/1.1 200")


def test_so_many_connections_and_no_more(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        for _ in range(4):
            stream = stack.enter_context(socket.create_connection(address, timeout=10))
            stream.sendall(HEADER + b"{}")
            assert stream.recv(1000).startswith(b"HTTP/1.1 200")
        assert ends(stack.enter_context(socket.create_connection(address, timeout=10)))


GET = b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("asked", [GET, GET.replace(b"close", b"keep-alive") * 20], ids=["once", "again and again"])
def test_an_answer_that_is_not_taken_is_not_kept(
    address: tuple[str, int], is_let_go: Callable[[], bool], asked: bytes
) -> None:
    with connected(address) as stream:
        stream.sendall(asked)
        until(lambda: not is_let_go())
        until(is_let_go)
        assert len(taken(stream)) < LARGE_BYTES // 2


def test_a_byte_now_and_then_takes_no_answer(address: tuple[str, int], is_let_go: Callable[[], bool]) -> None:
    with connected(address) as stream:
        stream.sendall(GET)
        until(lambda: stream.recv(100) and is_let_go())
        assert len(taken(stream)) < LARGE_BYTES // 2


def test_who_takes_an_answer_slowly_gets_all_of_it(address: tuple[str, int]) -> None:
    with connected(address) as stream:
        stream.sendall(GET)
        began = time.monotonic()
        assert len(taken(stream, pause=TAKING_SECONDS / 20)) > LARGE_BYTES
        assert time.monotonic() - began > TAKING_SECONDS


def test_a_stream_that_waits_for_news_is_left_alone() -> None:
    with serving(news) as (address, _), connected(address) as stream:
        stream.sendall(GET)
        assert b"the end" in taken(stream)
