"""Whoever waits sees where the request stands: in a terminal, in a log, in a notebook."""

import io
import re
import sys
import time
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest
from haidang.amounts import write_moment
from haidang.progress import (
    LogLines,
    NotebookCell,
    Silence,
    Standing,
    TerminalLines,
    display_for,
    sentences,
    shortened,
    width_of,
)
from haidang.tables import table
from haidang.words import LANGUAGES, Words

ENGLISH = Words("en")
WAITING = Standing(
    request_id="r1",
    phase="pending",
    place=3,
    pending=7,
    reasons=("The quota of <vmu> is full, and " + "so on " * 20 + "to the end.",),
    expected=int(time.time()) + 60,
)
STARTING = Standing(request_id="r1", phase="starting")


class Screen(io.StringIO):
    """A terminal that keeps what it would show: a line can be climbed to and cleared."""

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        shown = [""]
        row = 0
        for part in re.findall(r"\x1b\[\d*[AJ]|\r|\n|[^\x1b\r\n]+", self.getvalue()):
            if part.startswith("\x1b") and part.endswith("A"):
                row -= int(part[2:-1])
            elif part == "\x1b[J":
                shown = [*shown[:row], ""]
            elif part == "\n":
                row += 1
                shown += [""] * (row + 1 - len(shown))
            elif part != "\r":
                shown[row] += part
        return shown


def test_everything_that_is_known_is_said_the_most_important_first() -> None:
    first, place, reason, expected = sentences(WAITING, ENGLISH)
    assert (first, place) == ("Request r1 waits", "place 3 of 7 in the queue")
    assert reason == WAITING.reasons[0]
    assert expected.startswith("expected to start by")
    assert sentences(Standing(request_id="r1", phase="thawing"), ENGLISH) == ["Request r1: thawing"]


def test_a_terminal_shows_the_whole_reason_writes_over_it_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "24")
    screen = Screen()
    display = TerminalLines(screen, ENGLISH)
    display.show(WAITING, 1.0)
    display.show(WAITING, 65.0)
    assert screen.lines()[0] == "Request r1 waits (1m5s)"
    assert "to the end." in " ".join(line.strip() for line in screen.lines())
    assert max(map(width_of, screen.lines())) < 60
    display.show(STARTING, 66.0)
    assert screen.lines() == ["Cluster r1 starts (1m6s)"]
    display.close()
    assert screen.lines() == [""]


def test_a_log_has_a_line_for_each_change_and_none_for_the_time() -> None:
    log = io.StringIO()
    display = LogLines(log, ENGLISH)
    for seconds in (0.0, 1.0, 2.0):
        display.show(WAITING, seconds)
    display.show(STARTING, 3.0)
    display.close()
    assert [line.split("]")[0] for line in log.getvalue().splitlines()] == ["[0s", "[3s"]


def test_a_log_has_one_sentence_a_line() -> None:
    log = io.StringIO()
    standing = replace(WAITING, reasons=("The nodes are full. Wait.", "The quota is full."), expected=None)
    LogLines(log, ENGLISH).show(standing, 0.0)
    assert (
        log.getvalue()
        == "[0s] Request r1 waits: place 3 of 7 in the queue; The nodes are full. Wait; The quota is full\n"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_protected_start_is_said_once(language: str) -> None:
    words = Words(language)
    assert WAITING.expected is not None
    when = write_moment(WAITING.expected, words)
    assert len(sentences(WAITING, words)) == 4
    assert sentences(WAITING, words)[-1].endswith(when)
    told = replace(WAITING, reasons=(f"Its start is protected from {when} at the latest.",))
    assert len(sentences(told, words)) == 3


def test_a_notebook_has_one_output_that_is_updated_and_trusts_no_text() -> None:
    shown: list[dict[str, str]] = []
    handle = SimpleNamespace(update=lambda bundle, **_how: shown.append(bundle))

    def show(bundle: dict[str, str], **_how: object) -> SimpleNamespace:
        shown.append(bundle)
        return handle

    display = NotebookCell(show, ENGLISH)
    display.show(WAITING, 1.0)
    display.show(STARTING, 2.0)
    display.close()
    assert len(shown) == 3
    assert "&lt;vmu&gt;" in shown[0]["text/html"]
    assert shown[2]["text/html"] == ""


def test_the_display_fits_where_the_program_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(display_for(ENGLISH, progress=False), Silence)
    assert isinstance(display_for(ENGLISH, progress=True, out=Screen()), TerminalLines)
    assert isinstance(display_for(ENGLISH, progress=True, out=io.StringIO()), LogLines)
    notebook = ModuleType("IPython")
    monkeypatch.setattr(notebook, "get_ipython", lambda: SimpleNamespace(kernel=object()), raising=False)
    shower = ModuleType("IPython.display")
    monkeypatch.setattr(shower, "display", print, raising=False)
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", shower)
    assert isinstance(display_for(ENGLISH, progress=True), NotebookCell)


@pytest.mark.parametrize(
    ("text", "width", "fits"), [("đang chờ", 8, "đang chờ"), ("đang chờ", 7, "đang c…"), ("a", 1, "a")]
)
def test_a_text_is_cut_by_the_columns_it_takes(text: str, width: int, fits: str) -> None:
    assert shortened(text, width) == fits


def test_a_table_lines_up_and_is_cut_only_where_there_is_a_width() -> None:
    rows = [["đang chờ", "1"], ["x", "1000"]]
    assert table(["STATE", "N"], rows, width=None, numbers=1) == ["STATE        N", "đang chờ     1", "x         1000"]
    assert table(["STATE", "N"], rows, width=9, numbers=1)[1] == "đang chờ…"
    assert table(["STATE", "N"], [], width=None) == ["STATE  N"]
