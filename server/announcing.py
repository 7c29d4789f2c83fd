"""What a starting center says on standard output: to people line by line, to scripts once in one JSON object."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Protocol, Self

import click


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Where a center, or a part of it, answers, and how far its tenants are kept apart."""

    api: str | None
    metrics: str | None
    tenants: str


class Announcer(Protocol):
    """Whoever is told how a start comes along."""

    def founded(self, token: str) -> None:
        """Tell the admin's token of a center that was just made: it cannot be shown again."""
        ...

    def opened(self, where: Opened) -> None:
        """Tell that everything listens."""
        ...


class ToPeople:
    """Says each thing as soon as it is so."""

    def founded(self, token: str) -> None:
        click.echo(f"center-admin token, shown once: {token}")

    def opened(self, where: Opened) -> None:
        if where.api:
            click.echo(f"API      {where.api}   (described at /docs)")
        if where.metrics:
            click.echo(f"metrics  {where.metrics}")
        click.echo(f"tenants  {where.tenants}")


class ToScripts:
    """Says everything at once when everything listens, around which it is a context.

    A start that fails after it has made the center says the token alone: no later one could.
    """

    def __init__(self) -> None:
        self._untold: dict[str, str] = {}

    def founded(self, token: str) -> None:
        self._untold = {"token": token}

    def opened(self, where: Opened) -> None:
        places = {name: value for name, value in asdict(where).items() if value is not None}
        told, self._untold = places | self._untold, {}
        click.echo(json.dumps(told))

    def __enter__(self) -> Self:
        """Wait for what there is to say."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say what would otherwise be lost."""
        if self._untold:
            click.echo(json.dumps(self._untold))
