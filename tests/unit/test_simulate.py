"""`haidang simulate` tells what a log would have become under a policy: to people, to scripts, as files."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from string import Formatter

import pytest
from click.testing import CliRunner, Result
from haidang.commands import main

from scheduler.policies import NAMED
from server.simulating import simulate
from server.speech import Speech, texts
from server.trials import Course, Progress
from simulator.lublin import Workload, made_up_log
from simulator.report import Outcome
from simulator.schedules import read_starts
from simulator.site import Site, unbounded
from simulator.swf import read_log, rigid_jobs, write_log
from simulator.world import World
from tests.house import ROOT

GOLDEN = ROOT / "tests" / "golden"
PROCESSORS = 16


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    log = made_up_log(Workload(jobs=60, processors=PROCESSORS, users=6, groups=3, load=8.0), Random(3))
    path = tmp_path / "made-up.swf.gz"
    write_log(replace(log, header={**log.header, "UnixStartTime": "1767225600"}), path)
    return path


def run(*arguments: object, **settings: str) -> Result:
    return CliRunner().invoke(simulate, [str(one) for one in arguments], env={"HAIDANG_LANGUAGE": "en", **settings})


def told(*arguments: object, **settings: str) -> str:
    result = run(*arguments, **settings)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("language", ["en", "vi"])
def test_people_are_told_in_their_language_who_gains_and_who_loses(trace: Path, language: str) -> None:
    expected = (GOLDEN / f"simulate-{language}.txt").read_text(encoding="utf-8")
    assert told("--trace", trace, HAIDANG_LANGUAGE=language) == expected


def test_scripts_are_told_everything(trace: Path) -> None:
    expected = (GOLDEN / "simulate.json").read_text(encoding="utf-8")
    assert told("--trace", trace, "--json") == expected


def test_a_schedule_is_that_of_the_policy_and_equals_the_loops_of_production(trace: Path, tmp_path: Path) -> None:
    told("--trace", trace, "--policy", "fcfs-easy", "--schedule", tmp_path / "out.csv")
    jobs = rigid_jobs(read_log(trace), PROCESSORS)
    world = World(Site(processors=PROCESSORS), jobs, unbounded(NAMED["fcfs-easy"]))
    assert dict(read_starts(tmp_path / "out.csv")) == {one.index: one.start for one in world.run()}


def test_a_policy_that_would_be_compared_with_itself_is_told_alone(trace: Path) -> None:
    for options in (("--policy", "fcfs-easy"), ("--against", "none")):
        answer = json.loads(told("--trace", trace, "--json", *options))
        assert answer["against"] is None
        assert all(one["wait_change_seconds"] == 0 for one in answer["institutions"])


def test_first_jobs_members_and_nodes_are_as_asked(trace: Path) -> None:
    answer = json.loads(
        told("--trace", trace, "--json", "--limit", 9, "--member", "user", "--nodes", "per-core", "--processors", 20)
    )
    assert (answer["jobs"], answer["processors"], answer["nodes"], answer["member"]) == (9, 20, 20, "user")
    assert sum(one["jobs"] for one in answer["institutions"]) == 9


@pytest.mark.parametrize("language", ["en", "vi"])
def test_a_report_is_one_page_that_needs_no_network(trace: Path, tmp_path: Path, language: str) -> None:
    told("--trace", trace, "--report", tmp_path / "page.html", "--language", language)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f'<html lang="{language}">' in page
    assert page.count("<svg ") == 4
    assert page.count("<svg ") == page.count("</svg>")
    assert texts(language)["plot_members"] in page
    assert "fair_share_weight" in page
    referred = re.findall(r"(?:src|href)=\"([^\"]*)", page) + re.findall(r"url\(([^)]*)\)", page)
    assert [one for one in referred if not one.startswith("#")] == []
    assert re.findall(r"<script|@import|https?://", page) == []
    assert "prefers-color-scheme: dark" in page
    assert "#0102" not in page, "a stand-in was left for a colour"


def test_the_same_trial_makes_the_same_page(trace: Path, tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        told("--trace", trace, "--limit", 20, "--report", tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def failed(*arguments: object, **settings: str) -> str:
    result = run(*arguments, **settings)
    assert result.exit_code == 1
    assert result.stdout == ""
    return result.stderr


def test_what_cannot_be_replayed_is_told_in_words(trace: Path, tmp_path: Path) -> None:
    assert "there is no file" in failed("--trace", tmp_path / "nobodys.swf")
    assert "không có tệp" in failed("--trace", tmp_path / "nobodys.swf", HAIDANG_LANGUAGE="vi")
    (tmp_path / "odd.swf").write_text("; MaxProcs: 4\n1 2 3\n")
    assert "odd.swf:2: 3 fields" in failed("--trace", tmp_path / "odd.swf")
    (tmp_path / "silent.swf").write_text("1 0 0 10 1 -1 -1 1 10 -1 1 1 1 -1 -1 -1 -1 -1\n")
    assert "--processors" in failed("--trace", tmp_path / "silent.swf")
    assert "no job" in failed("--trace", empty(tmp_path))
    (tmp_path / "plain.swf.gz").write_text("no gzip")
    assert "plain.swf.gz" in failed("--trace", tmp_path / "plain.swf.gz")
    unknown = failed("--trace", trace, "--policy", "fcfs-hard")
    assert "fcfs-hard" in unknown
    assert "fcfs-conservative" in unknown
    assert "không có chính sách" in failed("--trace", trace, "--against", "fcfs-hard", HAIDANG_LANGUAGE="vi")
    assert "nowhere" in failed("--trace", trace, "--schedule", tmp_path / "nowhere" / "out.csv")


def empty(folder: Path) -> Path:
    (folder / "empty.swf").write_text("; MaxProcs: 4\n")
    return folder / "empty.swf"


def test_the_command_is_one_of_haidang() -> None:
    assert "simulate" in CliRunner().invoke(main, ["--help"]).output


def test_every_sentence_exists_in_both_languages_with_the_same_values() -> None:
    english, vietnamese = (
        {name: {value for _, value, _, _ in Formatter().parse(text) if value} for name, text in texts(one).items()}
        for one in ("en", "vi")
    )
    assert english == vietnamese


def test_numbers_are_written_as_the_language_does() -> None:
    english, vietnamese = Speech("en"), Speech("vi")
    assert (english.number(1234.5, 1), vietnamese.number(1234.5, 1)) == ("1,234.5", "1.234,5")
    assert (english.percent(-0.125), english.percent(0.5, sign=True)) == ("-12.5%", "+50.0%")
    assert (english.seconds(5400), english.seconds(-60, sign=True), english.seconds(0.2, sign=True)) == (
        "1h30m",
        "-1m",
        "0s",
    )


def test_whoever_waits_longer_than_a_moment_is_told_how_far_it_is() -> None:
    log = made_up_log(Workload(jobs=64, processors=4), Random(1))
    jobs = rigid_jobs(log, 4)
    course = Course(name="x", jobs=jobs, site=Site(processors=4), member="group", began=None)
    outcome = next(World(Site(processors=4), jobs[:1]).run())
    seconds = iter(range(1000))

    def slowly() -> Iterator[Outcome]:
        yield from [outcome] * 64

    out = io.StringIO()
    assert len(list(Progress(Speech("en"), out, lambda: next(seconds)).through(slowly(), course, "mine"))) == 64
    assert out.getvalue().splitlines() == ["mine: 48 of 64 jobs, day 1, 16 jobs/s"]
    quick = io.StringIO()
    list(Progress(Speech("en"), quick, lambda: 0.0).through(slowly(), course, "mine"))
    assert quick.getvalue() == ""
