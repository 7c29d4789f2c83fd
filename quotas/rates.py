"""The dated rate card, and the price of holding an amount for a time."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from registry.ids import MicroCredits, PoolId, Seconds
from registry.resources import CPU, GIB, MEMORY, MILLI, ResourceName, Resources

_MILLISECONDS_PER_HOUR: Final = 3_600_000
_PERCENT: Final = 100
_LARGEST: Final = {CPU: 10_000 * MILLI, MEMORY: 64 * 1024 * GIB}
_MOST_GPUS: Final = 1_000

MOST_PER_STEP: Final = 10**12
"""Micro-credits an hour: more than a step of anything costs."""
MOST_PER_HOUR: Final = MicroCredits(10**13)
"""Micro-credits an hour: for the longest time of the most workers this still fits in 64 bits."""
LONGEST_MINIMUM_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One resource's part in a rule: micro-credits per hour for each `step` of it that is begun."""

    resource: ResourceName
    step: int
    micro_credits: int

    def per_hour(self, shape: Resources) -> int:
        """Return micro-credits per hour for what the shape has of the resource."""
        return self.micro_credits * -(-shape.amount(self.resource) // self.step)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRule:
    """What holding a shape in a pool costs: the sum over groups of the dearest term in each.

    One group is the usual rule, the *dominant* resource. The shape of the rule covers the published ones of LUMI
    (`max(cores, ceil(GB / 2)) x h`), CSC, TACC (with its shortest charged time) and the sums of the clouds.
    """

    pool: PoolId
    groups: tuple[tuple[Term, ...], ...]
    minimum_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCard:
    """The rules in force from `since` until a later card replaces them."""

    since: Seconds
    rules: tuple[RateRule, ...]

    def rule(self, pool: PoolId) -> RateRule | None:
        """Return the rule of a pool, if it has one."""
        return next((rule for rule in self.rules if rule.pool == pool), None)


def card_at(cards: Iterable[RateCard], now: Seconds) -> RateCard | None:
    """Return the card in force at a moment, if one is."""
    return max((card for card in cards if card.since <= now), key=lambda card: card.since, default=None)


def price(rule: RateRule, shape: Resources, milliseconds: int, *, percent: int = _PERCENT) -> MicroCredits:
    """Return the price of holding `shape` for a time, rounded down to a micro-credit.

    Rounding happens once, on the cumulative time: charge `price(all so far) - price(charged before)`, so that hourly
    pieces sum exactly to the whole. `percent` is the price factor of the request's class.
    """
    if milliseconds <= 0:
        return MicroCredits(0)
    charged = max(milliseconds, rule.minimum_seconds * 1000)
    per_hour = sum(max(term.per_hour(shape) for term in group) for group in rule.groups)
    return MicroCredits(per_hour * charged * percent // (_MILLISECONDS_PER_HOUR * _PERCENT))


def dearest_hour(rule: RateRule) -> MicroCredits:
    """Return what an hour of the largest machine anybody has would cost: 10,000 cores, 64 TiB, 1,000 GPUs a model."""
    named = {term.resource for group in rule.groups for term in group}
    machine = Resources.of((name, _LARGEST.get(name, _MOST_GPUS)) for name in named)
    return price(rule, machine, _MILLISECONDS_PER_HOUR)


def price_of_all(rule: RateRule, shapes: Sequence[Resources], seconds: int, *, percent: int) -> MicroCredits:
    """Return the price of holding several shapes for the same whole seconds, each rounded by itself."""
    counts = Counter(shapes)
    return MicroCredits(sum(price(rule, one, seconds * 1000, percent=percent) * n for one, n in counts.items()))
