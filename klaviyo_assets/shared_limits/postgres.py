"""Requests counted in a table of a Postgres database."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Sequence

import psycopg

from klaviyo_assets.api import Window
from klaviyo_assets.shared_limits.counting import NobodyCounts
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.postgres.connecting import Connection, connect
from klaviyo_assets.warehouse.sql import quote

TABLE = "_rate_limits"

PATIENCE = 60.0
"""Seconds to wait for a server that is just being started, has no connection left, or has answered before."""

_SESSION = """
SET synchronous_commit = off;
SET default_transaction_isolation = 'read committed';
SET statement_timeout = {patience}
"""
"""What a crash of the server takes with it was a moment ago. With a stricter isolation, whoever asks at the same time
would be refused. patience: milliseconds after which somebody else's lock on the table is an error."""

_NO_SCHEMA = b"SELECT to_regnamespace($1) IS NULL"

_CREATE = """
CREATE TABLE IF NOT EXISTS {table} (
    "limit" text PRIMARY KEY,
    second bigint NOT NULL,
    counts integer[] NOT NULL,
    day timestamptz[] NOT NULL,
    wait double precision NOT NULL
) WITH (fillfactor = 50)
"""
"""counts: of requests, in `second` of the server's clock, in the one before that and so on. day: the times of the
requests of a day, where their number is limited. wait: what who asked last was told."""

_TAKE = """
INSERT INTO {table} AS l ("limit", second, counts, day, wait)
SELECT $1, floor(extract(epoch FROM now)), array_prepend(1, array_fill(0, ARRAY[$2::int - 1])),
    CASE WHEN $5::int IS NULL THEN '{{}}' ELSE ARRAY[now] END, 0
FROM clock_timestamp() AS now
ON CONFLICT ("limit") DO UPDATE SET (second, counts, day, wait) = (
    WITH clock AS MATERIALIZED (
        SELECT clock_timestamp() AS now
    ), moved AS MATERIALIZED (
        SELECT now, extract(epoch FROM now) - floor(extract(epoch FROM now)) AS into_it,
            CASE WHEN l.second - floor(extract(epoch FROM now)) BETWEEN 0 AND $2 THEN l.second
                ELSE floor(extract(epoch FROM now))::bigint END AS second
        FROM clock
    ), known AS MATERIALIZED (
        SELECT now, moved.second, into_it,
            (
                array_fill(0, ARRAY[least(abs(moved.second - l.second), $2)::int]) || l.counts
                || array_fill(0, ARRAY[$2::int])
            )[1:$2] AS counts,
            ARRAY(
                SELECT at FROM unnest(l.day) AS at
                WHERE abs(extract(epoch FROM now - at)) < $6::float ORDER BY at
            ) AS day
        FROM moved
    ), told AS MATERIALIZED (
        SELECT greatest(0,
            (
                SELECT max(seconds - into_it - (
                    SELECT max(place) FROM generate_series(1, seconds) AS place WHERE counts[place] > 0
                ) + 1)
                FROM unnest($3::int[], $4::int[]) AS w(quota, seconds)
                WHERE (SELECT sum(requests) FROM unnest(counts[1:seconds]) AS requests) >= quota
            ),
            extract(epoch FROM day[cardinality(day) - $5::int + 1] - now) + $6::float
        ) AS wait
        FROM known
    )
    SELECT known.second,
        CASE WHEN told.wait > 0 THEN counts ELSE (counts[1] + 1) || counts[2:] END,
        CASE WHEN told.wait > 0 OR $5::int IS NULL THEN day ELSE day || now END,
        told.wait
    FROM known, told
)
RETURNING wait
"""
"""Takes a place, if there is one, in one statement: nobody holds a lock while it waits, and who dies holds nothing.

What was counted further in the future than a window is long is void: the server's clock was wrong then.

$1: the limit. $2: seconds to remember. $3, $4: quotas of windows, each of so many whole seconds, the current one among
them. $5, $6: the quota of a day, and its seconds."""


class PostgresLimits:
    """Counts the requests of an account, those of all processes that ask the same database. Thread-safe.

    address, url_variable: see `PostgresWarehouse`. account: see `account_of`. schema: with the table; None: the first
    one of the role's search_path. patience: see `connect`, in seconds.
    """

    def __init__(
        self,
        address: str,
        url_variable: str | None,
        *,
        account: str,
        schema: str | None = None,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address, self._url_variable = address, url_variable
        self._account = account
        self._schema = schema
        self._table = quote(schema, TABLE) if schema else quote(TABLE)
        self._patience, self._sleep, self._clock = patience, sleep, clock
        self._has_answered = False
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def take(self, name: str, windows: Sequence[Window]) -> float:
        """Take a place in all windows of a limit and return 0, or take none and return the seconds until one is free.

        Raises NobodyCounts if the server does not answer, or refuses.
        """
        quotas, seconds = zip(*((quota, math.ceil(long) or 1) for quota, long in windows[:2]), strict=True)
        day = windows[2] if len(windows) > 2 else (None, 0.0)
        parameters = [f"{self._account} {name}", max(seconds), list(quotas), list(seconds), *day]
        with self._lock:
            try:
                return self._ask(parameters)
            except psycopg.Error:
                self._close()  # the server was started anew, or somebody ended the connection or removed the table
            try:
                return self._ask(parameters)
            except psycopg.Error as error:
                self._close()
                reason = error.diag.message_primary or type(error).__name__
                raise NobodyCounts(self._address, f"{reason} ({error.sqlstate}).") from None

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._close()

    def _ask(self, parameters: list[object]) -> float:
        if self._connection is None:
            self._connection = self._connected()
            self._prepare(self._connection)
        ((wait,),) = self._connection.execute(_TAKE.format(table=self._table).encode(), parameters).fetchall()
        self._has_answered = True
        return math.ceil(float(wait) * 1000) / 1000

    def _connected(self) -> Connection:
        try:
            return connect(
                self._address,
                self._url_variable,
                patience=self._patience,
                has_answered=self._has_answered,
                sleep=self._sleep,
                clock=self._clock,
            )
        except WarehouseError as error:
            raise NobodyCounts(self._address, str(error)) from None

    def _prepare(self, connection: Connection) -> None:
        """Make the table, unless it is there; others may be about to do the same."""
        connection.execute(_SESSION.format(patience=round(self._patience * 500)).encode())  # it is asked twice
        if connection.execute(b"SELECT to_regclass($1)", [self._table]).fetchone() != (None,):
            return
        lock = int.from_bytes(hashlib.sha256(self._table.encode()).digest()[:8], "big", signed=True)
        with connection.transaction():
            connection.execute(b"SELECT pg_advisory_xact_lock($1)", [lock])
            if self._schema and connection.execute(_NO_SCHEMA, [quote(self._schema)]).fetchone() == (True,):
                connection.execute(f"CREATE SCHEMA {quote(self._schema)}".encode())
            connection.execute(_CREATE.format(table=self._table).encode())

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
