"""Shares of the quota tree: one row each, and one for each of its resources, like those of nodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Select,
    Table,
    Update,
    bindparam,
    func,
    or_,
    select,
    tuple_,
    update,
)

from operations.ports.office import ShareVersion
from quotas.tree import Quota, Share, effective
from registry.ids import Mark, PoolId, ShareId
from registry.people import Scope
from registry.resources import Resources, names
from store.connections import Transaction
from store.marks import current_mark, mark_column
from store.nodes import larger
from store.schema import METADATA, TEXT, Row
from store.scopes import within

SHARES: Final = Table(
    "shares",
    METADATA,
    Column("pool", ForeignKey("pools.id"), primary_key=True),
    Column("id", TEXT, primary_key=True),
    Column("parent", TEXT),
    Column("institution", TEXT),
    Column("version", BigInteger, nullable=False),
    mark_column(),
    ForeignKeyConstraint(["pool", "parent"], ["shares.pool", "shares.id"]),
    Index("ix_shares_pool_parent", "pool", "parent"),
)
# Locking the center's share of a pool must exclude everybody who changes anything beneath it.
Index(
    "uq_shares_root", SHARES.c.pool, unique=True, sqlite_where=SHARES.c.parent.is_(None),
    postgresql_where=SHARES.c.parent.is_(None),
)  # fmt: skip

SHARE_AMOUNTS: Final = Table(
    "share_amounts",
    METADATA,
    Column("pool", TEXT, primary_key=True),
    Column("share", TEXT, primary_key=True),
    Column("resource", TEXT, primary_key=True),
    Column("nominal", BigInteger, nullable=False),
    Column("borrowing", BigInteger, nullable=False),
    Column("lending", BigInteger, nullable=False),
    Column("effective", BigInteger, nullable=False),
    Column("kept", BigInteger, nullable=False),
    Column("limit", BigInteger, nullable=False),
    Column("granted", BigInteger, nullable=False),
    Column("ceiling", BigInteger, nullable=False),
    mark_column(),
    ForeignKeyConstraint(["pool", "share"], ["shares.pool", "shares.id"]),
    CheckConstraint("nominal >= 0 AND borrowing >= 0 AND lending >= 0", "quota"),
    CheckConstraint("0 <= granted AND granted <= ceiling", "granted"),
)


def _promises() -> Select[tuple[object, ...]]:
    """Each child of a share by resource: what it and all were promised, and what it and the parent effectively have."""
    above = SHARE_AMOUNTS.alias("above")
    own = SHARE_AMOUNTS.c
    place = (above.c.pool == own.pool) & (above.c.resource == own.resource)
    promised = func.sum(own.nominal).over(partition_by=own.resource).label("promised")
    return (
        select(own.share, own.resource, own.nominal, own.lending, own.effective, own.kept, promised)
        .add_columns(above.c.effective.label("has"))
        .join(SHARES, (SHARES.c.pool == own.pool) & (SHARES.c.id == own.share))
        .outerjoin(above, place & (above.c.share == SHARES.c.parent))
        .where(SHARES.c.pool == bindparam("in_pool", type_=TEXT), SHARES.c.parent == bindparam("of_parent", type_=TEXT))
        .order_by(own.share, own.resource)
    )


def _put_effective() -> Update:
    place = {"pool": "in_pool", "share": "of_share", "resource": "of_resource"}
    where = (SHARE_AMOUNTS.c[column] == bindparam(name, type_=TEXT) for column, name in place.items())
    now = {name: bindparam(f"now_{name}", type_=BigInteger) for name in ("effective", "kept")}
    # They are read by claims alone: a snapshot computes its own, so the share is no news and keeps its mark.
    return update(SHARE_AMOUNTS).where(*where).values(**now, mark=SHARE_AMOUNTS.c.mark)


_PROMISES: Final = _promises()
_PUT_EFFECTIVE: Final = _put_effective()


def read_shares(transaction: Transaction, *conditions: ColumnElement[bool]) -> tuple[ShareVersion, ...]:
    """Return the shares that meet conditions on their own row, by pool and id."""
    query = (
        select(SHARES.c.id, SHARES.c.parent, SHARES.c.version, SHARE_AMOUNTS)
        .join(SHARE_AMOUNTS, (SHARE_AMOUNTS.c.pool == SHARES.c.pool) & (SHARE_AMOUNTS.c.share == SHARES.c.id))
        .where(*conditions)
        .order_by(SHARES.c.pool, SHARES.c.id, SHARE_AMOUNTS.c.resource)
    )
    shares = groupby(transaction.rows(query), lambda row: (row["pool"], row["id"]))
    return tuple(share_of(list(rows)) for _, rows in shares)


def changed_shares(transaction: Transaction, since: Mark) -> tuple[Share, ...]:
    """Return every share of which anything changed since a mark."""
    changed = (
        select(SHARES.c.pool, SHARES.c.id)
        .where(SHARES.c.mark >= since)
        .union(select(SHARE_AMOUNTS.c.pool, SHARE_AMOUNTS.c.share).where(SHARE_AMOUNTS.c.mark >= since))
    )
    return tuple(one.share for one in read_shares(transaction, tuple_(SHARES.c.pool, SHARES.c.id).in_(changed)))


def share_of(rows: Sequence[Row]) -> ShareVersion:
    """Return the share that its rows, one for each resource, stand for."""

    def vector(column: str) -> Resources:
        return Resources.of((row["resource"], row[column]) for row in rows)

    quota = Quota(nominal=vector("nominal"), borrowing=vector("borrowing"), lending=vector("lending"))
    first = rows[0]
    share = Share(
        id=first["id"], pool=first["pool"], parent=first["parent"], quota=quota, granted=vector("granted")
    )  # fmt: skip
    return ShareVersion(share=share, version=first["version"])


@dataclass(frozen=True, slots=True)
class SqlShares:
    """`Shares` in SQL."""

    transaction: Transaction

    def get(self, scope: Scope, share: ShareId, pool: PoolId) -> ShareVersion | None:
        found = read_shares(self.transaction, SHARES.c.pool == pool, SHARES.c.id == share, _seen(scope))
        return next(iter(found), None)

    def put(self, share: Share) -> None:
        own: dict[str, Any] = {"parent": share.parent, "institution": _institution(share)}
        before = self._parent_of(share)
        new = self.transaction.insert(SHARES).values(pool=share.pool, id=share.id, version=1, **own)
        more = {**own, "version": SHARES.c.version + 1, "mark": current_mark()}
        self.transaction.run(new.on_conflict_do_update(index_elements=SHARES.primary_key, set_=more))
        self._put_amounts(share)
        for parent in {before, share.parent, share.id}:
            self._put_effective(parent, share.pool)

    def children(self, parent: ShareId, pool: PoolId) -> tuple[Share, ...]:
        found = read_shares(self.transaction, SHARES.c.pool == pool, SHARES.c.parent == parent)
        return tuple(one.share for one in found)

    def page(self, scope: Scope, *, pool: PoolId | None, after: str, limit: int) -> tuple[ShareVersion, ...]:
        after_pool, _, after_share = after.partition("/")
        place = tuple_(SHARES.c.pool, SHARES.c.id)
        wanted = (
            select(SHARES.c.pool, SHARES.c.id)
            .where(place > tuple_(after_pool, after_share), _seen(scope))
            .order_by(SHARES.c.pool, SHARES.c.id)
            .limit(limit)
        )
        if pool is not None:
            wanted = wanted.where(SHARES.c.pool == pool)
        return read_shares(self.transaction, place.in_(wanted))

    def _parent_of(self, share: Share) -> str | None:
        """Return a share's parent until now, and hold our own code to moving it only while nothing is granted on it."""
        old = read_shares(self.transaction, SHARES.c.pool == share.pool, SHARES.c.id == share.id)
        for one in old:
            assert one.share.parent == share.parent or one.share.granted == Resources(), share
        return old[0].share.parent if old else None

    def _put_effective(self, parent: str | None, pool: PoolId) -> None:
        """Write down what each child of a share effectively has and keeps, and all below, so that claims only compare.

        Whoever changes a quota has locked the pool. It is not computed in SQL: bytes times bytes exceed 64 bits.
        """
        changed: set[str] = set()
        for row in self.transaction.rows(_PROMISES, {"in_pool": pool, "of_parent": parent}):
            has, promised = int(row["has"] or 0), int(row["promised"])
            own = effective(row["nominal"], nominal=has, promised=promised)
            kept = effective(row["nominal"] - row["lending"], nominal=has, promised=promised)
            if (own, kept) != (row["effective"], row["kept"]):
                place = {"in_pool": pool, "of_share": row["share"], "of_resource": row["resource"]}
                self.transaction.run(_PUT_EFFECTIVE, {**place, "now_effective": own, "now_kept": kept})
            if own != row["effective"]:
                changed.add(row["share"])
        for share in sorted(changed):
            self._put_effective(share, pool)

    def _put_amounts(self, share: Share) -> None:
        granted = SHARE_AMOUNTS.c.granted
        # What the quota no longer names is no longer promised; what runs keeps its place until it leaves.
        self.transaction.run(
            update(SHARE_AMOUNTS)
            .where(SHARE_AMOUNTS.c.pool == share.pool, SHARE_AMOUNTS.c.share == share.id)
            .values(nominal=0, borrowing=0, lending=0, effective=0, kept=0, limit=0, ceiling=granted)
        )
        amounts = self.transaction.insert(SHARE_AMOUNTS)
        new = amounts.excluded
        amounts = amounts.on_conflict_do_update(
            index_elements=SHARE_AMOUNTS.primary_key,
            set_={name: new[name] for name in ("nominal", "borrowing", "lending", "effective", "kept", "limit")}
            | {"ceiling": larger(new["limit"], granted), "mark": current_mark()},
        )
        quota = share.quota
        for name in names(quota.nominal, quota.borrowing, quota.lending):
            values = {
                "nominal": quota.nominal.amount(name),
                "borrowing": quota.borrowing.amount(name),
                "lending": quota.lending.amount(name),
                "effective": quota.nominal.amount(name),
                "kept": quota.kept.amount(name),
                "limit": quota.limit.amount(name),
                "granted": 0,
                "ceiling": quota.limit.amount(name),
            }
            self.transaction.run(amounts.values(pool=share.pool, share=share.id, resource=name, **values))


def _seen(scope: Scope) -> ColumnElement[bool]:
    """Everybody sees the center's own share: it is what all limits are measured against."""
    return or_(SHARES.c.institution.is_(None), within(scope, SHARES.c.institution))


def _institution(share: Share) -> str | None:
    return None if share.parent is None else share.id.partition(".")[0]
