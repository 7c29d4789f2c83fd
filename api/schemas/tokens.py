"""Tokens as they are made, shown once with their secret, and listed without."""

from typing import Annotated

from pydantic import Field, StringConstraints

from api.schemas.shape import PRINTABLE, Closed, Moment, Open
from registry.ids import PersonId, Seconds, TokenId
from registry.people import Token


class TokenIn(Closed):
    """A token that is to be made."""

    label: Annotated[str, StringConstraints(max_length=100, pattern=PRINTABLE)] = Field(
        default="", description="What it is for.", examples=["notebook"]
    )
    until: Moment | None = Field(default=None, description="When it ends; it lasts if left out.")

    def to_token(self, token: TokenId, person: PersonId, now: Seconds) -> Token:
        """Return the token of a person, made now."""
        until = None if self.until is None else Seconds(self.until)
        return Token(id=token, person=person, label=self.label, made=now, until=until)


class TokenOut(Open):
    """A token without its secret, which nobody has but whom it was shown to."""

    id: str
    label: str
    made: int
    until: int | None
    revoked: int | None

    @classmethod
    def from_token(cls, token: Token) -> "TokenOut":
        """Return a token as it goes out."""
        return cls(id=token.id, label=token.label, made=token.made, until=token.until, revoked=token.revoked)


class TokensOut(Open):
    """All tokens of a person."""

    items: list[TokenOut]

    @classmethod
    def from_tokens(cls, tokens: tuple[Token, ...]) -> "TokensOut":
        """Return tokens as they go out."""
        return cls(items=[TokenOut.from_token(token) for token in tokens])


class NewTokenOut(TokenOut):
    """A token that was just made, with the secret that is shown this once."""

    secret: str

    @classmethod
    def from_made(cls, token: Token, secret: str) -> "NewTokenOut":
        """Return a new token with its secret."""
        return cls(**TokenOut.from_token(token).model_dump(), secret=secret)
