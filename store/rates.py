"""Rate cards, each kept whole: it is never edited, and always read with all its rules."""

import json
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Dialect, Table, Text, TypeDecorator, select

from quotas.rates import RateCard, RateRule, Term
from registry.ids import Mark, PoolId
from registry.resources import ResourceName
from store.connections import Transaction
from store.marks import mark_column
from store.rows import thing_of
from store.schema import METADATA


class _Rules(TypeDecorator[tuple[RateRule, ...]]):
    """The rules of a card as JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[RateRule, ...] | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.dumps([_written(rule) for rule in value])

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[RateRule, ...] | None:  # noqa: ARG002
        return None if value is None else tuple(_read(rule) for rule in json.loads(value))


RATE_CARDS: Final = Table(
    "rate_cards",
    METADATA,
    Column("since", BigInteger, primary_key=True, autoincrement=False),
    Column("rules", _Rules, nullable=False),
    mark_column(),
)


def all_cards(transaction: Transaction, since: Mark) -> tuple[RateCard, ...]:
    """Return the cards that were added since a mark, by the moment they come into force."""
    cards = select(RATE_CARDS).where(RATE_CARDS.c.mark >= since).order_by(RATE_CARDS.c.since)
    return tuple(thing_of(RateCard, row) for row in transaction.rows(cards))


def _written(rule: RateRule) -> dict[str, Any]:
    groups = [[[term.resource, term.step, term.micro_credits] for term in group] for group in rule.groups]
    return {"pool": rule.pool, "groups": groups, "minimum_seconds": rule.minimum_seconds}


def _read(rule: dict[str, Any]) -> RateRule:
    return RateRule(
        pool=PoolId(rule["pool"]),
        groups=tuple(
            tuple(Term(resource=ResourceName(name), step=step, micro_credits=price) for name, step, price in group)
            for group in rule["groups"]
        ),
        minimum_seconds=rule["minimum_seconds"],
    )
