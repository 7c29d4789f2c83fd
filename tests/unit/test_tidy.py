"""The house is tidy, and each of its rules can tell when it is not."""

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import house, pages


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((house.ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("rule", house.RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps_the_rule(rule: house.Rule) -> None:
    assert [breach for of in house.sources() for breach in rule(of)] == []


WIDE = "class Wide(Protocol):\n" + "".join(f"    def m{n}(self) -> None: ...\n" for n in range(6))
LONG = "def long():\n" + "    pass\n" * 50
STRANGE = "import somebody_elses\n"


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (house.stays_readable_in_one_sitting, "store/rows.py", "pass\n" * 401),
        (house.stays_readable_in_one_sitting, "tests/unit/test_rows.py", "pass\n" * 601),
        (house.functions_fit_on_a_screen, "store/rows.py", LONG),
        (house.functions_fit_on_a_screen, "store/rows.py", f"async {LONG}"),
        (house.protocols_are_small, "operations/ports/work.py", WIDE),
        (house.protocols_are_small, "operations/ports/work.py", WIDE.replace("Protocol", "typing.Protocol[T]")),
        (house.opens_with_one_sentence, "store/rows.py", ""),
        (house.opens_with_one_sentence, "store/rows.py", '"""Rows"""'),
        (house.opens_with_one_sentence, "store/rows.py", '"""Rows. And their columns."""'),
        (house.opens_with_one_sentence, "store/rows.py", '"""Rows.\nAnd their columns.\n"""'),
        (house.places_name_a_noun, "store/utils/rows.py", ""),
        (house.places_name_a_noun, "client/src/haidang/helpers.py", ""),
        (house.places_name_a_noun, "store/requests_more.py", ""),
        (house.names_say_what_a_thing_is, "store/rows.py", "class RowManager: ..."),
        (house.names_say_what_a_thing_is, "store/rows.py", "class HTTPInfo: ..."),
        (house.names_say_what_a_thing_is, "store/rows.py", "def get_data(): ..."),
        (house.names_say_what_a_thing_is, "store/rows.py", "class Rows:\n    async def _impl(self): ..."),
        (house.only_the_store_commits, "operations/requests.py", "connection.commit()"),
        (house.outside_packages_stay_where_they_belong, "store/rows.py", STRANGE),
        (house.outside_packages_stay_where_they_belong, "api/app.py", "def late():\n    from sqlalchemy import select"),
        (house.outside_packages_stay_where_they_belong, "scheduler/decide.py", "import pydantic.types"),
        (house.nothing_is_left_unfinished, "store/rows.py", "# TODO: the rest"),
        (house.nothing_is_left_unfinished, "store/rows.py", "# a placeholder for rows"),
    ],
)
def test_a_breach_is_seen(rule: house.Rule, path: str, text: str) -> None:
    assert list(rule(house.source(path, text))) != []


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (house.stays_readable_in_one_sitting, "store/rows.py", "pass\n" * 400),
        (house.functions_fit_on_a_screen, "store/rows.py", LONG.removesuffix("    pass\n")),
        (house.opens_with_one_sentence, "store/rows.py", '"""Rows, e.g. of requests.\n\nAnd why. At length.\n"""'),
        (house.names_say_what_a_thing_is, "store/rows.py", "class Database: ..."),
        (house.only_the_store_commits, "store/transactions.py", "connection.commit()"),
        (house.outside_packages_stay_where_they_belong, "store/rows.py", "import json\nfrom sqlalchemy import Table"),
    ],
)
def test_what_keeps_the_rule_is_left_alone(rule: house.Rule, path: str, text: str) -> None:
    assert list(rule(house.source(path, text))) == []


def test_every_rule_was_seen_to_fail() -> None:
    (cases,) = [mark.args[1] for mark in test_a_breach_is_seen.pytestmark]  # type: ignore[attr-defined]  # set by pytest
    assert {case[0] for case in cases} == set(house.RULES)


def test_every_package_stands_in_the_build_and_in_the_import_contracts(project: dict[str, Any]) -> None:
    assert sorted(project["tool"]["uv"]["build-backend"]["module-name"]) == house.packages()
    assert sorted(project["tool"]["importlinter"]["root_packages"]) == sorted([*house.packages(), "haidang"])


