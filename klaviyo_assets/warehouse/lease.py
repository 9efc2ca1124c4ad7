"""Who writes to a schema: one process at a time, which holds a lease that ends by itself if the process dies.

For databases in which a lock would not do: tables are changed outside of the transaction, if there is one at all, and a
session that died may live on for hours.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from klaviyo_assets.warehouse.errors import WarehouseError, WarehouseLocked
from klaviyo_assets.warehouse.sql import quote

LEASE_TABLE = "_lease"
_LONGEST_PAUSE = 5.0


class Lease(ABC):
    """The right to write to a schema. seconds: for which it lasts without being renewed. place: of the tables."""

    def __init__(
        self,
        schema: str,
        *,
        seconds: int,
        place: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._schema = schema
        self._seconds = seconds
        self._place = place
        self._clock = clock
        self._sleep = sleep
        self._token = secrets.token_hex(16)
        self._who = f"klaviyo_assets at {socket.gethostname()} (pid {os.getpid()})"
        self._taken: float | None = None

    @property
    def is_held(self) -> bool:
        """Whether it was taken, and not given back."""
        return self._taken is not None

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

    def keep(self, old: float | None = None) -> None:
        """Have it last again for as long as it did at first, if it is so many seconds old; raise if it is lost.

        old: None: if a third of its time has gone.
        """
        if self._taken is not None and self._clock() - self._taken > min(old or self._seconds, self._seconds / 3):
            self.renew()

    @abstractmethod
    def renew(self) -> None:
        """Have it last again for as long as it did at first; raise WarehouseError if it is lost."""

    @abstractmethod
    def give_back(self) -> None:
        """Let others take it."""

    @abstractmethod
    def _try(self) -> bool:
        """Take it, if it is free."""

    @abstractmethod
    def _named(self) -> str:
        """Return who has it."""

    def _lost(self, so: str) -> WarehouseError:
        """Take note that somebody else has it, and return what is to be raised. so: what follows."""
        self._taken = None
        return WarehouseError(
            f"Somebody else took over writing to {self._place}, for this run was silent for {self._seconds:,} s. "
            f"{so} Run it again."
        )


class RowLease(Lease):
    """A lease that is the row of `_lease`, which says who writes, and until when.

    The transaction with the rows begins with giving the lease back: it fails if the lease has been lost, and until it
    is committed nobody else can take it, since an UPDATE waits for a transaction that has changed the same row.
    """

    @property
    def _table(self) -> str:
        return quote(self._schema, LEASE_TABLE)

    def renew(self, session: str = "") -> None:
        """Have it last again for as long as it did at first; raise WarehouseError if it is lost.

        session: in which a transaction is about to begin.
        """
        self._set(self._token, self._who, self._until(), session)
        self._taken = self._clock()

    def give_back(self) -> None:
        """Let others take it, as soon as this is committed; raise WarehouseError if it is lost."""
        if self._taken is not None:
            self._set("", "", "NULL", "")

    def given_back(self) -> None:
        """Take note that it is no longer held."""
        self._taken = None

    def _set(self, holder: str, who: str, until: str, session: str) -> None:
        if not self._update(holder, who, until, session, "holder = ?", self._token):
            raise self._lost("Nothing was written.")

    def _named(self) -> str:
        found = self._rows(f"SELECT who, until FROM {self._table} WHERE holder <> ''")
        return " and ".join(f"{who}, until {until:%Y-%m-%d %H:%M:%S} UTC at the latest" for who, until in found) or (
            "another process"
        )

    @abstractmethod
    def _until(self) -> str:
        """Return the SQL of the time at which it ends, if it is renewed now."""

    @abstractmethod
    def _update(self, holder: str, who: str, until: str, session: str, condition: str, value: str) -> int:
        """Change the row if it has a condition, of which `value` is the parameter; return how many rows had.

        until: SQL.
        """

    @abstractmethod
    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        """Run a query of the row."""
