"""Waiting for a cluster to run, and telling meanwhile why it does not yet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from haidang.amounts import write_seconds
from haidang.answers import Event, Explanation
from haidang.endings import why_ended
from haidang.errors import EndedError, RefusedError, UnreachableError, WaitedTooLongError
from haidang.following import ENDED, EventQueue
from haidang.progress import Display, Standing
from haidang.transport import Transport, segment
from haidang.troubles import Trouble
from haidang.words import Words

READY: Final = "process_ready"
RUNNING: Final = "running"
PENDING: Final = "pending"

# What an event says about where the request stands; other events change nothing about that.
_PHASES: Final = {
    "submitted": PENDING,
    "waiting": PENDING,
    "placed": "starting",
    "turned_back": PENDING,
    "requeued": PENDING,
    "running": RUNNING,
    "ending": "ending",
}

TICK_SECONDS: Final = 1.0
FIRST_ASKING_SECONDS: Final = 0.4
"""An idle center has started a cluster by then: asking why it waits would only slow it down."""
LONGEST_ASKING_SECONDS: Final = 30.0


class Waiting:
    """Somebody who waits for one request until its cluster runs.

    Reasons and the place in the queue are asked for when an event says that they changed, and now and then because
    others move too; the pauses between grow, since thousands may wait at once.
    """

    def __init__(self, transport: Transport, request_id: str, display: Display, words: Words) -> None:
        self._transport = transport
        self._words = words
        self._display = display
        self._standing = Standing(request_id=request_id, phase=PENDING)
        self._began = time.monotonic()
        self._ask_at = self._began + FIRST_ASKING_SECONDS
        self._asking_pause = TICK_SECONDS

    def until_running(
        self, patience_seconds: float | None = None, at_sign_of_life: Callable[[], None] = lambda: None
    ) -> None:
        """Return when the cluster runs; `at_sign_of_life` is called when one of its processes answers before.

        Raises:
            EndedError: the request ended instead.
            WaitedTooLongError: it took longer than `patience_seconds`.
            UnreachableError: the center was away for too long.
        """
        events = EventQueue(self._transport, self._standing.request_id, until=frozenset({RUNNING, ENDED}))
        try:
            self._show()
            while True:
                event = events.next(self._next_look(patience_seconds) - time.monotonic())
                if event is not None:
                    self._take(event)
                    if event.kind == RUNNING:
                        self._show()
                        return
                    if event.kind == READY:
                        at_sign_of_life()
                self._look(patience_seconds)
        finally:
            events.leave()
            self._display.close()

    def _take(self, event: Event) -> None:
        if event.kind == ENDED:
            raise self._ended(event.details.get("why"))
        phase = _PHASES.get(event.kind, self._standing.phase)
        if phase != self._standing.phase:
            self._standing = Standing(request_id=self._standing.request_id, phase=phase)
        if trouble := Trouble.of(event):
            self._standing = replace(self._standing, reasons=(trouble.sentence(self._words),))
        if phase == PENDING and event.kind in {"waiting", "held", "unheld", "turned_back", "requeued"}:
            self._ask_at = min(self._ask_at, time.monotonic() + FIRST_ASKING_SECONDS)

    def _look(self, patience_seconds: float | None) -> None:
        """Do what is due by the clock: give up, ask why it waits, show how long it has been."""
        now = time.monotonic()
        if patience_seconds is not None and now - self._began >= patience_seconds:
            patience = write_seconds(int(patience_seconds))
            raise WaitedTooLongError(self._words("waited_too_long", id=self._standing.request_id, patience=patience))
        if self._standing.phase == PENDING and now >= self._ask_at:
            self._ask()
        self._show()

    def _next_look(self, patience_seconds: float | None) -> float:
        until_asking = [self._ask_at] if self._standing.phase == PENDING else []
        until_patience = [self._began + patience_seconds] if patience_seconds is not None else []
        return min([time.monotonic() + TICK_SECONDS, *until_asking, *until_patience])

    def _ask(self) -> None:
        """Ask where the request stands; that it moved on, or that the center is away, is told by the events."""
        self._asking_pause = min(LONGEST_ASKING_SECONDS, self._asking_pause * 1.5)
        try:
            path = f"/v1/requests/{segment(self._standing.request_id)}/explain"
            told = self._transport.read(Explanation, self._transport.get(path, repeatable=False))
        except (RefusedError, UnreachableError):
            pass
        else:
            self._standing = replace(
                self._standing,
                place=told.place,
                pending=told.pending,
                reasons=tuple(reason.sentence or reason.code for reason in told.reasons),
                expected=told.expected,
            )
        self._ask_at = time.monotonic() + self._asking_pause

    def _show(self) -> None:
        self._display.show(self._standing, time.monotonic() - self._began)

    def _ended(self, why: str | None) -> EndedError:
        request_id = self._standing.request_id
        sentence = self._words("ended_early", id=request_id, why=why_ended(why, self._words))
        return EndedError(sentence, request_id, why)
