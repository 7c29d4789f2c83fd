"""The client says everything in both languages, with the same values, and in the words and notation of the center."""

from datetime import datetime, timedelta, timezone
from itertools import product
from string import Formatter
from typing import Any, get_args

import pytest
from haidang.amounts import write_moment
from haidang.words import LANGUAGES, Words, language_of_environment

from operations.sentences import Language, texts
from scheduler.plan import WaitReason
from tests.builders import NOW


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
    assert (words.language, words.spoken) == ("fr-CA", "en")
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


@pytest.mark.parametrize(
    ("language", "environment", "unspoken"),
    [
        ("fr", {}, "fr"),
        (None, {"HAIDANG_LANGUAGE": "fr_CA.UTF-8"}, "fr_CA.UTF-8"),
        (None, {"LANG": "fr_CA.UTF-8"}, None),
        ("vi_VN.UTF-8", {}, None),
        ("EN", {"HAIDANG_LANGUAGE": "fr"}, None),
    ],
)
def test_what_somebody_chose_and_nobody_speaks_is_known_and_a_locale_is_no_choice(
    language: str | None, environment: dict[str, str], unspoken: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HAIDANG_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Words(language).unspoken == unspoken


def test_a_language_that_no_header_can_carry_is_not_sent() -> None:
    assert Words("tiếng Việt").language == "en"


@pytest.mark.parametrize(("language", "kind"), list(product(LANGUAGES, get_args(WaitReason))))
def test_why_a_request_waits_has_the_title_that_the_center_gives_it(language: str, kind: Any) -> None:  # noqa: ANN401 - a class of a union
    assert Words(language)(f"reason_{kind.code}") == texts(Language(language)).reasons[kind.code]["title"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_moments_are_written_as_in_the_sentences_of_the_center(language: str) -> None:
    pattern = texts(Language(language)).words["time"]
    assert write_moment(NOW, Words(language)) == datetime.fromtimestamp(NOW, timezone(timedelta(hours=7))).strftime(
        pattern
    )
