"""Requests to the API of Kubernetes as JSON, past the client's classes: to build those costs more than to ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from kubernetes.client import ApiClient
from urllib3 import BaseHTTPResponse, PoolManager, Timeout

Json: TypeAlias = dict[str, Any]

PATIENCE: Final = Timeout(connect=5, read=30)


class BusyError(Exception):
    """The server cannot answer just now, it says."""


class RefusedError(Exception):
    """The server answered with `status`, HTTP's, and its reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status


class Wire:
    """An API server as one client may use it, from any thread."""

    def __init__(self, api: ApiClient) -> None:
        self._host: str = api.configuration.host
        self._pool: PoolManager = api.rest_client.pool_manager

    def text(self, path: str) -> str:
        return self._ask("GET", path).decode()

    def get(self, path: str) -> Json:
        return _object(self._ask("GET", path))

    def create(self, path: str, body: Json) -> Json:
        return _object(self._ask("POST", path, body))

    def patch(self, path: str, body: Json) -> None:
        """Change parts of an object; lists are merged by the keys that Kubernetes gives them."""
        self._ask("PATCH", path, body, "application/strategic-merge-patch+json")

    def delete(self, path: str, **options: object) -> None:
        """Ask for an end; options are those of DeleteOptions, which the server heeds in the body only."""
        self._ask("DELETE", path, options)

    def watch(self, path: str) -> BaseHTTPResponse:
        """Return the stream of an address with `watch=1`; `lines` reads it, its `shutdown` ends it from any thread."""
        stream = self._pool.request(
            "GET", f"{self._host}{path}", preload_content=False, retries=False, timeout=Timeout(connect=5)
        )
        _check(stream, path)
        return stream

    def _ask(self, method: str, path: str, body: object = None, kind: str = "application/json") -> bytes:
        answer = self._pool.request(
            method,
            f"{self._host}{path}",
            body=None if body is None else json.dumps(body),
            headers={"Content-Type": kind, "Accept": "application/json"},
            retries=False,
            timeout=PATIENCE,
        )
        _check(answer, f"{method} {path}")
        return answer.data


def _check(answer: BaseHTTPResponse, asked: str) -> None:
    if answer.status < 400:
        return
    said = f"{asked}: {answer.data.decode(errors='replace')}"
    if answer.status == 429 or answer.status >= 500:
        raise BusyError(f"{answer.status} {said}")
    raise RefusedError(answer.status, said)


def _object(answer: bytes) -> Json:
    found: Json = json.loads(answer)
    return found


def lines(stream: BaseHTTPResponse) -> Iterator[Json]:
    """Yield the events of a watch as they come."""
    rest = b""
    for chunk in stream.stream(amt=None):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (json.loads(line) for line in whole)
