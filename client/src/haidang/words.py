"""What the client itself says to people, in the language they chose."""

import os
import tomllib
from functools import cache
from importlib.resources import files
from typing import Final

LANGUAGES: Final = ("en", "vi")


class Words:
    """The sentences of one language: called with a sentence's name and the values in it.

    `language` goes to the center as it was asked, since the center may speak more languages than the client; the
    client itself falls back to English.
    """

    def __init__(self, language: str | None = None) -> None:
        self.language = language or language_of_environment()
        spoken = self.language.partition("-")[0].lower()
        self._texts = _texts(spoken if spoken in LANGUAGES else "en")

    def __call__(self, name: str, **values: object) -> str:
        """Return a sentence; one that is missing is a mistake of ours and raises KeyError."""
        return self._texts[name].format(**values)

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a sentence of that name: what the center names may be newer than this client."""
        return name in self._texts


def language_of_environment() -> str:
    """Return what HAIDANG_LANGUAGE or else the locale asks for, as a language tag."""
    for variable in ("HAIDANG_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        asked = os.environ.get(variable, "").partition(".")[0].partition("@")[0].replace("_", "-")
        if asked:
            return "en" if asked in {"C", "POSIX"} else asked
    return "en"


@cache
def _texts(language: str) -> dict[str, str]:
    text = files("haidang").joinpath("texts", f"{language}.toml").read_text(encoding="utf-8")
    return {name: str(sentence) for name, sentence in tomllib.loads(text).items()}
