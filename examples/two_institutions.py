"""Two institutions share a center on this machine: quotas, queues, real Dask clusters, bills and metrics.

A university and a company ask for compute over HTTP, exactly as they would ask a real center, and compute on images of
handwritten digits. Everything runs in a temporary folder, on ports of loopback, and is gone at the end.
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
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeVar

from haidang import Client, Cluster

GIB: Final = 1024**3
CREDIT: Final = 1_000_000
START_SECONDS: Final = 90.0
STOP_SECONDS: Final = 30.0
BEGAN: Final = time.monotonic()

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


def cross_validated(name: str, setting: float) -> tuple[str, float]:
    """Return how well a model reads digits that it has not seen: three folds, each read by what learned the others."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - imported where it computes, on the worker
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - as above
    from sklearn.model_selection import cross_val_score  # noqa: PLC0415 - as above
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415 - as above
    from sklearn.svm import SVC  # noqa: PLC0415 - as above

    models = {
        "support vectors, gamma": lambda: SVC(gamma=setting),
        "nearest neighbours, k": lambda: KNeighborsClassifier(n_neighbors=int(setting)),
        "random forest, trees": lambda: RandomForestClassifier(n_estimators=int(setting), random_state=0),
    }
    images, digits = load_digits(return_X_y=True)
    return f"{name} = {setting:g}", float(cross_val_score(models[name](), images, digits, cv=3).mean())


