"""What exists before a test begins, put into any store by its own means."""

from operations.ports.office import Office
from operations.ports.store import Store, Work
from quotas.allocations import Award
from quotas.ledger import grant_entry
from quotas.rates import RateCard
from quotas.tree import Share
from registry.centers import Center, Environment, Node, Pool, Tier
from registry.ids import (
    AllocationId,
    EnvironmentId,
    InstitutionId,
    MicroCredits,
    PoolId,
    ProjectId,
    Seconds,
    institution_of,
)
from registry.institutions import Institution, InstitutionKind, Project
from registry.tags import UNREPORTED, FundingSource, Sector, Topic
from store.memory import MemoryStore
from store.transactions import SqlStore
from tests.builders import CENTER, POOL, tags

Thing = Node | Share | Pool | Environment | Project | RateCard

A_POOL = Pool(id=POOL, center=CENTER, tier=Tier.HPC, name="Main")
AN_ENVIRONMENT = Environment(
    id=EnvironmentId("default"), version="1", python="3.11", distributed="2026.8.0", path="somewhere"
)


def a_pool(name: str) -> Pool:
    return Pool(id=PoolId(name), center=CENTER, tier=Tier.HPC, name=name)


def an_institution(name: str) -> Institution:
    return Institution(id=InstitutionId(name), name=name, kind=InstitutionKind.UNIVERSITY, joined=Seconds(0))


def a_project(name: str) -> Project:
    project = ProjectId(name)
    return Project(
        id=project,
        institution=institution_of(project),
        name=name,
        sector=Sector(UNREPORTED),
        topic=Topic(UNREPORTED),
        opened=Seconds(0),
    )


def seed(store: Store[Work], *things: Thing) -> None:
    """Put things into a store, and what they cannot be without."""
    if isinstance(store, MemoryStore):
        store.seed(*things)
    else:
        assert isinstance(store, SqlStore)
        store.transact(_put_all, things)


def award(store: Store[Work], project: str = "vmu.vision", micro_credits: int = 10**12) -> AllocationId:
    """Give a project credits and return the allocation they are in."""
    given = Award(
        id=AllocationId("alloc-" + project),
        project=ProjectId(project),
        funding=FundingSource("city"),
        credits=MicroCredits(micro_credits),
        begins=Seconds(0),
        ends=Seconds(10**10),
    )
    store.transact(_give, given)
    return given.id


def _give(work: Work, award: Award) -> None:
    work.accounts.open(award)
    assert work.accounts.post([grant_entry(award, tags(award.project), award.begins)])


def _put_all(office: Office, things: tuple[Thing, ...]) -> None:
    office.facilities.put_center(Center(id=CENTER, name="Center"))
    for thing in things:
        match thing:
            case Node():
                office.nodes.put(thing)
            case Share():
                office.shares.put(thing)
            case Pool():
                office.facilities.put_pool(thing)
            case Environment():
                office.facilities.put_environment(thing)
            case Project():
                office.institutions.add(an_institution(thing.institution))
                office.projects.add(thing)
            case RateCard():
                office.books.put_rate_card(thing)
