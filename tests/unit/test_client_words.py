"""The client says everything in both languages, with the same values."""

from string import Formatter
from typing import Any

import pytest
from haidang.words import LANGUAGES, Words, language_of_environment


def _sentences(language: str) -> dict[str, Any]:
    return Words(language)._texts


def _values(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


def test_every_sentence_exists_in_every_language_with_the_same_values() -> None:
    english, vietnamese = (_sentences(language) for language in LANGUAGES)
    assert english.keys() == vietnamese.keys()
    assert {name: _values(text) for name, text in english.items()} == {
        name: _values(text) for name, text in vietnamese.items()
    }


def test_a_language_that_the_client_does_not_speak_is_asked_of_the_center_and_answered_in_english() -> None:
    words = Words("fr-CA")
    assert words.language == "fr-CA"
    assert words("cancelled", id="x") == Words("en")("cancelled", id="x")


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"HAIDANG_LANGUAGE": "vi", "LANG": "en_US.UTF-8"}, "vi"),
        ({"LANG": "vi_VN.UTF-8"}, "vi-VN"),
        ({"LC_ALL": "C.UTF-8", "LANG": "vi_VN.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_comes_from_its_own_variable_or_else_from_the_locale(
    environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HAIDANG_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert language_of_environment() == language
    assert ("hủy" in Words()("cancelled", id="x")) == language.startswith("vi")
