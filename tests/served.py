"""An application on a real port of this machine, for tests that need sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import uvicorn
from haidang import Client

from tests.fronts import Front


@contextmanager
def served(front: Front, port: int = 0) -> Iterator[str]:
    """Serve a front's application, on a port that is free or the given one, and give its address."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = uvicorn.Server(uvicorn.Config(front.app, log_config=None, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def a_client(url: str, name: str, *, language: str = "en") -> Iterator[Client]:
    """Give the client of one of the `PEOPLE` of a front."""
    with closing(Client(url, f"{name}-secret", language=language)) as client:
        yield client
