"""A starting center tells people line by line, and scripts once: in one JSON object on one line."""

import json

import pytest

from server.announcing import Opened, ToPeople, ToScripts

OPENED = Opened(api="http://127.0.0.1:8787", metrics="http://127.0.0.1:8788/metrics", tenants="each has a uid")


def test_people_read_each_thing_as_soon_as_it_is_so(capsys: pytest.CaptureFixture[str]) -> None:
    announcer = ToPeople()
    announcer.founded("a-token")
    assert capsys.readouterr().out == "center-admin token, shown once: a-token\n"
    announcer.opened(OPENED)
    assert capsys.readouterr().out == (
        "API      http://127.0.0.1:8787   (described at /docs)\n"
        "metrics  http://127.0.0.1:8788/metrics\n"
        "tenants  each has a uid\n"
    )


def test_scripts_read_one_object_on_one_line_when_everything_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with ToScripts() as announcer:
        announcer.founded("a-token")
        assert capsys.readouterr().out == ""
        announcer.opened(OPENED)
        (line,) = capsys.readouterr().out.splitlines()
        assert json.loads(line) == {"api": OPENED.api, "metrics": OPENED.metrics, "tenants": OPENED.tenants} | {
            "token": "a-token"
        }
    assert capsys.readouterr().out == ""


def test_a_start_that_makes_no_center_tells_scripts_of_no_token(capsys: pytest.CaptureFixture[str]) -> None:
    with ToScripts() as announcer:
        announcer.opened(OPENED)
    assert set(json.loads(capsys.readouterr().out)) == {"api", "metrics", "tenants"}


def fail(*tokens: str) -> None:
    with ToScripts() as announcer:
        for token in tokens:
            announcer.founded(token)
        raise OSError("in use")


def test_a_token_is_told_although_the_start_fails_and_nothing_else_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError, match="in use"):
        fail("a-token")
    assert json.loads(capsys.readouterr().out) == {"token": "a-token"}
    with pytest.raises(OSError, match="in use"):
        fail()
    assert capsys.readouterr().out == ""
