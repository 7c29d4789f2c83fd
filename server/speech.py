"""What a center's own commands say to people, in the language that the command `haidang` speaks."""

import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files

from haidang.amounts import write_seconds
from haidang.tables import table, terminal_width
from haidang.words import Words

_VIETNAMESE = "vi"


class Speech:
    """The sentences of one language and its notation: called with a sentence's name and the values in it."""

    def __init__(self, language: str | None = None) -> None:
        """Speak the language asked for, else that of the environment, else English."""
        self.language = Words(language).spoken
        self._texts = texts(self.language)

    def __call__(self, name: str, /, **values: object) -> str:
        """Return a sentence; one that is missing is a mistake of ours and raises KeyError."""
        return self._texts[name].format(**values)

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with so many digits behind the point."""
        text = f"{value:,.{digits}f}"
        return text.translate(str.maketrans(",.", ".,")) if self.language == _VIETNAMESE else text

    def percent(self, part: float, *, sign: bool = False) -> str:
        """Return a part of 1 in percent, with its sign if that is what it is about."""
        return ("+" if sign and part > 0 else "") + self.number(100 * part, 1) + "%"

    def seconds(self, seconds: float, *, sign: bool = False) -> str:
        """Return a length of time in at most two units, with its sign if that is what it is about."""
        size = write_seconds(round(abs(seconds)))
        return f"{'-' if seconds < 0 else '+'}{size}" if sign and round(seconds) else size

    def date(self, second: int, began: int | None) -> str:
        """Return the date of a second of a log, or its day if nobody knows when the log began."""
        if began is None:
            return self("day", day=self.number(1 + second // 86_400))
        return datetime.fromtimestamp(began + second, UTC).strftime("%Y-%m-%d")

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
        """Return the lines of a table whose first column is text and whose others are numbers."""
        return table(headings, rows, width=terminal_width(), numbers=len(headings) - 1)


@cache
def texts(language: str) -> dict[str, str]:
    """Return all sentences of a language, by name."""
    return tomllib.loads(files("server").joinpath("texts", f"{language}.toml").read_text(encoding="utf-8"))
