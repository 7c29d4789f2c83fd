"""The command `haidang` as people and scripts use it, against the real application."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from haidang.commands import main

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
    submitted(alice, "--cores", "7")
    front.cycle()
    request = submitted(alice, "--cores", "2")
    first, *reasons = alice.told("why", request).splitlines()
    assert first == f"Request {request} waits: place 1 of 1 in the queue"
    assert reasons
    assert all(reason.startswith(("  - ", "expected")) for reason in reasons)
    assert alice.told("why", request, "--language", "vi").startswith(f"Yêu cầu {request} đang chờ")


def test_a_request_is_held_released_cancelled_and_then_only_shown_when_all_are(alice: Terminal) -> None:
    request = submitted(alice)
    assert "held back" in alice.told("hold", request)
    assert "held" in alice.told("queue")
    assert "waits" in alice.told("release", request)
    assert "has ended" in alice.told("cancel", request)
    assert alice.told("queue") == "Nothing waits and nothing runs.\n"
    assert "ended" in alice.told("queue", "--all")
    assert alice.told("why", request) == f"Request {request} has ended\nWhy: it was cancelled.\n"


def test_the_bill_is_in_credits(alice: Terminal) -> None:
    bill = alice.told("usage")
    assert bill.startswith("Bill of vmu.vision")
    assert "1,000,000.00" in bill
    assert "TÍN CHỈ" in alice.told("usage", "--language=vi")


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "words"),
    [
        (["submit", "--workers", "9999"], {}, 1, "workers"),
        (["submit", "--walltime", "3"], {}, 2, "walltime: '3' is not a length of time"),
        (["submit", "--gpus", "a100"], {}, 2, "a100=1"),
        (["submit", "--nonsense"], {}, 2, "--nonsense"),
        (["cancel"], {}, 2, "ID"),
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
    assert title.endswith(":")
    assert len(reasons) > 1
    assert all(reason.startswith("  - ") for reason in reasons)
    problem = json.loads(alice.run(*asked, "--json").stderr)
    assert problem["status"] == 422
    assert len(problem["reasons"]) == len(reasons)


def test_help_is_in_both_languages_and_names_what_others_add(alice: Terminal) -> None:
    assert "submit" in alice.told("--help")
    assert "Run a center on this machine." in alice.told("--help")
    assert "Exit codes" in alice.told("--help")
    assert "Xin một cụm Dask" in alice.told("submit", "--language", "vi", "--help")
    assert "help_" not in "".join(alice.told(name, "--help") for name in ("submit", "queue", "why", "usage", "cancel"))
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
