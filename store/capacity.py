"""What is granted of shares and nodes: taken and given back by conditional updates alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from sqlalchemy import (
    CTE,
    BigInteger,
    BindParameter,
    ColumnElement,
    ScalarSelect,
    Select,
    Text,
    Update,
    bindparam,
    case,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.sql.dml import ReturningUpdate

from operations.ports.store import Claim, NodeFull
from quotas.claims import NO_QUOTA, Level, shortages
from quotas.reasons import NoShare, ShareFull
from quotas.tree import Quota
from registry.centers import Node, NodeState
from registry.ids import PoolId, ProjectId
from registry.resources import NOTHING, ResourceName, Resources, total
from store.connections import Transaction
from store.nodes import NODE_AMOUNTS, NODES, larger, nodes_of
from store.shares import SHARE_AMOUNTS, SHARES, share_of

_POOL: Final[BindParameter[str]] = bindparam("in_pool", type_=Text)
_PROJECT: Final[BindParameter[str]] = bindparam("of_project", type_=Text)
_NODE: Final[BindParameter[str]] = bindparam("on_node", type_=Text)
_RESOURCE: Final[BindParameter[str]] = bindparam("of_resource", type_=Text)
_AMOUNT: Final[BindParameter[int]] = bindparam("amount", type_=BigInteger)


def _path() -> CTE:
    """The project's share at depth 0 and every ancestor of it, the center's share deepest."""
    own = select(SHARES.c.id, SHARES.c.parent, literal(0).label("depth"))
    path = own.where(SHARES.c.pool == _POOL, SHARES.c.id == _PROJECT).cte("path", recursive=True)
    above = select(SHARES.c.id, SHARES.c.parent, path.c.depth + 1)
    return path.union_all(above.where(SHARES.c.pool == _POOL, SHARES.c.id == path.c.parent))


_PATH: Final = _path()


def _unused_kept() -> ColumnElement[int]:
    """What nobody has taken of the part of its nominal quota that only a share itself may use."""
    unused = SHARE_AMOUNTS.c.kept - SHARE_AMOUNTS.c.granted
    return case((unused > 0, unused), else_=0)


def _kept_off_the_path() -> ScalarSelect[int]:
    """What is kept and not used by who is not on the path, but is a child of this share or of one below it there."""
    members, parents = _PATH.alias("members"), _PATH.alias("parents")
    above = select(parents.c.id).where(parents.c.depth > 0, parents.c.depth <= _PATH.c.depth).correlate(_PATH)
    return (
        select(func.coalesce(func.sum(_unused_kept()), 0))
        .join(SHARES, (SHARES.c.pool == SHARE_AMOUNTS.c.pool) & (SHARES.c.id == SHARE_AMOUNTS.c.share))
        .where(SHARES.c.pool == _POOL, SHARES.c.parent.in_(above), SHARE_AMOUNTS.c.resource == _RESOURCE)
        .where(SHARES.c.id.not_in(select(members.c.id)))
        .correlate(_PATH)
        .scalar_subquery()
    )


def _take_of_shares() -> ReturningUpdate[tuple[str]]:
    """Grant an amount on every share of the path if each of them, and what siblings keep, leaves room for it."""
    amounts = SHARE_AMOUNTS.alias("amounts")
    own = (amounts.c.pool == _POOL) & (amounts.c.share == _PATH.c.id) & (amounts.c.resource == _RESOURCE)
    too_much = amounts.c.granted + _AMOUNT + _kept_off_the_path() > amounts.c["limit"]
    short = select(_PATH.c.id).outerjoin(amounts, own).where(or_(amounts.c.granted.is_(None), too_much))
    granted = SHARE_AMOUNTS.c.granted
    room = granted + _AMOUNT <= SHARE_AMOUNTS.c["limit"]
    taken = update(SHARE_AMOUNTS).where(*_on_the_path(), room, ~short.exists()).values(granted=granted + _AMOUNT)
    return taken.returning(SHARE_AMOUNTS.c.share)


def _on_the_path() -> tuple[ColumnElement[bool], ...]:
    members = _PATH.alias("on_path")
    return (
        SHARE_AMOUNTS.c.pool == _POOL,
        SHARE_AMOUNTS.c.resource == _RESOURCE,
        SHARE_AMOUNTS.c.share.in_(select(members.c.id)),
    )


def _give_back_to_shares() -> ReturningUpdate[tuple[str]]:
    left = SHARE_AMOUNTS.c.granted - _AMOUNT
    lowered = {"granted": left, "ceiling": larger(SHARE_AMOUNTS.c["limit"], left)}
    return update(SHARE_AMOUNTS).where(*_on_the_path()).values(lowered).returning(SHARE_AMOUNTS.c.share)


def _take_of_node() -> Update:
    amounts = NODE_AMOUNTS.c
    ready = exists().where(NODES.c.id == _NODE, NODES.c.pool == _POOL, NODES.c.state == NodeState.READY)
    own = (amounts.node == _NODE, amounts.resource == _RESOURCE)
    room = amounts.granted + _AMOUNT <= amounts.capacity
    return update(NODE_AMOUNTS).where(*own, room, ready).values(granted=amounts.granted + _AMOUNT)


def _give_back_to_node() -> Update:
    amounts = NODE_AMOUNTS.c
    left = amounts.granted - _AMOUNT
    lowered = {"granted": left, "ceiling": larger(amounts.capacity, left)}
    return update(NODE_AMOUNTS).where(amounts.node == _NODE, amounts.resource == _RESOURCE).values(lowered)


def _lower_center() -> Update:
    """Take back the room that the center's share had for what ran on a node that is not ready."""
    amounts = SHARE_AMOUNTS.c
    center = select(SHARES.c.id).where(SHARES.c.pool == _POOL, SHARES.c.parent.is_(None)).scalar_subquery()
    gone = exists().where(NODES.c.id == _NODE, NODES.c.state != NodeState.READY)
    own = (amounts.pool == _POOL, amounts.share == center, amounts.resource == _RESOURCE, amounts.borrowing >= _AMOUNT)
    left = amounts["limit"] - _AMOUNT
    lowered = {"borrowing": amounts.borrowing - _AMOUNT, "limit": left, "ceiling": larger(left, amounts.granted)}
    return update(SHARE_AMOUNTS).where(*own, gone).values(lowered)


