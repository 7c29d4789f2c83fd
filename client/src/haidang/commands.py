"""The command `haidang`: what it can do, each part loaded when it is asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import click

from haidang.words import Words

GROUP: Final = "haidang.commands"
"""The entry-point group through which other distributions, the server for one, add commands."""

OURS: Final[Mapping[str, str]] = {
    "submit": "haidang.asking",
    "queue": "haidang.reading",
    "why": "haidang.reading",
    "logs": "haidang.reading",
    "extend": "haidang.asking",
    "cancel": "haidang.asking",
    "hold": "haidang.asking",
    "release": "haidang.asking",
    "usage": "haidang.reading",
    "bookings": "haidang.booking",
    "book": "haidang.booking",
    "release-booking": "haidang.booking",
}


class Commands(click.Group):
    """The commands of this package and of whoever adds some. Listing them loads none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return [*OURS, *sorted(added.name for added in _added() if added.name not in OURS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name in OURS:
            command: click.Command = getattr(import_module(OURS[cmd_name]), cmd_name.replace("-", "_"))
            return command
        return next((added.load() for added in _added() if added.name == cmd_name), None)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, spoken(command, Words(_language_in(rest))) if name in OURS and command else command, rest

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.indentation():
            formatter.write_paragraph()
            formatter.write_text(Words()("help_haidang"))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        words = Words()
        homes = {added.name: added.dist.name for added in _added() if added.dist}
        rows = [(name, _short_help(name, homes.get(name, ""), words)) for name in self.list_commands(ctx)]
        with formatter.section(words("help_commands")):
            formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        formatter.write_paragraph()
        formatter.write_text(Words()("help_exit_codes"))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="haidang")
def main() -> None:
    """Run the command that was named; the texts of its help are in `texts/`."""


def spoken(command: click.Command, words: Words) -> click.Command:
    """Return a command whose help, written as names of sentences, is said in a language."""
    said = copy.copy(command)
    said.help = words(command.help) if command.help else None
    said.params = [_spoken_option(option, words) for option in command.params]
    said.context_settings = {**command.context_settings, "obj": words}
    return said


def _spoken_option(parameter: click.Parameter, words: Words) -> click.Parameter:
    said = copy.copy(parameter)
    if isinstance(said, click.Option) and said.help in words:
        said.help = words(str(said.help))
    return said


def _language_in(arguments: list[str]) -> str | None:
    """Return the value of `--language`, which has to be known before click reads the options: it prints their help."""
    for place, argument in enumerate(arguments):
        if argument == "--language":
            return next(iter(arguments[place + 1 :]), None)
        if argument.startswith("--language="):
            return argument.partition("=")[2]
    return None


def _added() -> Iterator[EntryPoint]:
    yield from entry_points(group=GROUP)


def _short_help(name: str, home: str, words: Words) -> str:
    key = f"help_{name}"
    return words(key) if key in words else words("help_added", home=home)
