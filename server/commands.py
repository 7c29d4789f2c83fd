"""What a center adds to the command `haidang`: to serve, to migrate its database, to make an admin's token."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from pydantic import ValidationError

from backends.kube.calls import CallRefusedError
from backends.kube.leftovers import KeptPod, kept_pods, let_go
from operations.founding import OtherCenterError, appoint_admin
from operations.ports.backend import BackendUnavailableError
from operations.ports.store import SealedOtherwiseError, StoreUnavailableError
from registry.ids import CenterId
from server import logs
from server.announcing import ToPeople, ToScripts
from server.clock import SystemClock
from server.closing import close as close_center
from server.founding import first_admin, found_without_admin
from server.ids import RandomIds
from server.running import AddressTakenError, AlreadyServedError, NotFoundedError, run
from server.settings import Settings, make_data_folder, sealing_key
from server.site import SiteError
from server.worksites import calls_to
from store.connections import shown
from store.migrating import is_migrated
from store.migrating import migrate as migrate_database
from store.transactions import SqlStore

F = TypeVar("F", bound=Callable[..., object])

_SITE = click.option(
    "--site", help="A file about a Kubernetes cluster to run clusters on.  [HAIDANG_SITE; this machine]"
)
_CENTER = click.option("--center", help="The center's name.  [HAIDANG_CENTER; center]")
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON object, for scripts.")
_FAILURES: Final = (
    StoreUnavailableError,
    BackendUnavailableError,
    CallRefusedError,
    SiteError,
    OtherCenterError,
    AddressTakenError,
    OSError,
)
"""What is told as the sentence that the error is; anything else is a mistake of ours, and shows where."""


def _where(command: F) -> F:
    """Add the options that say which center is meant."""
    data = click.option("--data", help="The center's own folder.  [HAIDANG_DATA; haidang-data]")
    database = click.option(
        "--database",
        help="postgresql://... or sqlite:///...  [HAIDANG_DATABASE; a file in the data folder]",
    )
    key = click.option("--sealing-key-file", help="The key that seals credentials.  [HAIDANG_SEALING_KEY_FILE; made]")
    return data(database(key(command)))


@click.command()
@_where
@click.option("--host", help="The address to listen on.  [HAIDANG_HOST; 127.0.0.1]")
@click.option("--port", type=int, help="The API's port, 0 for any.  [HAIDANG_PORT; 8787]")
@click.option("--metrics-port", type=int, help="The exporter's port, 0 for any.  [HAIDANG_METRICS_PORT; 8788]")
@_CENTER
@click.option("--node-cores", type=float, help="Cores this machine offers.  [HAIDANG_NODE_CORES; all]")
@click.option("--node-memory", help="Memory this machine offers, as 8GiB.  [HAIDANG_NODE_MEMORY; all]")
@click.option("--cgroup", help="A folder of control groups delegated to the center.  [HAIDANG_CGROUP; none]")
@_SITE
@click.option("--part", help="One part of several: api, controller or exporter.  [HAIDANG_PART; all]")
@click.option("--lease", help="NAMESPACE/NAME of the Lease that controllers share.  [HAIDANG_LEASE; none]")
@click.option("--trust-everyone", is_flag=True, default=None, help="Without root: accept several institutions.")
@_AS_JSON
def serve(*, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's own types; Settings checks each
    """Run a center on this machine: API, scheduler, reconciler and exporter in one process.

    With --part it runs one of them, beside others on one PostgreSQL database that `haidang migrate` has prepared.
    Started again it finds its running clusters and goes on. The first start shows the center admin's token once.
    """
    settings = _settings(options)
    logs.configure(terminal=sys.stderr.isatty())
    try:
        with _failing_in_words(settings):
            _run(settings, as_json=as_json)
    except AlreadyServedError as error:
        raise click.ClickException(
            f"another process serves from {settings.data}: stop it, or name another --data"
        ) from error
    except NotFoundedError as error:
        message = f"there is no center of this version in {error}: run `haidang migrate --found`"
        raise click.ClickException(message) from error


@click.command()
@_where
@click.option("--found", is_flag=True, help="Also make a center of an empty database, whose admin `token` makes.")
@_SITE
@_CENTER
@_AS_JSON
def migrate(*, found: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Bring the database to the schema of this version; `serve` does the same when it starts as a whole."""
    settings = _settings(options)
    if settings.database is None:
        make_data_folder(settings.data)
    with _failing_in_words(settings):
        migrate_database(settings.database_url)
        is_new = found and found_without_admin(settings)
    if as_json:
        click.echo(json.dumps({"migrated": True, "founded": is_new}))
    else:
        click.echo("The database has the schema of this version." + (" It holds a new center." if is_new else ""))


