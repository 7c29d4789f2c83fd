"""One conversation with a center over HTTP: who asks, how long to wait, what is safe to ask again."""

from __future__ import annotations

import json
import random
import ssl
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from typing import Final, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import ValidationError

from haidang.answers import Answer, Page
from haidang.errors import ClosedError, NoCenterError, RefusedError, UnreachableError, refusal
from haidang.words import Words

ATTEMPTS: Final = 5
FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 30.0
SILENCE_SECONDS: Final = 2.0
"""Who sees nothing for longer begins to wonder."""

NOTHING_MORE: Final = 204
UNAUTHORIZED: Final = 401
# What passes by itself: too many calls, or nobody behind the proxy just now.
_PASSING: Final = frozenset({429, 502, 503, 504})

# What is meant on this machine is asked directly, whatever proxy the environment names for the rest of the world.
_HERE: Final = "http://127.0.0.1"

A = TypeVar("A", bound=Answer)
JsonObject = dict[str, object]
Params = Mapping[str, str | int | None]


class Transport:
    """Calls to one center with one token. Safe to use from several threads.

    A call is made again only where the center then does the same thing once: a GET, a POST that says what shall be so
    (`repeatable`), or one that carries an idempotency key. While it `speaks`, stderr is told of an answer that has not
    come after `silence_seconds`.
    """

    def __init__(self, url: str, token: str, words: Words, *, silence_seconds: float = SILENCE_SECONDS) -> None:
        self.url: Final = url.rstrip("/")
        self._words = words
        self._silence_seconds = silence_seconds
        self.speaks = True
        self._spoke_of_silence = False
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": words.language}
        self._http = httpx2.Client(
            base_url=_address(self.url),
            headers=headers,
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            verify=_trust(self.url),
            mounts={_HERE: None},
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def hushed(self) -> Transport:
        """Return the same conversation for the background, where nobody waits who would have to be told."""
        twin = copy(self)
        twin.speaks = False
        return twin

    def get(
        self,
        path: str,
        params: Params | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> JsonObject:
        """Return what is there."""
        return self.call("GET", path, params=params, headers=headers, repeatable=repeatable)

    def post(self, path: str, body: object = None, *, key: str | None = None, repeatable: bool = False) -> JsonObject:
        """Ask for something to be done; `repeatable` says that asking twice does it once."""
        headers = {"Idempotency-Key": key} if key else None
        return self.call("POST", path, body=body, headers=headers, repeatable=repeatable or key is not None)

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        repeatable: bool = False,
    ) -> JsonObject:
        """Make any call and return the JSON of its answer; nothing where there is none.

        Raises:
            RefusedError: the center said no; the subclass says how.
            UnreachableError: it did not answer.
            NoCenterError: what answered is no center.
        """
        asked = {name: value for name, value in (params or {}).items() if value is not None}
        self._must_be_open()
        request = self._http.build_request(method, path, params=asked, json=body, headers=dict(headers or {}))
        with self._breaking_silence():
            return self._answer(self._insist(request, ATTEMPTS if repeatable else 1))

    def items(self, path: str, params: Params) -> Iterator[object]:
        """Yield what a list has; its pages are fetched as they are reached."""
        cursor: str | None = None
        while True:
            page = self.read(Page, self.get(path, {**params, "cursor": cursor}))
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    def read(self, kind: type[A], told: object) -> A:
        """Return what the center told, as an object or as JSON text, as an answer of that kind.

        Raises:
            NoCenterError: something in it is missing or different, so it is no center or another version of one.
        """
        try:
            return kind.model_validate_json(told) if isinstance(told, str) else kind.model_validate(told)
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"{'.'.join([kind.__name__, *map(str, first['loc'])])}: {first['msg']}"
            raise NoCenterError(self._words("strange_answer", url=self.url, problem=problem)) from None

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str], quiet_seconds: float) -> Generator[httpx2.Response]:
        """Open a stream of events; silence for longer than `quiet_seconds` raises UnreachableError. Never repeated."""
        self._must_be_open()
        timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=quiet_seconds)
        try:
            with self._http.stream("GET", path, headers=dict(headers), timeout=timeout) as response:
                if response.is_error:
                    response.read()
                    raise self._refused(response)
                if response.status_code != NOTHING_MORE and not _is_event_stream(response):
                    raise self._no_center(response)
                yield response
        except httpx2.TransportError as error:
            raise self._unreachable(error) from None

    def _insist(self, request: httpx2.Request, attempts: int) -> httpx2.Response:
        """Return the first answer that is more than a passing no, or the last one."""
        for attempt in range(1, attempts + 1):
            try:
                response = self._http.send(request)
            except httpx2.TransportError as error:
                if attempt == attempts:
                    raise self._unreachable(error) from None
                time.sleep(_pause(attempt))
                continue
            if response.status_code not in _PASSING:
                self._spoke_of_silence = False
                return response
            if attempt == attempts:
                return response
            time.sleep(_pause(attempt, response.headers.get("Retry-After")))
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def _breaking_silence(self) -> Generator[None]:
        """Say on stderr that no answer has come yet: once, however many calls find that out before one comes."""
        timer = threading.Timer(self._silence_seconds, self._speak_of_silence)
        timer.daemon = True
        with suppress(RuntimeError):  # no thread to be had is no reason to fail
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _speak_of_silence(self) -> None:
        if self.speaks and not self._spoke_of_silence:
            self._spoke_of_silence = True
            sys.stderr.write(self._words("no_answer_yet", url=self.url) + "\n")

    def _must_be_open(self) -> None:
        if self._http.is_closed:
            raise ClosedError(self._words("closed", url=self.url))

    def _answer(self, response: httpx2.Response) -> JsonObject:
        if not response.is_success:
            raise self._refused(response)
        if not response.content:
            return {}
        told = _object(response)
        if told is None:
            raise self._no_center(response)
        return told

    def _refused(self, response: httpx2.Response) -> RefusedError | NoCenterError:
        """Return the center's no, or that something else answered: a proxy's page has no problem in it."""
        told = _object(response)
        if told is None and response.status_code not in _PASSING:
            return self._no_center(response)
        if response.status_code == UNAUTHORIZED and told:
            # The center speaks of headers, since anything may call it; whoever uses this client has a token.
            told |= {"detail": self._words("bad_token", url=self.url), "reasons": []}
        return refusal(response.status_code, told or {"detail": self._words("center_busy", url=self.url)})

    def _no_center(self, response: httpx2.Response) -> NoCenterError:
        return NoCenterError(self._words("no_center", url=self.url, status=response.status_code))

    def _unreachable(self, error: Exception) -> UnreachableError:
        cause = str(error) or type(error).__name__
        return UnreachableError(self._words("unreachable", url=self.url, cause=cause))


