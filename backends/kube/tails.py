"""The last words of pods, asked of the API server before the pods are let go."""

import time
from typing import Final

from backends.kube.calls import CallRefusedError, Calls, Json
from backends.kube.naming import REQUEST
from operations.ports.backend import LAST_WORDS_BYTES, BackendUnavailableError

LINES: Final = "1000"
"""The server counts lines from the end but bytes from the beginning; runtimes break lines, at 16 KiB."""
ANSWER_SECONDS: Final = 1.5
_NO_LONGER_THERE: Final = b"unable to retrieve container logs for "
"""What a kubelet says, as if it were the log, when it has removed the container."""
SILENCE_SECONDS: Final = 60.0
"""How long nothing is asked of who kept one waiting: a bill does not wait for a log."""


class Tails:
    """Reads logs with little patience: what cannot be read at once is not kept.

    Whoever keeps one waiting is left alone for a while: a node whose kubelet does not answer, or a cluster that prints
    without end.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._waited: dict[str, float] = {}
        self._heard: dict[str, bytes] = {}

    def hear(self, path: str, pod: Json) -> None:
        """Remember the end of a running pod's log, by the pod's own path, until the pod is forgotten."""
        if (words := self._now(path, pod)) is not None:
            self._heard[pod["metadata"]["uid"]] = words

    def of(self, path: str, pod: Json) -> bytes | None:
        """Return what was heard of a pod before it was deleted, else the end of its log; None if neither is there."""
        heard = self._heard.get(pod["metadata"]["uid"])
        return (self._now(path, pod) if heard is None else heard) or None

    def forget(self, uid: str) -> None:
        """Forget what was heard of a pod."""
        self._heard.pop(uid, None)

    def _now(self, path: str, pod: Json) -> bytes | None:
        """Return the end of a log, empty if nothing was printed; None if it cannot be read."""
        node, cluster = str(pod["spec"].get("nodeName", "")), str(pod["metadata"]["labels"][REQUEST])
        asked = time.monotonic()
        if not node or any(asked - self._waited.get(one, float("-inf")) < SILENCE_SECONDS for one in (node, cluster)):
            return None
        by = node
        try:
            end = self._calls.end_of(f"{path}/log", {"tailLines": LINES}, most=LAST_WORDS_BYTES, seconds=ANSWER_SECONDS)
            by = cluster
        except (CallRefusedError, BackendUnavailableError):
            end = None
        if time.monotonic() - asked >= ANSWER_SECONDS:  # whoever says no at once keeps nobody waiting
            recent = {one: at for one, at in list(self._waited.items()) if asked - at < SILENCE_SECONDS}
            self._waited = {**recent, by: time.monotonic()}
        return None if end is None or end.startswith(_NO_LONGER_THERE) else end
