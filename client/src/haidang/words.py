"""What the client itself says to people, in the language they chose."""

import os
import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Final

LANGUAGES: Final = ("en", "vi")
VARIABLE: Final = "HAIDANG_LANGUAGE"

# What a header can carry: anything else would stop the call instead of choosing a language.
_SENDABLE: Final = re.compile(r"[A-Za-z0-9-]{1,64}")


class Words:
    """The sentences of one language: called with a sentence's name and the values in it.

    `language` goes to the center as it was asked, since the center may speak more languages than the client; the
    client itself falls back to English: `spoken` is the language of these sentences. `unspoken` is what somebody chose
    although the client does not speak it; a locale is nobody's choice.
    """

    def __init__(self, language: str | None = None) -> None:
        chosen = language or os.environ.get(VARIABLE, "")
        asked = _tag(language or "") or language_of_environment()
        self.unspoken = chosen if chosen and not _spoken(_tag(chosen)) else None
        self.language = asked if _SENDABLE.fullmatch(asked) else "en"
        self.spoken = _spoken(asked) or "en"
        self._texts = _texts(self.spoken)

    def __call__(self, name: str, **values: object) -> str:
        """Return a sentence; one that is missing is a mistake of ours and raises KeyError."""
        return self._texts[name].format(**values)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a sentence of that name: what the center names may be newer than this client."""
        return name in self._texts


def language_of_environment() -> str:
    """Return what HAIDANG_LANGUAGE or else the locale asks for, as a language tag."""
    for variable in (VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG"):
        asked = _tag(os.environ.get(variable, ""))
        if asked:
            return "en" if asked in {"C", "POSIX"} else asked
    return "en"


def _tag(name: str) -> str:
    """Return the language tag in the name of a locale: `vi-VN` of `vi_VN.UTF-8`."""
    return name.partition(".")[0].partition("@")[0].replace("_", "-")


def _spoken(tag: str) -> str | None:
    """Return the language of a tag, without its country and script, if there are texts in it."""
    language = tag.partition("-")[0].lower()
    return language if language in LANGUAGES else None


@cache
def _texts(language: str) -> dict[str, str]:
    text = files("haidang").joinpath("texts", f"{language}.toml").read_text(encoding="utf-8")
    return {name: str(sentence) for name, sentence in tomllib.loads(text).items()}


def harmless(text: str) -> str:
    """Return a text without what would steer a terminal: programs wrote it, and nobody knows what they want done."""
    shown = (letter if letter in "\n\t" or letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
    return "".join(shown)
