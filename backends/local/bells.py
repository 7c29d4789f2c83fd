"""Hearing that something changed in a folder of processes, from the keepers that ring."""

import select
import socket
import threading
from collections.abc import Callable, Sequence


class Bells:
    """A thread that calls `wake` once for everything that rang since it last did."""

    def __init__(self, bells: Sequence[socket.socket], wake: Callable[[], None]) -> None:
        self._bells = bells
        self._wake = wake
        self._over, self._close = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, name="bells", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._close.close()
        self._thread.join()
        for bell in (*self._bells, self._over):
            bell.close()

    def _listen(self) -> None:
        while True:
            ringing, _, _ = select.select([self._over, *self._bells], [], [])
            if self._over in ringing:
                return
            for bell in ringing:
                _silence(bell)
            self._wake()


def _silence(bell: socket.socket) -> None:
    try:
        while bell.recv(16):
            pass
    except BlockingIOError:
        return
