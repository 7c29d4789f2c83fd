"""What administration and reading find, and that nobody finds what is outside their scope."""

from dataclasses import replace

import pytest

from operations.ports.office import Office, ShareVersion
from quotas.rates import RateCard
from registry.centers import Center, Environment, NodeState, Pool
from registry.ids import InstitutionId, NodeId, PersonId, PoolId, ProjectId, Seconds, ShareId, TokenId
from registry.people import EVERYTHING, Person, Role, RoleGrant, Scope, Token
from store.transactions import SqlStore
from tests.builders import ALICE, CENTER, NOW, POOL, a_node, a_rate_card, a_rule, a_share, cores
from tests.seeding import A_POOL, AN_ENVIRONMENT, a_pool, a_project, an_institution, seed

VMU = Scope(institutions=frozenset({InstitutionId("vmu")}))
NOBODY = Scope(institutions=frozenset())
BOB = PersonId("b" * 26)


@pytest.fixture
def office(sql_store: SqlStore) -> SqlStore:
    """Two institutions with two projects each."""
    projects = ("vmu.vision", "vmu.sound", "hcmut.wind", "hcmut.wave")
    seed(sql_store, A_POOL, AN_ENVIRONMENT, *map(a_project, projects))
    return sql_store


# Institutions and projects


def test_an_id_is_given_once(office: SqlStore) -> None:
    assert not office.transact(lambda o: o.institutions.add(replace(an_institution("vmu"), name="another")))
    assert not office.transact(lambda o: o.projects.add(replace(a_project("vmu.vision"), name="another")))
    assert office.transact(lambda o: o.institutions.add(an_institution("uit")))
    assert office.read(lambda o: o.institutions.get(EVERYTHING, InstitutionId("vmu"))) == an_institution("vmu")


def test_institutions_are_seen_within_a_scope(office: SqlStore) -> None:
    def seen(o: Office, scope: Scope) -> list[str]:
        page = o.institutions.page(scope, after="", limit=10)
        found = [o.institutions.get(scope, InstitutionId(name)) for name in ("hcmut", "vmu", "nowhere")]
        assert [one for one in found if one] == list(page)
        return [one.id for one in page]

    assert office.read(seen, EVERYTHING) == ["hcmut", "vmu"]
    assert office.read(seen, VMU) == ["vmu"]
    assert office.read(seen, NOBODY) == []


def test_projects_are_seen_within_a_scope_and_in_pages(office: SqlStore) -> None:
    def seen(o: Office, scope: Scope, after: str, limit: int) -> list[str]:
        return [one.id for one in o.projects.page(scope, after=after, limit=limit)]

    def got(o: Office, scope: Scope, project: str) -> object:
        return o.projects.get(scope, ProjectId(project))

    assert office.read(seen, EVERYTHING, "", 3) == ["hcmut.wave", "hcmut.wind", "vmu.sound"]
    assert office.read(seen, EVERYTHING, "vmu.sound", 3) == ["vmu.vision"]
    assert office.read(seen, VMU, "", 10) == ["vmu.sound", "vmu.vision"]
    assert office.read(got, VMU, "vmu.vision") == a_project("vmu.vision")
    assert office.read(got, VMU, "hcmut.wind") is office.read(got, VMU, "hcmut.none") is None


# People


def join(o: Office, person: PersonId, *grants: RoleGrant) -> None:
    o.people.add(Person(id=person, name=f"Nguyễn {person[0]}"))
    for grant in grants:
        o.grants.put(grant)


def a_grant(person: PersonId, reach: str, role: Role = Role.RESEARCHER, until: int | None = None) -> RoleGrant:
    return RoleGrant(person=person, role=role, reach=reach, until=None if until is None else Seconds(until))


def test_a_grant_takes_the_place_of_the_one_like_it(office: SqlStore) -> None:
    office.transact(join, ALICE, a_grant(ALICE, "vmu.vision"), a_grant(ALICE, "vmu", Role.INSTITUTION_ADMIN))
    office.transact(lambda o: o.grants.put(a_grant(ALICE, "vmu.vision", until=5)))
    assert set(office.read(lambda o: o.grants.of(ALICE))) == {
        a_grant(ALICE, "vmu.vision", until=5),
        a_grant(ALICE, "vmu", Role.INSTITUTION_ADMIN),
    }
    assert office.read(lambda o: o.grants.of(BOB)) == ()


def test_people_are_seen_where_a_grant_of_theirs_reaches_past_ones_too(office: SqlStore) -> None:
    # A center may bear the name of one of its members.
    office.transact(join, ALICE, a_grant(ALICE, "vmu.vision", until=5))
    office.transact(join, BOB, a_grant(BOB, "vmu", Role.CENTER_ADMIN), a_grant(BOB, "hcmut.wind"))

    def seen(o: Office, scope: Scope) -> list[PersonId]:
        page = o.people.page(scope, after="", limit=10)
        found = [o.people.get(scope, person) for person in (ALICE, BOB, PersonId("c" * 26))]
        assert [one for one in found if one] == list(page)
        return [one.id for one in page]

    assert office.read(seen, EVERYTHING) == [ALICE, BOB]
    assert office.read(seen, VMU) == [ALICE]
    assert office.read(seen, Scope(institutions=frozenset({InstitutionId("hcmut")}))) == [BOB]
    assert office.read(seen, NOBODY) == []


