"""The command `haidang` as people and scripts use it, against the real application."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from haidang.amounts import write_seconds
from haidang.commands import OURS, main

from operations.metering import settle
from scheduler.observed import Cause
from scheduler.policy import DAY, DEFAULT_POLICY
from scheduler.requests import DEFAULT_IDLE_SECONDS, RequestClass
from tests import fronts
from tests.builders import NOW
from tests.fronts import Front
from tests.served import served

ANY_ID = "a" * 26


class Terminal:
    """A person with a token and the command."""

    def __init__(self, url: str, name: str) -> None:
        self.settings = {"HAIDANG_URL": url, "HAIDANG_TOKEN": f"{name}-secret", "HAIDANG_LANGUAGE": "en"}

    def run(self, *arguments: str, **settings: str) -> Result:
        return CliRunner().invoke(main, arguments, env=self.settings | settings)

    def told(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.stderr
        return result.stdout


@pytest.fixture
def alice(front: Front) -> Iterator[Terminal]:
    with served(front) as url:
        yield Terminal(url, "alice")


def submitted(alice: Terminal, *arguments: str) -> str:
    return alice.told("submit", "--workers", "1", *arguments).strip()


def test_submit_prints_the_id_alone_and_queue_shows_the_request(alice: Terminal) -> None:
    request = submitted(alice, "--cores", "0.5", "--memory", "512MiB", "--name", "a try")
    assert len(request) == 26
    heading, row = alice.told("queue").splitlines()
    assert heading.split()[:3] == ["REQUEST", "STATE", "WORKERS"]
    assert [request, "waiting", "1", "0.5 x 512MiB", "vmu.vision", "a try"] == [
        part for part in row.split("  ") if part.strip() and ":" not in part
    ]


def test_json_is_everything_that_the_center_says(alice: Terminal) -> None:
    request = json.loads(alice.told("submit", "--workers", "1-4", "--json"))
    assert request["class"] == "interactive"
    assert request["tags"]["institution"] == "vmu"
    assert [one["id"] for one in json.loads(alice.told("queue", "--json"))] == [request["id"]]
    assert json.loads(alice.told("why", request["id"], "--json"))["state"] == "pending"
    assert json.loads(alice.told("hold", request["id"], "--json"))["user_hold"] is True
    assert json.loads(alice.told("usage", "--json"))["project"] == "vmu.vision"
    other = submitted(alice)
    ended = json.loads(alice.told("cancel", request["id"], other, "--json"))
    assert [one["end"] for one in ended] == ["cancelled", "cancelled"]


def test_why_says_the_place_and_every_reason(alice: Terminal, front: Front) -> None:
    running = submitted(alice, "--cores", "7")
    front.cycle()
    request = submitted(alice, "--cores", "2")
    first, *lines = alice.told("why", request).splitlines()
    assert first == f"Request {request} waits: place 1 of 1 in the queue"
    heading = lines.index("Each of these alone would start it now:")
    reasons, advice = lines[:heading], lines[heading + 1 :]
    assert reasons[:-1]
    assert all(reason.startswith("  - ") for reason in reasons[:-1])
    assert re.fullmatch(
        r"may be overtaken until .* \(UTC\+7\); a latest start is promised from .* \(UTC\+7\) on, .*", reasons[-1]
    )
    assert f"  - It starts if these 1 of your own clusters end: {running}." in advice
    vietnamese = alice.told("why", request, "--language", "vi")
    assert vietnamese.startswith(f"Yêu cầu {request} đang chờ")
    assert "Chỉ cần một trong các thay đổi sau là chạy ngay:" in vietnamese
    assert "\ncó thể bị vượt lượt đến " in vietnamese
    story = json.loads(alice.told("why", request, "--json"))
    assert story["advice"][0]["code"] == "end-own"
    assert NOW < story["overtakable"]["promised_from"] < story["overtakable"]["until"]


def test_why_says_who_is_due_a_latest_start_and_stopped_by_more_than_nodes_and_nothing_once_one_is_promised(
    front: Front, alice: Terminal
) -> None:
    """As many of a class as one person may run are promised theirs."""
    submitted(alice, "--cores", "7")
    front.cycle()
    most = DEFAULT_POLICY.classes[RequestClass.INTERACTIVE].most_per_person
    requests = [submitted(alice, "--cores", "7") for _ in range(most)]
    front.cycle()
    front.clock.time = NOW + 7 * DAY
    *others, last = [alice.told("why", request) for request in requests]
    assert not any("may be overtaken" in one for one in others)
    assert "it is due a latest start, promised as soon as" in last
    assert "đã đến lượt được hứa" in alice.told("why", requests[-1], "--language", "vi")


def test_a_request_is_held_released_cancelled_and_then_only_shown_when_all_are(alice: Terminal) -> None:
    request = submitted(alice)
    assert "held back" in alice.told("hold", request)
    assert "held" in alice.told("queue")
    assert "waits" in alice.told("release", request)
    assert "has ended" in alice.told("cancel", request)
    assert alice.told("queue") == "Nothing waits and nothing runs.\n"
    assert "ended" in alice.told("queue", "--all")
    assert alice.told("why", request) == f"Request {request} has ended\nWhy: it was cancelled.\n"


def test_a_running_cluster_is_let_go_on_and_told_until_when(alice: Terminal, front: Front) -> None:
    request = submitted(alice, "--walltime", "1h")
    front.cycle()
    assert alice.told("extend", request, "30m").startswith(f"Request {request} may run until ")
    assert json.loads(alice.told("extend", request, "30m", "--json"))["extended_seconds"] == 3600
    for _ in range(2):
        with_key = alice.told("extend", request, "10m", "--key", "lecture-7", "--json")
        assert json.loads(with_key)["extended_seconds"] == 4200
    refused = alice.run("extend", request, "12h")
    assert refused.exit_code == 1
    assert "the longest extension that would be granted now is 9 h 50 min" in refused.stderr
    assert "TIME: " in refused.stderr
    assert "--walltime" not in refused.stderr, "the command has no such option"
    vietnamese = alice.run("extend", request, "12h", "--language", "vi")
    assert "dài nhất" in vietnamese.stderr


def test_how_much_of_the_work_several_workers_can_share_is_asked_for_and_shown(alice: Terminal) -> None:
    assert json.loads(alice.told("submit", "--parallel-fraction", "900", "--json"))["parallel_fraction"] == 900
    assert "--parallel-fraction: " in alice.run("submit", "--parallel-fraction", "1001").stderr


def test_the_bill_is_in_credits(alice: Terminal) -> None:
    bill = alice.told("usage")
    assert bill.startswith("Bill of vmu.vision")
    assert "1,000,000.00" in bill
    vietnamese = alice.told("usage", "--language=vi")
    assert "ĐIỂM" in vietnamese
    assert "1.000.000,00" in vietnamese


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "words"),
    [
        (["submit", "--workers", "9999"], {}, 1, "workers"),
        (["submit", "--walltime", "3"], {}, 2, "--walltime: '3' is not a length of time"),
        (["submit", "--walltime", "60d"], {}, 1, "--walltime: at most 30d"),
        (["submit", "--idle", "1s"], {}, 1, "--idle: at least 10s"),
        (["submit", "--memory", "1MiB"], {}, 1, "--memory: at least 16MiB"),
        (["submit", "--workers", "0"], {}, 1, "--workers: at least 1"),
        (["submit", "--class", "foo"], {}, 1, "--class: one of urgent, interactive, normal, course, scavenger"),
        (["submit", "--environment", "Foo"], {}, 1, "--environment: it has to be small letters"),
        (["submit", "--environment", "foo"], {}, 1, "--environment: The center has no environment foo"),
        (["submit", "--project", "foo"], {}, 1, "--project: it has to be an institution and its project"),
        (["submit", "--pool", "foo"], {}, 1, "--pool: there is no foo"),
        (["submit", "--key", "khóa"], {}, 2, "--key: 'khóa' is not a key"),
        (["submit", "--gpus", "a100"], {}, 2, "a100=1"),
        (["submit", "--nonsense"], {}, 2, "--nonsense"),
        (["cancel"], {}, 2, "ID"),
        (["cancel", ANY_ID], {}, 1, f"{ANY_ID}: There is no such request"),
        (["extend", ANY_ID, "1h"], {}, 1, "There is no such request"),
        (["extend", ANY_ID, "3"], {}, 2, "'3' is not a length of time"),
        (["extend", ANY_ID], {}, 2, "TIME"),
        (["why", ANY_ID], {}, 1, "no such request"),
        (["queue"], {"HAIDANG_TOKEN": "wrong"}, 1, "HAIDANG_TOKEN"),
        (["queue"], {"HAIDANG_TOKEN": ""}, 2, "HAIDANG_TOKEN"),
        (["queue"], {"HAIDANG_URL": ""}, 2, "HAIDANG_URL"),
        (["queue"], {"HAIDANG_URL": "center.example"}, 2, "https://"),
        (["queue"], {"HAIDANG_URL": "http://127.0.0.1:9"}, 3, "does not answer"),
        (["submit", "--workers", "1", "--wait", "--patience", "1s"], {}, 4, "was cancelled"),
    ],
    ids=repr,
)
def test_what_goes_wrong_is_a_sentence_on_stderr_and_an_exit_code(
    alice: Terminal, arguments: Sequence[str], settings: dict[str, str], code: int, words: str
) -> None:
    result = alice.run(*arguments, **settings)
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_several_reasons_are_a_line_each_and_json_for_programs(alice: Terminal) -> None:
    asked = ["submit", "--workers", "100-200", "--cores", "64", "--memory", "1TiB"]
    title, *reasons = alice.run(*asked).stderr.splitlines()
    made_up = [reason for reason in reasons if not reason.startswith("  - ")]
    assert title.endswith(":")
    assert len(reasons) - len(made_up) > 1
    assert made_up == [
        "Cores: 100 x 64 for workers and 1.5 for the Dask scheduler.",
        "Memory: 100 x 1TiB for workers and 1.781GiB for the Dask scheduler.",
    ]
    problem = json.loads(alice.run(*asked, "--json").stderr)
    assert problem["status"] == 422
    assert len(problem["reasons"]) == len(reasons) - len(made_up)


def test_help_is_in_both_languages_and_names_what_others_add(alice: Terminal) -> None:
    assert "submit" in alice.told("--help")
    assert "Run a center on this machine." in alice.told("--help")
    assert "Exit codes" in alice.told("--help")
    assert "Xin một cụm Dask" in alice.told("submit", "--language", "vi", "--help")
    assert "help_" not in "".join(alice.told(name, "--help") for name in OURS)
    assert alice.run("dance").exit_code == 2


def test_a_command_that_others_add_is_loaded_and_run(alice: Terminal) -> None:
    assert "--metrics-port" in alice.told("serve", "--help")


def test_a_pipe_that_closes_early_is_no_mistake(alice: Terminal) -> None:
    for _ in range(3):
        submitted(alice)
    haidang = Path(sys.executable).with_name("haidang")
    command = f"{haidang} queue | head -n 1"
    shown = subprocess.run(
        ["/bin/sh", "-c", command], env=os.environ | alice.settings, capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith("REQUEST")
    assert shown.stderr == ""


def test_importing_the_package_loads_nothing_and_asking_loads_no_dask() -> None:
    light = "import haidang, sys; assert not {'httpx2', 'pydantic', 'click', 'distributed'} & set(sys.modules)"
    asking = "from haidang import Client; import sys; assert not {'distributed', 'dask'} & set(sys.modules)"
    for program in (light, asking):
        subprocess.run([sys.executable, "-c", program], check=True)


def test_each_of_several_is_done_and_told_whatever_becomes_of_the_others(alice: Terminal) -> None:
    one, other = submitted(alice), submitted(alice)
    held = alice.run("hold", one, ANY_ID, other)
    assert held.exit_code == 1
    assert [line.split()[1] for line in held.stdout.splitlines()] == [one, other]
    assert held.stderr == f"{ANY_ID}: There is no such request, or none that you may see.\n"
    ended = alice.run("cancel", ANY_ID, one, other, "--json")
    assert ended.exit_code == 1
    assert [request["id"] for request in json.loads(ended.stdout)] == [one, other]
    assert json.loads(ended.stderr)["id"] == ANY_ID
    released = alice.run("release", one)
    assert (released.exit_code, released.stdout) == (1, "")
    assert released.stderr == f"{one}: Only a request that waits can be held or released; this one has ended.\n"


def test_what_would_fail_for_each_is_told_once(alice: Terminal) -> None:
    result = alice.run("cancel", ANY_ID, ANY_ID, HAIDANG_TOKEN="wrong")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_a_running_cluster_is_shown_with_its_workers_and_its_end(alice: Terminal, front: Front) -> None:
    request = submitted(alice)
    waiting = re.search(r"since \d\d:\d\d on \d\d/\d\d/\d{4}", alice.told("queue"))
    assert waiting
    front.cycle()
    front.start(request)
    assert re.search(r"1 of 1 .* until 16:00 on 15/01/2027", alice.told("queue"))
    assert alice.told("why", request) == f"Cluster {request} runs: 1 of 1 workers, until 16:00 on 15/01/2027 (UTC+7)\n"
    assert "1 / 1 worker, đến 16:00 ngày 15/01/2027 (UTC+7)" in alice.told("why", request, "--language", "vi")
    alice.told("cancel", request)
    assert alice.told("why", request).splitlines()[1] == "Why: it was cancelled."


def test_the_queue_tells_in_words_why_something_waits(alice: Terminal, front: Front) -> None:
    submitted(alice, "--cores", "7")
    front.cycle()
    submitted(alice, "--cores", "2")
    front.cycle()
    assert "The nodes are full" in alice.told("queue")
    assert "Cụm máy đang đầy" in alice.told("queue", "--language", "vi")


def test_why_tells_how_processes_ended(alice: Terminal, front: Front) -> None:
    request = submitted(alice)
    front.cycle()
    front.start(request)
    (worker,) = (slot for slot in front._slots(request) if slot.ordinal == 1)
    detail = "1390710784 bytes of memory used, 1073741824 allowed"
    seen = replace(fronts._seen(worker, front.clock.now()), ended=front.clock.now(), cause=Cause.MEMORY, detail=detail)
    front.store.transact(settle, seen, DEFAULT_POLICY, now=front.clock.now())
    told = alice.told("why", request).splitlines()
    how = "worker 1 used more memory than it has and was ended (1.295GiB used, 1GiB allowed)"
    assert told[1:] == [
        "Processes that ended before they should:",
        f"  - {how}, at 15:00 on 15/01/2027 (UTC+7)",
        f"What they printed last: haidang logs {request}",
    ]
    story = json.loads(alice.told("why", request, "--json"))
    assert story["events"][-1]["details"]["cause"] == "memory"
    assert story["request"]["id"] == request


def test_programs_get_codes_of_one_kind_and_nothing_that_the_center_has_not_said(alice: Terminal) -> None:
    codes = [
        json.loads(alice.run(*asked, "--json", **settings).stderr.splitlines()[-1])["code"]
        for asked, settings in (
            (["submit", "--walltime", "3"], {}),
            (["submit", "--pool", "foo"], {}),
            (["queue"], {"HAIDANG_URL": "http://127.0.0.1:9"}),
            (["submit", "--workers", "1", "--wait", "--patience", "1s"], {}),
        )
    ]
    assert codes == ["argument", "not-there", "unreachable", "waited-too-long"]
    (listed,) = json.loads(alice.told("queue", "--all", "--json"))
    assert "processes" not in listed


def test_warnings_are_sentences_of_one_line(alice: Terminal) -> None:
    result = alice.run("queue", "--language", "fr")
    assert result.exit_code == 0
    assert result.stderr == "'fr' is not a language of haidang, which speaks en, vi. It goes on in English.\n"


@pytest.mark.parametrize("language", ["en", "vi"])
def test_help_tells_the_choices_and_the_defaults_of_the_center(alice: Terminal, language: str) -> None:
    told = " ".join(alice.told("submit", "--help", "--language", language).split())
    assert all(one.value in told for one in RequestClass)
    assert write_seconds(DEFAULT_IDLE_SECONDS) in told
    assert "'default'" in told


def test_nodes_are_booked_listed_and_given_back(alice: Terminal) -> None:
    root = Terminal(alice.settings["HAIDANG_URL"], "root")
    asked = ("--nodes", "n1", "--begins", "2027-01-15 17:00", "--lasts", "2h", "--project", "vmu.vision")
    named = (*asked, "--name", "Learning", "--key", "lecture-7")
    booking = root.told("book", *named).strip()
    assert root.told("book", *named).strip() == booking
    heading, row = alice.told("bookings").splitlines()
    assert heading.split("  ")[0] == "BOOKING"
    assert re.split("  +", row) == [
        booking, "17:00 on 15/01/2027", "19:00 on 15/01/2027", "course", "vmu.vision", "main", "n1", "Learning",
    ]  # fmt: skip
    eve = Terminal(alice.settings["HAIDANG_URL"], "eve")
    assert "vmu" not in eve.told("bookings")
    assert "Learning" not in eve.told("bookings", "--language", "vi")
    request = json.loads(alice.told("submit", "--workers", "1", "--booking", booking, "--json"))
    assert request["booking"] == booking
    assert alice.told("release-booking", booking) == (
        f"Booking {booking} holds its nodes no longer, since 15:00 on 15/01/2027 (UTC+7).\n"
    )
    assert alice.told("bookings") == "Nothing is booked.\n"
    assert [one["id"] for one in json.loads(alice.told("bookings", "--all", "--pool", "main", "--json"))] == [booking]
    maintained = json.loads(root.told("book", "--nodes", "1", "--begins", "2027-01-15 17:00", "--lasts", "1h",
                                      "--kind", "maintenance", "--displace", "--json"))  # fmt: skip
    assert (maintained["nodes"], maintained["displaces"], maintained["name"]) == (["n1"], True, "")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--nodes", "n1"], 2, "--lasts"),
        (["--nodes", "n1", "--lasts", "soon"], 2, "--lasts: 'soon' is not a length of time"),
        (["--nodes", "n1", "--lasts", "1h", "--begins", "soon"], 2, "--begins: 'soon' is not a moment"),
        (["--nodes", "n1", "--lasts", "60d", "--begins", "2027-01-16"], 1, "--project: Name the project"),
        (["--nodes", "n1", "--lasts", "60d", "--begins", "2027-01-16"], 1, "--lasts: You asked for 60 d"),
        (["--nodes", "N 1", "--lasts", "1h"], 1, "--nodes: it has to be small letters"),
        (["--nodes", "0", "--lasts", "1h"], 1, "--nodes: at least 1"),
        (["--nodes", "1", "--lasts", "1h", "--kind", "party"], 1, "--kind: one of course, competition"),
        (["--nodes", "1", "--lasts", "1h", "--begins", "2020-01-01"], 1, "--begins: "),
    ],
    ids=repr,
)
def test_what_cannot_be_booked_names_the_option(
    alice: Terminal, arguments: Sequence[str], code: int, words: str
) -> None:
    root = Terminal(alice.settings["HAIDANG_URL"], "root")
    result = root.run("book", *arguments)
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_a_dry_run_says_when_it_would_start_and_what_it_would_hold_and_asks_for_nothing(
    alice: Terminal, front: Front
) -> None:
    asked = ("submit", "--dry-run", "--workers", "1", "--cores", "7")
    first, cost = alice.told(*asked).splitlines()
    assert first == "It would start at once."
    assert cost.startswith("It would hold ")
    assert json.loads(alice.told("queue", "--json")) == []
    submitted(alice, "--cores", "7")
    front.cycle()
    when, *reasons, cost = alice.told(*asked).splitlines()
    assert when.startswith("It would start from ")
    assert when.endswith("(in 90 of 100).")
    assert reasons[0].startswith("  - ")
    told = json.loads(alice.told(*asked, "--json"))
    assert told["start"]["percent_90"]["latest"] > told["start"]["percent_50"]["latest"]
    assert "Sẽ bắt đầu từ" in alice.told(*asked, "--language", "vi")
    assert len(json.loads(alice.told("queue", "--json"))) == 1
    request = submitted(alice, "--cores", "7")
    front.cycle()
    assert "foreseen to start from " in alice.told("why", request)
