"""What the use of one process costs, window by window, and how much of it its hold covers."""

from dataclasses import dataclass

from quotas.ledger import Bearer, Entry, charge_entries, windows
from quotas.rates import RateRule, price
from registry.ids import MicroCredits, ProcessUid, Seconds
from registry.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """How a process is priced: the rule in force when its request was placed, and its class's percentage."""

    rule: RateRule
    percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """The life of one process from `started`, of which `begins` to `ends` has not been charged yet."""

    uid: ProcessUid
    shape: Resources
    started: Seconds
    begins: Seconds
    ends: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Charges:
    """The entries that a use is charged with, and what they take from its hold."""

    entries: tuple[Entry, ...]
    covered: MicroCredits


def charges(bearer: Bearer, tariff: Tariff, use: Use, hold: MicroCredits) -> Charges:
    """Charge a use by the hours of the clock, from its hold as far as that reaches.

    Each window costs price(life until its end) - price(life until its beginning), so the windows of a life sum to
    the price of the whole, however it was cut.
    """
    entries: list[Entry] = []
    left = hold
    charged = _cost(tariff, use, use.begins)
    for window in windows(use.uid, use.shape, use.begins, use.ends):
        cost = _cost(tariff, use, window.ends)
        due, charged = MicroCredits(cost - charged), cost
        entries += charge_entries(bearer, window, due, left)
        left = MicroCredits(left - min(due, left))
    return Charges(entries=tuple(entries), covered=MicroCredits(hold - left))


def _cost(tariff: Tariff, use: Use, until: Seconds) -> int:
    return price(tariff.rule, use.shape, (until - use.started) * 1000, percent=tariff.percent)


NO_CHARGES = Charges(entries=(), covered=MicroCredits(0))
