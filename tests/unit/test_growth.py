"""What a stranger sends is read in time that grows with its length, not with the square of it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import closing

import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers
from uvicorn.server import ServerState

from api import bodies
from api.flaws import speakable
from api.languages import language_of
from api.paging import PLACE_PATTERN, REQUEST_PLACE
from api.schemas.shape import REACH_PATTERN
from registry.ids import PROJECT_PATTERN, RANDOM_PATTERN, SLUG_PATTERN
from server.connections import Connection

FACTOR = 8
MOST = 3 * FACTOR
"""The square of the factor is far beyond, and no noise is."""


def seconds(work: Callable[[], object]) -> float:
    """Return the time of this thread that something takes without what disturbs it."""

    def once() -> float:
        began = time.thread_time()
        work()
        return time.thread_time() - began

    return min(once() for _ in range(5))


def assert_linear(read: Callable[[int], Callable[[], object]], size: int = 2000) -> None:
    assert seconds(read(FACTOR * size)) < MOST * max(seconds(read(size)), 20e-6)


BODIES: dict[str, Callable[[int], bytes]] = {
    "a string of quotes without an end": lambda size: b'"' + b'\\"' * size,
    "a string of everything without an end": lambda size: b'"' + b'a\\"' * size,
    "quotes": lambda size: b'"' * size,
    "strings": lambda size: b'"a",' * size,
    "backslashes": lambda size: b"\\" * size,
    "brackets": lambda size: b"[]," * size,
    "a number": lambda size: b"[" + b"9" * size + b"]",
    "a fraction": lambda size: b"[0." + b"9" * size + b"]",
    "an exponent": lambda size: b"[1e" + b"9" * size + b"]",
    "numbers": lambda size: b"[" + b"9," * size + b"9]",
    "lines": lambda size: b"\n" * size + b"x",
    "names": lambda size: b"{" + b",".join(b'"%d":1' % number for number in range(size)) + b"}",
    "one name": lambda size: b"{" + b",".join(b'"a":1' for _ in range(size)) + b"}",
}


@pytest.mark.parametrize("kind", BODIES)
def test_the_guard_of_bodies_is_linear(kind: str) -> None:
    headers = Headers({"Content-Type": "application/json"})

    def read(size: int) -> Callable[[], object]:
        body = BODIES[kind](size)
        return lambda: bodies._objection(headers, body)

    assert_linear(read)


def depth(body: bytes) -> int:
    """Return how deeply brackets are nested, sign by sign."""
    deep = deepest = 0
    quoted = escaped = False
    for sign in body.decode("latin-1"):
        if quoted:
            quoted = escaped or sign != '"'
            escaped = sign == "\\" and not escaped
        elif sign == '"':
            quoted = True
        elif sign in "[{":
            deep += 1
        elif sign in "]}":
            deep -= 1
        deepest = max(deepest, deep)
    return deepest


@given(body=st.text(alphabet='"\\[]{}a\n', max_size=30).map(str.encode))
def test_what_stands_in_strings_nests_nothing(body: bytes) -> None:
    assert bodies._depth(body) == depth(body)


TEXTS: dict[str, Callable[[int], str]] = {
    "letters": lambda size: "a" * size,
    "dashes": lambda size: "a-" * size,
    "dots": lambda size: "aa." * size,
    "digits": lambda size: "1" * size,
    "blanks": lambda size: "a/" + " " * size + "b",
    "marks": lambda size: 'a/b;c="' * size,
    "lists": lambda size: "en;q=0.1," * size,
    "weights": lambda size: "en;q=0." + "1" * size,
}
READERS: dict[str, Callable[[str], object]] = {
    "the language": lambda text: language_of(Headers({"Accept-Language": text})),
    "the type of a body": bodies._is_parsed,
    "a field": speakable,
    "an institution": re.compile(SLUG_PATTERN).fullmatch,
    "a project": re.compile(PROJECT_PATTERN).fullmatch,
    "a share": re.compile(REACH_PATTERN).fullmatch,
    "an id": re.compile(RANDOM_PATTERN).fullmatch,
    "a place": re.compile(PLACE_PATTERN).fullmatch,
    "a cursor": re.compile(REQUEST_PLACE).fullmatch,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", TEXTS)
def test_headers_cursors_and_names_are_read_linearly(reader: str, kind: str) -> None:
    def read(size: int) -> Callable[[], object]:
        text = TEXTS[kind](size)
        return lambda: READERS[reader](text)

    assert_linear(read)


class Nowhere(asyncio.Transport):
    """A connection to nobody."""

    closed = False

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def write(self, data: object) -> None:
        """Send nothing."""

    def pause_reading(self) -> None:
        """Read nothing anyway."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Keep nothing."""


async def unanswered(_scope: object, _receive: object, _send: object) -> None:
    """Answer nobody."""


HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
CALLS: dict[str, Callable[[int], bytes]] = {
    "blanks before what may not be": lambda size: HEAD + b"a:" + b" " * size + b"\0\r\n\r\n",
    "tabs before what may not be": lambda size: HEAD + b"a:" + b" \t" * size + b"\0\r\n\r\n",
    "words before what may not be": lambda size: HEAD + b"a:" + b" b" * size + b"\0\r\n\r\n",
    "blank lines before what may not be": lambda size: HEAD + b"a:" + b"\r\n " * size + b"\0\r\n\r\n",
    "blanks behind a chunk": lambda size: HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b" " * size + b"\0\n\r\n",
    "words behind a chunk": lambda size: HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b" b" * size + b"\n\r\n",
    "chunks": lambda size: HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * size,
    "headers": lambda size: HEAD + b"a:\r\n" * size + b"\r\n",
    "an address": lambda size: b"GET /" + b"a/" * size + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "escapes": lambda size: b"GET /" + b"%41" * size + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "lengths": lambda size: HEAD + b"Content-Length: " + b"1," * size + b"1\r\n\r\n",
}


@pytest.mark.parametrize("kind", CALLS)
def test_what_arrives_is_read_linearly(kind: str) -> None:
    configuration = uvicorn.Config(unanswered, log_config=None, lifespan="off")
    with closing(asyncio.new_event_loop()) as loop:

        def read(size: int) -> Callable[[], object]:
            call = CALLS[kind](size)

            def arrive() -> None:
                connection = Connection(configuration, ServerState(), {}, loop)
                connection.connection_made(Nowhere())
                connection.data_received(call)
                for task in connection.tasks:
                    task.cancel()

            return arrive

        assert_linear(read)
        loop.run_until_complete(asyncio.sleep(0))


def test_a_run_of_blanks_is_seen_however_it_arrives() -> None:
    configuration = uvicorn.Config(unanswered, log_config=None, lifespan="off")
    with closing(asyncio.new_event_loop()) as loop:
        for cut, blanks, closed in ((200, 256, False), (200, 257, True), (1, 257, True)):
            connection, transport = Connection(configuration, ServerState(), {}, loop), Nowhere()
            connection.connection_made(transport)
            call = HEAD + b"a:" + b" " * blanks + b"b"
            for first in range(0, len(call), cut):
                if not transport.closed:
                    connection.data_received(call[first : first + cut])
            assert transport.closed is closed
