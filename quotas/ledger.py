"""Double entry: every entry moves an amount from one account to another, so that all accounts sum to zero."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Final, NewType

from quotas.allocations import Award
from registry.ids import AllocationId, MicroCredits, ProcessUid, RequestId, Seconds
from registry.resources import MIB, Resources
from registry.tags import FundingSource, Tags

AccountId = NewType("AccountId", str)
EntryKey = NewType("EntryKey", str)

INCOME: Final = AccountId("center:income")
"""Where every charge ends."""
ABSORBED: Final = AccountId("center:absorbed")
"""What the center pays itself: use beyond a hold, and the time that its own notice costs."""

HOUR_SECONDS: Final = 3600
DAY_SECONDS: Final = 24 * HOUR_SECONDS


class EntryKind(StrEnum):
    """What an entry does. A correction is a new entry, never an edit."""

    GRANT = "grant"
    HOLD = "hold"
    CHARGE = "charge"
    RELEASE = "release"
    REFUND = "refund"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Integral use of an amount over time: core-milliseconds, MiB-seconds, GPU-milliseconds.

    Memory is counted in MiB-seconds because byte-seconds pass 64 bits after some 194 node-days.
    """

    core_milliseconds: int = 0
    mib_seconds: int = 0
    gpu_milliseconds: int = 0

    @classmethod
    def of(cls, shape: Resources, seconds: int) -> Usage:
        """Return what holding `shape` for whole seconds uses; memory is rounded up to a MiB."""
        return cls(
            core_milliseconds=shape.millicores * seconds,
            mib_seconds=-(-shape.memory // MIB) * seconds,
            gpu_milliseconds=sum(count for _, count in shape.gpus) * seconds * 1000,
        )

    def __add__(self, other: Usage) -> Usage:
        """Add each count to its counterpart."""
        return Usage(
            core_milliseconds=self.core_milliseconds + other.core_milliseconds,
            mib_seconds=self.mib_seconds + other.mib_seconds,
            gpu_milliseconds=self.gpu_milliseconds + other.gpu_milliseconds,
        )


NO_USAGE: Final = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An amount that leaves `source` and reaches `target`, with the use it pays for and all that reports ask.

    `key` is unique for ever: posting it again changes nothing. `at` is the moment that the entry belongs to: of a
    charge the last second that it pays for, so that a period which ends at a full hour contains it, however late it
    was posted.
    """

    key: EntryKey
    kind: EntryKind
    source: AccountId
    target: AccountId
    amount: MicroCredits
    at: Seconds
    tags: Tags
    usage: Usage = NO_USAGE
    request: RequestId | None = None

    def __post_init__(self) -> None:
        """Hold our own code to amounts that move forward; an entry for use alone may move nothing."""
        assert self.amount >= 0, self
        assert self.source != self.target, self


def available(allocation: AllocationId) -> AccountId:
    """Return the account of what an allocation may still hold."""
    return AccountId(f"{allocation}:available")


def held(allocation: AllocationId) -> AccountId:
    """Return the account of what running work holds of an allocation."""
    return AccountId(f"{allocation}:held")


def source_of(funding: FundingSource) -> AccountId:
    """Return the account that a funding source's awards come from; it runs below zero by what was awarded."""
    return AccountId(f"source:{funding}")


def grant_entry(award: Award, tags: Tags, now: Seconds) -> Entry:
    """Return the entry that makes awarded credits available."""
    return Entry(
        key=EntryKey(f"grant:{award.id}"),
        kind=EntryKind.GRANT,
        source=source_of(award.funding),
        target=available(award.id),
        amount=award.credits,
        at=now,
        tags=tags,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Whose account an entry moves, and what it is tagged with."""

    allocation: AllocationId
    request: RequestId
    tags: Tags


def hold_entry(bearer: Bearer, key: EntryKey, amount: MicroCredits, now: Seconds) -> Entry:
    """Return the entry that sets credit aside for work that is about to run."""
    return Entry(
        key=key,
        kind=EntryKind.HOLD,
        source=available(bearer.allocation),
        target=held(bearer.allocation),
        amount=amount,
        at=now,
        tags=bearer.tags,
        request=bearer.request,
    )


def release_entry(bearer: Bearer, key: EntryKey, amount: MicroCredits, now: Seconds) -> Entry:
    """Return the entry that gives back held credit that was not used."""
    return Entry(
        key=key,
        kind=EntryKind.RELEASE,
        source=held(bearer.allocation),
        target=available(bearer.allocation),
        amount=amount,
        at=now,
        tags=bearer.tags,
        request=bearer.request,
    )


def refund_entry(bearer: Bearer, key: EntryKey, amount: MicroCredits, now: Seconds) -> Entry:
    """Return the entry that makes available again what a run was charged that the center cut short.

    The use stays in the account: the nodes were held.
    """
    return Entry(
        key=key,
        kind=EntryKind.REFUND,
        source=INCOME,
        target=available(bearer.allocation),
        amount=amount,
        at=now,
        tags=bearer.tags,
        request=bearer.request,
    )


def charge_entries(bearer: Bearer, window: Window, due: MicroCredits, hold: MicroCredits) -> tuple[Entry, ...]:
    """Return the entries that charge one window of use: from the hold, and what exceeds it to the center.

    The first entry carries the use even where its price is nothing, so that use and entries always agree.
    """
    covered = MicroCredits(min(due, hold))
    charge = Entry(
        key=EntryKey(f"charge:{window.uid}:{window.hour}"),
        kind=EntryKind.CHARGE,
        source=held(bearer.allocation),
        target=INCOME,
        amount=covered,
        at=window.last_second,
        tags=bearer.tags,
        usage=window.usage,
        request=bearer.request,
    )
    if covered == due:
        return (charge,)
    excess = replace(
        charge,
        key=EntryKey(f"absorb:{window.uid}:{window.hour}"),
        source=ABSORBED,
        amount=MicroCredits(due - covered),
        usage=NO_USAGE,
    )
    return charge, excess


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of one process's life that falls in one hour of the clock: what one charge is for."""

    uid: ProcessUid
    begins: Seconds
    ends: Seconds
    usage: Usage

    @property
    def hour(self) -> int:
        """Return the hour since 1970 that the window lies in."""
        return self.begins // HOUR_SECONDS

    @property
    def last_second(self) -> Seconds:
        """Return the second that is used last: the end itself may be the first moment of the next hour and period."""
        return Seconds(max(self.begins, self.ends - 1))


def windows(uid: ProcessUid, shape: Resources, begins: Seconds, ends: Seconds) -> tuple[Window, ...]:
    """Cut the use from `begins` to `ends` at the full hours; nothing if it never began or ended at once."""
    cuts = [
        begins,
        *range((begins // HOUR_SECONDS + 1) * HOUR_SECONDS, ends, HOUR_SECONDS),
        ends,
    ]
    return tuple(
        Window(uid=uid, begins=Seconds(a), ends=Seconds(b), usage=Usage.of(shape, b - a))
        for a, b in pairwise(cuts)
        if a < b
    )


def days(begins: Seconds, ends: Seconds) -> Iterator[tuple[int, int]]:
    """Cut a time at midnight, in UTC: yield each day since 1970 with its seconds; nothing if it ended at once."""
    if begins < ends:
        for day in range(begins // DAY_SECONDS, -(-ends // DAY_SECONDS)):
            yield day, min(ends, (day + 1) * DAY_SECONDS) - max(begins, day * DAY_SECONDS)
