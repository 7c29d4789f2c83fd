"""Days of use: what each share used of a pool, for fair share."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import BigInteger, Column, Table, func, select

from registry.ids import BEGINNING, Mark
from scheduler.facts import DayOfUse
from store.connections import Transaction
from store.marks import current_mark, mark_column
from store.rows import thing_of, values_of
from store.schema import METADATA, TEXT
from store.standing import DAYS_THAT_MATTER

USAGE_DAYS: Final = Table(
    "usage_days",
    METADATA,
    Column("share", TEXT, primary_key=True),
    Column("pool", TEXT, primary_key=True),
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    Column("ppm_seconds", BigInteger, nullable=False),
    mark_column(),
)


def add_use(transaction: Transaction, days: Iterable[DayOfUse]) -> None:
    """Add use to days, in one order for everybody."""
    new = transaction.insert(USAGE_DAYS)
    more = {"ppm_seconds": USAGE_DAYS.c.ppm_seconds + new.excluded.ppm_seconds, "mark": current_mark()}
    add = new.on_conflict_do_update(index_elements=USAGE_DAYS.primary_key, set_=more)
    for day in sorted(days, key=lambda day: (day.share, day.pool, day.day)):
        transaction.run(add, values_of(day))


def changed_days(transaction: Transaction, since: Mark) -> tuple[DayOfUse, ...]:
    """Return the days of use that changed since a mark; from the beginning, only those that still matter."""
    days = select(USAGE_DAYS).where(USAGE_DAYS.c.mark >= since)
    if since == BEGINNING:
        newest = select(func.max(USAGE_DAYS.c.day)).scalar_subquery()
        days = days.where(USAGE_DAYS.c.day > newest - DAYS_THAT_MATTER)
    in_order = days.order_by(USAGE_DAYS.c.share, USAGE_DAYS.c.pool, USAGE_DAYS.c.day)
    return tuple(thing_of(DayOfUse, row) for row in transaction.rows(in_order))
