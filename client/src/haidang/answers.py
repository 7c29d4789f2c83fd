"""What a center answers, as far as this client knows it; a field that is newer than the client is kept, not refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Answer(BaseModel):
    """A thing as the center tells it. Codes are text, not enumerations: tomorrow's center has one more."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Amounts(Answer):
    """An amount of each resource: thousandths of a core, bytes, whole GPUs by model."""

    millicores: int = 0
    memory: int = 0
    gpus: dict[str, int] = {}


class WorkerRange(Answer):
    """The workers that a cluster keeps, the most that it may grow to, and how many it wants right now."""

    min: int
    max: int
    wanted: int | None = None


class Process(Answer):
    """One process of a cluster: its part in it, and whether it answers."""

    name: str
    part: str
    ready: bool = False


class Preemption(Answer):
    """That a cluster had to make way for `by`, told to end by `stop_by`; since `requeued` its request waits again."""

    told: int
    stop_by: int
    cause: str
    by: tuple[str, ...] = ()
    requeued: int | None = None


class Interval(Answer):
    """The first and the last second of an interval, since 1970, in UTC."""

    earliest: int
    latest: int


class Start(Answer):
    """When something starts, as it was foreseen at `issued`: within each interval in so many of 100 cases."""

    issued: int
    percent_50: Interval
    percent_90: Interval


class Request(Answer):
    """A request: what was asked, and how far it is.

    `state` is `pending`, `placed` or `ended`; `phase` is that of its cluster while it has one. `reasons` are the codes
    of why it waits: `explain` has their sentences; `estimate` is what was said of its start when it first had to wait.
    Moments are in seconds since 1970, in UTC.
    """

    id: str
    name: str = ""
    project: str
    pool: str
    request_class: str = Field(alias="class")
    environment: str
    booking: str | None = None
    parallel_fraction: int | None = None
    worker: Amounts
    head: Amounts = Amounts()
    workers: WorkerRange
    walltime_seconds: int
    extended_seconds: int = 0
    idle_seconds: int | None = None
    state: str
    phase: str | None = None
    user_hold: bool = False
    operator_hold: bool = False
    reasons: tuple[str, ...] = ()
    estimate: Start | None = None
    submitted: int
    placed: int | None = None
    deadline: int | None = None
    guaranteed_until: int | None = None
    preempted: Preemption | None = None
    ended: int | None = None
    ending: str | None = None
    end: str | None = None
    processes: tuple[Process, ...] = ()

    @property
    def stands(self) -> str:
        """The phase of its cluster, or its state while it has none."""
        return self.phase or self.state

    @property
    def workers_ready(self) -> int:
        """How many of its workers answer; known of a single request, a list does not tell it."""
        return sum(process.ready for process in self.processes if process.part != "head")


class Booking(Answer):
    """Nodes that are fixed in advance from `begins` until `until`, in seconds since 1970, in UTC.

    `project` is whose work may use them: None under maintenance, and where you may not know. `until` is before `ends`
    if the nodes were given back early.
    """

    id: str
    name: str = ""
    pool: str
    nodes: tuple[str, ...]
    begins: int
    ends: int
    until: int
    kind: str
    project: str | None = None
    displaces: bool = False
    released: int | None = None


class ToldReason(Answer):
    """Why a request waits: a code, a sentence, and its numbers as further fields."""

    code: str
    sentence: str = ""


class Borrowed(Answer):
    """What an institution holds of a pool beyond what it owns there."""

    institution: str
    amount: Amounts


class Advice(Answer):
    """A change that alone would start a request now: a code, a sentence, and its numbers as further fields."""

    code: str
    sentence: str = ""


class Advices(Answer):
    """The smallest change of each kind that would start a request now."""

    items: tuple[Advice, ...] = ()


class Estimate(Answer):
    """What would become of a request: `start` is None while nobody can say when, `micro_credits` what it would hold."""

    start: Start | None = None
    micro_credits: int | None = None
    place: int | None = None
    pending: int | None = None
    reasons: tuple[ToldReason, ...] = ()


class Overtakable(Answer):
    """Until when those that came later may go before a request: from `promised_from` on it is promised a latest start.

    That `is_due` once the moment is over.
    """

    until: int
    promised_from: int
    is_due: bool = False


class Explanation(Answer):
    """Where a request stands: its place in the queue of its pool, and everything that keeps it from starting.

    `expected` is its protected start; `overtakable` says, while it has none, for how long others may go before it.
    `borrowed` is what other institutions hold of the pool beyond what they own.
    """

    place: int | None = None
    pending: int | None = None
    expected: int | None = None
    overtakable: Overtakable | None = None
    reasons: tuple[ToldReason, ...] = ()
    borrowed: tuple[Borrowed, ...] = ()


class Event(Answer):
    """Something that happened to a request. `details` are codes, numbers and names, all as text."""

    id: str
    at: int
    kind: str
    details: dict[str, str] = {}


class Log(Answer):
    """What a process printed last before it ended; a list of logs has no `text`."""

    process: str
    at: int
    characters: int
    text: str | None = None


class Account(Explanation):
    """Everything that the center says about one request: where it stands, what would start it, and its story."""

    request: Request
    advice: tuple[Advice, ...] = ()
    events: tuple[Event, ...] = ()


class Environment(Answer):
    """The packages that the processes of a cluster run with."""

    id: str
    version: str = ""
    python: str
    distributed: str


class Connection(Answer):
    """How the owner of a cluster reaches it. The key is a secret: it is not shown when this is printed."""

    address: str
    authority: str = Field(repr=False)
    certificate: str = Field(repr=False)
    key: str = Field(repr=False)
    environment: Environment


class WorkerCounts(Answer):
    """How many workers are wanted right now, have their place, answer, and are leaving."""

    min: int
    max: int
    wanted: int
    placed: int = 0
    ready: int = 0
    leaving: int = 0


class ClusterState(Answer):
    """A running cluster as the center sees it."""

    id: str
    phase: str
    workers: WorkerCounts
    deadline: int


class Named(Answer):
    """Anything with an id, where nothing else matters."""

    id: str


class Page(Answer):
    """A part of a list, and the cursor of the next part."""

    items: tuple[JsonValue, ...]
    next: str | None = None


class Usage(Answer):
    """What was held x time: thousandths of a core x seconds, MiB x seconds, thousandths of a GPU x seconds."""

    core_milliseconds: int = 0
    mib_seconds: int = 0
    gpu_milliseconds: int = 0

    @property
    def core_hours(self) -> float:
        """Cores held x hours."""
        return self.core_milliseconds / 3_600_000

    @property
    def gib_hours(self) -> float:
        """GiB of memory held x hours."""
        return self.mib_seconds / (1024 * 3600)


class PoolUse(Answer):
    """What a project paid and used in one pool."""

    pool: str
    charged_micro_credits: int
    usage: Usage


class Statement(Answer):
    """The bill of a project, in millionths of a credit.

    `available` is what may still be held, `outstanding` what running work holds now. `absorbed` is the price of use
    beyond what was held, which the center paid; `usage` contains that use.
    """

    project: str
    granted_micro_credits: int
    charged_micro_credits: int
    refunded_micro_credits: int = 0
    absorbed_micro_credits: int = 0
    outstanding_micro_credits: int
    available_micro_credits: int
    usage: Usage
    pools: tuple[PoolUse, ...] = ()
