"""Two institutions share a center on this machine: quotas, queues, real Dask clusters, bills and metrics.

A university and a company compute on images of digits, over HTTP as at a real center. All of it is gone at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

from haidang import Client, Cluster
from haidang.amounts import as_written
from haidang.words import Words

GIB: Final = 1024**3
CREDIT: Final = 1_000_000
START_SECONDS: Final = 90.0
STOP_SECONDS: Final = 30.0
BEGAN: Final = time.monotonic()
WORDS: Final = Words()
SAID: Final = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")).get(WORDS.spoken, {})
"""What is told in a language, by what it is in English."""

T = TypeVar("T")


class DemoError(Exception):
    """Something is not as it has to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Center:
    """A center that runs: where it answers, and its admin's token."""

    url: str
    metrics: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An institution with one project, and what it gets of the center's four cores."""

    id: str
    name: str
    kind: str
    sector: str
    funding: str
    millicores: int
    borrows_millicores: int = 0
    lends_millicores: int = 0

    @property
    def project(self) -> str:
        """Return what is charged."""
        return f"{self.id}.digits"


UNIVERSITY: Final = Member(
    id="university",
    name="Hai Dang University",
    kind="university",
    sector="education",
    funding="state_budget",
    millicores=1600,
    borrows_millicores=900,
)
COMPANY: Final = Member(
    id="red-flamboyant",
    name="Red Flamboyant Port Company",
    kind="company",
    sector="transport_logistics_ports",
    funding="enterprise",
    millicores=2400,
    lends_millicores=900,
)


# what is computed: real models on real images, on the workers


def cross_validated(name: str, setting: float) -> float:
    """Return how well a model reads digits that it has not seen: three folds, each read by what learned the others."""
    from sklearn import datasets, ensemble, model_selection, neighbors, svm  # noqa: PLC0415 - only where it computes

    models = {
        "support vectors, gamma": lambda: svm.SVC(gamma=setting),
        "nearest neighbours, k": lambda: neighbors.KNeighborsClassifier(n_neighbors=int(setting)),
        "random forest, trees": lambda: ensemble.RandomForestClassifier(n_estimators=int(setting), random_state=0),
    }
    images, digits = datasets.load_digits(return_X_y=True)
    return float(model_selection.cross_val_score(models[name](), images, digits, cv=3).mean())


def read_when_hidden(rows: int) -> float:
    """Return how many of the second half of the images are read, when so many of their lower rows are hidden."""
    from sklearn import datasets, neighbors  # noqa: PLC0415 - only where it computes

    images, digits = datasets.load_digits(return_X_y=True)
    half = len(digits) // 2
    seen = images[half:].copy()
    seen[:, 64 - 8 * rows :] = 0
    model = neighbors.KNeighborsClassifier(n_neighbors=3).fit(images[:half], digits[:half])
    return float(model.score(seen, digits[half:]))


def read_after_learning(count: int) -> float:
    """Return how many of the last 500 images are read by a model that learned from the first `count`."""
    from sklearn import datasets, svm  # noqa: PLC0415 - only where it computes

    images, digits = datasets.load_digits(return_X_y=True)
    return float(svm.SVC(gamma=0.001).fit(images[:count], digits[:count]).score(images[-500:], digits[-500:]))


MODELS: Final = [
    *(("support vectors, gamma", gamma) for gamma in (0.0001, 0.001, 0.01)),
    *(("nearest neighbours, k", float(k)) for k in (1, 3, 9)),
    *(("random forest, trees", float(trees)) for trees in (10, 30)),
]


# the center


@contextmanager
def center_here(folder: Path) -> Iterator[Center]:
    """Start a center as a process of its own, and leave nothing of it behind however this ends."""
    log = folder / "serve.log"
    command = [str(Path(sys.executable).with_name("haidang")), "serve", "--json", "--data", str(folder / "data")]
    # Without root all tenants' processes run as this user; the center then wants to hear that this is meant.
    command += ["--port", "0", "--metrics-port", "0", "--node-cores", "4", "--node-memory", "8GiB", "--trust-everyone"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HAIDANG_")}
    clean["HAIDANG_USERS"] = str(folder / "users")
    with log.open("w") as errors:
        serving = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=clean, start_new_session=True
        )
    try:
        center = _answering(serving, log)
        try:
            yield center
        except BaseException:
            with contextlib.suppress(Exception):  # what went wrong first is what has to be told
                end_clusters(center)
            raise
        end_clusters(center)
    except BaseException:
        _stop(serving)
        kill_leftovers(folder)
        raise
    _stop(serving)
    if left := kill_leftovers(folder):
        raise DemoError(f"{left} processes were left and had to be killed")


def _stop(serving: subprocess.Popen[str]) -> None:
    serving.terminate()
    try:
        serving.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        serving.kill()
        serving.wait()
    if serving.stdout:
        serving.stdout.close()


