"""What is written about metrics is what the code says of them, and what Prometheus understands."""

import json
import re
import subprocess
from pathlib import Path

from exporters.families import FAMILIES
from tests.house import ROOT
from tests.programs import promtool

PAGE = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")


def test_the_table_is_that_of_the_code() -> None:
    rows = [
        f"| `{family.name}` | {family.kind} | {', '.join(family.labels)} | {family.says} | {family.source} |"
        for family in FAMILIES
    ]
    assert [line for line in PAGE.splitlines() if line.startswith("| `haidang_")] == rows


def test_questions_ask_for_metrics_that_exist() -> None:
    suffixes = ("", "_bucket", "_count", "_sum")
    known = {family.name + suffix for family in FAMILIES for suffix in suffixes}
    assert set(re.findall(r"\bhaidang_\w+", PAGE)) <= known


def test_prometheus_understands_every_question(tmp_path: Path) -> None:
    queries = re.findall(r"^\| [^|`]+\? \| `([^`]+)`", PAGE, re.MULTILINE)
    assert len(queries) == 6
    rules = [{"record": f"question_{number}", "expr": query} for number, query in enumerate(queries)]
    # JSON is YAML, too.
    (tmp_path / "rules.yml").write_text(
        json.dumps({"groups": [{"name": "questions", "rules": rules}]}), encoding="utf-8"
    )
    checked = subprocess.run(
        [promtool(), "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
