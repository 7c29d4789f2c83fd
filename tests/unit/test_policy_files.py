"""A policy file says in which numbers it differs from a named policy, and a wrong field is told by its name."""

from dataclasses import fields
from pathlib import Path

import pytest

from scheduler.policies import NAMED
from scheduler.policy import ClassRule, Order, Policy
from scheduler.requests import RequestClass
from server.policy_files import (
    PolicyFileError,
    UnknownPolicyError,
    _ClassChanges,
    _PolicyChanges,
    differences,
    policy_for_logs,
)
from simulator.site import unbounded


def written(folder: Path, text: str) -> str:
    (folder / "ours.toml").write_text(text, encoding="utf-8")
    return str(folder / "ours.toml")


def test_a_file_may_name_every_field_of_a_policy_and_of_a_class_and_nothing_else() -> None:
    assert set(_PolicyChanges.model_fields) == {"base", *(field.name for field in fields(Policy))}
    assert set(_ClassChanges.model_fields) == {field.name for field in fields(ClassRule)}


@pytest.mark.parametrize("name", NAMED)
def test_a_name_is_the_published_policy_without_what_no_log_knows(name: str) -> None:
    assert policy_for_logs(name) == unbounded(NAMED[name])


def test_a_file_changes_what_it_names_and_leaves_the_rest_as_its_base_has_it(tmp_path: Path) -> None:
    ours = policy_for_logs(
        written(
            tmp_path,
            'base = "fcfs-easy"\norder = "score"\nfair_share_weight = 5\nretry_pauses_seconds = [1, 2]\n'
            "[classes.normal]\novertaking_seconds = 3600\nmost_per_person = 8\n",
        )
    )
    base = policy_for_logs("fcfs-easy")
    rules = base.classes[RequestClass.NORMAL], ours.classes[RequestClass.NORMAL]
    assert differences(base, ours) == {
        "order": (Order.ARRIVAL, Order.SCORE),
        "fair_share_weight": (0.0, 5.0),
        "retry_pauses_seconds": (base.retry_pauses_seconds, (1, 2)),
        "classes.normal.most_per_person": (rules[0].most_per_person, 8),
        "classes.normal.overtaking_seconds": (rules[0].overtaking_seconds, 3600),
    }


def test_nothing_is_stopped_in_a_log_whatever_a_file_says(tmp_path: Path) -> None:
    assert policy_for_logs(written(tmp_path, "minimum_run_seconds = 60")).minimum_run_seconds is None


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    assert policy_for_logs(written(tmp_path, "")) == policy_for_logs("default")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("half_life = 3", r"ours\.toml: half_life: there is no such field; did you mean half_life_seconds\?"),
        ("[classes.normal]\nwight = 3", r"classes\.normal\.wight: there is no such field; did you mean weight\?"),
        ("reservations = -1", r"reservations: .*greater than or equal to 0"),
        ("reservations = 1.5", r"reservations: .*integer"),
        ("reservations = true", r"reservations: .*integer"),
        ("length_weight = nan", r"length_weight: .*finite"),
        ("retry_pauses_seconds = []", r"retry_pauses_seconds: .*at least 1"),
        ('order = "random"', r"order: .*'score'"),
        ("[classes.weird]\nweight = 1", r"classes\.weird: .*'urgent'"),
        ("[classes.normal]\nshare_percent = 101", r"classes\.normal\.share_percent: .*100"),
        ("order =\n", r"ours\.toml: .*line 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_by_its_field(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(PolicyFileError, match=told):
        policy_for_logs(written(tmp_path, text))


def test_a_policy_that_nobody_has_published_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(UnknownPolicyError, match="fcfs-easy"):
        policy_for_logs("fcfs-hard")
    with pytest.raises(UnknownPolicyError, match=r"ours\.toml: base: .*'fcfs-hard'"):
        policy_for_logs(written(tmp_path, 'base = "fcfs-hard"'))
    with pytest.raises(PolicyFileError, match="No such file"):
        policy_for_logs(str(tmp_path / "nobodys.toml"))
