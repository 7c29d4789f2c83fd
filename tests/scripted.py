"""A web server that answers what a test wrote down, one answer a call, and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """One answer: a JSON body, or the text of a stream that ends there. `hang_up` closes without any."""

    status: int = 200
    body: object = None
    text: str | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one call asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: object


@dataclass(slots=True, kw_only=True)
class Script:
    """The server's address, the answers that are left, and the calls that came."""

    url: str
    answers: list[Scripted]
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def scripted(answers: Sequence[Scripted]) -> Generator[Script]:
    """Serve the answers on a free port of this machine; the last one is given again and again."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stage)
    script = Script(url=f"http://127.0.0.1:{server.server_port}", answers=list(answers))
    server.script = script  # type: ignore[attr-defined] # the standard library's way to hand something to a call
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Stage(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._play()

    def do_POST(self) -> None:
        self._play()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name for it
        """Say nothing: a test says what it found."""

    def _play(self) -> None:
        script: Script = self.server.script  # type: ignore[attr-defined] # as where it is set
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        script.asked.append(Asked(method=self.command, path=self.path, headers=dict(self.headers), body=body))
        answer = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
        if answer.hang_up:
            self.close_connection = True
            return
        content = answer.text.encode() if answer.text is not None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
