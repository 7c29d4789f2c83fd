"""Commands that change something: submit, extend, cancel, hold, release."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import click

from haidang.amounts import read_bytes, read_millicores, read_workers, write_moment
from haidang.answers import Amounts, Request
from haidang.desk import INTERRUPTED, REFUSED, CenterCommand, Desk, complain
from haidang.errors import (
    ArgumentError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    UnknownError,
    WaitedTooLongError,
)
from haidang.foretelling import estimate_lines
from haidang.refusals import made_up
from haidang.words import Words

ABOUT_ONE: Final = (ConflictError, ForbiddenError, InvalidError, UnknownError)
"""What the center says no to for one request; any other failure would meet the next one as well."""

_REQUEST_IDS = click.argument("request_ids", metavar="ID...", nargs=-1, required=True)


@click.command(cls=CenterCommand, help="help_submit")
@click.option("--project", metavar="ID", help="help_project")
@click.option("--workers", default="1-4", show_default=True, metavar="MIN-MAX", help="help_workers")
@click.option("--cores", default="1", show_default=True, metavar="N", help="help_cores")
@click.option("--memory", default="2GiB", show_default=True, metavar="SIZE", help="help_memory")
@click.option("--gpus", multiple=True, metavar="MODEL=N", help="help_gpus")
@click.option("--walltime", default="1h", show_default=True, metavar="TIME", help="help_walltime")
@click.option("--idle", metavar="TIME", help="help_idle")
@click.option("--pool", metavar="ID", help="help_pool")
@click.option("--class", "request_class", metavar="CLASS", help="help_class")
@click.option("--environment", metavar="ID", help="help_environment")
@click.option("--booking", metavar="ID", help="help_booking")
@click.option("--parallel-fraction", type=click.INT, metavar="N", help="help_parallel_fraction")
@click.option("--name", default="", metavar="TEXT", help="help_name")
@click.option("--key", metavar="KEY", help="help_key")
@click.option("--dry-run", is_flag=True, help="help_dry_run")
@click.option("--wait", is_flag=True, help="help_wait")
@click.option("--patience", metavar="TIME", help="help_patience")
@click.pass_obj
def submit(
    desk: Desk,
    /,
    *,
    gpus: tuple[str, ...],
    dry_run: bool,
    wait: bool,
    patience: str | None,
    **asked: Any,  # noqa: ANN401 - click's own types; the client reads each
) -> None:
    """Ask for a cluster; the id alone goes to stdout, so that a script can take it."""
    with _explained(asked, desk.words):
        if dry_run:
            del asked["key"]
            found = desk.center.estimate(gpus=_devices(gpus, desk.words), **asked)
            desk.tell(found, lambda: estimate_lines(found, desk.words))
            return
        request = desk.center.submit(gpus=_devices(gpus, desk.words), **asked)
    if not desk.as_json:
        click.echo(request.id)
    if wait:
        _wait(desk, request.id, patience)
        request = desk.center.request(request.id)
    if desk.as_json:
        desk.tell(request, list)
    elif sys.stderr.isatty() and not wait:
        click.echo(desk.words("submitted", id=request.id), err=True)


@click.command(cls=CenterCommand, help="help_cancel")
@_REQUEST_IDS
@click.pass_obj
def cancel(desk: Desk, *, request_ids: tuple[str, ...]) -> None:
    """End requests, whether they wait or run."""
    _each(desk, request_ids, desk.center.cancel)


@click.command(cls=CenterCommand, help="help_extend")
@click.argument("request_id", metavar="ID")
@click.argument("walltime", metavar="TIME")
@click.option("--key", metavar="KEY", help="help_key_extend")
@click.pass_obj
def extend(desk: Desk, *, request_id: str, walltime: str, key: str | None) -> None:
    """Let a running cluster go on for so much longer."""
    request = desk.center.extend(request_id, walltime, key=key)
    words = desk.words
    desk.tell(request, lambda: [words("extended", id=request.id, when=write_moment(request.deadline or 0, words))])


@click.command(cls=CenterCommand, help="help_hold")
@_REQUEST_IDS
@click.pass_obj
def hold(desk: Desk, *, request_ids: tuple[str, ...]) -> None:
    """Keep waiting requests from starting."""
    _each(desk, request_ids, desk.center.hold)


@click.command(cls=CenterCommand, help="help_release")
@_REQUEST_IDS
@click.pass_obj
def release(desk: Desk, *, request_ids: tuple[str, ...]) -> None:
    """Let held requests take their turn again."""
    _each(desk, request_ids, desk.center.release)


def _each(desk: Desk, request_ids: tuple[str, ...], do: Callable[[str], Request]) -> None:
    """Do it to each, whatever becomes of the others, and tell at once what was done; the exit code tells of any no.

    Programs get one object for one id and a list of what was done for several, people a line each.
    """
    several = len(request_ids) > 1
    done: list[Request] = []
    refused = False
    try:
        for request_id in request_ids:
            try:
                done.append(do(request_id))
            except ABOUT_ONE as error:
                refused = True
                complain(error, desk.words, as_json=desk.as_json, about=request_id)
            else:
                if not desk.as_json:
                    click.echo(_line(done[-1], desk.words))
    finally:
        if desk.as_json and (several or done):
            desk.tell(done if several else done[0], list)
    if refused:
        sys.exit(REFUSED)


def _line(request: Request, words: Words) -> str:
    if request.user_hold or request.operator_hold:
        return words("phase_held", id=request.id)
    name = f"phase_{request.stands}"
    return words(name if name in words else "phase_other", id=request.id, phase=request.stands)


def _wait(desk: Desk, request_id: str, patience: str | None) -> None:
    """Wait with progress on stderr; who gives up waiting gives up the cluster, too."""
    try:
        desk.center.wait(request_id, patience=patience)
    except (KeyboardInterrupt, WaitedTooLongError) as error:
        desk.center.cancel(request_id)
        click.echo(desk.words("cancelled", id=request_id), err=True)
        if isinstance(error, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        raise


@contextmanager
def _explained(asked: Mapping[str, Any], words: Words) -> Iterator[None]:
    """Say of what was refused what would not be, as far as amounts that were made up are in the way."""
    try:
        yield
    except InvalidError as error:
        for line in _made_up(error, asked, words):
            error.add_note(line)
        raise


def _made_up(error: InvalidError, asked: Mapping[str, Any], words: Words) -> list[str]:
    least, _ = read_workers(asked["workers"], "workers", words)
    worker = Amounts(
        millicores=read_millicores(asked["cores"], "cores", words),
        memory=read_bytes(asked["memory"], "memory", words),
    )
    needs = [reason.numbers for reason in error.reasons if reason.field == "workers"]
    return made_up(needs, least, worker, words)


def _devices(gpus: Iterable[str], words: Words) -> dict[str, int] | None:
    wanted: dict[str, int] = {}
    for text in gpus:
        model, _, count = text.partition("=")
        if not model or not count.isdigit():
            raise ArgumentError("gpus", words("bad_gpus", argument="gpus", value=text))
        wanted[model] = wanted.get(model, 0) + int(count)
    return wanted or None
