"""Calls to the Kubernetes API as JSON: bounded in rate, patient with a busy server, refused in the server's words."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import stamina
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import load_incluster_config, load_kube_config
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, ReadTimeoutError

from operations.ports.backend import BackendUnavailableError

Json = dict[str, Any]
"""An object of the API as it is sent: models of the client library take 4 ms a pod to build, this 0.02."""

MERGE: Final = "application/merge-patch+json"
CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 20.0
ATTEMPTS: Final = 8
PAGE: Final = 500
POOL: Final = 32
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_FORBIDDEN, _ABSENT, _CONFLICT = 403, 404, 409


def client(kubeconfig: Path | None) -> ApiClient:
    """Return a client of the API server that a kubeconfig names, or of that of the pod this runs in.

    Raises:
        BackendUnavailableError: neither says where it is.
    """
    configuration = Configuration(retries=0)  # what is tried again, and how often, is said below
    try:
        if kubeconfig is None:
            load_incluster_config(client_configuration=configuration)
        else:
            load_kube_config(str(kubeconfig), client_configuration=configuration)
    except Exception as error:  # what is wrong with a file is told in exceptions of a dozen kinds
        where = "no kubeconfig is named and this is no pod" if kubeconfig is None else f"kubeconfig {kubeconfig}"
        raise BackendUnavailableError(f"{where}: {' '.join(str(error).split())}") from error
    configuration.proxy = None  # the API server is inside
    configuration.connection_pool_maxsize = POOL
    return ApiClient(configuration)


class CallRefusedError(Exception):
    """The server answered and will answer so again: `status` is HTTP's, `reason` Kubernetes', `message` for people."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message

    @property
    def is_absent(self) -> bool:
        """Tell whether there is no such object."""
        return self.status == _ABSENT

    @property
    def is_conflict(self) -> bool:
        """Tell whether the name exists already, or the object is not the one that was meant."""
        return self.status == _CONFLICT

    @property
    def is_over_quota(self) -> bool:
        """Tell whether a quota of the namespace is used up: Kubernetes says so in words only."""
        return self.status == _FORBIDDEN and "exceeded quota" in self.message


