"""Lists of the API, read page by page to their end."""

from collections.abc import Iterator
from typing import Any

from starlette.testclient import TestClient


def whole_list(client: TestClient, address: str, *, limit: int, **query: str) -> Iterator[dict[str, Any]]:
    """Yield every item of a list that is read in pages of `limit`."""
    cursor: dict[str, str] = {}
    while True:
        page = client.get(address, params={"limit": limit, **query, **cursor}).json()
        assert len(page["items"]) <= limit
        yield from page["items"]
        if page["next"] is None:
            return
        cursor = {"cursor": page["next"]}
