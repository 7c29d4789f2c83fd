"""Who connects to the API and says nothing, or never finishes, is let go; who calls is answered."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import uvicorn

from server import connections
from server.connections import Connection

HEADER = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
SECONDS = 0.3


async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - an ASGI application
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(connections, "ARRIVAL_SECONDS", SECONDS)
    monkeypatch.setattr(connections, "most_connections", lambda: 4)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, http=Connection, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        yield listening.getsockname()
        server.should_exit = True
        thread.join()


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