@click.command()
@_where
@_AS_JSON
@click.option("--name", default="Center admin", show_default=True, help="Whose token it is.")
def token(*, name: str, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Make a token for a new center admin, straight in the database: for whoever lost the first one."""
    settings, ids, clock = _settings(options), RandomIds(), SystemClock()
    secret = ids.secret()
    admin = first_admin(ids, secret, clock.now(), name=name, label="made by hand")
    with _failing_in_words(settings):
        # Whoever has lost a token is not helped by a new, empty center in a folder whose name was mistyped.
        is_center = is_migrated(settings.database_url) and _open(settings).transact(appoint_admin, admin)
    if not is_center:
        raise click.ClickException(f"there is no center in {shown(settings.database_url)}: `haidang serve` makes one")
    click.echo(json.dumps({"person": admin.person.id, "token": secret}) if as_json else secret)


@click.command()
@_where
@_SITE
@_CENTER
@click.option("--patience", default=300, show_default=True, help="Seconds in which everything should have ended.")
@_AS_JSON
def close(*, patience: int, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """End every request, settle what it used and leave nothing behind: before a center is taken away for good.

    Its database keeps the books. What could not be ended is said, with why, and the exit status is 1.
    """
    settings = _settings(options)
    logs.configure(terminal=sys.stderr.isatty())
    with _failing_in_words(settings):
        if not is_migrated(settings.database_url):
            raise click.ClickException(f"there is no center in {shown(settings.database_url)}")
        left = close_center(settings, patience, lambda news: click.echo(news, err=True))
    if as_json:
        click.echo(json.dumps({"left": left}))
    else:
        click.echo("\n".join(left) or "Everything has ended and is settled; nothing is left.")
    sys.exit(1 if left else 0)


@click.command()
@click.option("--kubeconfig", type=Path, help="Names the cluster; without it, that of the pod this runs in.")
@_CENTER
@click.option("--yes", is_flag=True, help="Do not ask.")
@_AS_JSON
def unfinalize(*, kubeconfig: Path | None, yes: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401
    """Let go of pods that are kept for the bill of a center that is gone. What they used is in no ledger afterwards."""
    if as_json and not yes:
        raise click.UsageError("--json asks nothing: add --yes, or leave it out to see first which pods are kept")
    settings = _settings(options)
    with _failing_in_words(settings):
        calls = calls_to(kubeconfig)
        kept = kept_pods(calls, CenterId(settings.center))
        if kept and not yes:
            _confirm(kept)
        for pod in kept:
            let_go(calls, pod)
    click.echo(json.dumps({"let_go": [asdict(pod) for pod in kept]}) if as_json else f"{len(kept)} pods were let go.")


def _confirm(kept: Sequence[KeptPod]) -> None:
    for pod in kept:
        click.echo(f"{pod.namespace}/{pod.name}: from {pod.started or 'never'} to {pod.ended or 'now'}, not billed")
    click.confirm(f"Delete these {len(kept)} pods, and never bill them?", abort=True)


@contextmanager
def _failing_in_words(settings: Settings) -> Iterator[None]:
    try:
        yield
    except SealedOtherwiseError as error:
        file = settings.sealing_key_file or settings.data / "sealing.key"
        message = f"{file} is not the key that running clusters' credentials were sealed with"
        raise click.ClickException(f"{message}: put back the one from your backup") from error
    except _FAILURES as error:
        raise click.ClickException(str(error) or type(error).__name__) from error


def _open(settings: Settings) -> SqlStore:
    return SqlStore(settings.database_url, sealing_key=sealing_key(settings))


def _run(settings: Settings, *, as_json: bool) -> None:
    """Serve until told to stop, and say meanwhile what has to be said, to whom it is said."""
    if not as_json:
        run(settings, ToPeople())
        return
    with ToScripts() as announcer:
        run(settings, announcer)


def _settings(options: dict[str, Any]) -> Settings:
    """Return the settings: what was given as an option, else what the environment says, else the defaults."""
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        raise click.ClickException("\n".join(map(_told, error.errors()))) from error


def _told(fault: Mapping[str, Any]) -> str:
    """Return what is wrong with an option, or with several together. Only a path is repeated: others may be secret."""
    options = "".join(f"--{str(name).replace('_', '-')}: " for name in fault["loc"][:1])
    path = f": {fault['input']}" if fault["type"].startswith("path_") else ""
    return options + str(fault["msg"]).removeprefix("Value error, ") + path
