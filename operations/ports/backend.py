"""The port through which clusters are started, watched and ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from registry.ids import ProcessUid, RequestId, Seconds
from scheduler.observed import Observed
from scheduler.steps import Step
from scheduler.troubles import Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Everything one cluster's processes, its owner and the center need to trust each other.

    `authority` is the PEM certificate of the cluster's own authority, whose key no longer exists. `leaves` holds one
    leaf per role: `head`, `worker`, `owner`, `center`. `token` opens the preload's door in the head.
    """

    authority: str
    leaves: Mapping[str, Leaf]
    token: str


class BackendUnavailableError(Exception):
    """The outside world did not answer; the step is tried again at the next pass."""


class StartRefusedError(BackendUnavailableError):
    """The outside world answers, and refuses to start these processes: asked at once it would say the same again."""

    def __init__(self, message: str, trouble: Trouble = Trouble.OUTSIDE_REFUSAL) -> None:
        super().__init__(message)
        self.trouble = trouble


class Authority(Protocol):
    """Makes the credentials of one cluster."""

    def issue(self, request: RequestId, *, now: Seconds, until: Seconds) -> Credentials:
        """Return new credentials, valid from shortly before `now` until after `until`."""
        ...


LAST_WORDS_BYTES: Final = 64 * 1024
"""How much of a process's log is kept when it has ended."""


class ProcessLogs(Protocol):
    """What processes print."""

    def tail(self, name: str, uid: ProcessUid) -> bytes | None:
        """Return the end of what an ended process printed, at most `LAST_WORDS_BYTES`, before it is forgotten.

        None if there is nothing, or if it cannot be read soon: nobody waits for it.
        """
        ...


class ClusterBackend(ProcessLogs, Protocol):
    """The outside world as the reconciler knows it. Every method is safe to repeat and to call from any thread."""

    def observe(self) -> Observed:
        """Return every process of ours that exists or ended unforgotten, and what reachable heads claim.

        Raises:
            BackendUnavailableError: nothing can be said at all.
        """
        ...

    def carry_out(self, step: Step, credentials: Credentials | None) -> None:
        """Begin the step and return soon; its outcome is observed, never returned.

        A process that was begun is observed from then on, until it is forgotten. Only ending processes can be asked
        without credentials, of a cluster that nobody remembers.

        Raises:
            StartRefusedError: the processes cannot be started as they are asked for.
            BackendUnavailableError: the step was not begun.
        """
        ...

    def forget(self, name: str, uid: ProcessUid) -> None:
        """Remove the last trace of an ended and settled process; another uid of that name stays."""
        ...

    def know(self, request: RequestId, credentials: Credentials) -> None:
        """Learn how to reach a cluster that was started before this backend was."""
        ...

    def watch(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever something may have changed: a hint, some changes come without it."""
        ...
