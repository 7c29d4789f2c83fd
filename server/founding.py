"""What a center begins with, and the first secret that opens it."""

from typing import Final

from operations.callers import digest_of
from operations.founding import Founding
from quotas.rates import RateCard, RateRule, Term
from registry.centers import Center
from registry.ids import CenterId, Seconds
from registry.people import Person, Token
from registry.resources import CPU, GIB, MEMORY, MILLI
from server.ids import RandomIds
from server.settings import Settings
from server.worksites import POOL, Worksite

_CREDIT: Final = 1_000_000


def founding(settings: Settings, site: Worksite, ids: RandomIds, secret: str, now: Seconds) -> Founding:
    """Return a center with one pool of what the worksite begins with, and an admin whose token is `secret`."""
    center, admin = CenterId(settings.center), ids.person()
    return Founding(
        center=Center(id=center, name=settings.center),
        pool=site.pool,
        node=site.node,
        environments=site.environments,
        rates=first_rates(),
        admin=Person(id=admin, name="Center admin"),
        token=Token(id=ids.token(), person=admin, label="first start", made=now),
        digest=digest_of(secret),
    )


def first_rates() -> RateCard:
    """Return the card of a center that has not published its own: a credit an hour for a core or each begun 4 GiB."""
    terms = (
        Term(resource=CPU, step=MILLI, micro_credits=_CREDIT),
        Term(resource=MEMORY, step=4 * GIB, micro_credits=_CREDIT),
    )
    return RateCard(since=Seconds(0), rules=(RateRule(pool=POOL, groups=(terms,)),))
