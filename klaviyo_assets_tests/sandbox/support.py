"""Small accounts and requests that the sandbox's tests share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import requests

from klaviyo_assets.sandbox import Account, Clock, Resource, Sandbox

NOW = datetime(2026, 9, 4, 13, 50, tzinfo=UTC)
HEADERS = {"Authorization": "Klaviyo-API-Key pk_sandbox", "revision": "2026-07-15"}


def frozen_account(now: datetime = NOW) -> Account:
    """An account whose clock stands still."""
    return Account(clock=Clock(now, frozen=True))


def get(sandbox: Sandbox, path: str, *, status: int = 200, headers: dict[str, str] | None = None, **query: Any) -> Any:
    """The JSON body of a GET, whose status is checked; `page__size=5` is written `page[size]=5`."""
    parameters = {
        name.replace("__", "[", 1).replace("_dash_", "-") + "]" if "__" in name else name: value
        for name, value in query.items()
    }
    url = path if path.startswith("http") else f"{sandbox.url}/{path}"
    response = requests.get(url, params=parameters, headers=HEADERS | (headers or {}), timeout=60)
    assert response.status_code == status, response.text
    return response.json()


def walk(sandbox: Sandbox, path: str, **query: Any) -> list[Any]:
    """All rows of a collection, by following `links.next`."""
    rows, url = [], path
    while url:
        document = get(sandbox, url, **(query if url == path else {}))
        rows += document["data"]
        assert document["links"]["next"] != url, "a page leads to itself"
        url = document["links"]["next"]
    return rows


def profile(id: str, updated: str = "2026-09-01T00:00:00+00:00", **attributes: Any) -> Resource:
    """A profile with an email address made of its id."""
    values = {"email": f"{id.lower()}@example.com", "created": "2026-01-01T00:00:00+00:00", "updated": updated}
    return Resource("profile", id, values | attributes)