def _answering(serving: subprocess.Popen[str], log: Path) -> Center:
    """Return the center once it has said where it answers."""
    watchdog = threading.Timer(START_SECONDS, serving.kill)
    watchdog.start()
    try:
        begun = json.loads((serving.stdout.readline() if serving.stdout else "") or "{}")
    finally:
        watchdog.cancel()
    if "api" not in begun:
        raise DemoError(f"the center did not start:\n{log.read_text()[-2000:]}")
    tell("the center answers at {}; {}", begun["api"], begun["tenants"])
    return Center(url=begun["api"], metrics=begun["metrics"], token=begun["token"])


def end_clusters(center: Center) -> None:
    """Cancel whatever still waits or runs, and wait until it is gone."""
    with Client(center.url, center.token) as admin:
        for state in ("pending", "placed"):
            for request in admin.requests(state=state):
                admin.cancel(request.id)
        until(lambda: not list(admin.requests(state="placed")), "every cluster has ended")


def kill_leftovers(folder: Path) -> int:
    """Give processes that were started from the folder a moment to end, and kill those that do not; return how many."""
    with contextlib.suppress(DemoError):
        until(lambda: not list(_processes(folder)), "every process has ended", seconds=10)
    left = list(_processes(folder))
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(left)


def _processes(folder: Path) -> Iterator[int]:
    """Yield the processes that name the folder in their command: the center, its warm processes and their forks."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if bytes(folder) in (entry / "cmdline").read_bytes():
                    yield int(entry.name)


# members, people, quotas and credits: what administrators do


def admit(admin: Client, member: Member) -> None:
    """Make an institution with a project, its part of the center as its quota, and credits."""
    admin.call("POST", "/v1/institutions", {"id": member.id, "name": member.name, "kind": member.kind})
    project = {"institution": member.id, "id": "digits", "name": "Handwritten digits", "sector": member.sector}
    admin.call("POST", "/v1/projects", {**project, "topic": "cv"})
    quota = {
        "nominal": {"millicores": member.millicores, "memory": 4 * GIB},
        "borrowing": {"millicores": member.borrows_millicores, "memory": 0},
        "lending": {"millicores": member.lends_millicores, "memory": 0},
    }
    # An institution has one project here, which gets all that its institution has.
    for share in (member.id, member.project):
        admin.call("PUT", f"/v1/shares/{share}/main", quota, headers={"If-None-Match": "*"})
    award = {"project": member.project, "micro_credits": 50 * CREDIT, "funding": member.funding}
    admin.call("POST", "/v1/allocations", {**award, "ends": int(time.time()) + 86400})
    tell("{}: {} cores and 4 GiB of its own, 50 credits", said(member.name), number(member.millicores / 1000))


def enrol(admin: Client, member: Member, name: str) -> Client:
    """Make a person who works on a member's project, and return the center as that person sees it."""
    person = admin.call("POST", "/v1/people", {"name": name, "role": "researcher", "reach": member.project})
    made = admin.call("POST", f"/v1/people/{person['id']}/tokens", {"label": "demo"})
    return Client(admin.url, str(made["secret"]), project=member.project)


# the story


def compute_side_by_side(researcher: Client, engineer: Client, student: Client, center: Center) -> str:
    """Have both institutions compute at once, and a student wait for what is left; return the student's request."""
    university, company = said(UNIVERSITY.name), said(COMPANY.name)
    with cluster_of(researcher, UNIVERSITY, (2, 3)) as large, cluster_of(engineer, COMPANY, (2, 2)) as small:
        large.scale(3)
        models = [large.client.submit(cross_validated, *model) for model in MODELS]
        hidden = [small.client.submit(read_when_hidden, rows) for rows in range(5)]
        large.client.wait_for_workers(3, timeout=30)
        tell("{} grew to three workers: it borrows what the company lends", university)
        granted, borrowed = (measured(center, f"haidang_{what}", 'resource="cpu"') for what in ("granted", "borrowed"))
        tell("in use: {} of 4 cores, {} of them borrowed", number(granted), number(borrowed))

        waiting = student.submit(workers=2, cores=0.5, memory="512MiB", walltime="10m", name="learning curve").id
        told = until(lambda: next((one for one in [student.explain(waiting)] if one.reasons), None), "a reason")
        tell("a student of {} asks for a cluster, too, and waits, place {} of {}", university, told.place, told.pending)
        for reason in told.reasons:
            tell("  why: {}", reason.sentence)

        tell("{}: which model reads digits best?", university)
        tell("{}: how dirty may a container's number be?", company)
        names = [f"{said(name)} = {number(setting)}" for name, setting in MODELS]
        tell_as_it_comes([*models, *hidden], [*names, *(said("{} of 8 rows hidden", rows) for rows in range(5))])
        best, name = max(zip(large.client.gather(models), names, strict=True))
        tell("best: {} ({})", name, number(best, ".1%"))
    return waiting


def cluster_of(person: Client, member: Member, workers: tuple[int, int]) -> Cluster:
    """Return a member's cluster, once it runs."""
    began = time.monotonic()
    cluster = person.cluster(workers=workers, cores=0.5, memory="512MiB", walltime="10m", progress=False)
    seconds = number(time.monotonic() - began, ".2f")
    tell("{} has a Dask cluster of {} workers after {} s", said(member.name), workers[0], seconds)
    return cluster


