"""The tokens of people: made and shown once, listed without their secret, revoked."""

from fastapi import APIRouter, Response

from api.addresses import PersonDep, TokenDep
from api.dependencies import CallerDep, PortsDep, policy
from api.problems import accepted, problems
from api.schemas.tokens import NewTokenOut, TokenIn, TokensOut
from operations import tokens
from operations.callers import digest_of

router = APIRouter(prefix="/v1/people/{person}/tokens", tags=["tokens"])


@router.post("", status_code=201, responses=problems(404), openapi_extra=policy("tokens:issue"))
def issue_token(
    person: PersonDep, body: TokenIn, caller: CallerDep, ports: PortsDep, response: Response
) -> NewTokenOut:
    """Make a token for a person; its secret is in this answer and nowhere else."""
    now, secret = ports.clock.now(), ports.ids.secret()
    token = body.to_token(ports.ids.token(), person, now)
    outcome = ports.store.transact(tokens.issue_token, caller, token, digest_of(secret), now=now)
    response.headers["Cache-Control"] = "no-store"
    return NewTokenOut.from_made(accepted(outcome), secret)


@router.get("", responses=problems(404), openapi_extra=policy("tokens:list"))
def list_tokens(person: PersonDep, caller: CallerDep, ports: PortsDep) -> TokensOut:
    """List the tokens of a person, without their secrets."""
    return TokensOut.from_tokens(accepted(ports.store.read(tokens.list_tokens, caller, person, now=ports.clock.now())))


@router.delete("/{token}", status_code=204, responses=problems(404), openapi_extra=policy("tokens:revoke"))
def revoke_token(person: PersonDep, token: TokenDep, caller: CallerDep, ports: PortsDep) -> None:
    """Revoke a token at once; open streams end with it."""
    accepted(ports.store.transact(tokens.revoke_token, caller, person, token, now=ports.clock.now()))
