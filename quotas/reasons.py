"""Why the quota tree or the account says no: one type per reason, its numbers as fields."""

from dataclasses import dataclass
from typing import ClassVar

from registry.ids import MicroCredits, PoolId, ProjectId, ShareId
from registry.resources import ResourceName


@dataclass(frozen=True, slots=True, kw_only=True)
class NoShare:
    """The project has no quota in the pool."""

    code: ClassVar[str] = "no-share"
    field: ClassVar[str] = "pool"
    project: ProjectId
    pool: PoolId


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareFull:
    """What the share may still take right now is less than what is needed."""

    code: ClassVar[str] = "share-full"
    share: ShareId
    pool: PoolId
    resource: ResourceName
    needed: int
    claimable: int
    granted: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BeyondLimit:
    """More is needed at once than the share may ever hold."""

    code: ClassVar[str] = "beyond-limit"
    field: ClassVar[str] = "workers"
    share: ShareId
    pool: PoolId
    resource: ResourceName
    needed: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCredit:
    """No open allocation of the project covers the hold."""

    code: ClassVar[str] = "no-credit"
    project: ProjectId
    needed: MicroCredits
    available: MicroCredits


@dataclass(frozen=True, slots=True, kw_only=True)
class NominalsExceedParent:
    """The children's nominal quotas would sum to more than their parent's."""

    code: ClassVar[str] = "nominals-exceed-parent"
    field: ClassVar[str] = "nominal"
    parent: ShareId
    pool: PoolId
    resource: ResourceName
    asked: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LendingBeyondNominal:
    """A share would lend more than it has."""

    code: ClassVar[str] = "lending-beyond-nominal"
    field: ClassVar[str] = "lending"
    resource: ResourceName
    nominal: int
    lending: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentWithoutShare:
    """The share above has no quota in the pool yet."""

    code: ClassVar[str] = "parent-without-share"
    field: ClassVar[str] = "share"
    parent: ShareId
    pool: PoolId


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildrenPromisedMore:
    """The shares beneath were promised more than this one would have."""

    code: ClassVar[str] = "children-promised-more"
    field: ClassVar[str] = "nominal"
    share: ShareId
    pool: PoolId
    resource: ResourceName
    asked: int
    promised: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowsNodes:
    """The center's own share is the sum of its ready nodes: it changes with them and is not set."""

    code: ClassVar[str] = "follows-nodes"
    field: ClassVar[str] = "share"
    pool: PoolId


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTooDear:
    """An hour of the largest machine would cost more than the ledger is made for: a mistake in a step or a price."""

    code: ClassVar[str] = "rule-too-dear"
    field: ClassVar[str] = "rules"
    pool: PoolId
    most: MicroCredits


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolWithoutRule:
    """A new rate card leaves a pool out, where nothing could start any more."""

    code: ClassVar[str] = "pool-without-rule"
    field: ClassVar[str] = "rules"
    pool: PoolId
