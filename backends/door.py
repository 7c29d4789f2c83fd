"""One head's door: small questions and answers over a connection on which both sides show certificates."""

import contextlib
import json
import os
import socket
import ssl
import threading
import time
from typing import Final

from operations.ports.backend import Credentials
from registry.ids import RequestId

ANSWER_SECONDS: Final = 3.0
LARGEST_ANSWER_BYTES: Final = 256 * 1024
"""What the largest cluster has to say, with room to spare: a tenant's program may fill it with what is slow to read."""
LARGEST_HEADER_BYTES: Final = 16 * 1024
_OK: Final = 200


Address = tuple[str, int]
"""Where a door is: an IP address and a port."""


class NoAnswerError(Exception):
    """A Dask scheduler did not answer in time, or not as agreed."""


class Door:
    """A kept-open connection to one head, used by one thread at a time.

    HTTP clients bound each wait, not the whole: a tenant's program that sends a byte each second would hold a thread
    for ever. Here the time of all waits together and the size of the answer are bounded.
    """

    __slots__ = ("_address", "_context", "_lock", "_name", "_patience", "_stream", "_token")

    def __init__(
        self,
        *,
        request: RequestId,
        credentials: Credentials,
        address: Address,
        patience_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._name = f"head.h-{request}"
        self._context = _context(credentials)
        self._token = credentials.token
        self._address = address
        self._patience = patience_seconds
        self._stream: ssl.SSLSocket | None = None
        self._lock = threading.Lock()

    def ask(self, method: str, path: str, question: object = None) -> dict[str, object]:
        """Return the answer to a question.

        Raises:
            NoAnswerError: none came in time, or it is not what was agreed.
        """
        deadline = time.monotonic() + self._patience
        with self._lock:
            try:
                stream = self._stream = self._stream or self._open(deadline)
                stream.sendall(self._written(method, path, question))
                status, body = _read(stream, deadline)
                answer = json.loads(body)
            except (OSError, ValueError, RecursionError) as error:
                self._close()
                raise NoAnswerError(f"{type(error).__name__}: {error}") from error
        if status != _OK or not isinstance(answer, dict):
            raise NoAnswerError(f"it answered {status}")
        return answer

    def close(self) -> None:
        """Hang up; the next question connects again."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _open(self, deadline: float) -> ssl.SSLSocket:
        plain = socket.create_connection(self._address, timeout=_left(deadline))
        try:
            plain.settimeout(_left(deadline))
            # The address is a claim; that the cluster's own head listens there is shown by its certificate.
            return self._context.wrap_socket(plain, server_hostname=self._name)
        except BaseException:
            plain.close()
            raise

    def _written(self, method: str, path: str, question: object) -> bytes:
        body = b"" if question is None else json.dumps(question).encode()
        lines = (
            f"{method} {path} HTTP/1.1",
            f"Host: {self._name}",
            f"Authorization: Bearer {self._token}",
            f"Content-Length: {len(body)}",
        )
        return "\r\n".join((*lines, "", "")).encode() + body


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the whole answer took too long")
    return left


def _read(stream: ssl.SSLSocket, deadline: float) -> tuple[int, bytes]:
    """Return status and body of one response that says its length."""
    received = bytearray()
    while (end := received.find(b"\r\n\r\n")) < 0:
        if len(received) > LARGEST_HEADER_BYTES:
            raise ValueError("too long a header")
        received += _some(stream, deadline)
    first, *lines = bytes(received[:end]).split(b"\r\n")
    lengths = [line.partition(b":")[2] for line in lines if line.lower().startswith(b"content-length:")]
    if len(lengths) != 1 or not 0 <= (length := int(lengths[0])) <= LARGEST_ANSWER_BYTES:
        raise ValueError("no length, or too large a one")
    body = received[end + 4 :]
    while len(body) < length:
        body += _some(stream, deadline)
    if len(body) > length:
        raise ValueError("more than one answer")
    return int(first.split(b" ")[1][:3]) if b" " in first else 0, bytes(body)


def _some(stream: ssl.SSLSocket, deadline: float) -> bytes:
    stream.settimeout(_left(deadline))
    content = stream.recv(65536)
    if not content:
        raise ConnectionError("it hung up")
    return content


def _context(credentials: Credentials) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=credentials.authority)
    leaf = credentials.leaves["center"]
    # OpenSSL reads a certificate and its key from a file only; this one lies in no folder.
    descriptor = os.memfd_create("leaf", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, (leaf.certificate + leaf.key).encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    return context
