"""The read of a collection that one query returns, whatever the revision in which a key may ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from klaviyo_assets.api import REVISION, InvalidRequest, KlaviyoClient, NotPermitted, Page
from klaviyo_assets.schema.lost import remark
from klaviyo_assets.sync.reads.reading import Account, Document, keep, query_of, stored_rows
from klaviyo_assets.tables.jsonapi import Row, Rows


@dataclass(frozen=True)
class Collection:
    """The read of a collection that one query returns. rows: of the tables, on one of its pages.

    later: table -> its columns that no answer of `REVISION` fills, if the operation is asked for in a later one, and
        shows the same objects in both. A key that is refused the later one reads them in `REVISION`, and these columns
        stay as they are stored.
    """

    operation: str
    path: str
    rows: Callable[[Document], Rows]
    query: Mapping[str, Any]
    later: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __call__(self, account: Account) -> Iterator[Rows]:
        """Read everything."""
        pages = account.client.pages(self.operation, self.path, self.query)
        kept: dict[str, dict[str, Row]] = {}
        if self.later:
            try:
                pages = chain([next(pages)], pages)
            except (InvalidRequest, NotPermitted) as refusal:
                pages = self._earlier(account.client, refusal)
                kept = {table: stored_rows(account.warehouse, table, names) for table, names in self.later.items()}
        for page in pages:
            rows = self.rows(page.json())
            for table, stored in kept.items():
                keep(rows[table], stored)
            yield rows

    def _earlier(self, client: KlaviyoClient, refusal: InvalidRequest | NotPermitted) -> Iterator[Page]:
        """Return the pages in `REVISION`; raises the refusal of the later one if this one is refused too."""
        unknown = {name for names in self.later.values() for name in names}
        fields = {
            name: ",".join(each for each in str(value).split(",") if each not in unknown)
            for name, value in client.defaults.get(self.operation, {}).items()
            if name.startswith("fields[")
        }
        pages = client.pages(self.operation, self.path, {**self.query, **fields}, revision=REVISION)
        try:
            first = next(pages)
        except (InvalidRequest, NotPermitted):
            raise refusal from None
        columns = ", ".join(f"{table}.{name}" for table, names in self.later.items() for name in names)
        remark(
            f"{self.operation} was read in revision {REVISION} of the API, because Klaviyo refuses the later one for "
            f"this key: {refusal} {columns} stays as it is stored."
        )
        return chain([first], pages)


def collection(
    operation: str,
    path: str,
    rows: Callable[[Document], Rows],
    *,
    later: Mapping[str, Sequence[str]] | None = None,
    **params: Any,
) -> Collection:
    """Return the read of a collection that one query returns. params: see `query_of`."""
    return Collection(operation, path, rows, query_of(params), later or {})
