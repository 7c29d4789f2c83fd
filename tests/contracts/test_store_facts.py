"""What a cycle decides from: all that lives at first, then what changed, and what ended once more."""

from contextlib import suppress
from dataclasses import replace

from operations.ports.office import Office
from operations.ports.store import Claim, Store, Work
from quotas.ledger import Bearer, EntryKey, hold_entry
from quotas.tree import Share
from registry.centers import Node, NodeState
from registry.ids import BEGINNING, Mark, MicroCredits, NodeId, PersonId, PoolId, ProjectId, Seconds, ShareId
from scheduler.clusters import Process
from scheduler.estimates import KEPT_OUTCOMES, Outcome
from scheduler.facts import DayOfUse, Fact, RunRatios
from scheduler.requests import End, Request, State
from store.transactions import SqlStore
from tests.builders import (
    ALICE,
    CENTER,
    NOW,
    POOL,
    a_node,
    a_rate_card,
    a_request,
    a_share,
    a_slot,
    an_allocation,
    an_estimate,
    cores,
    request_id,
    tags,
)
from tests.seeding import A_POOL, a_project, award, seed

SHARES = (
    a_share(CENTER, cores(8, 32), parent=None),
    a_share("vmu", cores(8, 32)),
    a_share("vmu.vision", cores(8, 32), parent="vmu"),
)
GRANTED = cores(1, 4)


def a_center(store: Store[Work]) -> None:
    seed(store, A_POOL, a_project("vmu.vision"), a_node("n1"), a_node("n2"), *SHARES, a_rate_card())
    award(store)


def add(work: Work, request: Request) -> None:
    work.requests.add(request)


def change(work: Work, /, number: int, **changes: object) -> None:
    before = work.requests.get(request_id(number))
    assert before is not None
    assert work.requests.swap(before, replace(before, **changes))  # type: ignore[arg-type]


def end(work: Work, number: int) -> None:
    change(work, number, state=State.ENDED, end=End.CANCELLED, ended=NOW)


def take(work: Work) -> None:
    claim = Claim(project=ProjectId("vmu.vision"), pool=POOL, nodes=((NodeId("n1"), GRANTED),))
    assert work.capacity.take(claim) is None


def news(store: Store[Work], since: Mark) -> set[Fact]:
    return set(store.facts(since).facts)


def test_an_empty_store_has_no_facts(store: Store[Work]) -> None:
    assert store.facts(BEGINNING).facts == ()


def test_a_rebuild_is_all_that_lives(store: Store[Work]) -> None:
    a_center(store)
    store.transact(add, a_request())
    assert news(store, BEGINNING) == {
        a_node("n1"),
        a_node("n2"),
        *SHARES,
        a_rate_card(),
        replace(an_allocation(), ends=Seconds(10**10)),
        a_request(),
    }


def test_nothing_is_news_twice_but_what_changes_again_is(store: Store[Work]) -> None:
    a_center(store)
    mark = store.facts(BEGINNING).mark
    assert store.facts(mark).facts == ()
    for name in ("one", "two"):
        if name == "one":
            store.transact(add, a_request(name=name))
        else:
            store.transact(change, 1, name=name)
        told = store.facts(mark)
        assert [fact.name for fact in told.facts if isinstance(fact, Request)] == [name]
        assert len(told.facts) == 1
        assert store.facts(told.mark).facts == ()
        mark = told.mark
    assert len(news(store, BEGINNING)) == 8, "and the rebuild has the current values alone"


def test_what_ended_is_told_once_more_and_is_no_part_of_a_rebuild(store: Store[Work]) -> None:
    store.transact(add, a_request(1))
    store.transact(add, a_request(2))
    store.transact(lambda work: work.clusters.add([a_slot()]))
    mark = store.facts(BEGINNING).mark

    def finish(work: Work) -> None:
        end(work, 1)
        assert work.clusters.swap(a_slot(), replace(a_slot(), released=NOW))

    store.transact(finish)
    told = news(store, mark)
    assert {(fact.id, fact.state) for fact in told if isinstance(fact, Request)} == {(request_id(1), State.ENDED)}
    assert {fact.released for fact in told if isinstance(fact, Process)} == {NOW}
    assert news(store, BEGINNING) == {a_request(2)}


def test_one_changed_amount_brings_the_whole_share_and_node(store: Store[Work]) -> None:
    a_center(store)
    mark = store.facts(BEGINNING).mark
    store.transact(take)
    assert news(store, mark) == {
        *(replace(share, granted=GRANTED) for share in SHARES),
        replace(a_node("n1"), granted=GRANTED),
    }


