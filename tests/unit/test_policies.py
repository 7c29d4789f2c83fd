"""Who may do what, as the table of policies says it."""

import re

import pytest

from operations.callers import Caller
from operations.policies import POLICIES, Subject, Who, forbidden, forbidden_everywhere
from registry.ids import InstitutionId, PersonId, ProjectId
from registry.people import Role, RoleGrant
from tests.builders import CENTER

ACTION_OF = {who: next((name for name, needs in POLICIES.items() if needs is who), None) for who in Who}

SUBJECT = Subject(institution=InstitutionId("vmu"), project=ProjectId("vmu.vision"), person=PersonId("alice"))


def caller(name: str, role: Role, reach: str) -> Caller:
    person = PersonId(name)
    return Caller(person=person, center=CENTER, grants=(RoleGrant(person=person, role=role, reach=reach),))


CALLERS = {
    "owner": caller("alice", Role.RESEARCHER, "vmu.vision"),
    "colleague": caller("bob", Role.RESEARCHER, "vmu.vision"),
    "dean": caller("dean", Role.INSTITUTION_ADMIN, "vmu"),
    "stranger": caller("eve", Role.RESEARCHER, "hust.climate"),
    "other dean": caller("dan", Role.INSTITUTION_ADMIN, "hust"),
    "center": caller("root", Role.CENTER_ADMIN, CENTER),
}
EVERYBODY = set(CALLERS)

MAY = {
    Who.ANYBODY: EVERYBODY,
    Who.CALLER: EVERYBODY,
    Who.MEMBER: {"owner", "colleague", "dean", "center"},
    Who.MEMBER_OR_CENTER: {"owner", "colleague", "dean", "center"},
    Who.OWNER: {"owner"},
    Who.OWNER_OR_ADMIN: {"owner", "dean", "center"},
    Who.SELF_OR_ADMIN: {"owner", "dean", "center"},
    Who.INSTITUTION_ADMIN: {"dean", "center"},
    Who.CENTER_ADMIN: {"center"},
}


@pytest.mark.parametrize("who", [who for who in Who if ACTION_OF[who]])
def test_only_who_the_policy_names_may_act(who: Who) -> None:
    action = ACTION_OF[who]
    assert action is not None
    allowed = {name for name, one in CALLERS.items() if forbidden(one, action, SUBJECT) is None}
    assert allowed == MAY[who]


@pytest.mark.parametrize("action", POLICIES)
def test_who_may_do_nothing_of_a_kind_is_told_so_before_anything_is_read(action: str) -> None:
    for one in CALLERS.values():
        if forbidden_everywhere(one, action):
            assert forbidden(one, action, SUBJECT), "refused everywhere and allowed somewhere"


def test_an_administrator_of_another_institution_may_try_and_is_refused_here() -> None:
    action = ACTION_OF[Who.INSTITUTION_ADMIN]
    assert action is not None
    assert forbidden_everywhere(CALLERS["other dean"], action) is None
    assert forbidden_everywhere(CALLERS["stranger"], action) is not None


@pytest.mark.parametrize("action", POLICIES)
def test_an_action_is_a_noun_and_a_verb(action: str) -> None:
    assert re.fullmatch(r"[a-z]+:[a-z]+(-[a-z]+)*", action)
