"""What a share may still take: its own limit, every ancestor's, and what siblings keep for themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from quotas.reasons import BeyondLimit, LendingBeyondNominal, NominalsExceedParent, ShareFull
from quotas.tree import Promises, Quota, Share
from registry.ids import PoolId, ProjectId, ShareId
from registry.resources import NOTHING, ResourceName, Resources, names, total


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One share on the way from the center to a project, and what its siblings keep unused for themselves."""

    share: Share
    kept_by_siblings: Resources = NOTHING


def claimable(path: Sequence[Level]) -> Resources:
    """Return what new work at the end of the path may take of each resource, never negative.

    `path` runs from the center to the share. Each level allows `limit - granted`. What a parent has left is
    lessened by what its other children keep for themselves and do not use: that is promised to them even while
    it is idle.
    """
    result = _left(path[0].share)
    for parent, child in pairwise(path):
        result = result.least(_left(parent.share) - child.kept_by_siblings).least(_left(child.share))
    return result.most(NOTHING)


class Tree:
    """The shares of all pools while a plan is made: grants are added as they are decided.

    What the children of a share keep unused is summed once and then moved along, so that a path costs its depth.
    """

    def __init__(self, shares: Iterable[Share]) -> None:
        self._shares = {(share.id, share.pool): share for share in shares}
        self._promises = _promises(self._shares)
        self._kept: dict[tuple[ShareId | None, PoolId], Resources] = {}
        self._paths: dict[tuple[ProjectId, PoolId], tuple[Level, ...]] = {}
        for share in self._shares.values():
            self._add_kept(share, self._unused_kept(share))

    def path(self, project: ProjectId, pool: PoolId) -> tuple[Level, ...]:
        """Return the levels from the center down to a project; empty if the project has no share in the pool."""
        known = self._paths.get((project, pool))
        if known is None:
            known = self._paths[project, pool] = self._path(project, pool)
        return known

    def copy(self) -> Tree:
        """Return a tree of its own with the same grants."""
        return Tree(self._shares.values())

    def grant(self, project: ProjectId, pool: PoolId, amount: Resources) -> None:
        """Grant an amount to a project and to every share above it; a negative one gives back."""
        for level in self.path(project, pool):
            before = level.share
            after = replace(before, granted=before.granted + amount)
            self._shares[before.id, pool] = after
            self._add_kept(before, self._unused_kept(after) - self._unused_kept(before))
        self._paths.clear()

    def _path(self, project: ProjectId, pool: PoolId) -> tuple[Level, ...]:
        levels: list[Level] = []
        share = self._shares.get((ShareId(project), pool))
        while share is not None:
            kept = self._kept[share.parent, pool] - self._unused_kept(share)
            levels.append(Level(share=share, kept_by_siblings=kept))
            share = self._shares.get((share.parent, pool)) if share.parent else None
        return tuple(reversed(levels))

    def _unused_kept(self, share: Share) -> Resources:
        return self._promises[share.parent, share.pool].unused_kept(share)

    def _add_kept(self, share: Share, amount: Resources) -> None:
        key = (share.parent, share.pool)
        self._kept[key] = self._kept.get(key, NOTHING) + amount


def kept_by_siblings(share: Share, parent: Share, children: Sequence[Share]) -> Resources:
    """Return what the other children of the share's parent keep for themselves and do not use."""
    promises = Promises.of(parent, children)
    return total(promises.unused_kept(child) for child in children if child.id != share.id)


def shortages(path: Sequence[Level], needed: Resources) -> tuple[ShareFull, ...]:
    """Return each resource of which the path cannot grant `needed` now, at the share that stands in the way."""
    return tuple(
        _shortage(path, name, needed) for name in names(needed) if needed.amount(name) > claimable(path).amount(name)
    )


def beyond_limits(path: Sequence[Level], needed: Resources) -> tuple[BeyondLimit, ...]:
    """Return each limit on the path that `needed` exceeds even when nothing else is granted."""
    return tuple(
        BeyondLimit(
            share=level.share.id,
            pool=level.share.pool,
            resource=name,
            needed=needed.amount(name),
            limit=level.share.limit.amount(name),
        )
        for level in path
        for name in names(needed)
        if needed.amount(name) > level.share.limit.amount(name)
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


def _promises(shares: Mapping[tuple[ShareId, PoolId], Share]) -> dict[tuple[ShareId | None, PoolId], Promises]:
    """Return what each share has and has promised to its children; the root is promised its own by nobody."""
    promised: dict[tuple[ShareId, PoolId], Resources] = {}
    for share in shares.values():
        if share.parent is not None:
            key = (share.parent, share.pool)
            promised[key] = promised.get(key, NOTHING) + share.quota.nominal
    result: dict[tuple[ShareId | None, PoolId], Promises] = {
        (None, share.pool): Promises() for share in shares.values()
    }
    for key, amount in promised.items():
        parent = shares.get(key)
        result[key] = Promises(nominal=parent.quota.nominal, promised=amount) if parent else Promises()
    return result


def _left(share: Share) -> Resources:
    return share.limit - share.granted


def _withholding(path: Sequence[Level], name: ResourceName, needed: Resources) -> list[Share]:
    """Return the shares below the root that are short of a resource, by their own limit or for their siblings' sake.

    A share that may hold as much as the whole pool is full only while the pool is, so its limit withholds nothing.
    """
    whole, amount = path[0].share.limit.amount(name), needed.amount(name)
    found: list[Share] = []
    for parent, child in pairwise(path):
        room = _left(parent.share).amount(name)
        limited = child.share.limit.amount(name) < whole and amount > _left(child.share).amount(name)
        if limited or room - child.kept_by_siblings.amount(name) < amount <= room:
            found.append(child.share)
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
