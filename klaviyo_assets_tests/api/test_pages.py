from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from klaviyo_assets.api import (
    ApiUnavailable,
    InvalidRequest,
    KlaviyoClient,
    Page,
    PaginationError,
    attribute_times,
)
from klaviyo_assets_tests.api.fake import FakeApi, Reply, Request, document, error

PATH = "events"


class Collection:
    """Numbered rows, paged by a cursor; `largest` and `heavy` are the page sizes that are refused and too slow."""

    def __init__(self, api: FakeApi, rows: int, *, largest: int = 1000, heavy: int = 10**9) -> None:
        self.api, self.rows, self.largest, self.heavy = api, rows, largest, heavy
        api.routes[PATH] = self

    def __call__(self, request: Request) -> Reply:
        size = int(request.query.get("page[size]", 20))
        if size > self.largest:
            detail = f"Page size must be an integer between 1 and {self.largest}: {size}"
            return error(400, detail, source={"parameter": "page[size]"})
        if size >= self.heavy:
            return Reply(b"<html>", 504)
        start = int(request.query.get("page[cursor]", 0))
        rows = list(range(start, min(self.rows, start + size)))
        following = None
        if start + size < self.rows:
            path, _, query = request.target.partition("?")
            kept = [p for p in query.split("&") if p and not p.startswith("page%5Bcursor")]
            kept = [p.replace("[", "%5B").replace("]", "%5D") for p in kept]
            following = f"{self.api.origin}{path}?{'&'.join([*kept, f'page%5Bcursor%5D={start + size}'])}"
        return Reply(document(rows, following))

    def sizes(self) -> list[str]:
        return [r.query.get("page[size]", "") for r in self.api.requests]


def read(client: KlaviyoClient, **params: object) -> list[int]:
    return [row for page in client.pages("get_events", PATH, params) for row in page.json()["data"]]  # type: ignore[arg-type]


def test_links_are_followed_as_they_are(api: FakeApi, client: KlaviyoClient) -> None:
    Collection(api, 25)
    assert read(client, sort="datetime", **{"page[size]": 10, "filter": 'equals(a,"ä+/")'}) == list(range(25))
    value = quote('equals(a,"ä+/")', safe="(),:[]").replace("[", "%5B").replace("]", "%5D")
    assert [r.target for r in api.requests[1:]] == [
        f"/api/events?sort=datetime&page%5Bsize%5D=10&filter={value}&page%5Bcursor%5D={n}" for n in (10, 20)
    ]


def test_a_page_size_that_is_refused_falls_back_to_the_one_named(api: FakeApi, client: KlaviyoClient) -> None:
    collection = Collection(api, 450, largest=200)
    assert read(client, **{"page[size]": 1000}) == list(range(450))
    assert collection.sizes() == ["1000", "200", "200", "200"]
    # The lesson is kept.
    api.requests.clear()
    assert read(client, **{"page[size]": 1000}) == list(range(450))
    assert collection.sizes() == ["200", "200", "200"]


def test_a_page_size_that_may_not_be_chosen_is_left_out(api: FakeApi, client: KlaviyoClient) -> None:
    collection = Collection(api, 30)

    def metrics(request: Request) -> Reply:
        if "page[size]" in request.query:
            return error(400, "'page_size' is not an allowed page param.", source={"parameter": "page[size]"})
        return collection(request)

    api.routes[PATH] = metrics
    assert read(client, **{"page[size]": 1000, "sort": "x"}) == list(range(30))
    assert collection.sizes() == ["1000", "", ""]


def test_other_refusals_are_errors(api: FakeApi, client: KlaviyoClient) -> None:
    api.routes[PATH] = error(400, "Invalid filter.", source={"parameter": "filter"})
    with pytest.raises(InvalidRequest):
        read(client, **{"page[size]": 1000})
    api.routes[PATH] = error(400, "Page size must be an integer between 1 and 1000: 1000")
    with pytest.raises(InvalidRequest):
        read(client, **{"page[size]": 1000})
    assert len(api.requests) == 2


def test_a_page_that_is_too_heavy_is_halved(api: FakeApi, client: KlaviyoClient) -> None:
    collection = Collection(api, 600, heavy=300)
    assert read(client, **{"page[size]": 1000}) == list(range(600))
    assert collection.sizes() == ["1000", "1000", "500", "500", "250", "250", "250"]


def test_a_page_in_the_middle_is_halved_too(api: FakeApi, client: KlaviyoClient) -> None:
    collection = Collection(api, 600)

    def heavy_later(request: Request) -> Reply:
        collection.heavy = 100 if "page[cursor]" in request.query else 10**9
        return collection(request)

    api.routes[PATH] = heavy_later
    assert read(client, **{"page[size]": 200}) == list(range(600))
    assert collection.sizes()[:6] == ["200", "200", "200", "100", "100", "50"]


