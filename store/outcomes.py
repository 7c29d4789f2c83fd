"""What estimates of starts came to: one row for each request that was placed after one, by pool and number."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    PrimaryKeyConstraint,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    func,
    select,
)

from registry.ids import Mark, PoolId, Seconds
from scheduler.estimates import KEPT_OUTCOMES, Estimate, Outcome, Signs, Span
from store.connections import Transaction
from store.marks import mark_column
from store.rows import thing_of, values_of
from store.schema import METADATA, TEXT, moment


class Estimated(TypeDecorator[Estimate]):
    """An estimate as JSON, which SQL never asks about."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Estimate | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.dumps(asdict(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Estimate | None:  # noqa: ARG002
        return None if value is None else _estimate(json.loads(value))


def _estimate(said: dict[str, Any]) -> Estimate:
    return Estimate(
        issued=said["issued"],
        signs=Signs(**said["signs"]),
        run_seconds=said["run_seconds"],
        half=Span(**said["half"]),
        most=Span(**said["most"]),
    )


OUTCOMES: Final = Table(
    "outcomes",
    METADATA,
    Column("pool", TEXT, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("estimate", Estimated, nullable=False),
    moment("placed"),
    Column("half_side", BigInteger, nullable=False),
    Column("most_side", BigInteger, nullable=False),
    mark_column(),
    PrimaryKeyConstraint("pool", "number"),
)

_LAST: Final = select(func.coalesce(func.max(OUTCOMES.c.number), 0)).where(OUTCOMES.c.pool == bindparam("of_pool"))


def changed_outcomes(transaction: Transaction, since: Mark) -> tuple[Outcome, ...]:
    """Return what came out since a mark, by pool and number."""
    changed = select(OUTCOMES).where(OUTCOMES.c.mark >= since).order_by(OUTCOMES.c.pool, OUTCOMES.c.number)
    return tuple(thing_of(Outcome, row) for row in transaction.rows(changed))


def kept_outcomes(transaction: Transaction) -> tuple[Outcome, ...]:
    """Return the outcomes that are learnt from: the latest of each pool, by pool and number."""
    last = select(OUTCOMES.c.pool, func.max(OUTCOMES.c.number).label("last")).group_by(OUTCOMES.c.pool).subquery()
    kept = (
        select(OUTCOMES)
        .join(last, OUTCOMES.c.pool == last.c.pool)
        .where(OUTCOMES.c.number > last.c.last - KEPT_OUTCOMES)
        .order_by(OUTCOMES.c.pool, OUTCOMES.c.number)
    )
    return tuple(thing_of(Outcome, row) for row in transaction.rows(kept))


@dataclass(frozen=True, slots=True)
class SqlOutcomes:
    """`Outcomes` in SQL."""

    transaction: Transaction

    def add(self, pool: PoolId, estimate: Estimate, placed: Seconds) -> None:
        last = self.transaction.connection.execute(_LAST, {"of_pool": pool}).scalar_one()
        new = Outcome(pool=pool, number=last + 1, estimate=estimate, placed=placed)
        sides = {"half_side": int(new.half_side), "most_side": int(new.most_side)}
        self.transaction.run(OUTCOMES.insert(), values_of(new) | sides)
