"""What is lent is what was borrowed, and nobody lends what it needs or keeps."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from quotas.lending import lent
from quotas.tree import Share
from registry.ids import ShareId
from registry.resources import NOTHING, total
from tests.builders import CENTER, a_share, cores

AMOUNTS = st.integers(0, 50)


@st.composite
def children(draw: st.DrawFn) -> list[Share]:
    """Siblings as any history may have left them: quotas may have been changed beneath what is granted."""
    count = draw(st.integers(0, 6))
    return [
        a_share(
            f"i{number}",
            cores(draw(AMOUNTS), draw(AMOUNTS)),
            lending=cores(draw(AMOUNTS), draw(AMOUNTS)),
            granted=cores(draw(AMOUNTS), draw(AMOUNTS)),
        )
        for number in range(count)
    ]


def a_center(nominal: int) -> Share:
    return a_share(CENTER, cores(nominal, nominal), parent=None)


@given(nominal=st.integers(0, 300), children=children())
def test_nobody_lends_more_than_it_leaves_idle_and_may_lend(nominal: int, children: list[Share]) -> None:
    parts = lent(a_center(nominal), children)
    assert set(parts) == {child.id for child in children}
    for child in children:
        assert NOTHING.within(parts[child.id])
        assert parts[child.id].within(child.quota.lending)
        assert parts[child.id].within((child.quota.nominal - child.granted).most(NOTHING))


@given(nominal=st.integers(0, 300), children=children())
def test_what_is_lent_is_what_was_borrowed_beyond_what_nobody_was_promised(nominal: int, children: list[Share]) -> None:
    center = a_center(nominal)
    unpromised = (center.quota.nominal - total(child.quota.nominal for child in children)).most(NOTHING)
    idle = total((child.quota.nominal - child.granted).least(child.quota.lending).most(NOTHING) for child in children)
    borrowed = total(child.borrowed for child in children)
    assert total(lent(center, children).values()) == (borrowed - unpromised).most(NOTHING).least(idle)


@given(nominal=st.integers(0, 300), children=children(), order=st.randoms(use_true_random=False))
def test_the_order_of_siblings_is_nothing(nominal: int, children: list[Share], order: Random) -> None:
    shuffled = list(children)
    order.shuffle(shuffled)
    assert lent(a_center(nominal), shuffled) == lent(a_center(nominal), children)


def test_idle_siblings_lend_in_proportion_to_what_they_leave() -> None:
    parts = lent(
        a_center(100),
        [
            a_share("borrower", cores(20), granted=cores(50)),
            a_share("half-idle", cores(40), lending=cores(40), granted=cores(20)),
            a_share("idle", cores(40), lending=cores(40)),
            a_share("keeps-all", cores(0)),
        ],
    )
    assert parts == {
        ShareId("borrower"): NOTHING,
        ShareId("half-idle"): cores(10),
        ShareId("idle"): cores(20),
        ShareId("keeps-all"): NOTHING,
    }


def test_what_was_promised_to_nobody_is_borrowed_first() -> None:
    siblings = [a_share("borrower", cores(20), granted=cores(30)), a_share("idle", cores(40), lending=cores(40))]
    assert lent(a_center(70), siblings)[ShareId("idle")] == NOTHING
    assert lent(a_center(64), siblings)[ShareId("idle")] == cores(6)