def test_the_lock_was_not_made_behind_a_mirror() -> None:
    hosts = set(re.findall(r"https?://([^/\"]+)", (house.ROOT / "uv.lock").read_text(encoding="utf-8")))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}


def test_a_rule_of_the_linter_is_ignored_for_a_reason_only() -> None:
    lines = (house.ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start, end = lines.index("[tool.ruff.lint]"), lines.index("[tool.ruff.lint.flake8-tidy-imports]")
    bare = [
        line
        for before, line in zip(lines[start:end], lines[start + 1 : end], strict=False)
        if line.strip().startswith('"') and not line.endswith("[") and "#" not in line and not before.startswith("#")
    ]
    assert bare == []


@pytest.mark.parametrize("page", pages.pages(), ids=str)
def test_every_page_links_to_what_is_there_and_leaves_nothing_for_later(page: Path) -> None:
    text = (house.ROOT / page).read_text(encoding="utf-8")
    assert [*pages.broken_links(page, text), *pages.lost_files(page, text), *house.unfinished(page, text)] == []


def test_every_decision_gives_its_reasons_and_what_holds_it_up() -> None:
    texts = {path: (house.ROOT / path).read_text(encoding="utf-8") for path in pages.decisions()}
    assert [breach for path, text in texts.items() for breach in pages.missing_parts(path, text)] == []


def test_decisions_are_numbered_without_gaps() -> None:
    assert list(pages.gaps(pages.decisions())) == []


def test_the_map_and_the_walk_are_those_of_the_tree() -> None:
    text = (house.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [*pages.unmapped(text), *pages.lost_steps(Path("CONTRIBUTING.md"), text)] == []
    assert len(pages.STEP.findall(text)) > 10, "the walk is not written as lines of functions and their file"


DECISION = "# 0001. We decide\n\n## Context\n\n## Decision\n\n## Consequences\n\n## Enforced by\n"


@pytest.mark.parametrize(
    ("look", "path", "text"),
    [
        (pages.broken_links, "README.md", "see [the rows](store/no_rows.py)"),
        (pages.broken_links, "README.md", "# Here\n\nsee [there](#there)"),
        (pages.broken_links, "docs/decisions/0001-x.md", "see [the readme](README.md)"),
        (pages.lost_files, "docs/decisions/0001-x.md", "see `tests/unit/test_vanished.py`"),
        (pages.missing_parts, "docs/decisions/0001-we-decide.md", DECISION.replace("Enforced by", "Hoped for")),
        (pages.missing_parts, "docs/decisions/0002-we-decide.md", DECISION),
        (pages.missing_parts, "docs/decisions/0001_We_Decide.md", DECISION),
        (pages.lost_steps, "CONTRIBUTING.md", "  |- files, vanished    tests/house.py   the rest"),
        (pages.lost_steps, "CONTRIBUTING.md", "  '- files   tests/vanished.py"),
    ],
)
def test_a_page_that_misleads_is_seen(look: Callable[[Path, str], Iterator[str]], path: str, text: str) -> None:
    assert list(look(Path(path), text)) != []


@pytest.mark.parametrize(
    ("look", "path", "text"),
    [
        (
            pages.broken_links,
            "docs/decisions/0001-x.md",
            "see [the readme](../../README.md#haidang) or [d](https://d.vn)",
        ),
        (pages.lost_files, "docs/decisions/0001-x.md", "see `tests/house.py`, `start.json` and `warm/logs/`"),
        (pages.missing_parts, "docs/decisions/0001-we-decide.md", DECISION),
        (pages.lost_steps, "CONTRIBUTING.md", "  |- files, house.sources    tests/house.py   the rest"),
    ],
)
def test_a_page_that_leads_is_left_alone(look: Callable[[Path, str], Iterator[str]], path: str, text: str) -> None:
    assert list(look(Path(path), text)) == []


def test_a_number_given_twice_or_left_out_is_seen() -> None:
    assert list(pages.gaps([Path("0001-a.md"), Path("0001-b.md")])) != []
    assert list(pages.gaps([Path("0001-a.md"), Path("0003-b.md")])) != []


def test_a_package_that_the_map_leaves_out_is_seen() -> None:
    assert list(pages.unmapped("    registry/   who exists\n")) != []
