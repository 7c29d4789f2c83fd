"""The first start: a store with nothing in it becomes a center with one pool, a price and somebody to run it."""

from dataclasses import dataclass

from operations.facilities import NodePlan, put_node, put_pool
from operations.ports.office import Office
from operations.reasons import Refused
from quotas.rates import RateCard
from registry.centers import Center, Environment, Pool
from registry.ids import CenterId
from registry.people import Person, Role, RoleGrant, Token


class OtherCenterError(Exception):
    """The store holds a center of another name than the one that is meant; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """Somebody who is to run the center, and their first token, of which only the digest is kept."""

    person: Person
    token: Token
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """What a center begins with; without an `admin` one is appointed later."""

    center: Center
    pool: Pool
    node: NodePlan | None
    environments: tuple[Environment, ...]
    rates: RateCard
    admin: Admin | None = None


def found_center(work: Office, founding: Founding) -> bool:
    """Make a center of an empty store; tell whether this did it, and its admin's token is good.

    Every start may call it, also two at once: a center that exists keeps all it has, and only learns where its
    environments now lie; one that was closed is open again.

    Raises:
        OtherCenterError: the store is another center's.
    """
    is_founded(work, founding.center.id)
    new = work.facilities.put_center(founding.center)
    for environment in founding.environments:
        work.facilities.put_environment(environment)
    if not new:
        return False
    put_pool(work, founding.pool)
    if founding.node is not None:
        node = put_node(work, founding.node)
        assert not isinstance(node, Refused), node
    work.books.put_rate_card(founding.rates)
    return founding.admin is None or appoint_admin(work, founding.admin)


def is_founded(work: Office, center: CenterId) -> bool:
    """Tell whether there is a center.

    Raises:
        OtherCenterError: it is another.
    """
    found = work.facilities.center()
    if found is not None and found.id != center:
        raise OtherCenterError(f"the database holds the center {found.id}, not {center}: say --center {found.id}")
    return found is not None


def appoint_admin(work: Office, admin: Admin) -> bool:
    """Give a new person the center, and the token that stands for them; False if there is no center yet."""
    center = work.facilities.center()
    if center is None:
        return False
    work.people.add(admin.person)
    work.grants.put(RoleGrant(person=admin.person.id, role=Role.CENTER_ADMIN, reach=center.id))
    work.tokens.add(admin.token, admin.digest)
    return True
