"""Calls that come twice take effect once: what was done by a key is told again, and not done again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from operations.ports.store import UsedKey, Work
from operations.reasons import KeyUsedOtherwise, Refused
from registry.ids import PersonId, Seconds

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayKey:
    """An idempotency key as a person sent it, with the fingerprint of everything that was asked with it."""

    person: PersonId
    key: str
    fingerprint: str


def once(
    work: Work,
    replay: ReplayKey | None,
    made: str,
    deed: Callable[[], T | Refused],
    again: Callable[[str], T | Refused],
    *,
    now: Seconds,
) -> T | Refused:
    """Do a deed that makes or changes what has the id `made`, unless it was done by this key before.

    Then `again` tells of what it made that time, as it is by now. A key is kept together with its deed, so one that
    is refused may be tried again with it.
    """
    if replay is None:
        return deed()
    if earlier := work.keys.used(replay.person, replay.key):
        return _told(earlier, replay, again)
    outcome = deed()
    if isinstance(outcome, Refused):
        # What is in the way may be what the same call has just done, for whose end the deed had to wait.
        earlier = work.keys.used(replay.person, replay.key)
        return _told(earlier, replay, again) if earlier else outcome
    work.keys.keep(replay.person, replay.key, UsedKey(fingerprint=replay.fingerprint, made=made), now=now)
    return outcome


def _told(earlier: UsedKey, replay: ReplayKey, again: Callable[[str], T | Refused]) -> T | Refused:
    if earlier.fingerprint != replay.fingerprint:
        return Refused(reasons=(KeyUsedOtherwise(),))
    return again(earlier.made)
