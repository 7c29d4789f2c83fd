"""One kind of objects as it stands in the cluster: listed once, followed from there, listed again when that breaks."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog

from backends.kube.calls import CallRefusedError, Calls, Json
from operations.ports.backend import BackendUnavailableError

WATCH_SECONDS: Final = 300
SILENCE_SECONDS: Final = 90.0
"""The server sends a bookmark about once a minute: a stream that is silent for longer is dead, whatever TCP says."""
STALE_SECONDS: Final = 15.0
LONGEST_PAUSE_SECONDS: Final = 10.0
_GONE: Final = 410

log = structlog.get_logger()


def without_history(item: Json) -> Json:
    """Return an object without the lists of who set which field: half of it at times, and nobody here asks."""
    metadata = {name: part for name, part in item["metadata"].items() if name != "managedFields"}
    return {**item, "metadata": metadata}


class Watched:
    """The objects of one collection by uid, kept current by a thread of its own.

    `kept` says what of an object is held in memory: `uid` and `resourceVersion` at least.

    After each watch everything is listed anew, so that whatever a stream may have missed is found. What this process
    wrote itself is known at once by `put` and `drop`, before the stream tells it.
    """

    def __init__(
        self,
        calls: Calls,
        path: str,
        *,
        kind: str,
        selector: str,
        changed: Callable[[], None],
        kept: Callable[[Json], Json] = without_history,
    ) -> None:
        self._calls = calls
        self._path = path
        self._kind = kind
        self._selector = selector
        self._changed = changed
        self._kept = kept
        self._lock = threading.Lock()
        self._objects: dict[str, Json] = {}
        self._dropped: dict[str, float] = {}
        self._current_at: float | None = None
        self._following = False
        self._closing = threading.Event()
        self._listed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """Let the thread end at its next event; nobody waits for a silent stream."""
        self._closing.set()

    def objects(self) -> tuple[Json, ...]:
        """Return everything there is.

        Raises:
            BackendUnavailableError: it was never listed, or has not been followed for a while.
        """
        with self._current() as objects:
            return tuple(objects.values())

    def get(self, uid: str) -> Json | None:
        """Return the object with a uid, if there is one.

        Raises:
            BackendUnavailableError: as above.
        """
        with self._current() as objects:
            return objects.get(uid)

    @contextmanager
    def _current(self) -> Iterator[Mapping[str, Json]]:
        self._listed.wait(STALE_SECONDS)
        with self._lock:
            current = self._following or (
                self._current_at is not None and time.monotonic() - self._current_at < STALE_SECONDS
            )
            if not current:
                raise BackendUnavailableError(f"{self._path} cannot be followed")
            yield self._objects

    def put(self, written: Json) -> None:
        """Take an object as the server returned it from a call of ours, unless something newer is known."""
        with self._lock:
            self._take(written)

    def drop(self, uid: str) -> None:
        """Take an object for gone: a call of ours has just removed the last that kept it."""
        with self._lock:
            self._objects.pop(uid, None)
            self._dropped[uid] = time.monotonic()

    def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            try:
                self._follow(self._list())
                failures = 0
            except BackendUnavailableError as error:
                failures += 1
                log.warning("a watch is interrupted", path=self._path, error=str(error))
            except CallRefusedError as error:
                if error.status != _GONE:
                    failures += 1
                    log.warning("a watch is refused", path=self._path, error=str(error))
            finally:
                self._pause_following()
            if failures:
                pause = min(LONGEST_PAUSE_SECONDS, 0.1 * 2.0**failures)
                self._closing.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311 - it spreads load, it protects nothing

    def _list(self) -> str:
        items, version = self._calls.items(self._path, selector=self._selector, kept=self._kept)
        # The items of a list do not say of what kind they are.
        listed = {item["metadata"]["uid"]: {**item, "kind": self._kind} for item in items}
        with self._lock:
            newer = {uid: one for uid, one in self._objects.items() if _version(one) > int(version)}
            self._objects = {uid: one for uid, one in listed.items() if uid not in self._dropped} | newer
            self._dropped = {uid: at for uid, at in self._dropped.items() if time.monotonic() - at < WATCH_SECONDS}
            self._following = True
        self._listed.set()
        self._changed()
        return version

    def _follow(self, version: str) -> None:
        seconds = random.randint(WATCH_SECONDS // 2, WATCH_SECONDS)  # noqa: S311 - as above
        for change in self._calls.follow(
            self._path, selector=self._selector, since=version, seconds=seconds, silence_seconds=SILENCE_SECONDS
        ):
            if self._closing.is_set():
                return
            if change["type"] != "BOOKMARK":
                self._hear(change["type"], change["object"])
                self._changed()

    def _hear(self, kind: str, item: Json) -> None:
        with self._lock:
            if kind == "DELETED":
                self._objects.pop(item["metadata"]["uid"], None)
            else:
                self._take(item)

    def _take(self, item: Json) -> None:
        uid = item["metadata"]["uid"]
        known = self._objects.get(uid)
        if uid not in self._dropped and (known is None or _version(known) < _version(item)):
            self._objects[uid] = self._kept(item)

    def _pause_following(self) -> None:
        with self._lock:
            if self._following:
                self._following, self._current_at = False, time.monotonic()


def _version(item: Json) -> int:
    """Return a resource version as the number that it is since Kubernetes 1.35 promises its order."""
    return int(item["metadata"]["resourceVersion"])
