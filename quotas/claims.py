"""What a share may still take: its own limit, every ancestor's, and what siblings keep for themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from quotas.reasons import BeyondLimit, LendingBeyondNominal, NominalsExceedParent, ShareFull
from quotas.tree import Promises, Quota, Share
from registry.ids import PoolId, ProjectId, ShareId
from registry.resources import NOTHING, ResourceName, Resources, names, total

NO_QUOTA: Final = Quota(nominal=NOTHING)
Family = tuple[ShareId | None, PoolId]
"""The children of one share in one pool, by their parent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One share on the way from the center to a project, and what its siblings keep unused for themselves.

    `siblings` is the sum of their quotas, whatever they use of them.
    """

    share: Share
    kept_by_siblings: Resources = NOTHING
    siblings: Quota = NO_QUOTA

    def promises(self, has: Resources) -> Promises:
        """Return what the share and its siblings were promised of a parent that effectively has so much."""
        return Promises(nominal=has, promised=self.share.quota.nominal + self.siblings.nominal)


def claimable(path: Sequence[Level]) -> Resources:
    """Return what new work at the end of the path may take of each resource, never negative.

    `path` runs from the center to the share. Each level allows `limit - granted`, and no more than its parent may
    take, lessened by what the parent's other children keep for themselves and do not use: that is promised to them
    even while it is idle.
    """
    result = _left(path[0].share)
    for level in path[1:]:
        result = (result - level.kept_by_siblings).least(_left(level.share))
    return result.most(NOTHING)


class Tree:
    """The shares of all pools while a plan is made: grants are added as they are decided.

    What the children of a share keep unused is summed once and then moved along, so that a path costs its depth.
    """

    def __init__(self, shares: Iterable[Share]) -> None:
        self._shares = {(share.id, share.pool): share for share in shares}
        self._promised: dict[Family, Quota] = {}
        self._kept: dict[Family, Resources] = {}
        self._effective: dict[tuple[ShareId, PoolId], Resources] = {}
        self._paths: dict[tuple[ProjectId, PoolId], tuple[Level, ...]] = {}
        for share in self._shares.values():
            family = share.parent, share.pool
            self._promised[family] = self._promised.get(family, NO_QUOTA) + share.quota
        for share in self._shares.values():
            self._add_kept(share, self._unused_kept(share))

    def path(self, project: ProjectId, pool: PoolId) -> tuple[Level, ...]:
        """Return the levels from the center down to a project; empty if the project has no share in the pool."""
        known = self._paths.get((project, pool))
        if known is None:
            known = self._paths[project, pool] = self._path(project, pool)
        return known

    def grant(self, project: ProjectId, pool: PoolId, amount: Resources) -> None:
        """Grant an amount to a project and to every share above it."""
        self._move(self.path(project, pool), amount)

    def _move(self, path: Iterable[Level], amount: Resources) -> None:
        for level in path:
            before = level.share
            after = replace(before, granted=before.granted + amount)
            self._shares[before.id, before.pool] = after
            self._add_kept(before, self._unused_kept(after) - self._unused_kept(before))
        self._paths.clear()

    def _path(self, project: ProjectId, pool: PoolId) -> tuple[Level, ...]:
        levels: list[Level] = []
        share = self._shares.get((ShareId(project), pool))
        while share is not None:
            kept = self._kept[share.parent, pool] - self._unused_kept(share)
            siblings = self._promised[share.parent, pool] - share.quota
            levels.append(Level(share=share, kept_by_siblings=kept, siblings=siblings))
            share = self._shares.get((share.parent, pool)) if share.parent else None
        return tuple(reversed(levels))

    def _unused_kept(self, share: Share) -> Resources:
        """Return what nobody has taken of the part that only a share itself may use."""
        return (self._promises(share).scaled(share.quota.kept) - share.granted).most(NOTHING)

    def _promises(self, share: Share) -> Promises:
        """Return what a share and its siblings were promised; the root is promised its own by nobody."""
        parent = self._shares.get((share.parent, share.pool)) if share.parent else None
        has = share.quota.nominal if share.parent is None else self._effective_nominal(parent)
        return Promises(nominal=has, promised=self._promised[share.parent, share.pool].nominal)

    def _effective_nominal(self, share: Share | None) -> Resources:
        if share is None:
            return NOTHING
        key = share.id, share.pool
        if key not in self._effective:
            self._effective[key] = self._promises(share).scaled(share.quota.nominal)
        return self._effective[key]

    def _add_kept(self, share: Share, amount: Resources) -> None:
        key = (share.parent, share.pool)
        self._kept[key] = self._kept.get(key, NOTHING) + amount


def shortages(path: Sequence[Level], needed: Resources) -> tuple[ShareFull, ...]:
    """Return each resource of which the path cannot grant `needed` now, at the share that stands in the way."""
    return tuple(
        _shortage(path, name, needed) for name in names(needed) if needed.amount(name) > claimable(path).amount(name)
    )


def beyond_limits(path: Sequence[Level], needed: Resources, whole: Resources) -> tuple[BeyondLimit, ...]:
    """Return by resource the first share below the root that could never hold `needed`, were nothing else granted.

    `whole` is what the pool has when all its nodes are ready. A share is bound by its own limit, and by what its
    siblings keep for themselves even while it is idle.
    """
    has = room = whole
    found: list[BeyondLimit] = []
    for child in path[1:]:
        promises = child.promises(has)
        room = child.share.limit.least(room - promises.scaled(child.siblings.kept)).most(NOTHING)
        named = {one.resource for one in found}
        found += (one for one in _beyond(child.share, room, needed) if one.resource not in named)
        has = promises.scaled(child.share.quota.nominal)
    return tuple(found)


def _beyond(share: Share, most: Resources, needed: Resources) -> Iterator[BeyondLimit]:
    for name in names(needed):
        if needed.amount(name) > most.amount(name):
            yield BeyondLimit(
                share=share.id, pool=share.pool, resource=name, needed=needed.amount(name), limit=most.amount(name)
            )


def withheld(path: Sequence[Level], needed: Resources) -> tuple[ShareFull, ...]:
    """Return each resource that quotas withhold however much room the pool has, at the share whose quota does.

    What the root itself lacks is left out: the root is the pool, and its nodes tell better what is missing. A share
    below it withholds by its own limit, its siblings by what they keep for themselves.
    """
    if needed.within(claimable(path)):
        return ()
    return tuple(
        _full(path, share, name, needed) for name in names(needed) for share in _withholding(path, name, needed)[:1]
    )


def quota_faults(
    quota: Quota, *, parent: Share, siblings: Sequence[Share], share: ShareId, pool: PoolId
) -> tuple[NominalsExceedParent | LendingBeyondNominal, ...]:
    """Return what is wrong with a quota proposed for a share beneath `parent`.

    The nominal quotas of one parent's children never sum to more than the parent's own, so that every promise in
    the tree can be kept at the same time.
    """
    promised = total(sibling.quota.nominal for sibling in siblings if sibling.id != share)
    left = parent.quota.nominal - promised
    exceeding = tuple(
        NominalsExceedParent(
            parent=parent.id, pool=pool, resource=name, asked=quota.nominal.amount(name), left=left.amount(name)
        )
        for name in names(quota.nominal)
        if quota.nominal.amount(name) > max(0, left.amount(name))
    )
    lending = tuple(
        LendingBeyondNominal(resource=name, nominal=quota.nominal.amount(name), lending=quota.lending.amount(name))
        for name in names(quota.lending)
        if quota.lending.amount(name) > quota.nominal.amount(name)
    )
    return exceeding + lending


def _left(share: Share) -> Resources:
    return share.limit - share.granted


def _withholding(path: Sequence[Level], name: ResourceName, needed: Resources) -> list[Share]:
    """Return the shares below the root that are short of a resource, by their own limit or for their siblings' sake.

    A share that may hold as much as the whole pool is full only while the pool is, so its limit withholds nothing.
    Where the pool itself is too full, siblings withhold what they would keep even if it were empty.
    """
    whole, amount = path[0].share.limit.amount(name), needed.amount(name)
    room, idle = _left(path[0].share).amount(name), path[0].share.quota.nominal.amount(name)
    has = path[0].share.quota.nominal
    found: list[Share] = []
    for child in path[1:]:
        promises, limit = child.promises(has), child.share.limit.amount(name)
        to_child = room - child.kept_by_siblings.amount(name)
        at_best = idle - promises.scaled(child.siblings.kept).amount(name)
        limited = limit < whole and amount > _left(child.share).amount(name)
        if limited or to_child < amount <= room or at_best < amount <= idle:
            found.append(child.share)
        room, idle = min(to_child, _left(child.share).amount(name)), min(at_best, limit)
        has = promises.scaled(child.share.quota.nominal)
    return found


def _shortage(path: Sequence[Level], name: ResourceName, needed: Resources) -> ShareFull:
    """Name the level with the least left: the one whose relief would help first."""
    tightest = min(range(len(path)), key=lambda depth: claimable(path[: depth + 1]).amount(name))
    return _full(path, path[tightest].share, name, needed)


def _full(path: Sequence[Level], share: Share, name: ResourceName, needed: Resources) -> ShareFull:
    return ShareFull(
        share=share.id,
        pool=share.pool,
        resource=name,
        needed=needed.amount(name),
        claimable=claimable(path).amount(name),
        granted=share.granted.amount(name),
        limit=share.limit.amount(name),
    )
