"""The center's rate cards: all are public, a new one never reaches back."""

from typing import Final

from operations.ports.office import Office
from operations.reasons import Reason, Refused
from quotas.rates import MOST_PER_HOUR, RateCard, dearest_hour
from quotas.reasons import PoolWithoutRule, RuleTooDear
from registry.ids import Seconds
from registry.reasons import NotThere, TooEarly

NOTICE_SECONDS: Final = 60
"""How long before it holds a card must be there: what is just being placed is priced by the card that was read."""


def list_rates(work: Office) -> tuple[RateCard, ...]:
    """Return every rate card by the moment it comes into force, the past and the future ones too."""
    return work.register.rate_cards()


def publish_rates(work: Office, card: RateCard, *, now: Seconds) -> RateCard | Refused:
    """Publish the rates that hold from a moment on, of every pool there is."""
    if reasons := _faults(work, card, now):
        return Refused(reasons=reasons)
    if not work.books.put_rate_card(card):
        return Refused(reasons=(TooEarly(field="since", earliest=Seconds(card.since + 1)),))  # two never begin at once
    return card


def _faults(work: Office, card: RateCard, now: Seconds) -> tuple[Reason, ...]:
    earliest = Seconds(now + NOTICE_SECONDS)
    early = (TooEarly(field="since", earliest=earliest),) if card.since < earliest else ()
    pools, ruled = {pool.id for pool in work.facilities.pools()}, {rule.pool for rule in card.rules}
    unknown = (NotThere(field="rules", id=pool) for pool in sorted(ruled - pools))
    missing = (PoolWithoutRule(pool=pool) for pool in sorted(pools - ruled))
    dear = (RuleTooDear(pool=one.pool, most=MOST_PER_HOUR) for one in card.rules if dearest_hour(one) > MOST_PER_HOUR)
    return (*early, *unknown, *missing, *dear)
