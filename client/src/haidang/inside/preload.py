"""The door of a Dask scheduler that the center knocks at: what it says of itself, and shrinking by agreement."""

import hmac
import json
from collections.abc import Mapping
from itertools import islice
from typing import Final

import click
from distributed import Scheduler, Worker
from tornado.web import HTTPError, RequestHandler

from haidang.inside.draining import Drains
from haidang.inside.fields import Fields, RejectedError

LARGEST_NAME: Final = 64
MOST_WORKERS: Final = 900
LARGEST_BODY_BYTES: Final = 256 * 1024
_EXTENSION: Final = "haidang"


@click.command()
@click.option("--token", default="")
def dask_setup(server: Scheduler | Worker, token: str) -> None:
    """Open the door in a Dask scheduler; in a worker, close the one that Dask opened without a lock."""
    if isinstance(server, Worker):
        server.http_server.stop()
        return
    if not token:
        raise click.UsageError("a Dask scheduler needs a token")
    drains = Drains(server)
    known = {"scheduler": server, "token": token, "drains": drains}
    server.http_application.add_handlers(r".*", [(r"/state", _State, known), (r"/drain", _Drain, known)])
    server.extensions[_EXTENSION] = drains


def is_open(scheduler: Scheduler) -> bool:
    """Tell whether the door is there: Dask only logs a preload that failed."""
    return _EXTENSION in scheduler.extensions


class _Door(RequestHandler):
    """What every request here has to show: beside a certificate of the cluster, the token of its head."""

    def initialize(self, scheduler: Scheduler, token: str, drains: Drains) -> None:
        self.scheduler, self.token, self.drains = scheduler, token, drains

    def prepare(self) -> None:
        shown = self.request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(shown, f"Bearer {self.token}".encode()):
            raise HTTPError(401)
        if len(self.request.body) > LARGEST_BODY_BYTES:
            raise HTTPError(413)

    def write_error(self, status_code: int, **_details: object) -> None:
        self.answer({"error": status_code})
        _ = self.finish()  # nobody can wait for an error to be read

    def answer(self, fields: Mapping[str, object]) -> None:
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps(fields, separators=(",", ":")))


class _State(_Door):
    """`GET /state`: what the center's elasticity and idle policy need to know."""

    def get(self) -> None:
        self.answer(state(self.scheduler, self.drains))


class _Drain(_Door):
    """`POST /drain`: shrink by the named workers; said again it answers how far that is."""

    async def post(self) -> None:
        try:
            fields = Fields(self.request.body)
            names = fields.texts("workers", MOST_WORKERS)
            deadline_seconds = fields.whole("deadline_seconds", 0, 31 * 86400)
            may_refuse = fields.flag("may_refuse")
        except RejectedError as error:
            raise HTTPError(400) from error
        self.answer({"workers": self.drains.drain(names, deadline_seconds, may_refuse=may_refuse)})


def state(scheduler: Scheduler, drains: Drains) -> dict[str, object]:
    """Return what a Dask scheduler says of itself, bounded in size whatever its tenant does with it."""
    idle_since = scheduler.check_idle()
    workers = list(islice(scheduler.workers.values(), MOST_WORKERS))
    return {
        "desired_workers": scheduler.adaptive_target(),
        "idle_since": None if idle_since is None else int(idle_since),
        "clients": len(scheduler.client_comms),
        "tasks": len(scheduler.tasks),
        "queued": len(scheduler.queued) + len(scheduler.unrunnable),
        "workers": [
            {
                "name": str(worker.name)[:LARGEST_NAME],
                "status": worker.status.name,
                "processing": len(worker.processing),
                "bytes": int(worker.nbytes),
                "drain": drains.phase(str(worker.name)),
            }
            for worker in workers
        ],
    }
