"""Entries of the ledger, the bill of a project, and what accounts stand at."""

from typing import Annotated

from pydantic import ConfigDict, Field

from api.paging import PLACE_PATTERN, PageQuery, place_of
from api.schemas.shape import Closed, Moment, Open, ProjectName
from operations.ports.office import Place, Posted
from quotas.ledger import AccountId, EntryKind, Usage
from quotas.statements import Line, Period, PoolUse, Statement
from registry.centers import Tier
from registry.ids import MicroCredits, Seconds


class EntriesQuery(PageQuery):
    """Which entries are listed."""

    project: Annotated[ProjectName | None, Field(default=None)]

    def place(self) -> Place:
        """Return the place in the ledger that the cursor stands for."""
        return place_of(self.after(PLACE_PATTERN))


class StatementQuery(Closed):
    """Whose bill is asked for, and for when: from `since` up to but without `until`, for ever if left out.

    Use is charged by the hours of the clock, so periods of whole hours contain exactly the use inside them.
    """

    model_config = ConfigDict(strict=False)  # in an address all values are text

    project: ProjectName = Field(examples=["vmu.vision"])
    since: Annotated[Moment | None, Field(default=None)]
    until: Annotated[Moment | None, Field(default=None)]

    def to_period(self) -> Period:
        """Return the period."""
        since = None if self.since is None else Seconds(self.since)
        return Period(since=since, until=None if self.until is None else Seconds(self.until))


class UsageOut(Open):
    """Use over time: a core for a second is 1000 core-milliseconds."""

    core_milliseconds: int
    mib_seconds: int
    gpu_milliseconds: int

    @classmethod
    def from_usage(cls, usage: Usage) -> "UsageOut":
        """Return use as it goes out."""
        return cls(
            core_milliseconds=usage.core_milliseconds,
            mib_seconds=usage.mib_seconds,
            gpu_milliseconds=usage.gpu_milliseconds,
        )


class EntryOut(Open):
    """An amount that left `source` and reached `target`, with the use it paid for and what reports ask.

    `at` says which period it is billed in: of a charge the last second of the use that it paid for, of everything else
    the moment it was posted. Use is charged by the hours of the clock, so bills of whole hours contain exactly the use
    inside them. Entries are listed in an order in which none is overtaken later, which need not be that of `number` or
    `at`; what was just posted may be billed a moment before it is listed.
    """

    number: int
    key: str
    kind: EntryKind
    source: str
    target: str
    micro_credits: int
    at: int
    request: str | None
    institution: str
    project: str
    center: str
    pool: str | None
    tier: Tier | None
    funding: str
    sector: str
    topic: str
    usage: UsageOut

    @classmethod
    def from_posted(cls, posted: Posted) -> "EntryOut":
        """Return an entry as it goes out."""
        entry, tags = posted.entry, posted.entry.tags
        return cls(
            number=posted.number,
            key=entry.key,
            kind=entry.kind,
            source=entry.source,
            target=entry.target,
            micro_credits=entry.amount,
            at=entry.at,
            request=entry.request,
            institution=tags.institution,
            project=tags.project,
            center=tags.center,
            pool=tags.pool,
            tier=tags.tier,
            funding=tags.funding,
            sector=tags.sector,
            topic=tags.topic,
            usage=UsageOut.from_usage(entry.usage),
        )


class LineOut(Open):
    """Entries of one kind in one pool, summed; `absorbed` is the part that the center paid itself."""

    kind: EntryKind
    pool: str | None
    entries: int
    micro_credits: int
    absorbed_micro_credits: int
    usage: UsageOut

    @classmethod
    def from_line(cls, line: Line) -> "LineOut":
        """Return a line as it goes out."""
        return cls(
            kind=line.kind,
            pool=line.pool,
            entries=line.entries,
            micro_credits=line.amount,
            absorbed_micro_credits=line.absorbed,
            usage=UsageOut.from_usage(line.usage),
        )


class PoolUseOut(Open):
    """What a project paid and used in one pool."""

    pool: str
    charged_micro_credits: int
    usage: UsageOut

    @classmethod
    def from_use(cls, use: PoolUse) -> "PoolUseOut":
        """Return use of a pool as it goes out."""
        return cls(pool=use.pool, charged_micro_credits=use.charged, usage=UsageOut.from_usage(use.usage))


class StatementOut(Open):
    """The bill of a project for a period: entries whose `at` is `since` or later, and before `until`.

    Over all time `outstanding` is what running work holds now, and `available` what else may still be held.
    `refunded` is what it was given back of what it was charged. `absorbed` is the price of use beyond what was held,
    which the center paid.
    """

    project: str
    since: int | None
    until: int | None
    granted_micro_credits: int
    held_micro_credits: int
    released_micro_credits: int
    charged_micro_credits: int
    refunded_micro_credits: int
    absorbed_micro_credits: int
    outstanding_micro_credits: int
    available_micro_credits: int
    usage: UsageOut
    pools: list[PoolUseOut]
    lines: list[LineOut]

    @classmethod
    def from_statement(cls, bill: Statement) -> "StatementOut":
        """Return a bill as it goes out."""
        return cls(
            project=bill.project,
            since=bill.period.since,
            until=bill.period.until,
            granted_micro_credits=bill.granted,
            held_micro_credits=bill.held,
            released_micro_credits=bill.released,
            charged_micro_credits=bill.charged,
            refunded_micro_credits=bill.refunded,
            absorbed_micro_credits=bill.absorbed,
            outstanding_micro_credits=bill.outstanding,
            available_micro_credits=bill.available,
            usage=UsageOut.from_usage(bill.usage),
            pools=[PoolUseOut.from_use(use) for use in bill.pools],
            lines=[LineOut.from_line(line) for line in bill.lines],
        )


class BalanceOut(Open):
    """What one account stands at."""

    account: str
    micro_credits: int


class BalancesOut(Open):
    """What every account stands at; the sum is zero."""

    items: list[BalanceOut]

    @classmethod
    def from_balances(cls, balances: tuple[tuple[AccountId, MicroCredits], ...]) -> "BalancesOut":
        """Return balances as they go out."""
        return cls(items=[BalanceOut(account=account, micro_credits=amount) for account, amount in balances])
