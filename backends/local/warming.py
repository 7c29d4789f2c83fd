"""The center's side of one environment's warm process: starting it, giving it orders, hearing its bell."""

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import structlog
from haidang.inside import runs

from operations.ports.backend import BackendUnavailableError, StartRefusedError

START_SECONDS: Final = 15.0
ANSWER_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 0.01
ALREADY_SERVED: Final = 3

log = structlog.get_logger()


class WarmProcess:
    """One environment's warm process: `data` is its own folder, `python` the environment's interpreter."""

    def __init__(self, *, data: Path, scratch: Path, python: Path | None, cgroup: Path | None) -> None:
        self.data = data
        self._scratch = scratch
        self._python = python
        self._cgroup = cgroup
        self._starting = threading.Lock()
        self._begun = False
        data.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(self) -> None:
        """Start it unless it runs; returns when it has left this process's session, before it is ready.

        Raises:
            BackendUnavailableError: it cannot be started.
        """
        if self._python is None:
            raise BackendUnavailableError(f"the environment of {self.data.name} does not exist any more")
        command = [str(self._python), "-P", "-m", "haidang.inside.warm"]
        command += ["--data", str(self.data), "--scratch", str(self._scratch)]
        command += ["--cgroup", str(self._cgroup)] if self._cgroup else []
        # Nothing of the center's environment: tenants can read what a process was started with.
        clean = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(self.data)}
        try:
            done = subprocess.run(
                command, env=clean, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, timeout=START_SECONDS,
                check=False, start_new_session=True,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BackendUnavailableError(f"the warm process could not be started: {error}") from error
        self._begun = True
        if done.returncode not in (0, ALREADY_SERVED):
            said = done.stderr.decode(errors="replace")[-500:]
            raise BackendUnavailableError(f"the warm process could not be started: {said}")

    def dismiss(self) -> None:
        """Let it end, if it runs; one that has only begun to import is waited for, or nobody would ever end it."""
        if self._begun or self.is_listening():
            with contextlib.suppress(BackendUnavailableError):
                self.order(runs.LeaveOrder())
            self._begun = False

    def is_listening(self) -> bool:
        """Tell whether it takes orders now."""
        with contextlib.suppress(OSError), self._connected():
            return True
        return False

    def order(self, order: runs.Order, credentials: Sequence[bytes] = ()) -> dict[str, object]:
        """Give an order, with a file of credentials for each process to start, and return the answer.

        Raises:
            StartRefusedError: it was refused.
            BackendUnavailableError: it was not carried out, or nobody can tell.
        """
        files: list[int] = []
        try:
            files.extend(map(_in_memory, credentials))
            with self._connect() as connection:
                socket.send_fds(connection, [runs.order_message(order)], files)
                answer = json.loads(connection.recv(runs.LARGEST_ORDER_BYTES))
        except (OSError, ValueError) as error:
            raise BackendUnavailableError(f"the warm process did not answer: {error}") from error
        finally:
            for file in files:
                os.close(file)
        if not isinstance(answer, dict) or "refused" in answer:
            raise StartRefusedError(f"the warm process refused an order: {answer}")
        return answer

    def _connect(self) -> socket.socket:
        """Return a connection, after starting the warm process if nobody answers: the first import takes a second."""
        with contextlib.suppress(OSError):
            return self._connected()
        with self._starting:
            with contextlib.suppress(OSError):
                return self._connected()
            self.start()
            patience = time.monotonic() + START_SECONDS
            while True:
                try:
                    return self._connected()
                except OSError as error:
                    if time.monotonic() > patience:
                        raise BackendUnavailableError("the warm process does not get ready") from error
                    time.sleep(RETRY_SECONDS)

    def _connected(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.settimeout(ANSWER_SECONDS)
            with runs.socket_path(self.data, runs.SOCKET) as path:
                connection.connect(path)
        except OSError:
            connection.close()
            raise
        return connection

    def bell(self) -> socket.socket:
        """Return a socket that can be read whenever something in the folder changed; the last to ask hears it."""
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        (self.data / runs.BELL).unlink(missing_ok=True)
        with runs.socket_path(self.data, runs.BELL) as path:
            bell.bind(path)
        (self.data / runs.BELL).chmod(0o600)
        bell.settimeout(0)
        return bell


def _in_memory(content: bytes) -> int:
    """Return an open file that lies in no folder: who gets it reads it, nobody else can."""
    descriptor = os.memfd_create("credentials", os.MFD_CLOEXEC)
    os.write(descriptor, content)
    return descriptor
