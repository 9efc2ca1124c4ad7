"""What the reads share: following pages so that nothing is missed that exists the whole time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Any, Protocol, TypeVar

import msgspec

from klaviyo_assets.api import MARGIN, KlaviyoClient, PaginationError, equals, greater_or_equal
from klaviyo_assets.schema.spec import Type
from klaviyo_assets.tables.jsonapi import Row, Rows, attributes, instant_or_none, resources
from klaviyo_assets.tables.registry import table as table_named
from klaviyo_assets.warehouse.state import SyncState

T = TypeVar("T")
Document = dict[str, Any]


class WarehouseReader(Protocol):
    """What the reads ask of a warehouse: what it has already."""

    def rows(self, table: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return some columns of all rows of a table, no rows if it does not exist."""

    def state(self, table: str, scope: str = "") -> SyncState | None:
        """Return how far a scope of a table is synced, None if it never was."""


class Account(Protocol):
    """What the reads know of an account."""

    @property
    def client(self) -> KlaviyoClient:
        """The API client."""

    @property
    def warehouse(self) -> WarehouseReader:
        """Where the rows go."""


Read = Callable[[Account], Iterator[Rows]]
"""Reads a family completely. Rows may come more than once; the last one counts."""

BOTH_SIDES = (True, False, True)
"""Values of a property that splits a collection in two queries, such as `archived`.

What is archived or brought back in the meantime is in one of the three answers.
"""


def both_sides(client: KlaviyoClient, operation: str, path: str, split_by: str, **params: Any) -> Iterator[Document]:
    """Yield the pages of a collection that shows one side of a boolean property at a time."""
    for side in BOTH_SIDES:
        query = {"filter": equals(split_by, side), **query_of(params)}
        for page in client.pages(operation, path, query):
            yield page.json()


def by_creation(
    client: KlaviyoClient, operation: str, path: str, *, created: str, page_size: int
) -> Iterator[Document]:
    """Yield the pages of a collection whose cursor holds times but no id.

    Such a cursor skips rows that share the last row's times. So each page is asked for anew, from the second of the
    last row on, and rows of that second come twice. Reading forwards and backwards would not do: a group of equal
    rows that is cut in both directions has a middle that neither shows.

    created: the attribute with the time of creation. Raises PaginationError if what was created in one second, or just
    now, fills a whole page, or rows without such a time do.
    """
    since: dt.datetime | None = None
    latest: dt.datetime | None = None
    while True:
        query: dict[str, Any] = {"sort": created, "page[size]": page_size}
        if since:
            query["filter"] = greater_or_equal(created, since)
        page = next(client.pages(operation, path, query))
        document = page.json()
        yield document
        found = resources(document)
        if page.next is None or not found:
            return
        latest = latest or client.now() - MARGIN  # bounds later than that are refused
        times = [time for resource in found if (time := instant_or_none(attributes(resource).get(created)))]
        last = min(max(times), latest) if times else since
        if last == since:
            if since and len(found) < (page.size or page_size):
                return
            when = f"since {last}" if last == latest else f"at {last}"
            raise PaginationError(operation, f"more than {len(found)} rows were created {when}")
        since = last


def stored_rows(warehouse: WarehouseReader, table: str, columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return id -> the values of some columns of a table that are stored, without those that are NULL or blocked.

    A digest stays what it is when it is stored again, so that what is hashed may be kept too.
    """
    types = table_named(table).types
    found: dict[str, dict[str, Any]] = {}
    rows = warehouse.rows(table, ("id", *columns))
    one_by_one = [] if rows else [(column, warehouse.rows(table, ("id", column))) for column in columns]
    for names, some in [(columns, rows), *(((column,), some) for column, some in one_by_one)]:
        for id, *values in some:
            known = {
                name: _json(value) if types[name] is Type.JSON else value
                for name, value in zip(names, values, strict=True)
                if value is not None
            }
            found.setdefault(id, {}).update(known)
    return found


def keep(rows: Iterable[Row], stored: Mapping[str, Row]) -> None:
    """Put what is stored into rows, by their ids. stored: see `stored_rows`."""
    for row in rows:
        row |= stored.get(row["id"], {})


def _json(stored: Any) -> Any:
    """The stored value of a JSON column, so that it is stored again as it is."""
    return msgspec.Raw(stored.encode()) if isinstance(stored, str) else stored


def concurrently(parts: Iterable[Iterator[T]], threads: int) -> Iterator[T]:
    """Yield the items of independent iterators as they come, each iterator advanced by one thread at a time.

    No iterator runs ahead of what was taken from it by more than one item, and no item may be None.
    """
    with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:

        def submit(part: Iterator[T]) -> Future[T | None]:
            return pool.submit(copy_context().run, lambda: next(part, None))

        running = {submit(part): part for part in parts}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    part = running.pop(future)
                    item = future.result()
                    if item is not None:
                        running[submit(part)] = part
                        yield item
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def query_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as a query. `page_size` is written as such."""
    return {"page[size]" if name == "page_size" else name: value for name, value in params.items()}