class _BusyError(Exception):
    """The server could not be asked just now."""

    def __init__(self, message: str, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class Pace:
    """At most so many calls a second in the long run, with a burst before that; whoever is early waits."""

    def __init__(self, *, per_second: float, burst: int) -> None:
        self._interval = 1.0 / per_second
        self._slack = burst * self._interval
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self) -> None:
        """Return when it is this caller's turn."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - self._slack) + self._interval
            early = self._free_at - now
        if early > 0:
            time.sleep(early)


class Calls:
    """The few kinds of calls that the backend makes, from any thread."""

    def __init__(self, api: ApiClient, pace: Pace) -> None:
        self._api = api
        self._pace = pace

    @property
    def api(self) -> ApiClient:
        """Return the client that the calls are made with: what an account is told by, others may ask, too."""
        return self._api

    def get(self, path: str) -> Json:
        """Return an object.

        Raises:
            CallRefusedError: there is none, or we may not see it.
            BackendUnavailableError: the server does not answer.
        """
        return self._ask("GET", path)

    def end_of(self, path: str, query: Mapping[str, str], *, most: int, seconds: float) -> bytes:
        """Return the end of a text, asked for once: of one that has no end in time, of what was heard of it.

        Raises:
            CallRefusedError: there is none.
            BackendUnavailableError: the server does not answer, or falls silent.
        """
        self._pace.wait()
        patience, end = time.monotonic() + seconds, b""
        try:
            answer = self._send("GET", path, query=query, timeout=(CONNECT_SECONDS, seconds))
            try:
                for chunk in answer.stream(most):
                    end = (end + chunk)[-most:]
                    if time.monotonic() > patience:  # the time-out is for each silence, this for all of it
                        break
                return end
            finally:
                answer.close()
        except (_BusyError, HTTPError, OSError) as error:
            raise BackendUnavailableError(f"Kubernetes does not answer: {error}") from error

    def items(
        self, path: str, *, selector: str = "", kept: Callable[[Json], Json] = lambda item: item
    ) -> tuple[list[Json], str]:
        """Return what is kept of all objects of a collection, and the version at which they were all true.

        They come page by page, so that what is not kept is never there of all at once.
        """
        found: list[Json] = []
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        while True:
            page = self._ask("GET", path, query=query)
            found += map(kept, page.get("items") or ())
            if not (more := page["metadata"].get("continue")):
                return found, str(page["metadata"]["resourceVersion"])
            query["continue"] = more

    def create(self, path: str, body: Json) -> Json:
        """Create an object and return it as it was created. A repeated call meets its own conflict."""
        return self._ask("POST", path, body=body)

    def replace(self, path: str, body: Json) -> Json:
        """Put an object in place of the one of its name."""
        return self._ask("PUT", path, body=body)

    def merge(self, path: str, body: Json) -> Json:
        """Change parts of an object; `metadata.uid` in the body refuses another life of that name."""
        return self._ask("PATCH", path, body=body, kind=MERGE)

    def delete(self, path: str, *, uid: str, grace_seconds: int | None = None) -> None:
        """Ask for the end of exactly this object; one that is gone already, or is another, is left alone."""
        options: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        options |= {"propagationPolicy": "Background"}
        # The server heeds the grace period only here: beside a body, the query is ignored.
        options |= {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        try:
            self._ask("DELETE", path, body=options)
        except CallRefusedError as error:
            if not (error.is_absent or error.is_conflict):
                raise

    def follow(self, path: str, *, selector: str, since: str, seconds: int, silence_seconds: float) -> Iterator[Json]:
        """Yield the changes of a collection since a version, until the server ends the stream after `seconds`.

        A stream that says nothing for `silence_seconds` ends, too: nothing may have happened, or it may be dead.

        Raises:
            CallRefusedError: the version is too old (410), or we may not watch.
            BackendUnavailableError: the connection broke.
        """
        query = {"watch": "1", "resourceVersion": since, "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        query |= {"labelSelector": selector} if selector else {}
        try:
            answer = self._send("GET", path, query=query, timeout=(CONNECT_SECONDS, silence_seconds))
            for line in _lines(answer):
                change: Json = json.loads(line)
                if change["type"] == "ERROR":
                    raise _refusal(change["object"], int(change["object"].get("code", 0)))
                yield change
        except ReadTimeoutError:
            return
        except (HTTPError, OSError, ValueError, KeyError, TypeError, _BusyError) as error:
            raise BackendUnavailableError(f"a watch of {path} broke: {error}") from error

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
        kind: str = "",
    ) -> Json:
        try:
            for attempt in stamina.retry_context(
                on=_wait, attempts=ATTEMPTS, timeout=PATIENCE_SECONDS, wait_initial=0.1, wait_max=5.0, wait_jitter=0.5
            ):
                with attempt:
                    self._pace.wait()
                    answer = self._send(method, path, body=body, query=query, kind=kind)
                    return dict(json.loads(answer.data))
        except (_BusyError, HTTPError, OSError) as error:
            raise BackendUnavailableError(f"Kubernetes does not answer: {error}") from error
        raise AssertionError("the last attempt returns or raises")

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
        kind: str = "",
        timeout: tuple[float, float] = (CONNECT_SECONDS, ANSWER_SECONDS),
    ) -> BaseHTTPResponse:
        """Return an answer with a good status, its body not yet read."""
        serialized = self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": kind or "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        answer: BaseHTTPResponse = self._api.call_api(*serialized, _request_timeout=timeout).response
        if answer.status in _BUSY:
            after = answer.headers.get("Retry-After")
            answer.drain_conn()
            raise _BusyError(f"{answer.status} {answer.reason}", float(after) if after and after.isdigit() else None)
        if answer.status >= 400:  # noqa: PLR2004 - HTTP's line between done and refused
            refusal = _refusal(_parsed(answer.data), answer.status)
            # Nothing of this name exists: others have used the same quota at the same moment.
            if method == "POST" and refusal.reason == "Conflict":
                raise _BusyError(str(refusal))
            raise refusal
        return answer


def _wait(error: Exception) -> bool | float:
    """Tell whether to ask again, and when if the server has said so."""
    if isinstance(error, _BusyError):
        return True if error.after_seconds is None else error.after_seconds
    return isinstance(error, (HTTPError, OSError))


def _refusal(status: Json, code: int) -> CallRefusedError:
    return CallRefusedError(code, str(status.get("reason", "")), str(status.get("message", "")))


def _parsed(content: bytes) -> Json:
    try:
        found = json.loads(content)
    except ValueError:
        found = {"message": content[:500].decode(errors="replace")}
    return found if isinstance(found, dict) else {}


def _lines(answer: BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    try:
        for chunk in answer.stream(amt=None):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line for line in whole if line)
    finally:
        answer.close()
