"""Who writes to a schema: whoever the row of `_lease` says.

Snowflake keeps the locks of a session that died for hours, and an UPDATE waits for another one of the same table.

https://docs.snowflake.com/en/sql-reference/transactions
"""

from __future__ import annotations

from typing import Any

from klaviyo_assets.warehouse.lease import RowLease
from klaviyo_assets.warehouse.snowflake.catalog import SnowflakeCatalog
from klaviyo_assets.warehouse.snowflake.connecting import LOCKED, errors, is_missing


class SnowflakeLease(RowLease):
    """The right to write to a schema."""

    def __init__(self, session: SnowflakeCatalog, schema: str, *, seconds: int, place: str) -> None:
        super().__init__(schema, seconds=seconds, place=place)
        self._session = session

    def _until(self) -> str:
        return f"dateadd(second, {self._seconds}, CAST(sysdate() AS TIMESTAMP_NTZ))"

    def _try(self) -> bool:
        """Take it, if it is free."""
        for _ in range(2):
            try:
                is_free = "(holder = ? OR until < sysdate())"
                return bool(self._update(self._token, self._who, self._until(), "", is_free, ""))
            except errors.ProgrammingError as error:
                if not is_missing(error):
                    if error.errno in LOCKED:
                        return False
                    raise
                self._make()
        return False

    def _update(self, holder: str, who: str, until: str, session: str, condition: str, value: str) -> int:
        cursor = self._session.execute(
            f"UPDATE {self._table} SET holder = ?, who = ?, until = {until} WHERE {condition}", [holder, who, value]
        )
        return int(cursor.rowcount or 0)

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._session.sql(query)

    def _make(self) -> None:
        self._session.create_schema(self._schema)
        self._session.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} AS SELECT CAST('' AS VARCHAR) AS holder, "
            "CAST('' AS VARCHAR) AS who, CAST(NULL AS TIMESTAMP_NTZ) AS until"
        )
