"""What a center begins with, and the first secret that opens it."""

from typing import Final

from operations.callers import digest_of
from operations.founding import Admin, Founding, found_center
from operations.ports.outside import Ids
from quotas.rates import RateCard, RateRule, Term
from registry.centers import Center
from registry.ids import CenterId, Seconds
from registry.people import Person, Token
from registry.resources import CPU, GIB, MEMORY, MILLI
from server.clock import SystemClock
from server.settings import Settings, sealing_key
from server.worksites import POOL, Worksite, worksite
from store.transactions import SqlStore

_CREDIT: Final = 1_000_000


def founding(settings: Settings, site: Worksite, admin: Admin | None = None) -> Founding:
    """Return a center with one pool of what the worksite begins with."""
    return Founding(
        center=Center(id=CenterId(settings.center), name=settings.center),
        pool=site.pool,
        node=site.node,
        environments=site.environments,
        rates=first_rates(),
        admin=admin,
    )


def first_admin(
    ids: Ids, secret: str, now: Seconds, *, name: str = "Center admin", label: str = "first start"
) -> Admin:
    """Return a new admin whose token is `secret`."""
    person = Person(id=ids.person(), name=name)
    token = Token(id=ids.token(), person=person.id, label=label, made=now)
    return Admin(person=person, token=token, digest=digest_of(secret))


def found_without_admin(settings: Settings) -> bool:
    """Make a center of an empty database that has the schema; tell whether it was empty."""
    store = SqlStore(settings.database_url, sealing_key=sealing_key(settings))
    try:
        return store.transact(found_center, founding(settings, worksite(settings, SystemClock())))
    finally:
        store.close()


def first_rates() -> RateCard:
    """Return the card of a center that has not published its own: a credit an hour for a core or each begun 4 GiB."""
    terms = (
        Term(resource=CPU, step=MILLI, micro_credits=_CREDIT),
        Term(resource=MEMORY, step=4 * GIB, micro_credits=_CREDIT),
    )
    return RateCard(since=Seconds(0), rules=(RateRule(pool=POOL, groups=(terms,)),))
