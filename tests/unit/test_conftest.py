"""Where all must hold, a skipped test is a failed one."""

import pytest

from tests.house import ROOT

# These plugins take seconds to import and have no part in this.
QUICKLY = ("-p", "no:schemathesis", "-p", "no:schemathesis-xdist")

SKIPS = """
import pytest

def test_that_cannot_run_here():
    pytest.skip("no such program")

@pytest.mark.xfail(strict=True, reason="known")
def test_that_is_known_to_fail():
    assert False
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest((ROOT / "tests/conftest.py").read_text(encoding="utf-8"))
    return pytester


def test_a_skip_is_a_failure_in_ci_and_says_its_reason(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    suite.makepyfile(SKIPS)
    outcome = suite.runpytest_subprocess(*QUICKLY)
    outcome.assert_outcomes(failed=1, xfailed=1)
    outcome.stdout.fnmatch_lines(["*skipped where nothing may be*no such program*"])


def test_a_published_log_may_be_missing_where_all_must_hold(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    suite.makepyfile("from tests.traces import trace\n\ndef test_that_needs_one():\n    trace('none.swf.gz')\n")
    outcome = suite.runpytest_subprocess(*QUICKLY, "-rs")
    outcome.assert_outcomes(skipped=1)
    outcome.stdout.fnmatch_lines(["*no published log none.swf.gz*"])


def test_a_whole_file_that_skips_itself_is_a_failure_in_ci(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    suite.makepyfile("import pytest\npytest.importorskip('no_such_package')\n")
    suite.runpytest_subprocess(*QUICKLY).assert_outcomes(errors=1)


def test_on_a_newcomers_machine_a_skip_is_a_skip(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    suite.makepyfile(SKIPS)
    suite.runpytest_subprocess(*QUICKLY).assert_outcomes(skipped=1, xfailed=1)