def test_a_moved_balance_brings_its_allocation(store: Store[Work]) -> None:
    a_center(store)
    mark = store.facts(BEGINNING).mark
    bearer = Bearer(allocation=an_allocation().id, request=request_id(1), tags=tags())

    def hold(work: Work) -> None:
        assert work.accounts.hold(hold_entry(bearer, EntryKey("hold:1"), MicroCredits(7), NOW)) is None

    store.transact(hold)
    given = replace(an_allocation(), ends=Seconds(10**10))
    assert news(store, mark) == {
        replace(given, available=MicroCredits(given.available - 7), held=MicroCredits(7)),
    }


def day(number: int, used: int = 1) -> DayOfUse:
    return DayOfUse(share=ShareId("vmu"), pool=POOL, day=number, ppm_seconds=used)


def test_days_of_use_add_up_and_old_ones_are_no_part_of_a_rebuild(store: Store[Work]) -> None:
    store.transact(lambda work: work.accounts.use([day(20_000, 5), day(20_001, 1)]))
    mark = store.facts(BEGINNING).mark
    store.transact(lambda work: work.accounts.use([day(20_000, 2), day(20_100, 3)]))
    assert news(store, mark) == {day(20_000, 7), day(20_100, 3)}
    assert news(store, BEGINNING) == {day(20_100, 3)}


def test_of_a_persons_runs_the_last_two_are_told(store: Store[Work]) -> None:
    def ran(work: Work, person: PersonId, permille: int) -> None:
        work.runs.add(person, permille)

    bob = PersonId("b" * 26)
    store.transact(ran, ALICE, 500)
    mark = store.facts(BEGINNING).mark
    assert news(store, BEGINNING) == {RunRatios(person=ALICE, last=500)}
    store.transact(ran, bob, 0)
    assert news(store, mark) == {RunRatios(person=bob, last=0)}
    for permille in (1008, 30):
        store.transact(ran, ALICE, permille)
    assert news(store, BEGINNING) == {RunRatios(person=ALICE, last=30, before=1008), RunRatios(person=bob, last=0)}


def test_a_request_keeps_what_was_said_of_its_start(store: Store[Work]) -> None:
    store.transact(add, a_request())
    store.transact(change, 1, estimate=an_estimate())
    assert news(store, BEGINNING) == {replace(a_request(), version=2, estimate=an_estimate())}


def test_of_what_estimates_came_to_the_latest_of_each_pool_are_told(store: Store[Work]) -> None:
    fog = PoolId("fog")

    def placed(work: Work, pool: PoolId, numbers: range) -> None:
        for number in numbers:
            work.outcomes.add(pool, an_estimate(number), NOW)

    def outcome(pool: PoolId, number: int) -> Outcome:
        return Outcome(pool=pool, number=number, estimate=an_estimate(number), placed=NOW)

    store.transact(placed, POOL, range(1, KEPT_OUTCOMES))
    mark = store.facts(BEGINNING).mark
    store.transact(placed, POOL, range(KEPT_OUTCOMES, KEPT_OUTCOMES + 3))
    store.transact(placed, fog, range(1, 2))
    assert news(store, mark) == {outcome(fog, 1), *(outcome(POOL, KEPT_OUTCOMES + more) for more in range(3))}
    kept = {outcome(POOL, number) for number in range(3, KEPT_OUTCOMES + 3)}
    assert news(store, BEGINNING) == {outcome(fog, 1), *kept}


def test_what_was_undone_is_no_news(store: Store[Work]) -> None:
    a_center(store)
    mark = store.facts(BEGINNING).mark

    def undone(work: Work) -> None:
        with suppress(AssertionError), work.trial():
            take(work)
            add(work, a_request(1))
            change(work, 3)
        add(work, a_request(2))

    store.transact(undone)
    assert {fact.id for fact in news(store, mark) if isinstance(fact, Request)} == {request_id(2)}
    assert not any(isinstance(fact, (Node, Share)) and fact.granted == GRANTED for fact in news(store, BEGINNING))


def test_edited_shares_and_nodes_are_news(sql_store: SqlStore) -> None:
    a_center(sql_store)
    mark = sql_store.facts(BEGINNING).mark
    drained = a_node("n2", cores(4, 16), state=NodeState.DRAINING)
    less = a_share("vmu", cores(2, 8))

    def edit(office: Office) -> None:
        office.nodes.put(drained)
        office.shares.put(less)

    sql_store.transact(edit)
    assert news(sql_store, mark) == {drained, less}
