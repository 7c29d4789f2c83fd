"""The command that tries a policy on a log of work before anybody publishes it: `haidang simulate`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from haidang.words import harmless
from pydantic import ValidationError

from operations.ports.store import StoreUnavailableError
from scheduler.policies import NAMED
from server.policy_files import ENDING, PolicyFileError, UnknownPolicyError, policy_for_logs
from server.remembering import course_remembered
from server.settings import Settings
from server.speech import Speech
from server.telling import answer, lines
from server.trials import MEMBERS, NODES, Course, NotReplayedError, Progress, Trial, Trials, course_of, tried
from simulator.schedules import write_schedule

DEFAULT: Final = "default"
USUAL_PEER: Final = "fcfs-easy"
NOBODY: Final = "none"


@click.command()
@click.option("--trace", type=Path, metavar="LOG.swf[.gz]", help="A log of work in the Standard Workload Format.")
@click.option("--journal", is_flag=True, help="Instead of a log, what the center's own database remembers.")
@click.option("--data", help="With --journal: the center's own folder.  [HAIDANG_DATA; haidang-data]")
@click.option("--database", help="With --journal: its database.  [HAIDANG_DATABASE; a file in the data folder]")
@click.option("--pool", metavar="ID", help="With --journal: of which pool.  [the only one]")
@click.option("--policy", default=DEFAULT, show_default=True, metavar="NAME|FILE.toml", help="The policy to try.")
@click.option(
    "--against",
    metavar="NAME|FILE.toml",
    help=f"The policy to compare it with, or '{NOBODY}'.  [{USUAL_PEER}]",
)
@click.option("--processors", type=click.IntRange(min=1), metavar="P", help="Of the machine.  [MaxProcs of the log]")
@click.option("--nodes", type=click.Choice(list(NODES)), default="one", show_default=True, help="What they are on.")
@click.option("--member", type=click.Choice(MEMBERS), default="group", show_default=True, help="Who is an institution.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The first N jobs only.")
@click.option("--all", "everybody", is_flag=True, help="Every institution, not only who gains or loses most.")
@click.option("--schedule", type=Path, metavar="OUT.csv", help="Write when each job starts under the policy.")
@click.option("--report", type=Path, metavar="OUT.html", help="Write a page with plots, which needs no network.")
@click.option("--language", metavar="[vi|en]", help="Of what is printed and of the page.  [HAIDANG_LANGUAGE; locale]")
@click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object, for scripts.")
def simulate(
    *,
    trace: Path | None,
    journal: bool,
    data: str | None,
    database: str | None,
    pool: str | None,
    policy: str,
    against: str | None,
    processors: int | None,
    nodes: str,
    member: str,
    limit: int | None,
    everybody: bool,
    schedule: Path | None,
    report: Path | None,
    language: str | None,
    as_json: bool,
) -> None:
    """Try a policy on a log of work: who would have waited how long under it, compared with another one.

    A policy is one of the published names, or a file in which `base = "default"` and the fields of a policy by their
    names stand. The log's jobs run as long as they did.
    """
    if (trace is None) != journal:
        raise click.UsageError("give either --trace LOG.swf or --journal")
    speech = Speech(language)
    with _failing_in_words(speech):
        names = [name for name in (_compared_with(policy, against), policy) if name]
        policies = [policy_for_logs(name) for name in names]
        if trace is None:
            settings = _settings(data=data, database=database)
            course = course_remembered(settings, speech, pool=pool, processors=processors, member=member, limit=limit)
        else:
            course = course_of(trace, speech, processors=processors, nodes=nodes, member=member, limit=limit)
        progress = Progress(speech)
        runs = [tried(course, name, one, progress) for name, one in zip(names, policies, strict=True)]
        trials = _trials(course, runs)
        if schedule:
            write_schedule(course.jobs, trials.after.outcomes, schedule)
        if report:
            _write_page(trials, speech, report)
    if as_json:
        click.echo(json.dumps(answer(trials), ensure_ascii=False, indent=2))
        return
    for line in lines(trials, speech, everybody=everybody):
        click.echo(harmless(line))


def _settings(**options: str | None) -> Settings:
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type]  # pydantic reads them
    except ValidationError as error:
        raise click.ClickException("; ".join(str(fault["msg"]) for fault in error.errors())) from error


def _compared_with(policy: str, against: str | None) -> str | None:
    """Return what a policy is compared with: nothing if that is wanted, or if it would be itself."""
    peer = against or USUAL_PEER
    return None if peer in {NOBODY, policy} else peer


def _trials(course: Course, runs: list[Trial]) -> Trials:
    *before, after = runs
    return Trials(course=course, after=after, before=before[0] if before else None)


def _write_page(trials: Trials, speech: Speech, path: Path) -> None:
    from server.pages import page  # noqa: PLC0415 - its plots take a second to load, for whoever wants none in vain

    path.write_text(page(trials, speech), encoding="utf-8")


@contextmanager
def _failing_in_words(speech: Speech) -> Iterator[None]:
    try:
        yield
    except UnknownPolicyError as error:
        known = ", ".join(NAMED)
        message = speech("no_policy", where=error.where, name=error.name, known=known, ending=ENDING)
        raise click.ClickException(harmless(message)) from error
    except (PolicyFileError, NotReplayedError, StoreUnavailableError, OSError) as error:
        raise click.ClickException(harmless(str(error))) from error
