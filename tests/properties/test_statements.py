"""A bill is the same however its entries are ordered and cut, and every account can be read off it."""

import random

from hypothesis import given
from hypothesis import strategies as st

from quotas.ledger import NO_USAGE, EntryKind, Usage
from quotas.statements import Line, Period, statement
from registry.ids import MicroCredits, PoolId, ProjectId

PROJECT = ProjectId("vmu.vision")
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
    available = outstanding = charged = absorbed = 0
    for entry in entries:
        match entry.kind:
            case EntryKind.GRANT:
                available += entry.amount
            case EntryKind.HOLD:
                available, outstanding = available - entry.amount, outstanding + entry.amount
            case EntryKind.RELEASE:
                available, outstanding = available + entry.amount, outstanding - entry.amount
            case EntryKind.CHARGE if entry.absorbed:
                absorbed += entry.amount
            case EntryKind.CHARGE:
                outstanding, charged = outstanding - entry.amount, charged + entry.amount
    bill = statement(PROJECT, Period(), entries)
    assert (bill.available, bill.outstanding) == (available, outstanding)
    assert (bill.charged, bill.absorbed) == (charged, absorbed)
    assert bill.usage == sum((entry.usage for entry in entries), NO_USAGE)
    assert sum(pool.charged for pool in bill.pools) == charged
    assert sum((pool.usage for pool in bill.pools), NO_USAGE) == bill.usage
