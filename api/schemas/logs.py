"""What the processes of a request printed last, as lists show it."""

from pydantic import Field

from api.schemas.shape import Open
from operations.ports.store import KeptLog


class LogOut(Open):
    """The log of one process that has ended: `at` is when, `characters` how much of it was kept."""

    process: str
    at: int
    characters: int = Field(ge=0)

    @classmethod
    def from_log(cls, log: KeptLog) -> "LogOut":
        """Return a log as it goes out, without its text."""
        return cls(process=log.process, at=log.at, characters=log.characters)


class LogTextOut(LogOut):
    """One log with its text: what a program has written, never the center's own words."""

    text: str

    @classmethod
    def from_kept(cls, log: KeptLog, text: str) -> "LogTextOut":
        """Return a log with its text as it goes out."""
        return cls(process=log.process, at=log.at, characters=log.characters, text=text)


class LogsOut(Open):
    """The logs of a request, the newest first."""

    items: list[LogOut]