def segment(value: str) -> str:
    """Return an id as one segment of a path, whatever is in it."""
    return quote(value, safe="")


def _is_event_stream(response: httpx2.Response) -> bool:
    return bool(response.headers.get("Content-Type", "").startswith("text/event-stream"))


def _object(response: httpx2.Response) -> JsonObject | None:
    try:
        told = json.loads(response.content)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _pause(attempt: int, asked: str | None = None) -> float:
    """Return how long to wait before asking again: as long as the center said, else longer each time, and shaken."""
    if asked is not None and asked.isdigit():
        return min(LONGEST_PAUSE_SECONDS, float(asked)) + random.uniform(0.0, 0.5)  # noqa: S311 - spreads load only
    longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**attempt)
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load only


def _address(url: str) -> httpx2.URL:
    """Return where calls go; `localhost` is 127.0.0.1 only, where a center listens.

    The name stands for ::1, too, which is asked first: there anybody on the machine may listen on the center's port and
    would be sent the token. Where there is TLS, the certificate says who answers.
    """
    address = httpx2.URL(url)
    is_open_name = (address.scheme, address.host) == ("http", "localhost")
    return address.copy_with(host="127.0.0.1") if is_open_name else address


def _trust(url: str) -> ssl.SSLContext | bool:
    """Return whom to trust; reading all the world's authorities takes longer than asking a center without TLS."""
    return True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
