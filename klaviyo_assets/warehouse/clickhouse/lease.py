"""Who writes to a schema: one process at a time, which holds a lease that ends by itself if the process dies.

ClickHouse has no locks, but makes a table of one name only once. So a lease is a table, `_lease_8`, whose comment says
who holds it and until when. Who wants to write makes the one with the next number, if the last one was given back or is
over: of two at once, one fails. Times are the server's.

A process that was thought dead may go on. What it writes has a version that is lower than that of whoever came after
it, so that it replaces nothing of theirs; the tables in which its rows wait are gone; and it asks for its lease before
it writes how far tables are.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass

from klaviyo_assets.schema.spec import STAGING
from klaviyo_assets.warehouse.clickhouse.catalog import EVERY_VERSION, TEMPORARY, VERSION, ClickHouseCatalog
from klaviyo_assets.warehouse.clickhouse.connecting import ERRORS, is_missing, is_there
from klaviyo_assets.warehouse.lease import Lease
from klaviyo_assets.warehouse.sql import literal, quote

_NAME = re.compile(r"_lease_(\d+)")
_OF_WRITER = re.compile(rf"{TEMPORARY}(\d+)_")

STEP = 2**20
"""Versions that a lease has: more statements than a session has."""

_ABANDONED = 86_400
"""Seconds after which what a reader has left behind is removed."""


@dataclass(frozen=True)
class _Held:
    """A lease. until: seconds since 1970; 0, if it was given back. unmended: the first of those that were not.

    token: of who gave it back; none, if somebody else has ended it.
    """

    number: int
    token: str
    who: str
    until: float
    unmended: int | None


class ClickHouseLease(Lease):
    """The right to write to a schema.

    number: it has, once it is taken: no other lease has had it. unmended: the lowest number of a process that died.
    """

    def __init__(self, session: ClickHouseCatalog, schema: str, *, seconds: int, place: str) -> None:
        super().__init__(schema, seconds=seconds, place=place)
        self.number = 0
        self.unmended: int | None = None
        self._session = session
        self._other = ""

    def take(self, patience: float) -> None:
        """Take the lease, once nobody else has it; raise WarehouseLocked after so many seconds."""
        self._session.create_schema(self._schema)
        super().take(patience)
        self._remove_left_behind()

    def renew(self) -> None:
        """Have it last again for as long as it did at first; raise WarehouseError if it is lost."""
        if self._taken is None:
            return
        now, leases = self._read()
        own = leases.get(self.number)
        if own is None or own.token != self._token or own.until <= now or max(leases) > self.number:
            raise self._lost("What it has read is not counted as read.")
        self._write(now + self._seconds)
        self._taken = self._clock()

    def mended(self) -> None:
        """Take note that what processes that died have left is in order."""
        self.unmended = None

    def give_back(self) -> None:
        """Let others take it."""
        if self._taken is not None:
            self._taken = None
            self._write(0)

    def _named(self) -> str:
        return self._other

    def _try(self) -> bool:
        """Take it, if it is free."""
        self._other = self._in_the_way()
        return not self._other

    def _in_the_way(self) -> str:
        """Take it, if it is free; return who has it, if it is not."""
        now, leases = self._read()
        last = leases[max(leases)] if leases else None
        if last and last.until > now:
            return f"{last.who}, until {time.strftime('%H:%M:%S', time.gmtime(last.until))} UTC at the latest"
        number = last.number + 1 if last else self._beyond_all()
        if last and (last.until or not last.token):  # it died
            self.unmended = last.unmended or last.number
        else:
            self.unmended = last.unmended if last else None
        place = quote(self._schema, f"_lease_{number}")
        try:
            comment = self._comment(number, now + self._seconds)
            self._session.execute(f"CREATE TABLE {place} (nothing UInt8) ENGINE = Memory COMMENT {comment}")
        except ERRORS as error:
            if is_there(error):
                return "another process"
            raise
        self.number = number
        _, leases = self._read()
        if max(leases) > number:  # those before had ended since, and this one is an old number
            self._session.execute(f"DROP TABLE IF EXISTS {place} SYNC")
            return "another process"
        for lower in sorted(leases.keys() - {number}):
            self._session.execute(f"DROP TABLE IF EXISTS {quote(self._schema, f'_lease_{lower}')} SYNC")
        return ""

    def _beyond_all(self) -> int:
        """Return a number that is higher than that of any lease that has ever written to the schema."""
        highest = 0
        for schema in (self._schema, self._schema + STAGING):
            for table in self._session.tables(schema):
                if VERSION in self._session.every_column(schema, table):
                    last = f"SELECT max({quote(VERSION)}) FROM {self._session.name(schema, table)}"
                    ((found,),) = self._session.sql(last, **EVERY_VERSION)
                    highest = max(highest, found or 0)
        return int(highest) // STEP + 1

    def _read(self) -> tuple[float, dict[int, _Held]]:
        """Return the server's time and the leases by number."""
        rows = self._session.sql(
            "SELECT toFloat64(now64(6)), '', '' UNION ALL SELECT 0, name, comment FROM system.tables "
            "WHERE database = ? AND startsWith(name, '_lease_')",
            [self._schema],
        )
        now, found = 0.0, dict[int, _Held]()
        for moment, name, comment in rows:
            if not name:
                now = moment
            elif match := _NAME.fullmatch(name):
                told = json.loads(comment or "{}")
                number = int(match[1])
                found[number] = _Held(
                    number, told.get("token", ""), told.get("who", ""), told.get("until", 0), told.get("unmended")
                )
        return now, found

    def _comment(self, number: int, until: float) -> str:
        told = {"who": self._who, "until": round(until, 3), "token": self._token}
        if self.unmended is not None and self.unmended < number:
            told["unmended"] = self.unmended
        return literal(json.dumps(told))

    def _write(self, until: float) -> None:
        place = quote(self._schema, f"_lease_{self.number}")
        try:
            self._session.execute(f"ALTER TABLE {place} MODIFY COMMENT {self._comment(self.number, until)}")
        except ERRORS as error:
            if until or not is_missing(error):
                raise

    def _remove_left_behind(self) -> None:
        """Remove the temporary tables of processes that are dead, or thought to be: they can't write from them."""
        for name, relation in self._session.relations(self._schema).items():
            if not name.startswith(TEMPORARY):
                continue
            writer = _OF_WRITER.match(name)
            if (writer and int(writer[1]) < self.number) or (not writer and relation.age > _ABANDONED):
                self._session.execute(f"DROP TABLE IF EXISTS {quote(self._schema, name)} SYNC")
                self._session.changed(self._schema)
