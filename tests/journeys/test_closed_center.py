"""A center that is taken away ends what runs, settles it, and can be opened again with its books."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.centers import RealCenter, a_center, haidang


@pytest.fixture
def center(tmp_path: Path) -> Iterator[RealCenter]:
    with a_center(tmp_path) as center:
        yield center


def test_a_center_that_is_closed_has_settled_everything_and_opens_again(center: RealCenter, tmp_path: Path) -> None:
    token = center.admit("vmu", "vision")
    running = center.submit(token, "vmu.vision")
    center.wait(token, running, lambda seen: seen["phase"] == "running")
    waiting = center.submit(token, "vmu.vision", workers={"min": 31, "max": 31})
    told = json.loads(haidang(tmp_path / "data", "close", "--patience", "60", "--json"))
    assert told == {"left": []}
    ends = {one["id"]: one["end"] for one in center.call("GET", "/v1/requests")["items"]}
    assert ends == {running: "cancelled", waiting: "cancelled"}
    kinds = [one["kind"] for one in center.call("GET", "/v1/ledger?limit=100")["items"]]
    assert kinds.count("charge") == 3
    center.kill()
    center.start()
    again = center.submit(token, "vmu.vision")
    center.wait(token, again, lambda seen: seen["phase"] == "running")
