"""Who lends: how what some shares hold beyond their nominal quota falls on siblings that leave theirs idle."""

from collections.abc import Sequence

from quotas.tree import Share
from registry.ids import ShareId
from registry.resources import NOTHING, Resources, names, total


def lent(parent: Share, children: Sequence[Share]) -> dict[ShareId, Resources]:
    """Return what each child of a share lends to its siblings right now.

    What is borrowed comes first from what the parent has promised to nobody, then from the children that lend, in
    proportion to what each of them leaves idle: a process holds cores, not somebody's cores, so nobody's part can be
    told from another's. The parts are whole and sum to what is borrowed beyond the unpromised, unless quotas were
    lowered beneath what had been borrowed on them.
    """
    promised = total(child.quota.nominal for child in children)
    unpromised = (parent.quota.nominal - promised).most(NOTHING)
    idle = total(_idle(child) for child in children)
    owed = (total(child.borrowed for child in children) - unpromised).most(NOTHING).least(idle)
    result: dict[ShareId, Resources] = {}
    so_far = NOTHING
    for child in sorted(children, key=lambda child: child.id):
        upto = so_far + _idle(child)
        # The difference of two sums that are each rounded down: no rounding is lost, however many children there are.
        result[child.id] = _part(owed, upto, idle) - _part(owed, so_far, idle)
        so_far = upto
    return result


def _idle(share: Share) -> Resources:
    """Return what a share leaves to be borrowed: its idle nominal quota, as far as it may be lent."""
    return (share.quota.nominal - share.granted).least(share.quota.lending).most(NOTHING)


def _part(amount: Resources, share: Resources, whole: Resources) -> Resources:
    """Return `amount x share / whole`, number by number, rounded down; nothing where there is no whole."""
    return Resources.of(
        (name, amount.amount(name) * share.amount(name) // whole.amount(name))
        for name in names(whole)
        if whole.amount(name)
    )
