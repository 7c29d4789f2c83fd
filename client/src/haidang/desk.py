"""What every command that asks a center has in common: whom it asks, how it answers, how it fails."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import click

from haidang.answers import Answer
from haidang.client import Client
from haidang.errors import (
    ArgumentError,
    EndedError,
    HaidangError,
    HaidangWarning,
    NoCenterError,
    RefusedError,
    SettingsError,
    UnreachableError,
    WaitedTooLongError,
)
from haidang.refusals import complaint
from haidang.words import Words, harmless

MISUSED: Final = 2
EXIT_CODES: Final[tuple[tuple[tuple[type[HaidangError], ...], int], ...]] = (
    ((ArgumentError, SettingsError), MISUSED),
    ((UnreachableError, NoCenterError), 3),
    ((EndedError, WaitedTooLongError), 4),
)
REFUSED: Final = 1
INTERRUPTED: Final = 130
"""As a shell says it of a program that Ctrl-C has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where a command is carried out: the center it asks, and whether programs read what it says."""

    center: Client
    as_json: bool

    @property
    def words(self) -> Words:
        """Return the sentences of the chosen language."""
        return self.center.words

    def tell(self, answer: Answer | Sequence[Answer], lines: Callable[[], Iterable[str]]) -> None:
        """Print an answer: all of it as JSON, or lines for people, in which nothing steers their terminal."""
        if self.as_json:
            one = _plain(answer) if isinstance(answer, Answer) else [_plain(part) for part in answer]
            click.echo(_escaped(json.dumps(one, ensure_ascii=False, indent=2)))
            return
        for line in lines():
            click.echo(harmless(line))


class CenterCommand(click.Command):
    """A command that asks a center; its function is given a `Desk` first."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 - click's own, handed on as they are
        super().__init__(*arguments, **settings)
        self.params += [
            click.Option(["--json", "as_json"], is_flag=True, help="help_json"),
            click.Option(["--url"], metavar="URL", help="help_url"),
            click.Option(["--token"], metavar="TOKEN", help="help_token_option"),
            click.Option(["--language"], metavar="[vi|en]", help="help_language"),
        ]

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - whatever the command's function returns
        url, token, as_json, language = (ctx.params.pop(name) for name in ("url", "token", "as_json", "language"))
        try:
            with _warnings_told(), Client(url, token, language=language) as center:
                ctx.obj = Desk(center=center, as_json=as_json)
                return super().invoke(ctx)
        except HaidangError as error:
            given = (one for one in self.params if isinstance(one, click.Argument))
            written = {f"--{one.name}": one.make_metavar(ctx) for one in given}
            ctx.exit(complain(error, Words(language), as_json=as_json, arguments=written))
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


def complain(
    error: HaidangError,
    words: Words,
    *,
    as_json: bool,
    about: str | None = None,
    arguments: Mapping[str, str] | None = None,
) -> int:
    """Print a failure on stderr, in words or as JSON where programs read, and return the exit code for it.

    `about` is the id of the one thing of several that it is about, `arguments` as `complaint` has them.
    """
    if as_json:
        told = ({} if about is None else {"id": about}) | _told(error)
        click.echo(_escaped(json.dumps(told, ensure_ascii=False)), err=True)
    else:
        click.echo(("" if about is None else f"{about}: ") + complaint(error, words, arguments), err=True)
    return next((code for kinds, code in EXIT_CODES if isinstance(error, kinds)), REFUSED)


def _escaped(document: str) -> str:
    """Escape in a JSON document what would steer a terminal: JSON itself escapes only the oldest control characters."""
    return "".join(
        letter if letter == "\n" or letter.isprintable() else json.dumps(letter)[1:-1] for letter in document
    )


@contextmanager
def _warnings_told() -> Iterator[None]:
    """Tell warnings as sentences on stderr: which line of this package gives one is of no use at a command line."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", HaidangWarning)
        warnings.showwarning = _tell
        yield


def _tell(message: Warning | str, *_where: object, **_more: object) -> None:
    click.echo(str(message), err=True)


def _told(error: HaidangError) -> dict[str, object]:
    if not isinstance(error, RefusedError):
        return {"code": _code(error), "detail": str(error), "reasons": []}
    reasons = [
        {"code": reason.code, "field": reason.field, "sentence": reason.sentence, **reason.numbers}
        for reason in error.reasons
    ]
    return {"status": error.status, "code": error.code, "detail": str(error), "reasons": reasons}


def _code(error: HaidangError) -> str:
    """Return the code of a failure of the client's own, written as the center writes its codes: `waited-too-long`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__.removesuffix("Error")).lower()


def _plain(answer: Answer) -> dict[str, Any]:
    return answer.model_dump(mode="json", by_alias=True, exclude_unset=True)
