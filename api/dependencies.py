"""What routes are given: the center's ports, who calls, and the ids in the address."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Path
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection
from starlette.requests import Request as HttpRequest

from api.languages import language_of
from api.problems import refused
from api.streams import Streams
from operations.callers import Caller, authenticate
from operations.explaining import Explainer
from operations.follower import Follower
from operations.policies import POLICIES, forbidden_everywhere
from operations.ports import Inside
from operations.ports.office import Office
from operations.ports.outside import Pulse
from operations.reasons import NodesFollow, Unauthenticated, Unknown
from operations.sentences import Language
from registry.ids import RANDOM_PATTERN, RequestId
from scheduler.policy import Policy

POLICY: Final = "x-policy"
_LONGEST_SECRET: Final = 256
_RANDOM: Final = re.compile(RANDOM_PATTERN)

_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="A token of the center.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that routes work with, made once by whoever starts the application."""

    ports: Inside[Office]
    explainer: Explainer
    policy: Policy
    pulse: Callable[[], Pulse]
    streams: Streams
    keeps_apart: bool
    own_nodes: bool


def policy(action: str) -> dict[str, Any]:
    """Return what declares an operation's policy: the action whose row in the table of policies decides."""
    return {POLICY: action, "x-who": POLICIES[action].value}


async def desk(http: HTTPConnection) -> Desk:
    """Return what the application was made with."""
    given: Desk = http.app.state.desk
    return given


DeskDep = Annotated[Desk, Depends(desk)]


def _ports(desk: DeskDep) -> Inside[Office]:
    return desk.ports


def _own_nodes(desk: DeskDep) -> None:
    """Refuse to administer nodes that the center only follows."""
    if not desk.own_nodes:
        raise refused(NodesFollow())


OWN_NODES: Final = Depends(_own_nodes)
"""What an operation depends on that says what a node is to be."""


def _explainer(desk: DeskDep) -> Explainer:
    return desk.explainer


def _follower(desk: DeskDep) -> Follower:
    return desk.explainer.follower


def _rules(desk: DeskDep) -> Policy:
    return desk.policy


PortsDep = Annotated[Inside[Office], Depends(_ports)]
FollowerDep = Annotated[Follower, Depends(_follower)]
ExplainerDep = Annotated[Explainer, Depends(_explainer)]
RulesDep = Annotated[Policy, Depends(_rules)]


def _secret(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str:
    """Return what the caller shows; who shows nothing is refused before anything is read."""
    if credentials is None or len(credentials.credentials) > _LONGEST_SECRET:
        raise refused(Unauthenticated())
    return credentials.credentials


SecretDep = Annotated[str, Depends(_secret)]


def _caller(secret: SecretDep, ports: PortsDep, http: HttpRequest) -> Caller:
    """Return who calls, if the policy of the operation lets them do it to anything at all."""
    caller = ports.store.read(authenticate, secret, now=ports.clock.now())
    if caller is None:
        raise refused(Unauthenticated())
    if refusal := forbidden_everywhere(caller, http.scope["route"].openapi_extra[POLICY]):
        raise refused(refusal)
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]
CALLED: Final = Depends(_caller)
"""What keeps strangers out of an operation that does not ask who calls."""


def _language(http: HttpRequest) -> Language:
    return language_of(http.headers)


LanguageDep = Annotated[Language, Depends(_language)]


def _request(
    _caller: CallerDep, request: Annotated[str, Path(json_schema_extra={"pattern": RANDOM_PATTERN})]
) -> RequestId:
    """Return the request that the address names; what cannot be an id is as unknown as what is none."""
    if not _RANDOM.fullmatch(request):
        raise refused(Unknown(what="request"))
    return RequestId(request)


RequestIdDep = Annotated[RequestId, Depends(_request)]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Sent again with the same body, the first answer is given again and nothing is done twice.",
    ),
]
