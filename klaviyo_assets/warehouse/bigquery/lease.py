"""Who writes to a schema: whoever the row of `_lease` says, which also names the session that the transaction is in.

BigQuery keeps the transaction of a process that died for a day, and the tables that it has changed. So who comes next
ends that session.

https://cloud.google.com/bigquery/docs/sessions-terminating
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from klaviyo_assets.warehouse.bigquery.catalog import BigQueryCatalog
from klaviyo_assets.warehouse.bigquery.connecting import exceptions
from klaviyo_assets.warehouse.bigquery.text import text
from klaviyo_assets.warehouse.lease import RowLease

_NOW = "CURRENT_TIMESTAMP()"
_MILLION = 1_000_000


class BigQueryLease(RowLease):
    """The right to write to a schema."""

    def __init__(self, session: BigQueryCatalog, schema: str, *, seconds: int, place: str) -> None:
        super().__init__(schema, seconds=seconds, place=place)
        self._session = session

    def _until(self) -> str:
        return self._session.dialect.later(_NOW, str(self._seconds * _MILLION))

    def _try(self) -> bool:
        """Take it, if it is free. It is looked at first: an UPDATE would wait for the transaction of who died."""
        query = f"SELECT holder, session, coalesce(until < {_NOW}, true) FROM {self._table}"
        try:
            found = self._rows(query)
        except exceptions.NotFound:
            self._make()
            found = self._rows(query)
        ((holder, session, is_over),) = found
        if holder and not is_over:
            return False
        if session:
            with suppress(exceptions.BadRequest):  # it has ended by itself
                self._session.send(f"CALL BQ.ABORT_SESSION({text(session)})")
        is_free = f"(holder = ? OR until < {_NOW})"
        return bool(self._update(self._token, self._who, self._until(), "", is_free, ""))

    def _update(self, holder: str, who: str, until: str, session: str, condition: str, value: str) -> int:
        """Change the row, alone or within the transaction that has begun."""
        done = self._session.execute(
            f"UPDATE {self._table} SET holder = ?, who = ?, session = ?, until = {until} WHERE {condition}",
            [holder, who, session, value],
        )
        return done.num_dml_affected_rows or 0

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._session.sql(query)

    def _make(self) -> None:
        self._session.create_schema(self._schema)
        self._session.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} AS "
            "SELECT '' AS holder, '' AS who, '' AS session, CAST(NULL AS TIMESTAMP) AS until"
        )
