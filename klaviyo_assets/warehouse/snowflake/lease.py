"""Who writes to a schema: one process at a time, which holds a lease that ends by itself if the process dies.

A lock would not do: tables are changed outside of the transaction, and Snowflake keeps the locks of a session that
died for hours. So the row of `_lease` says who writes, and until when. The transaction with the rows begins with giving
the lease back: it fails if the lease has been lost, and until it is committed nobody else can take it, since an UPDATE
waits for another one of the same table.

https://docs.snowflake.com/en/sql-reference/transactions
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable

from klaviyo_assets.warehouse.errors import WarehouseError, WarehouseLocked
from klaviyo_assets.warehouse.snowflake.catalog import SnowflakeCatalog
from klaviyo_assets.warehouse.snowflake.connecting import LOCKED, errors, is_missing
from klaviyo_assets.warehouse.sql import quote

LEASE_TABLE = "_lease"
_LONGEST_PAUSE = 5.0


class Lease:
    """The right to write to a schema. seconds: for which it lasts without being renewed."""

    def __init__(
        self,
        session: SnowflakeCatalog,
        schema: str,
        *,
        seconds: int,
        place: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = session
        self._schema = schema
        self._table = quote(schema, LEASE_TABLE)
        self._seconds = seconds
        self._place = place
        self._clock = clock
        self._sleep = sleep
        self._holder = secrets.token_hex(16)
        self._who = f"klaviyo_assets at {socket.gethostname()} (pid {os.getpid()})"
        self._taken: float | None = None

    def take(self, patience: float) -> None:
        """Take the lease, once nobody else has it; raise WarehouseLocked after so many seconds."""
        deadline, pause = self._clock() + patience, 0.2
        while not self._try():
            if self._clock() >= deadline:
                raise WarehouseLocked(
                    f"{self._place} is being written by {self._named()}, and has been for {patience:g} s. Wait until "
                    "that ends, and run it again; if it was killed, what it holds ends by itself."
                )
            self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        self._taken = self._clock()

    def keep(self) -> None:
        """Have it last again for as long as it did at first, if a third of that has gone; raise if it is lost."""
        if self._taken is not None and self._clock() - self._taken > self._seconds / 3:
            self.renew()

    def renew(self) -> None:
        """Have it last again for as long as it did at first; raise WarehouseError if it is lost."""
        self._set(self._holder, self._who, self._until())
        self._taken = self._clock()

    def give_back(self) -> None:
        """Let others take it, as soon as this is committed; raise WarehouseError if it is lost."""
        if self._taken is not None:
            self._set("", "", "NULL")

    def given_back(self) -> None:
        """Take note that it is no longer held."""
        self._taken = None

    @property
    def is_held(self) -> bool:
        """Whether it was taken, and not given back."""
        return self._taken is not None

    def _until(self) -> str:
        return f"dateadd(second, {self._seconds}, CAST(sysdate() AS TIMESTAMP_NTZ))"

    def _set(self, holder: str, who: str, until: str) -> None:
        if not self._update(holder, who, until, "holder = ?", self._holder):
            self._taken = None
            raise WarehouseError(
                f"Somebody else took over writing to {self._place}, for this run was silent for {self._seconds:,} s. "
                "Nothing was written. Run it again."
            )

    def _try(self) -> bool:
        """Take it, if it is free."""
        for _ in range(2):
            try:
                is_free = "(holder = ? OR until < sysdate())"
                return bool(self._update(self._holder, self._who, self._until(), is_free, ""))
            except errors.ProgrammingError as error:
                if not is_missing(error):
                    if _is_busy(error):
                        return False
                    raise
                self._make()
        return False

    def _update(self, holder: str, who: str, until: str, condition: str, value: str) -> int:
        cursor = self._session.execute(
            f"UPDATE {self._table} SET holder = ?, who = ?, until = {until} WHERE {condition}", [holder, who, value]
        )
        return int(cursor.rowcount or 0)

    def _make(self) -> None:
        self._session.create_schema(self._schema)
        self._session.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} AS SELECT CAST('' AS VARCHAR) AS holder, "
            "CAST('' AS VARCHAR) AS who, CAST(NULL AS TIMESTAMP_NTZ) AS until"
        )

    def _named(self) -> str:
        found = self._session.sql(f"SELECT who, until FROM {self._table} WHERE holder <> ''")
        return " and ".join(f"{who}, until {until:%Y-%m-%d %H:%M:%S} UTC at the latest" for who, until in found) or (
            "another process"
        )


def _is_busy(error: errors.Error) -> bool:
    return error.errno in LOCKED