def _levels() -> Select[tuple[object, ...]]:
    """Each share on the path with its amounts, from the center down."""
    own = (SHARE_AMOUNTS.c.pool == SHARES.c.pool) & (SHARE_AMOUNTS.c.share == SHARES.c.id)
    return (
        select(SHARES.c.id, SHARES.c.parent, SHARES.c.version, SHARE_AMOUNTS)
        .join(_PATH, SHARES.c.id == _PATH.c.id)
        .join(SHARE_AMOUNTS, own)
        .where(SHARES.c.pool == _POOL)
        .order_by(_PATH.c.depth.desc(), SHARE_AMOUNTS.c.resource)
    )


def _kept_by_siblings() -> Select[tuple[object, ...]]:
    """For each share on the path and each resource, what its siblings keep and do not use, and were promised."""
    own = (SHARE_AMOUNTS.c.pool == SHARES.c.pool) & (SHARE_AMOUNTS.c.share == SHARES.c.id)
    return (
        select(_PATH.c.id, SHARE_AMOUNTS.c.resource, func.sum(_unused_kept()).label("kept"))
        .add_columns(*(func.sum(SHARE_AMOUNTS.c[name]).label(name) for name in ("nominal", "borrowing", "lending")))
        .join(SHARES, (SHARES.c.parent == _PATH.c.parent) & (SHARES.c.id != _PATH.c.id))
        .join(SHARE_AMOUNTS, own)
        .where(SHARES.c.pool == _POOL)
        .group_by(_PATH.c.id, SHARE_AMOUNTS.c.resource)
        .order_by(_PATH.c.id, SHARE_AMOUNTS.c.resource)
    )


_TAKE_OF_SHARES: Final = _take_of_shares()
_GIVE_BACK_TO_SHARES: Final = _give_back_to_shares()
_TAKE_OF_NODE: Final = _take_of_node()
_GIVE_BACK_TO_NODE: Final = _give_back_to_node()
_LOWER_CENTER: Final = _lower_center()
_LEVELS: Final = _levels()
_KEPT_BY_SIBLINGS: Final = _kept_by_siblings()


