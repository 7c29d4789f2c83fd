"""What processes printed last, which is a help for a while and no part of the books: its table and its queries."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import BigInteger, Column, Index, Table, delete, func, select

from operations.ports.store import KeptLog
from registry.ids import InstitutionId, ProcessUid, RequestId, Seconds
from store.connections import Transaction
from store.schema import METADATA, TEXT

PROCESS_LOGS: Final = Table(
    "process_logs",
    METADATA,
    Column("uid", TEXT, primary_key=True),
    Column("request", TEXT, nullable=False, index=True),
    Column("institution", TEXT, nullable=False),
    Column("process", TEXT, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("text", TEXT, nullable=False),
    Index("ix_process_logs_institution_at", "institution", "at"),
)
_HEADINGS: Final = (
    PROCESS_LOGS.c.uid,
    PROCESS_LOGS.c.institution,
    PROCESS_LOGS.c.process,
    PROCESS_LOGS.c.at,
    func.length(PROCESS_LOGS.c.text).label("characters"),
)


@dataclass(frozen=True, slots=True)
class SqlLogs:
    """`Logs` in SQL."""

    transaction: Transaction

    def keep(self, log: KeptLog, text: str) -> None:
        values = {name: getattr(log, name) for name in ("uid", "request", "institution", "process", "at")} | {
            "text": text
        }
        self.transaction.run(self.transaction.insert(PROCESS_LOGS).values(values).on_conflict_do_nothing())

    def of(self, request: RequestId) -> tuple[KeptLog, ...]:
        found = select(*_HEADINGS).where(PROCESS_LOGS.c.request == request)
        rows = self.transaction.rows(found.order_by(PROCESS_LOGS.c.at.desc(), PROCESS_LOGS.c.process))
        return tuple(
            KeptLog(
                uid=ProcessUid(row["uid"]),
                request=request,
                institution=InstitutionId(row["institution"]),
                process=row["process"],
                at=row["at"],
                characters=row["characters"],
            )
            for row in rows
        )

    def text(self, uid: ProcessUid) -> str | None:
        row = self.transaction.first(select(PROCESS_LOGS.c.text).where(PROCESS_LOGS.c.uid == uid))
        return str(row[0]) if row else None

    def drop(self, *, before: Seconds) -> None:
        self.transaction.run(delete(PROCESS_LOGS).where(PROCESS_LOGS.c.at < before))

    def thin(self, institution: InstitutionId, *, newest: int) -> None:
        theirs = PROCESS_LOGS.c.institution == institution
        in_order = select(PROCESS_LOGS.c.at).where(theirs).order_by(PROCESS_LOGS.c.at.desc())
        oldest = self.transaction.first(in_order.offset(newest).limit(1))
        if oldest is not None:
            self.transaction.run(delete(PROCESS_LOGS).where(theirs, PROCESS_LOGS.c.at <= oldest[0]))
