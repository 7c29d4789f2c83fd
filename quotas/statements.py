"""The bill of a project: what the entries of a period moved and what they paid for, summed."""

from collections.abc import Iterable
from dataclasses import dataclass

from quotas.ledger import NO_USAGE, EntryKind, Usage
from registry.ids import MicroCredits, PoolId, ProjectId, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The entries of one kind in one pool, summed; `absorbed` is the part of the amount that the center paid itself."""

    kind: EntryKind
    pool: PoolId | None
    entries: int
    amount: MicroCredits
    absorbed: MicroCredits
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """What a project paid, and used for it, in one pool."""

    pool: PoolId
    charged: MicroCredits
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """From `since` up to but without `until`; None is for ever.

    Entries are in it by their `at`. Use is charged by the hours of the clock and dated by its last second, so a period
    of whole hours contains exactly the use inside it; a charge that a period cuts is in the one with its last second.
    """

    since: Seconds | None = None
    until: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a project was granted, what was set aside of it, given back and paid, and what it used.

    `refunded` is what it was given back of what it had paid; what pools charged is before that. `absorbed` is the price
    of use beyond what was held, which the center paid; `usage` contains that use.
    """

    project: ProjectId
    period: Period
    lines: tuple[Line, ...]
    granted: MicroCredits
    held: MicroCredits
    released: MicroCredits
    charged: MicroCredits
    refunded: MicroCredits
    absorbed: MicroCredits
    usage: Usage
    pools: tuple[PoolUse, ...]

    @property
    def available(self) -> MicroCredits:
        """Return by how much the period changed what may still be held: over all time, what is available now."""
        return MicroCredits(self.granted - self.held + self.released + self.refunded)

    @property
    def outstanding(self) -> MicroCredits:
        """Return by how much it changed what running work holds: over all time, what is held now."""
        return MicroCredits(self.held - self.released - self.charged)


def statement(project: ProjectId, period: Period, lines: Iterable[Line]) -> Statement:
    """Fold the lines of a project's period, in any order and cut in any way, into its statement."""
    merged: dict[tuple[EntryKind, PoolId | None], Line] = {}
    for line in lines:
        before = merged.get((line.kind, line.pool))
        merged[line.kind, line.pool] = _merged(before, line) if before else line
    sums = tuple(merged[key] for key in sorted(merged, key=lambda key: (key[1] or "", key[0])))
    return Statement(
        project=project,
        period=period,
        lines=sums,
        granted=_sum(sums, EntryKind.GRANT),
        held=_sum(sums, EntryKind.HOLD),
        released=_sum(sums, EntryKind.RELEASE),
        charged=_sum(sums, EntryKind.CHARGE),
        refunded=_sum(sums, EntryKind.REFUND),
        absorbed=MicroCredits(sum(line.absorbed for line in sums)),
        usage=sum((line.usage for line in sums), NO_USAGE),
        pools=tuple(
            PoolUse(pool=line.pool, charged=MicroCredits(line.amount - line.absorbed), usage=line.usage)
            for line in sums
            if line.kind is EntryKind.CHARGE and line.pool is not None
        ),
    )


def _sum(lines: Iterable[Line], kind: EntryKind) -> MicroCredits:
    """Return what entries of a kind moved on the project's own accounts."""
    return MicroCredits(sum(line.amount - line.absorbed for line in lines if line.kind is kind))


def _merged(one: Line, other: Line) -> Line:
    return Line(
        kind=one.kind,
        pool=one.pool,
        entries=one.entries + other.entries,
        amount=MicroCredits(one.amount + other.amount),
        absorbed=MicroCredits(one.absorbed + other.absorbed),
        usage=one.usage + other.usage,
    )