@dataclass(frozen=True, slots=True)
class SqlCapacity:
    """`Capacity` in SQL.

    Whoever changes what is granted, or may be, in a pool has locked the center's share of it. So the sums over
    siblings that a statement computes are still true when it writes; that no single amount is exceeded needs no lock.
    """

    transaction: Transaction

    def nodes(self, pool: PoolId) -> tuple[Node, ...]:
        return nodes_of(self.transaction, pool)

    def path(self, project: ProjectId, pool: PoolId) -> tuple[Level, ...]:
        place = {_POOL.key: pool, _PROJECT.key: project}
        siblings = {
            share: _siblings(list(rows))
            for share, rows in groupby(self.transaction.rows(_KEPT_BY_SIBLINGS, place), lambda row: row["id"])
        }
        shares = groupby(self.transaction.rows(_LEVELS, place), lambda row: row["id"])
        return tuple(
            Level(share=share_of(list(rows)).share, kept_by_siblings=kept, siblings=quota)
            for share, rows in shares
            for kept, quota in [siblings.get(share, (NOTHING, NO_QUOTA))]
        )

    def lock(self, pools: Iterable[PoolId]) -> None:
        if not self.transaction.on_sqlite:
            centers = select(SHARES.c.id).where(SHARES.c.pool.in_(sorted(pools)), SHARES.c.parent.is_(None))
            self.transaction.rows(self.transaction.locked(centers.order_by(SHARES.c.pool)))

    def take(self, claim: Claim) -> ShareFull | NoShare | NodeFull | None:
        self.lock((claim.pool,))
        for name, amount in _amounts(total(needed for _, needed in claim.nodes)):
            place = {_POOL.key: claim.pool, _PROJECT.key: claim.project, _RESOURCE.key: name, _AMOUNT.key: amount}
            if not self.transaction.rows(_TAKE_OF_SHARES, place):
                return self._refusal(claim, Resources.of([(name, amount)]))
        for node, needed in sorted(claim.nodes, key=lambda one: one[0]):
            for name, amount in _amounts(needed):
                place = {_POOL.key: claim.pool, _NODE.key: node, _RESOURCE.key: name, _AMOUNT.key: amount}
                if not self.transaction.run(_TAKE_OF_NODE, place):
                    return NodeFull(node=node)
        return None

    def give_back(self, claim: Claim) -> None:
        self.lock((claim.pool,))
        for name, amount in _amounts(total(granted for _, granted in claim.nodes)):
            place = {_POOL.key: claim.pool, _PROJECT.key: claim.project, _RESOURCE.key: name, _AMOUNT.key: amount}
            lowered = self.transaction.rows(_GIVE_BACK_TO_SHARES, place)
            assert lowered, place
        for node, granted in sorted(claim.nodes, key=lambda one: one[0]):
            for name, amount in _amounts(granted):
                place = {_NODE.key: node, _RESOURCE.key: name, _AMOUNT.key: amount}
                changed = self.transaction.run(_GIVE_BACK_TO_NODE, place)
                assert changed, place
                self.transaction.run(_LOWER_CENTER, {**place, _POOL.key: claim.pool})

    def _refusal(self, claim: Claim, needed: Resources) -> ShareFull | NoShare:
        """Say why one resource was refused: nothing of it has been taken, so the numbers are those that were found."""
        path = self.path(claim.project, claim.pool)
        return shortages(path, needed)[0] if path else NoShare(project=claim.project, pool=claim.pool)


def _siblings(rows: Sequence[RowMapping]) -> tuple[Resources, Quota]:
    """Return what the siblings of a share keep unused, and the sum of their quotas."""

    def summed(name: str) -> Resources:
        return Resources.of((row["resource"], int(row[name])) for row in rows)

    quota = Quota(nominal=summed("nominal"), borrowing=summed("borrowing"), lending=summed("lending"))
    return summed("kept"), quota


def _amounts(vector: Resources) -> list[tuple[ResourceName, int]]:
    """The numbers of a vector that take anything, by name: refusals come in the order of `shortages`."""
    return sorted((name, amount) for name, amount in vector.items() if amount)
