"""Allocations, entries, balances and days of use, in memory."""

from collections.abc import Collection, Iterable, Sequence

from quotas.allocations import Allocation, Award
from quotas.ledger import AccountId, Entry, EntryKey, available, held
from quotas.reasons import NoCredit
from registry.ids import BEGINNING, AllocationId, Mark, MicroCredits, PoolId, RequestId, ShareId
from scheduler.facts import DayOfUse
from store.memory.shelves import FollowedShelf, History, Shelf
from store.standing import DAYS_THAT_MATTER, is_standing


class MemoryAccounts:
    """`Accounts` in memory."""

    def __init__(self, history: History) -> None:
        self._awards: FollowedShelf[AllocationId, Award] = FollowedShelf(history)
        self._opened: Shelf[AccountId, Award] = Shelf(history)
        self._balances: Shelf[AccountId, MicroCredits] = Shelf(history)
        self._entries: Shelf[EntryKey, Entry] = Shelf(history)
        self._days: FollowedShelf[tuple[ShareId, PoolId, int], DayOfUse] = FollowedShelf(history)

    def open(self, award: Award) -> None:
        self._awards.add(award.id, award)
        for account in (available(award.id), held(award.id)):
            self._opened.add(account, award)
            self._balances.add(account, MicroCredits(0))

    def get(self, allocation: AllocationId) -> Allocation:
        award = self._awards.get(allocation)
        assert award is not None, allocation
        return self._allocation(award)

    def hold(self, entry: Entry) -> NoCredit | None:
        left = self._balance(entry.source)
        if entry.key in self._entries:
            return None
        if left < entry.amount:
            return NoCredit(project=entry.tags.project, needed=entry.amount, available=left)
        self._append(entry)
        return None

    def post(self, entries: Sequence[Entry]) -> bool:
        if entries and entries[0].key in self._entries:
            return False
        for entry in entries:
            self._append(entry)
        for account in {account for entry in entries for account in (entry.source, entry.target)}:
            assert is_standing(account) or self._balance(account) >= 0, account
        return True

    def use(self, days: Iterable[DayOfUse]) -> None:
        for day in days:
            key = (day.share, day.pool, day.day)
            before = self._days.get(key)
            more = day.ppm_seconds + (before.ppm_seconds if before else 0)
            self._days.put(key, DayOfUse(share=day.share, pool=day.pool, day=day.day, ppm_seconds=more))

    def entries(self) -> tuple[Entry, ...]:
        """Return every entry in the order of posting."""
        return tuple(self._entries)

    def balances(self) -> tuple[tuple[AccountId, MicroCredits], ...]:
        """Return every account's balance, by account."""
        return tuple(sorted(self._balances.items()))

    def forget(self, requests: Collection[RequestId]) -> None:
        """Leave nothing of the entries for requests; what they moved stays moved."""
        self._entries.drop([key for key, entry in self._entries.items() if entry.request in requests])

    def changed_allocations(self, since: Mark) -> list[Allocation]:
        """Return every allocation that changed, or whose balances did, since a mark."""
        return [self._allocation(award) for award in self._awards.changed(since)]

    def changed_days(self, since: Mark) -> list[DayOfUse]:
        """Return the days of use that changed since a mark; from the beginning, only those that still matter."""
        days = self._days.changed(since)
        if since > BEGINNING:
            return days
        newest = max((day.day for day in days), default=0)
        return [day for day in days if day.day > newest - DAYS_THAT_MATTER]

    def _allocation(self, award: Award) -> Allocation:
        return Allocation(
            id=award.id,
            project=award.project,
            funding=award.funding,
            begins=award.begins,
            ends=award.ends,
            available=self._balance(available(award.id)),
            held=self._balance(held(award.id)),
        )

    def _append(self, entry: Entry) -> None:
        self._entries.add(entry.key, entry)
        self._move(entry.source, -entry.amount)
        self._move(entry.target, entry.amount)

    def _move(self, account: AccountId, amount: int) -> None:
        self._balances.put(account, MicroCredits(self._balance(account) + amount))
        if award := self._opened.get(account):
            self._awards.put(award.id, award)  # it is an allocation that changed

    def _balance(self, account: AccountId) -> MicroCredits:
        balance = self._balances.get(account)
        assert balance is not None or is_standing(account), account
        return MicroCredits(0) if balance is None else balance