def test_tokens_are_found_by_digest_and_revoked_by_their_owner_once(office: SqlStore) -> None:
    token = Token(id=TokenId("t" * 26), person=ALICE, label="laptop", made=NOW, until=Seconds(NOW + 5))

    def add(o: Office) -> None:
        o.tokens.add(token, b"\x00digest")

    assert not office.read(lambda o: o.tokens.any_exist())
    office.transact(join, ALICE)
    office.transact(add)
    assert office.read(lambda o: o.tokens.any_exist())
    assert office.read(lambda o: o.tokens.by_digest(b"\x00digest")) == token
    assert office.read(lambda o: o.tokens.by_digest(b"\x00other")) is None
    assert not office.transact(lambda o: o.tokens.revoke(BOB, token.id, NOW))
    assert not office.transact(lambda o: o.tokens.revoke(ALICE, TokenId("u" * 26), NOW))
    assert office.transact(lambda o: o.tokens.revoke(ALICE, token.id, NOW))
    assert office.transact(lambda o: o.tokens.revoke(ALICE, token.id, Seconds(NOW + 1)))
    assert office.read(lambda o: o.tokens.of(ALICE)) == (replace(token, revoked=NOW),)


# Facilities


def test_facilities_are_kept_in_place_of_those_by_their_id(office: SqlStore) -> None:
    renamed = replace(A_POOL, name="Renamed")
    newer = replace(AN_ENVIRONMENT, version="2")

    def put(o: Office, pool: Pool, environment: Environment) -> None:
        o.facilities.put_center(Center(id=CENTER, name="Trung tâm"))
        o.facilities.put_pool(pool)
        o.facilities.put_environment(environment)

    office.transact(put, renamed, newer)
    assert office.read(lambda o: o.facilities.center()) == Center(id=CENTER, name="Trung tâm")
    assert office.read(lambda o: o.facilities.pools()) == (renamed,)
    assert office.read(lambda o: o.register.pool(POOL)) == renamed
    assert office.read(lambda o: o.register.environment(newer.id)) == newer
    assert office.read(lambda o: o.register.project(ProjectId("vmu.vision"))) == a_project("vmu.vision")


def test_a_center_is_not_there_before_it_is_named(sql_store: SqlStore) -> None:
    assert sql_store.read(lambda o: o.facilities.center()) is None
    assert sql_store.read(lambda o: o.register.project(ProjectId("vmu.vision"))) is None


def test_a_rate_card_is_never_edited(office: SqlStore) -> None:
    later = RateCard(since=Seconds(9), rules=(replace(a_rule(), minimum_seconds=60),))
    for card in (a_rate_card(), later):
        assert office.transact(lambda o, card: o.books.put_rate_card(card), card)
    assert not office.transact(lambda o: o.books.put_rate_card(replace(later, rules=())))
    assert office.read(lambda o: o.register.rate_cards()) == (a_rate_card(), later)


def test_nodes_come_in_pages_of_a_pool(office: SqlStore) -> None:
    nodes = [a_node("n1"), a_node("n2", state=NodeState.LOST), replace(a_node("n3"), pool=PoolId("fog"))]
    seed(office, a_pool("fog"), *nodes)

    def seen(o: Office, pool: PoolId | None, after: str, limit: int) -> list[str]:
        return [node.id for node in o.nodes.page(pool=pool, after=after, limit=limit)]

    assert office.read(seen, None, "", 2) == ["n1", "n2"]
    assert office.read(seen, None, "n2", 2) == ["n3"]
    assert office.read(seen, POOL, "", 9) == ["n1", "n2"]
    assert office.read(lambda o: o.nodes.get(NodeId("n2"))) == nodes[1]
    assert office.read(lambda o: o.nodes.get(NodeId("n9"))) is None


# Shares


@pytest.fixture
def tree(office: SqlStore) -> SqlStore:
    """A quota tree of two institutions in one pool."""
    shares = (
        a_share(CENTER, cores(8, 8), parent=None),
        a_share("vmu", cores(4, 4)),
        a_share("vmu.vision", cores(4, 4), parent="vmu"),
        a_share("hcmut", cores(4, 4)),
    )
    seed(office, *shares)
    return office


def test_a_share_counts_its_edits_and_not_what_is_granted(tree: SqlStore) -> None:
    edited = a_share("vmu", cores(2, 2), borrowing=cores(2, 2))

    def get(o: Office) -> ShareVersion | None:
        return o.shares.get(EVERYTHING, ShareId("vmu"), POOL)

    assert tree.read(get) == ShareVersion(share=a_share("vmu", cores(4, 4)), version=1)
    tree.transact(lambda o: o.shares.put(edited))
    assert tree.read(get) == ShareVersion(share=edited, version=2)


def test_shares_are_seen_within_a_scope_and_the_centers_by_everybody(tree: SqlStore) -> None:
    def seen(o: Office, scope: Scope, after: str = "", limit: int = 10) -> list[str]:
        return [one.share.id for one in o.shares.page(scope, pool=POOL, after=after, limit=limit)]

    def got(o: Office, scope: Scope, share: str) -> ShareVersion | None:
        return o.shares.get(scope, ShareId(share), POOL)

    assert tree.read(seen, EVERYTHING) == [CENTER, "hcmut", "vmu", "vmu.vision"]
    assert tree.read(seen, EVERYTHING, f"{POOL}/hcmut", 1) == ["vmu"]
    assert tree.read(seen, VMU) == [CENTER, "vmu", "vmu.vision"]
    assert tree.read(seen, NOBODY) == [CENTER]
    assert tree.read(got, VMU, "vmu.vision") is not None
    assert tree.read(got, VMU, "hcmut") is tree.read(got, VMU, "none") is None


def test_children_are_those_directly_beneath(tree: SqlStore) -> None:
    def children(o: Office, parent: str) -> list[str]:
        return [share.id for share in o.shares.children(ShareId(parent), POOL)]

    assert tree.read(children, CENTER) == ["hcmut", "vmu"]
    assert tree.read(children, "vmu") == ["vmu.vision"]
    assert tree.read(children, "hcmut") == []
