"""Commands that change something: submit, cancel, hold, release."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click

from haidang.answers import Request
from haidang.desk import INTERRUPTED, CenterCommand, Desk
from haidang.errors import ArgumentError, WaitedTooLongError
from haidang.words import Words

_REQUEST_IDS = click.argument("request_ids", metavar="ID...", nargs=-1, required=True)


@click.command(cls=CenterCommand, help="help_submit")
@click.option("--project", metavar="ID", help="help_project")
@click.option("--workers", default="2-8", show_default=True, metavar="MIN-MAX", help="help_workers")
@click.option("--cores", default="1", show_default=True, metavar="N", help="help_cores")
@click.option("--memory", default="2GiB", show_default=True, metavar="SIZE", help="help_memory")
@click.option("--gpus", multiple=True, metavar="MODEL=N", help="help_gpus")
@click.option("--walltime", default="1h", show_default=True, metavar="TIME", help="help_walltime")
@click.option("--idle", metavar="TIME", help="help_idle")
@click.option("--pool", metavar="ID", help="help_pool")
@click.option("--class", "request_class", metavar="CLASS", help="help_class")
@click.option("--environment", metavar="ID", help="help_environment")
@click.option("--name", default="", metavar="TEXT", help="help_name")
@click.option("--key", metavar="KEY", help="help_key")
@click.option("--wait", is_flag=True, help="help_wait")
@click.option("--patience", metavar="TIME", help="help_patience")
@click.pass_obj
def submit(
    desk: Desk,
    *,
    project: str | None,
    workers: str,
    cores: str,
    memory: str,
    gpus: tuple[str, ...],
    walltime: str,
    idle: str | None,
    pool: str | None,
    request_class: str | None,
    environment: str | None,
    name: str,
    key: str | None,
    wait: bool,
    patience: str | None,
) -> None:
    """Ask for a cluster; the id alone goes to stdout, so that a script can take it."""
    request = desk.center.submit(
        project=project,
        workers=workers,
        cores=cores,
        memory=memory,
        gpus=_devices(gpus, desk.words),
        walltime=walltime,
        idle=idle,
        pool=pool,
        request_class=request_class,
        environment=environment,
        name=name,
        key=key,
    )
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
    _tell(desk, [desk.center.cancel(one) for one in request_ids])


@click.command(cls=CenterCommand, help="help_hold")
@_REQUEST_IDS
@click.pass_obj
def hold(desk: Desk, *, request_ids: tuple[str, ...]) -> None:
    """Keep waiting requests from starting."""
    _tell(desk, [desk.center.hold(one) for one in request_ids])


@click.command(cls=CenterCommand, help="help_release")
@_REQUEST_IDS
@click.pass_obj
def release(desk: Desk, *, request_ids: tuple[str, ...]) -> None:
    """Let held requests take their turn again."""
    _tell(desk, [desk.center.release(one) for one in request_ids])


def _tell(desk: Desk, requests: list[Request]) -> None:
    """Print one object for one id and a list for several, as they were asked for; people get a line each."""
    answer = requests[0] if len(requests) == 1 else requests
    desk.tell(answer, lambda: (_line(request, desk.words) for request in requests))


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


def _devices(gpus: Iterable[str], words: Words) -> dict[str, int] | None:
    wanted: dict[str, int] = {}
    for text in gpus:
        model, _, count = text.partition("=")
        if not model or not count.isdigit():
            raise ArgumentError("gpus", words("bad_gpus", argument="gpus", value=text))
        wanted[model] = wanted.get(model, 0) + int(count)
    return wanted or None
