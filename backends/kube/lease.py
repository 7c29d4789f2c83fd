"""Which of a center's controllers acts: whoever holds a Lease, taken over when nobody renews it any more.

It saves work and keeps logs readable. Nothing is safe because of it: two controllers that act at once do no harm.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import structlog

from backends.kube.calls import CallRefusedError, Calls, Json
from operations.ports.backend import BackendUnavailableError

GROUP: Final = "/apis/coordination.k8s.io/v1"
LEASE_SECONDS: Final = 15
RENEW_SECONDS: Final = 4.0
MARGIN_SECONDS: Final = 3.0
"""How long before the others may take it whoever cannot renew it stops acting: one call may be under way."""

KNOWN_SECONDS: Final = 60.0
"""How long nothing may be known of it before something is wrong: longer than a takeover, or an API server's restart."""

log = structlog.get_logger()


class Lease:
    """One holder among several processes, each under its own `identity`.

    `prepare` is called, from a thread of its own, each time before this process takes it: who cannot prepare leaves it
    to others. Clocks of different machines are never compared: a Lease is stale that was not seen to change for as long
    as it lasts.
    """

    def __init__(self, calls: Calls, *, namespace: str, name: str, identity: str, prepare: Callable[[], None]) -> None:
        self._calls = calls
        self._path = f"{GROUP}/namespaces/{namespace}/leases"
        self._name = name
        self._identity = identity
        self._prepare = prepare
        self._known_at = time.monotonic()
        self._held_until = float("-inf")
        self._seen = ("", float("-inf"))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self) -> None:
        """Begin to ask for it."""
        self._thread.start()

    def holds(self) -> bool:
        """Tell whether this process acts now."""
        return time.monotonic() < self._held_until

    def is_known(self) -> bool:
        """Tell whether this process has lately held it, or seen that it is another's."""
        return time.monotonic() - self._known_at < KNOWN_SECONDS

    def release(self, *, patience_seconds: float) -> None:
        """Let go of it at once, if it was ever asked for: call this when nothing acts any more."""
        self.fall_silent()
        if self._thread.ident is not None:
            self._thread.join(patience_seconds)
        if self.holds():
            self._held_until = float("-inf")
            self._quietly(self._give_back)

    def fall_silent(self) -> None:
        """Ask no more and give nothing back, as a process does that is killed."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._quietly(self._ask)
            self._closing.wait(RENEW_SECONDS)

    def _quietly(self, act: Callable[[], None]) -> None:
        """Do something that is tried again, or that time does in the end."""
        try:
            act()
        except (CallRefusedError, BackendUnavailableError) as error:
            log.warning("the lease could not be written", lease=self._name, error=str(error))
        except Exception:  # as when the store is away just when this controller prepares
            log.exception("the lease could not be kept", lease=self._name)

    def _ask(self) -> None:
        lease = self._read()
        if self._may_take(lease, time.monotonic()):
            self._take(lease)
        self._known_at = time.monotonic()

    def _take(self, lease: Json | None) -> None:
        is_new = not self.holds()
        if is_new:
            self._prepare()
        written = time.monotonic()
        self._write(lease, self._identity)
        self._held_until = written + LEASE_SECONDS - MARGIN_SECONDS
        if is_new:
            log.info("this controller acts from now on", lease=self._name, identity=self._identity)

    def _read(self) -> Json | None:
        try:
            return self._calls.get(f"{self._path}/{self._name}")
        except CallRefusedError as error:
            if not error.is_absent:
                raise
            return None

    def _may_take(self, lease: Json | None, now: float) -> bool:
        holder = (lease or {}).get("spec", {}).get("holderIdentity")
        if lease is None or not holder or holder == self._identity:
            return True
        version = str(lease["metadata"]["resourceVersion"])
        if version != self._seen[0]:
            self._seen = (version, now)
        return now - self._seen[1] > LEASE_SECONDS

    def _write(self, lease: Json | None, holder: str) -> None:
        """Write the Lease over exactly what was read; another who was faster is a conflict."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = {**(lease or {}).get("spec", {}), "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}
        if spec.get("holderIdentity") != holder:
            spec |= {"holderIdentity": holder, "acquireTime": now}
            spec["leaseTransitions"] = spec.get("leaseTransitions", 0) + (lease is not None)
        if lease is None:
            made = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": self._name}}
            self._calls.create(self._path, {**made, "spec": spec})
        else:
            self._calls.replace(f"{self._path}/{self._name}", {**lease, "spec": spec})

    def _give_back(self) -> None:
        lease = self._read()
        if lease is not None and lease["spec"].get("holderIdentity") == self._identity:
            self._write(lease, "")
