"""The demo has everything that it tells in Vietnamese, too, with the same values in the same order."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from tests.house import ROOT

DEMO = ROOT / "examples/two_institutions.py"
TELLING = {"tell", "said"}


def told(program: Path) -> set[str]:
    """Return what a program tells: the texts that it hands to its functions for that."""
    calls = [node for node in ast.walk(ast.parse(program.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    firsts = [call.args[0] for call in calls if ast.unparse(call.func) in TELLING]
    texts = {str(text.value) for text in firsts if isinstance(text, ast.Constant)}
    return {text for text in texts if re.search("[a-z]", text)}


@pytest.fixture(scope="module")
def vietnamese() -> dict[str, str]:
    texts: dict[str, str] = tomllib.loads(DEMO.with_suffix(".toml").read_text(encoding="utf-8"))["vi"]
    return texts


def test_everything_that_is_told_is_translated(vietnamese: dict[str, str]) -> None:
    assert len(told(DEMO)) > 10
    assert told(DEMO) <= vietnamese.keys()


def test_nothing_is_translated_that_is_not_in_the_demo(vietnamese: dict[str, str]) -> None:
    program = DEMO.read_text(encoding="utf-8")
    assert [text for text in vietnamese if text not in program] == []


def test_a_translation_has_as_many_values(vietnamese: dict[str, str]) -> None:
    assert [text for text, said in vietnamese.items() if text.count("{") != said.count("{")] == []