def test_a_gateway_that_is_down_is_no_heavy_page(api: FakeApi, client: KlaviyoClient) -> None:
    collection = Collection(api, 600, heavy=1)
    with pytest.raises(ApiUnavailable, match="504"):
        read(client, **{"page[size]": 100})
    assert collection.sizes() == ["100"] * 2 + ["50"] * 2 + ["25"] * 2 + ["12"] * 6


@pytest.mark.parametrize(
    "link",
    [
        "http://other.example/api/events",
        "https://127.0.0.1:{port}/api/events",
        "http://127.0.0.1:1/api/events",
        "http://127.0.0.1/api/events",
        "//other.example/api/events",
        "http://127.0.0.1:{port}@other.example/api/events",
        "http://me@127.0.0.1:{port}/api/events",
        "http://127.0.0.1:x/api/events",
        "file:///etc/passwd",
    ],
)
def test_a_link_to_another_server_is_refused(api: FakeApi, client: KlaviyoClient, link: str) -> None:
    port = api.origin.rsplit(":", 1)[1]
    api.routes[PATH] = Reply(document([1], link.format(port=port)))
    with pytest.raises(PaginationError, match="another server"):
        read(client)
    assert len(api.requests) == 1


def test_an_odd_link_still_goes_to_the_same_server(api: FakeApi, client: KlaviyoClient) -> None:
    """`urlsplit` sees this server in it, other parsers see another one."""
    other = FakeApi()
    other.routes[PATH] = Reply(document([2]))
    link = f"{other.origin}\\@{api.origin.removeprefix('http://')}/api/events?page=2"
    api.routes[PATH] = [Reply(document([1], link)), Reply(document([3]))]
    try:
        assert read(client) in ([1, 3], [1])
    except PaginationError:
        pass
    finally:
        other.close()
    assert not other.requests


def test_a_link_without_a_server_is_followed(api: FakeApi, client: KlaviyoClient) -> None:
    api.routes[PATH] = [Reply(document([1], "/api/events?x=1")), Reply(document([2]))]
    assert read(client) == [1, 2]


def test_a_cursor_that_repeats_is_an_error(api: FakeApi, client: KlaviyoClient) -> None:
    def circle(request: Request) -> Reply:
        return Reply(document([request.number], f"{api.url}/events?page%5Bcursor%5D={request.number % 3}"))

    api.routes[PATH] = circle
    with pytest.raises(PaginationError, match="read before"):
        read(client)
    assert len(api.requests) == 4


def test_the_same_page_twice_in_a_row_is_an_error(api: FakeApi, client: KlaviyoClient) -> None:
    api.routes[PATH] = lambda r: Reply(document([{"id": "a"}], f"{api.url}/events?page%5Bcursor%5D={r.number}"))
    with pytest.raises(PaginationError, match="twice in a row"):
        read(client)
    assert len(api.requests) == 2


def test_empty_pages_do_not_end_a_collection(api: FakeApi, client: KlaviyoClient) -> None:
    def gap(request: Request) -> Reply:
        n = request.number
        rows = [n] if n in (0, 4) else []
        return Reply(document(rows, None if n == 4 else f"{api.url}/events?page%5Bcursor%5D={n}"))

    api.routes[PATH] = gap
    assert read(client) == [0, 4]


def test_a_broken_page_in_the_middle_is_read_again(api: FakeApi, client: KlaviyoClient) -> None:
    collection = Collection(api, 50)
    broken: list[int] = []

    def flaky(request: Request) -> Reply:
        reply = collection(request)
        if request.number == 1:
            broken.append(1)
            return Reply(reply.body, fault="cut")
        return reply

    api.routes[PATH] = flaky
    assert read(client, **{"page[size]": 20}) == list(range(50))
    assert broken


@pytest.mark.parametrize("next", [5, {"href": "x"}, ["x"]])
def test_a_full_page_whose_link_nobody_can_read_is_an_error(api: FakeApi, client: KlaviyoClient, next: Any) -> None:
    api.routes[PATH] = lambda request: Reply({**document([{"id": "1"}, {"id": "2"}]), "links": {"next": next}})
    assert read_ids(client, 3) == ["1", "2"]
    with pytest.raises(PaginationError, match="can't be read"):
        read_ids(client, 2)


def read_ids(client: KlaviyoClient, size: int) -> list[str]:
    pages = client.pages("get_lists", PATH, {"page[size]": size})
    return [row["id"] for page in pages for row in page.json()["data"]]


def test_the_times_of_rows_are_aware_or_none() -> None:
    def times(*values: object) -> list[datetime | None]:
        rows = [{"id": "1", "attributes": {} if value is ... else {"datetime": value}} for value in values]
        return list(attribute_times("datetime")(Page.of(json.dumps({"data": rows}).encode(), "get_events")))

    noon = datetime(2026, 9, 4, 12, tzinfo=UTC)
    good = ["2026-09-04T12:00:00Z", "2026-09-04T14:00:00+02:00", "2026-09-04 12:00:00+00:00", None, ...]
    assert times(*good) == [noon, noon, noon, None, None]
    assert times(*good, "2026-09-04T12:00:00", 5, "soon") == [noon, noon, noon, None, None, None, None, None]
