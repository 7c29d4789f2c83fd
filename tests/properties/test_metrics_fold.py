"""Sums that are continued equal sums from the beginning, however transactions overlap, commit or come to nothing."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, rule

from exporters.families import families
from exporters.totals import WAIT_BOUNDS, Totals
from operations.ports.office import EntrySum, HitCount, WaitCount
from quotas.ledger import EntryKind, Usage
from scheduler.estimates import Side
from tests.builders import POOL
from tests.overlapping import Overlapping, Written, a_collector
from tests.scrapes import Series, a_picture, a_scrape, a_wait_count, an_entry_sum, growing

USAGES = st.builds(Usage, core_milliseconds=st.integers(0, 10**9), mib_seconds=st.integers(0, 10**9))
ENTRIES = st.builds(
    an_entry_sum,
    st.sampled_from(["vmu.vision", "vmu.robots", "port.traffic"]),
    kind=st.sampled_from(EntryKind),
    amount=st.integers(5, 10**9),
    absorbed=st.integers(0, 5),
    usage=USAGES,
)
WAITS = st.builds(
    a_wait_count,
    up_to=st.sampled_from([*WAIT_BOUNDS, None]),
    placed=st.integers(1, 3),
    waited_seconds=st.integers(0, 9),
)
HITS = st.builds(
    HitCount,
    pool=st.just(POOL),
    half_side=st.sampled_from(Side),
    most_side=st.sampled_from(Side),
    placed=st.integers(1, 3),
)


class Scraping(RuleBasedStateMachine):
    """Transactions come and go, and somebody scrapes."""

    transactions: Bundle[Written] = Bundle("transactions")

    def __init__(self) -> None:
        super().__init__()
        self.store = Overlapping()
        self.collector = a_collector(self.store)
        self.shown: Series = {}

    @rule(target=transactions)
    def begin(self) -> Written:
        return self.store.begin()

    @rule(one=transactions, entry=ENTRIES)
    def post(self, one: Written, entry: EntrySum) -> None:
        one.entries.append(entry)

    @rule(one=transactions, wait=WAITS)
    def place(self, one: Written, wait: WaitCount) -> None:
        one.waits.append(wait)

    @rule(one=transactions, hit=HITS)
    def foresee(self, one: Written, hit: HitCount) -> None:
        one.hits.append(hit)

    @rule(one=consumes(transactions))
    def commit(self, one: Written) -> None:
        self.store.end(one, committed=True)

    @rule(one=consumes(transactions))
    def roll_back(self, one: Written) -> None:
        self.store.end(one, committed=False)

    @rule()
    def start_again(self) -> None:
        self.collector = a_collector(self.store)

    @rule()
    def scrape(self) -> None:
        before, self.shown = self.shown, growing(self.collector.collect())
        assert self.shown == self.expected(), "each entry that was committed counts once"
        assert self.shown == growing(a_collector(self.store).collect()), "beginning anew changes nothing"
        assert all(self.shown[series] >= amount for series, amount in before.items()), "nothing goes back"

    def expected(self) -> Series:
        """Return what a sum of all that was committed shows."""
        committed = [one for one in self.store.ended if one.committed]
        totals = Totals().plus(
            [entry for one in committed for entry in one.entries],
            [wait for one in committed for wait in one.waits],
            [hit for one in committed for hit in one.hits],
        )
        nothing_else = replace(a_picture(totals=totals), center=None, pools=(), institutions=())
        return growing(families(a_scrape(nothing_else)))


TestScraping = Scraping.TestCase
# One example is up to fifty steps, and each scrape among them is three.
TestScraping.settings = settings(max_examples=settings().max_examples // 3)
