"""How much of what they had asked for people's latest clusters ran: one row a person, for predictions."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, Table, select

from registry.ids import Mark, PersonId
from scheduler.facts import RunRatios
from store.connections import Transaction
from store.marks import current_mark, mark_column
from store.rows import thing_of
from store.schema import METADATA, TEXT

RUN_RATIOS: Final = Table(
    "run_ratios",
    METADATA,
    Column("person", TEXT, primary_key=True),
    Column("last", BigInteger, nullable=False),
    Column("before", BigInteger),
    mark_column(),
)


def changed_ratios(transaction: Transaction, since: Mark) -> tuple[RunRatios, ...]:
    """Return whose latest runs are others than at a mark, by person."""
    changed = select(RUN_RATIOS).where(RUN_RATIOS.c.mark >= since).order_by(RUN_RATIOS.c.person)
    return tuple(thing_of(RunRatios, row) for row in transaction.rows(changed))


@dataclass(frozen=True, slots=True)
class SqlRuns:
    """`Runs` in SQL."""

    transaction: Transaction

    def add(self, person: PersonId, permille: int) -> None:
        new = self.transaction.insert(RUN_RATIOS).values(person=person, last=permille)
        pushed = {"last": new.excluded.last, "before": RUN_RATIOS.c.last, "mark": current_mark()}
        self.transaction.run(new.on_conflict_do_update(index_elements=RUN_RATIOS.primary_key, set_=pushed))
