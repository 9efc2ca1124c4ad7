"""Who writes to a schema: one process at a time, which holds a lease that ends by itself if the process dies.

For databases in which a lock would not do: tables are changed outside of the transaction, and a session that died may
live on for hours. So the row of `_lease` says who writes, until when, and in which session of the database, which who
comes next ends. The transaction with the rows begins with giving the lease back: it fails if the lease has been lost,
and until it is committed nobody else can take it, since an UPDATE waits for a transaction that has changed the same
row.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from klaviyo_assets.warehouse.dialect import Dialect
from klaviyo_assets.warehouse.errors import WarehouseError, WarehouseLocked
from klaviyo_assets.warehouse.sql import quote

LEASE_TABLE = "_lease"
_LONGEST_PAUSE = 5.0
_MILLION = 1_000_000


class Leased(Protocol):
    """What a lease needs of a session."""

    @property
    def dialect(self) -> Dialect:
        """The SQL text of the database."""

    def change_lease(self, statement: str, parameters: Sequence[Any]) -> int | None:
        """Run an UPDATE, alone or within the transaction that has begun; None: another one is in the way."""

    def lease_rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a query of the lease's table; raise LookupError if that is not there."""

    def end_session(self, session: str) -> None:
        """End a session of a process that died, and undo its transaction."""

    def make_lease(self, schema: str, table: str) -> None:
        """Create the table with its row, unless somebody else has."""


class Lease:
    """The right to write to a schema. seconds: for which it lasts without being renewed. now: SQL of the time."""

    def __init__(
        self,
        session: Leased,
        schema: str,
        *,
        seconds: int,
        place: str,
        now: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = session
        self._schema = schema
        self._table = quote(schema, LEASE_TABLE)
        self._seconds = seconds
        self._place = place
        self._now = now
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

    def renew(self, session: str = "") -> None:
        """Have it last again for as long as it did at first; raise WarehouseError if it is lost.

        session: in which a transaction is about to begin.
        """
        self._set(self._holder, self._who, self._until(), session)
        self._taken = self._clock()

    def give_back(self) -> None:
        """Let others take it, as soon as this is committed; raise WarehouseError if it is lost."""
        if self._taken is not None:
            self._set("", "", "NULL", "")

    def given_back(self) -> None:
        """Take note that it is no longer held."""
        self._taken = None

    @property
    def is_held(self) -> bool:
        """Whether it was taken, and not given back."""
        return self._taken is not None

    def _until(self) -> str:
        return self._session.dialect.later(self._now, str(self._seconds * _MILLION))

    def _set(self, holder: str, who: str, until: str, session: str) -> None:
        if not self._update(holder, who, until, session, "holder = ?", self._holder):
            self._taken = None
            raise WarehouseError(
                f"Somebody else took over writing to {self._place}, for this run was silent for {self._seconds:,} s. "
                "Nothing was written. Run it again."
            )

    def _try(self) -> bool:
        """Take it, if it is free. It is looked at first: an UPDATE would wait for the transaction of who died."""
        query = f"SELECT holder, session, coalesce(until < {self._now}, true) FROM {self._table}"
        try:
            found = self._session.lease_rows(query)
        except LookupError:
            self._session.make_lease(self._schema, LEASE_TABLE)
            found = self._session.lease_rows(query)
        ((holder, session, is_over),) = found
        if holder and not is_over:
            return False
        if session:
            self._session.end_session(session)
        is_free = f"(holder = ? OR until < {self._now})"
        return bool(self._update(self._holder, self._who, self._until(), "", is_free, ""))

    def _update(self, holder: str, who: str, until: str, session: str, condition: str, value: str) -> int | None:
        return self._session.change_lease(
            f"UPDATE {self._table} SET holder = ?, who = ?, session = ?, until = {until} WHERE {condition}",
            [holder, who, session, value],
        )

    def _named(self) -> str:
        found = self._session.lease_rows(f"SELECT who, until FROM {self._table} WHERE holder <> ''")
        return " and ".join(f"{who}, until {until:%Y-%m-%d %H:%M:%S} UTC at the latest" for who, until in found) or (
            "another process"
        )
