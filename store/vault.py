"""The credentials of clusters, sealed where they rest and never changed once they are kept."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, LargeBinary, Table, delete, select

from operations.ports.backend import Credentials
from registry.ids import RequestId
from store.connections import Transaction
from store.schema import METADATA, TEXT
from store.sealing import Seal

VAULT: Final = Table(
    "vault",
    METADATA,
    Column("request", TEXT, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class SqlVault:
    """`Vault` in SQL."""

    transaction: Transaction
    seal: Seal

    def keep(self, request: RequestId, credentials: Credentials) -> None:
        new = self.transaction.insert(VAULT).on_conflict_do_nothing()
        self.transaction.run(new, {"request": request, "sealed": self.seal.closed(credentials)})

    def get(self, request: RequestId) -> Credentials | None:
        found = self.transaction.first(select(VAULT.c.sealed).where(VAULT.c.request == request))
        return self.seal.opened(found[0]) if found else None

    def destroy(self, request: RequestId) -> None:
        self.transaction.run(delete(VAULT).where(VAULT.c.request == request))
