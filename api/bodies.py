"""Calls that no real client makes, stopped before they are parsed: too large, too deep, or JSON with two meanings."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from email.message import Message as MediaType
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.flaws import speakable
from api.problems import problem
from operations.reasons import Flaw, HeadersTooLarge, Invalid, Reason, TooLarge

MOST_BODY_BYTES: Final = 64 * 1024
MOST_HEADER_BYTES: Final = 16 * 1024
MOST_DEPTH: Final = 16

_MOST_DIGITS: Final = 100
_LARGEST: Final = 2**63 - 1
_ENDLESS: Final = object()
# Nothing of a string is given back, and one without an end goes to the end: else each quote in it is a new beginning.
_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[{}\]]")


class AmbiguousError(ValueError):
    """JSON that the standard does not allow, or that readers understand differently."""

    def __init__(self, flaw: Invalid) -> None:
        super().__init__(flaw)
        self.flaw = flaw


class BodyGuard:
    """Reads each body whole, within bounds, and lets it pass if it can only mean one thing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call that cannot be meant, pass on any other."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = await _body(headers, receive)
        objection = body if not isinstance(body, bytes) else _objection(headers, body)
        if objection is not None:
            await problem((objection,), headers)(scope, receive, send)
            return
        assert isinstance(body, bytes)
        await self._app(scope, _replayed(body, receive), send)


async def _body(headers: Headers, receive: Receive) -> bytes | Reason:
    """Return the body, or why it was not read to its end."""
    if sum(len(name) + len(value) for name, value in headers.raw) > MOST_HEADER_BYTES:
        return HeadersTooLarge(limit=MOST_HEADER_BYTES)
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""  # the caller has left
        chunks.append(message.get("body", b""))
        length += len(chunks[-1])
        if length > MOST_BODY_BYTES:
            return TooLarge(limit=MOST_BODY_BYTES)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the whole body first, and then what the connection says."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _objection(headers: Headers, body: bytes) -> Reason | None:
    if not body or not _is_parsed(headers.get("content-type", "")):
        return None
    if _depth(body) > MOST_DEPTH:
        return TooLarge(limit=MOST_BODY_BYTES)
    try:
        json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_parsed)
    except AmbiguousError as error:
        return error.flaw
    except ValueError:
        return Invalid(field="body", problem=Flaw.NOT_JSON)
    return None


def _is_parsed(content_type: str) -> bool:
    """Tell whether the framework parses a body of this type: it reads the header in this way, too."""
    said = MediaType()
    said["content-type"] = content_type
    kind = said.get_content_subtype()
    return said.get_content_maintype() == "application" and (kind == "json" or kind.endswith("+json"))


def _depth(body: bytes) -> int:
    """Return how deeply brackets are nested outside of strings."""
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that is given twice: some readers take the first, some the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise AmbiguousError(Invalid(field=speakable(counts.most_common(1)[0][0]), problem=Flaw.TWICE))
    for name, value in pairs:
        if value is _ENDLESS:
            raise AmbiguousError(Invalid(field=speakable(name), problem=Flaw.NOT_AT_MOST, bound=_LARGEST))
    return found


def _no_constant(_name: str) -> None:
    """Refuse NaN and infinities, which are not JSON."""
    raise AmbiguousError(Invalid(field="body", problem=Flaw.NOT_JSON))


def _parsed(digits: str) -> object:
    """Return a number unless it is so long that reading it would be work."""
    return int(digits) if len(digits) <= _MOST_DIGITS else _ENDLESS
