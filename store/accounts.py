"""Allocations and the balances of all accounts, each the fold of the entries that moved it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Table,
    bindparam,
    select,
    update,
)

from quotas.allocations import Allocation, Award
from quotas.ledger import AccountId, Entry, available, held
from quotas.reasons import NoCredit
from registry.ids import AllocationId, Mark, MicroCredits, institution_of
from scheduler.facts import DayOfUse
from store.connections import Transaction
from store.ledger import append, is_posted
from store.marks import current_mark, mark_column
from store.schema import METADATA, TEXT, Row, moment
from store.standing import is_standing
from store.usage import add_use

ALLOCATIONS: Final = Table(
    "allocations",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("institution", TEXT, nullable=False),
    Column("project", ForeignKey("projects.id"), nullable=False, index=True),
    Column("funding", TEXT, nullable=False),
    moment("begins"),
    moment("ends"),
    mark_column(),
)

BALANCES: Final = Table(
    "balances",
    METADATA,
    Column("account", TEXT, primary_key=True),
    Column("allocation", ForeignKey("allocations.id"), index=True),
    Column("amount", BigInteger, nullable=False),
    Column("floor", BigInteger),
    mark_column(),
    CheckConstraint("floor IS NULL OR amount >= floor", "floor"),
)

_WITHDRAW: Final = (
    update(BALANCES)
    .where(BALANCES.c.account == bindparam("of"), BALANCES.c.amount - bindparam("taken") >= BALANCES.c.floor)
    .values(amount=BALANCES.c.amount - bindparam("taken"))
)
_MOVE: Final = (
    update(BALANCES)
    .where(BALANCES.c.account == bindparam("of"))
    .values(amount=BALANCES.c.amount + bindparam("moved"))
)  # fmt: skip


def read_allocations(transaction: Transaction, *conditions: ColumnElement[bool]) -> tuple[Allocation, ...]:
    """Return the allocations that meet conditions on their own row, with their balances, by id."""
    may_hold, is_held = BALANCES.alias("may_hold"), BALANCES.alias("is_held")
    query = (
        select(ALLOCATIONS, may_hold.c.amount.label("available"), is_held.c.amount.label("held"))
        .join(may_hold, may_hold.c.account == ALLOCATIONS.c.id + available(AllocationId("")))
        .join(is_held, is_held.c.account == ALLOCATIONS.c.id + held(AllocationId("")))
        .where(*conditions)
        .order_by(ALLOCATIONS.c.id)
    )
    return tuple(_allocation(row) for row in transaction.rows(query))


def changed_allocations(transaction: Transaction, since: Mark) -> tuple[Allocation, ...]:
    """Return every allocation that changed, or whose balances did, since a mark."""
    moved = select(BALANCES.c.allocation).where(BALANCES.c.mark >= since, BALANCES.c.allocation.is_not(None))
    changed = select(ALLOCATIONS.c.id).where(ALLOCATIONS.c.mark >= since).union(moved)
    return read_allocations(transaction, ALLOCATIONS.c.id.in_(changed))


@dataclass(frozen=True, slots=True)
class SqlAccounts:
    """`Accounts` in SQL."""

    transaction: Transaction

    def open(self, award: Award) -> None:
        row = {
            "id": award.id,
            "institution": institution_of(award.project),
            "project": award.project,
            "funding": award.funding,
            "begins": award.begins,
            "ends": award.ends,
        }
        self.transaction.run(ALLOCATIONS.insert(), row)
        empty = {"allocation": award.id, "amount": 0, "floor": 0}
        accounts = (available(award.id), held(award.id))
        self.transaction.run(BALANCES.insert(), [{"account": account, **empty} for account in accounts])

    def get(self, allocation: AllocationId) -> Allocation:
        (found,) = read_allocations(self.transaction, ALLOCATIONS.c.id == allocation)
        return found

    def hold(self, entry: Entry) -> NoCredit | None:
        if is_posted(self.transaction, entry.key):
            return None
        if not self.transaction.run(_WITHDRAW, {"of": entry.source, "taken": entry.amount}):
            if is_posted(self.transaction, entry.key):  # while this transaction waited for the balance
                return None
            left = self._balance(entry.source)
            return NoCredit(project=entry.tags.project, needed=entry.amount, available=left)
        self._move(entry.target, entry.amount)
        append(self.transaction, (entry,))
        return None

    def post(self, entries: Sequence[Entry]) -> bool:
        if entries and is_posted(self.transaction, entries[0].key):
            return False
        append(self.transaction, entries)
        moved: dict[AccountId, int] = defaultdict(int)
        for entry in entries:
            moved[entry.source] -= entry.amount
            moved[entry.target] += entry.amount
        # Those that everybody's entries move come last: until the commit nobody else gets past them.
        for account in sorted(moved, key=lambda account: (is_standing(account), account)):
            self._move(account, moved[account])
        return True

    def use(self, days: Iterable[DayOfUse]) -> None:
        add_use(self.transaction, days)

    def _balance(self, account: AccountId) -> MicroCredits:
        found = self.transaction.first(select(BALANCES.c.amount).where(BALANCES.c.account == account))
        assert found is not None, account
        return MicroCredits(found[0])

    def _move(self, account: AccountId, amount: int) -> None:
        """Change a balance; the database refuses one below its floor, and with it the whole transaction."""
        if self.transaction.run(_MOVE, {"of": account, "moved": amount}):
            return
        assert is_standing(account), account
        new = self.transaction.insert(BALANCES).values(account=account, amount=amount)
        more = {"amount": BALANCES.c.amount + new.excluded.amount, "mark": current_mark()}
        self.transaction.run(new.on_conflict_do_update(index_elements=BALANCES.primary_key, set_=more))


def _allocation(row: Row) -> Allocation:
    return Allocation(
        id=row["id"],
        project=row["project"],
        funding=row["funding"],
        begins=row["begins"],
        ends=row["ends"],
        available=row["available"],
        held=row["held"],
    )