def compute_after_waiting(student: Client, waiting: str) -> None:
    """Have the student's cluster start, now that there is room, and compute."""
    with student.connect(waiting, patience="60s", progress=False) as cluster:
        tell("the university's first cluster is closed, and the student's runs: how many examples are enough?")
        counts = [50, 100, 200, 400, 800, 1200]
        names = [said("{} examples", number(count, ",")) for count in counts]
        tell_as_it_comes(cluster.client.map(read_after_learning, counts), names)
    student.cancel(waiting)
    list(student.events(waiting))  # to its end, so that all of it is on the bill


def bill(center: Center, admin: Client, began: float) -> None:
    """Print what each project pays, and hold the metrics against the ledger to the last core-millisecond."""
    until(lambda: not list(admin.requests(state="placed")), "every cluster has ended")
    seconds = time.monotonic() - began
    used = Decimal(0)
    print("\n" + said("           project                  core-seconds  GiB-seconds       paid       left  credits"))
    for member in (UNIVERSITY, COMPANY):
        told = admin.usage(member.project)
        core_seconds = Decimal(told.usage.core_milliseconds) / 1000
        paid, left = told.charged_micro_credits / CREDIT, told.available_micro_credits / CREDIT
        row = f"{core_seconds:>12} {told.usage.mib_seconds / 1024:>12.1f} {paid:>10.6f} {left:>10.6f}"
        print(f"           {member.project:<24}", as_written(row, WORDS))
        shown = measured(center, "haidang_used_core_seconds_total", f'institution="{member.id}"')
        if shown != core_seconds:
            raise DemoError(f"{member.id}: the metric says {shown} core-seconds, the ledger {core_seconds}")
        used += core_seconds
    accounts: Any = admin.call("GET", "/v1/ledger/balances")["items"]
    if total := sum(account["micro_credits"] for account in accounts):
        raise DemoError(f"all accounts sum to {total} millionths of a credit, not to zero")
    amounts = number(used, "f"), number(4 * seconds, ".0f"), number(used / Decimal(4 * seconds), ".0%")
    tell("utilization: {} of {} core-seconds that there were ({})", *amounts)
    tell("checked: metrics and ledger agree to the core-millisecond, and all accounts sum to zero")


# small things


def measured(center: Center, name: str, label: str) -> Decimal:
    """Return the sum of a metric over its series with a label."""
    with urllib.request.urlopen(center.metrics, timeout=10) as page:  # noqa: S310 - an address of this machine
        series = re.findall(rf"^{name}\{{(.*)\}} (\S+)$", page.read().decode(), re.MULTILINE)
    return sum((Decimal(value) for labels, value in series if label in labels), Decimal(0))


def until(look: Callable[[], T | None], what: str, seconds: float = STOP_SECONDS) -> T:
    """Return the first answer that is something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise DemoError(f"it did not come about that {what}")
        time.sleep(0.05)
    return found


def tell_as_it_comes(futures: Sequence[Any], names: Sequence[str]) -> None:
    """Tell each share as soon as it is known."""
    left = dict(zip(futures, names, strict=True))
    while left:
        for future in [one for one in left if one.done()]:
            tell("  {:<34} {}", left.pop(future), number(future.result(), "6.1%"))
        time.sleep(0.05)


def tell(what: str, *values: object) -> None:
    """Say what happens, with the seconds since the beginning."""
    print(f"[{number(time.monotonic() - BEGAN, '6.1f')}s] {said(what, *values)}", flush=True)


def said(what: str, *values: object) -> str:
    """Return a sentence in the language that was chosen, with its values."""
    return str(SAID.get(what, what)).format(*values)


def number(amount: float | Decimal, form: str = "g") -> str:
    """Return a number as that language writes it."""
    return as_written(format(amount, form), WORDS)


def main() -> int:
    """Tell the story; 0 if everything was as it has to be."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to stop, it cleans up as at Ctrl-C
    tell("starting a center ...")
    try:
        with tempfile.TemporaryDirectory(prefix="haidang-demo-") as folder, center_here(Path(folder)) as center:
            began = time.monotonic()
            with Client(center.url, center.token) as admin, ExitStack() as people:
                admit(admin, UNIVERSITY)
                admit(admin, COMPANY)
                researcher, engineer, student = (
                    people.enter_context(enrol(admin, member, name))
                    for member, name in ((UNIVERSITY, "Mai"), (COMPANY, "Long"), (UNIVERSITY, "Hoa"))
                )
                waiting = compute_side_by_side(researcher, engineer, student, center)
                compute_after_waiting(student, waiting)
                bill(center, admin, began)
    except KeyboardInterrupt:
        tell("interrupted; everything was stopped")
        return 130
    except Exception as error:  # noqa: BLE001 - whatever it is: this is where it is told
        print(f"The demo failed: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    tell("everything was stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
