"""A bill is the same however its entries are ordered and cut, and every account can be read off it."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from quotas.charges import Tariff, Use, charges
from quotas.ledger import ABSORBED, HOUR_SECONDS, NO_USAGE, Bearer, Entry, EntryKind, Usage, Window
from quotas.statements import Line, Period, statement
from registry.ids import AllocationId, MicroCredits, PoolId, ProcessUid, ProjectId, Seconds
from tests.builders import a_rule, cores, request_id, tags

PROJECT = ProjectId("vmu.vision")
BEARER = Bearer(allocation=AllocationId("a" * 26), request=request_id(1), tags=tags())
UID = ProcessUid("f" * 32)
SHAPE = cores(1.5, 3)
COUNTS = st.integers(0, 10**12)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """Draw the line of one entry, as it can stand in the ledger."""
    kind = draw(st.sampled_from(EntryKind))
    amount = draw(COUNTS)
    absorbed = draw(st.booleans()) and kind is EntryKind.CHARGE
    used = kind is EntryKind.CHARGE and not absorbed
    usage = Usage(core_milliseconds=draw(COUNTS), mib_seconds=draw(COUNTS), gpu_milliseconds=draw(COUNTS))
    return Line(
        kind=kind,
        pool=None if kind is EntryKind.GRANT else PoolId(draw(st.sampled_from(["main", "gpu"]))),
        entries=1,
        amount=MicroCredits(amount),
        absorbed=MicroCredits(amount if absorbed else 0),
        usage=usage if used else NO_USAGE,
    )


@given(entries=st.lists(lines(), max_size=30), shuffle=st.randoms(use_true_random=False), cut=st.integers(0, 30))
def test_a_bill_does_not_depend_on_how_its_entries_are_ordered_or_cut(
    entries: list[Line], shuffle: random.Random, cut: int
) -> None:
    whole = statement(PROJECT, Period(), entries)
    mixed = entries.copy()
    shuffle.shuffle(mixed)
    halves = [*statement(PROJECT, Period(), mixed[:cut]).lines, *statement(PROJECT, Period(), mixed[cut:]).lines]
    assert statement(PROJECT, Period(), halves) == whole


@given(entries=st.lists(lines(), max_size=30))
def test_accounts_can_be_read_off_a_bill(entries: list[Line]) -> None:
    available = outstanding = charged = absorbed = refunded = 0
    for entry in entries:
        match entry.kind:
            case EntryKind.GRANT:
                available += entry.amount
            case EntryKind.HOLD:
                available, outstanding = available - entry.amount, outstanding + entry.amount
            case EntryKind.RELEASE:
                available, outstanding = available + entry.amount, outstanding - entry.amount
            case EntryKind.REFUND:
                available, refunded = available + entry.amount, refunded + entry.amount
            case EntryKind.CHARGE if entry.absorbed:
                absorbed += entry.amount
            case EntryKind.CHARGE:
                outstanding, charged = outstanding - entry.amount, charged + entry.amount
    bill = statement(PROJECT, Period(), entries)
    assert (bill.available, bill.outstanding) == (available, outstanding)
    assert (bill.charged, bill.absorbed, bill.refunded) == (charged, absorbed, refunded)
    assert bill.usage == sum((entry.usage for entry in entries), NO_USAGE)
    assert sum(pool.charged for pool in bill.pools) == charged
    assert sum((pool.usage for pool in bill.pools), NO_USAGE) == bill.usage


def a_line(entry: Entry) -> Line:
    absorbed = MicroCredits(entry.amount if entry.source == ABSORBED else 0)
    return Line(
        kind=entry.kind, pool=entry.tags.pool, entries=1, amount=entry.amount, absorbed=absorbed, usage=entry.usage
    )


def periods(cuts: list[int]) -> list[Period]:
    """Split all time at some moments."""
    moments = [None, *(Seconds(cut) for cut in sorted(set(cuts))), None]
    return [Period(since=since, until=until) for since, until in pairwise(moments)]


def inside(period: Period, begins: int, ends: int) -> int:
    """Return how many seconds of a time are in a period."""
    since = begins if period.since is None else max(begins, period.since)
    until = ends if period.until is None else min(ends, period.until)
    return max(0, until - since)


@given(
    begins=st.integers(0, 3 * HOUR_SECONDS) | st.integers(0, 3).map(lambda hours: hours * HOUR_SECONDS),
    seconds=st.integers(0, 5 * HOUR_SECONDS) | st.integers(0, 5).map(lambda hours: hours * HOUR_SECONDS),
    hold=st.integers(0, 10**7),
    hours=st.lists(st.integers(0, 9), max_size=4),
)
def test_bills_of_whole_hours_contain_exactly_the_use_inside_them(
    begins: int, seconds: int, hold: int, hours: list[int]
) -> None:
    ends = begins + seconds
    use = Use(uid=UID, shape=SHAPE, started=Seconds(begins), begins=Seconds(begins), ends=Seconds(ends))
    due = charges(BEARER, Tariff(rule=a_rule(), percent=100), use, MicroCredits(hold))
    bills = []
    for period in periods([hour * HOUR_SECONDS for hour in hours]):
        since, until = period.since or 0, ends + 1 if period.until is None else period.until
        bill = statement(PROJECT, period, [a_line(entry) for entry in due.entries if since <= entry.at < until])
        assert bill.usage == Usage.of(SHAPE, inside(period, begins, ends))
        bills.append(bill)
    assert sum((bill.usage for bill in bills), NO_USAGE) == Usage.of(SHAPE, seconds)
    assert sum(bill.charged for bill in bills) == due.covered


def test_use_without_a_second_is_dated_when_it_began() -> None:
    moment = Seconds(2 * HOUR_SECONDS)
    assert Window(uid=UID, begins=moment, ends=moment, usage=NO_USAGE).last_second == moment