def read_when_hidden(rows: int) -> float:
    """Return how many of the second half of the images are read, when so many of their lower rows are hidden."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - imported where it computes, on the worker
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415 - as above

    images, digits = load_digits(return_X_y=True)
    half = len(digits) // 2
    seen = images[half:].copy()
    seen[:, 64 - 8 * rows :] = 0
    model = KNeighborsClassifier(n_neighbors=3).fit(images[:half], digits[:half])
    return float(model.score(seen, digits[half:]))


def read_after_learning(count: int) -> float:
    """Return how many of the last 500 images are read by a model that learned from the first `count`."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - imported where it computes, on the worker
    from sklearn.svm import SVC  # noqa: PLC0415 - as above

    images, digits = load_digits(return_X_y=True)
    return float(SVC(gamma=0.001).fit(images[:count], digits[:count]).score(images[-500:], digits[-500:]))


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
    command += ["--port", "0", "--metrics-port", "0", "--node-cores", "4", "--node-memory", "8GiB"]
    # Without root all tenants' processes run as this user; the center then wants to hear that this is meant.
    command += ["--trust-everyone"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HAIDANG_")}
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
        said = json.loads((serving.stdout.readline() if serving.stdout else "") or "{}")
    finally:
        watchdog.cancel()
    if "api" not in said:
        raise DemoError(f"the center did not start:\n{log.read_text()[-2000:]}")
    tell(f"the center answers at {said['api']}; {said['tenants']}")
    return Center(url=said["api"], metrics=said["metrics"], token=said["token"])


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
    tell(f"{member.name}: {member.millicores / 1000} cores and 4 GiB of its own, 50 credits")


def enrol(admin: Client, member: Member, name: str) -> Client:
    """Make a person who works on a member's project, and return the center as that person sees it."""
    person = admin.call("POST", "/v1/people", {"name": name, "role": "researcher", "reach": member.project})
    made = admin.call("POST", f"/v1/people/{person['id']}/tokens", {"label": "demo"})
    return Client(admin.url, str(made["secret"]), project=member.project, language="en")


# the story


def compute_side_by_side(researcher: Client, engineer: Client, student: Client, center: Center) -> str:
    """Have both institutions compute at once, and a student wait for what is left; return the student's request."""
    with cluster_of(researcher, UNIVERSITY, (2, 3)) as large, cluster_of(engineer, COMPANY, (2, 2)) as small:
        large.scale(3)
        models = [large.client.submit(cross_validated, *model) for model in MODELS]
        hidden = [small.client.submit(read_when_hidden, rows) for rows in range(5)]
        large.client.wait_for_workers(3, timeout=30)
        tell(f"{UNIVERSITY.name} grew to three workers: it borrows what the company lends")
        tell(f"in use: {use_now(center)}")

        waiting = student.submit(workers=2, cores=0.5, memory="512MiB", walltime="10m", name="learning curve").id
        told = until(lambda: next((one for one in [student.explain(waiting)] if one.reasons), None), "a reason")
        tell(f"a student of {UNIVERSITY.name} asks for a cluster, too, and waits, place {told.place} of {told.pending}")
        for reason in told.reasons:
            tell(f"  why: {reason.sentence}")

        tell(f"{UNIVERSITY.name}: which model reads digits best?")
        for name, share in sorted(large.client.gather(models), key=lambda read: -read[1]):
            print(f"           {name:<32} {share:6.1%}")
        tell(f"{COMPANY.name}: how dirty may a container's number be? (rows hidden, of 8)")
        for rows, share in enumerate(small.client.gather(hidden)):
            print(f"           {rows:<32} {share:6.1%}")
    return waiting


def cluster_of(person: Client, member: Member, workers: tuple[int, int]) -> Cluster:
    """Return a member's cluster, once it runs."""
    began = time.monotonic()
    cluster = person.cluster(workers=workers, cores=0.5, memory="512MiB", walltime="10m", progress=False)
    tell(f"{member.name} has a Dask cluster of {workers[0]} workers after {time.monotonic() - began:.2f} s")
    return cluster


def compute_after_waiting(student: Client, waiting: str) -> None:
    """Have the student's cluster start, now that there is room, and compute."""
    with student.connect(waiting, patience="60s") as cluster:
        tell("the university's first cluster is closed, and the student's runs: how many examples are enough?")
        counts = [50, 100, 200, 400, 800, 1200]
        shares = cluster.client.gather(cluster.client.map(read_after_learning, counts))
        for count, share in zip(counts, shares, strict=True):
            print(f"           {count:<32} {share:6.1%}")
    student.cancel(waiting)
    list(student.events(waiting))  # to its end, so that all of it is on the bill


def bill(center: Center, admin: Client, began: float) -> None:
    """Print what each project pays, and hold the metrics against the ledger to the last core-millisecond."""
    until(lambda: not list(admin.requests(state="placed")), "every cluster has ended")
    seconds = time.monotonic() - began
    measured = metrics(center)
    used = Decimal(0)
    print(f"\n           {'project':<24} {'core-seconds':>12} {'GiB-seconds':>12} {'paid':>10} {'left':>10}  credits")
    for member in (UNIVERSITY, COMPANY):
        said = admin.usage(member.project)
        core_seconds = Decimal(said.usage.core_milliseconds) / 1000
        paid, left = said.charged_micro_credits / CREDIT, said.available_micro_credits / CREDIT
        gib_seconds = said.usage.mib_seconds / 1024
        print(f"           {member.project:<24} {core_seconds:>12} {gib_seconds:>12.1f} {paid:>10.6f} {left:>10.6f}")
        shown = sum((value for labels, value in measured["haidang_used_core_seconds_total"]
                     if f'institution="{member.id}"' in labels), Decimal(0))  # fmt: skip
        if shown != core_seconds:
            raise DemoError(f"{member.id}: the metric says {shown} core-seconds, the ledger {core_seconds}")
        used += core_seconds
    accounts = admin.call("GET", "/v1/ledger/balances")["items"]
    total = sum(int(account["micro_credits"]) for account in accounts) if isinstance(accounts, list) else None
    if total != 0:
        raise DemoError(f"all accounts sum to {total} millionths of a credit, not to zero")
    print()
    tell(f"utilization: {used} of {4 * seconds:.0f} core-seconds that there were ({used / Decimal(4 * seconds):.0%})")
    tell("checked: metrics and ledger agree to the core-millisecond, and all accounts sum to zero")


def use_now(center: Center) -> str:
    """Return how much of the center's cores is in use right now, by the metrics."""
    measured = metrics(center)

    def cores(name: str) -> Decimal:
        return sum((value for labels, value in measured[name] if 'resource="cpu"' in labels), Decimal(0))

    granted, capacity = cores("haidang_granted"), cores("haidang_capacity")
    return f"{granted} of {capacity} cores ({granted / capacity:.0%}), {cores('haidang_borrowed')} of them borrowed"


# small things


def metrics(center: Center) -> dict[str, list[tuple[str, Decimal]]]:
    """Return every metric by its name: the labels and the value of each series."""
    found: dict[str, list[tuple[str, Decimal]]] = {}
    with urllib.request.urlopen(center.metrics, timeout=10) as page:  # noqa: S310 - an address of this machine
        for line in page.read().decode().splitlines():
            if read := re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line):
                found.setdefault(read[1], []).append((read[2] or "", Decimal(read[3])))
    return found


def until(look: Callable[[], T | None], what: str, seconds: float = STOP_SECONDS) -> T:
    """Return the first answer that is something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise DemoError(f"it did not come about that {what}")
        time.sleep(0.05)
    return found


def tell(what: str) -> None:
    """Say what happens, with the seconds since the beginning."""
    print(f"[{time.monotonic() - BEGAN:6.1f}s] {what}", flush=True)


def main() -> int:
    """Tell the story; 0 if everything was as it has to be."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to stop, it cleans up as at Ctrl-C
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
