"""What happens to a cluster while somebody computes on it, told by a quiet thread that follows its events."""

from __future__ import annotations

import threading
import warnings
from contextlib import suppress
from typing import Final

from haidang.answers import Event
from haidang.endings import MEMORY, ProcessEnd, why_ended
from haidang.errors import HaidangWarning
from haidang.following import ENDED, follow
from haidang.transport import Transport
from haidang.words import Words

_ENDS: Final = frozenset({"ending", ENDED})


class Watch:
    """Warns, once of each, that a process of a cluster used too much memory and that the cluster ends, and says why.

    Whoever computes sees only that Dask lost something; the center knows what.
    """

    def __init__(self, transport: Transport, request_id: str, words: Words) -> None:
        self._transport = transport.hushed()
        self._id = request_id
        self._words = words
        self._left = threading.Event()
        self._ends = threading.Event()
        self._why: str | None = None
        self._warned_of_memory = False
        threading.Thread(target=self._follow, name="haidang-watch", daemon=True).start()

    def leave(self) -> None:
        """Tell nothing more: what happens from now on is what was asked for."""
        self._left.set()

    def why_it_ends(self, patience_seconds: float) -> str | None:
        """Return in words why the cluster ends or has ended, as soon as that is known; None if it goes on."""
        self._ends.wait(patience_seconds)
        return self._why

    def _follow(self) -> None:
        with suppress(Exception):  # a thread that only tells has nobody to complain to
            for event in follow(self._transport, self._id, wanted=lambda: not self._left.is_set()):
                if self._left.is_set():
                    return
                self._take(event)

    def _take(self, event: Event) -> None:
        end = ProcessEnd.of(event)
        if end is not None and end.cause == MEMORY and not self._warned_of_memory:
            self._warned_of_memory = True
            self._warn("out_of_memory", how=end.how(self._words))
        if event.kind in _ENDS and not self._ends.is_set():
            self._why = why_ended(event.details.get("why"), self._words)
            self._ends.set()
            self._warn("cluster_ends", why=self._why)

    def _warn(self, name: str, **values: object) -> None:
        """Warn of no line of anybody's program: none of them has brought this about."""
        warnings.warn_explicit(self._words(name, id=self._id, **values), HaidangWarning, "<haidang>", 0)
