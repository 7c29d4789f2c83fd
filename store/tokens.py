"""Tokens by the digest of their secret: the secret itself is never here."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, ForeignKey, LargeBinary, Table, select, update

from registry.ids import PersonId, Seconds, TokenId
from registry.people import Token
from store.connections import Transaction
from store.rows import thing_of, values_of
from store.schema import METADATA, TEXT, moment

TOKENS: Final = Table(
    "tokens",
    METADATA,
    Column("id", TEXT, primary_key=True),
    Column("person", ForeignKey("people.id"), nullable=False, index=True),
    Column("label", TEXT, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    moment("made"),
    moment("until", nullable=True),
    moment("revoked", nullable=True),
)


@dataclass(frozen=True, slots=True)
class SqlTokens:
    """`Tokens` in SQL."""

    transaction: Transaction

    def add(self, token: Token, digest: bytes) -> None:
        self.transaction.run(TOKENS.insert().values(**values_of(token), digest=digest))

    def by_digest(self, digest: bytes) -> Token | None:
        row = self.transaction.row(select(TOKENS).where(TOKENS.c.digest == digest))
        return thing_of(Token, row) if row else None

    def of(self, person: PersonId) -> tuple[Token, ...]:
        tokens = select(TOKENS).where(TOKENS.c.person == person).order_by(TOKENS.c.id)
        return tuple(thing_of(Token, row) for row in self.transaction.rows(tokens))

    def revoke(self, person: PersonId, token: TokenId, now: Seconds) -> bool:
        own = (TOKENS.c.person == person, TOKENS.c.id == token)
        # A token that was revoked before keeps the moment of the first time.
        self.transaction.run(update(TOKENS).where(*own, TOKENS.c.revoked.is_(None)).values(revoked=now))
        return self.transaction.first(select(TOKENS.c.id).where(*own)) is not None

    def any_exist(self) -> bool:
        return self.transaction.first(select(TOKENS.c.id).limit(1)) is not None
