"""A server that speaks Snowflake's protocol: fakesnow, mended where it answers otherwise than Snowflake does.

It runs in an environment of its own, of which nothing of this project is a part. It prints its port, and ends with its
standard input.
"""

from __future__ import annotations

import importlib
import logging
import socket
import sys
import threading
import time
import warnings
from functools import lru_cache
from typing import Any

import duckdb
import pyarrow as pa
import uvicorn
from fakesnow import arrow, cursor, dialect
from fakesnow.instance import FakeSnow
from fakesnow.transforms import show
from snowflake.connector.errors import ProgrammingError
from sqlglot import exp

LOCK_WAIT = 5.0

# Functions of fakesnow's have the names of these modules.
server = importlib.import_module("fakesnow.server")
copy_into = importlib.import_module("fakesnow.copy_into")


def mend_times() -> None:
    """A time that is NULL comes as 1970."""
    original = arrow.timestamp_to_sf_struct

    def with_nulls(times: Any) -> Any:
        found = original(times)
        whole = times.combine_chunks() if isinstance(times, pa.ChunkedArray) else times
        fields = [found.field(number).fill_null(0) for number in range(found.type.num_fields)]
        return pa.StructArray.from_arrays(fields, fields=list(found.type), mask=whole.is_null())

    arrow.timestamp_to_sf_struct = with_nulls


def mend_copies() -> None:
    """COPY INTO does not find temporary tables."""
    original = copy_into._describe_table

    def described(table: Any, connection: Any, database: Any, schema: Any) -> Any:
        name = '"' + table.name.replace('"', '""') + '"'
        temporary = "SELECT 1 FROM duckdb_tables() WHERE temporary AND table_name = ?"
        if connection.execute(temporary, [table.name]).fetchone():
            return [(row[0], row[1]) for row in connection.execute(f"DESCRIBE temp.main.{name}").fetchall()]
        return original(table, connection, database, schema)

    copy_into._describe_table = described
    # Names of columns are upper-cased there, also those in quotes.
    copy_into._get_table_columns = lambda *given: [name for name, _ in copy_into._describe_table(*given)]


def mend_locks() -> None:
    """Of two sessions that change one table, the second fails at once instead of waiting."""
    original = cursor.FakeSnowflakeCursor._execute

    def waiting(self: Any, transformed: Any, params: Any = None) -> None:
        deadline = time.monotonic() + LOCK_WAIT
        while True:
            try:
                return original(self, transformed, params)
            except duckdb.TransactionException as error:
                if time.monotonic() > deadline or "onflict" not in str(error):
                    raise ProgrammingError(msg=f"Lock timeout: {error}", errno=625, sqlstate="57014") from error
            time.sleep(0.05)

    cursor.FakeSnowflakeCursor._execute = waiting


def mend_errors() -> None:
    """What DuckDB refuses otherwise is an internal error, which the connector tries again and again."""
    original = cursor.FakeSnowflakeCursor._execute

    def refusing(self: Any, transformed: Any, params: Any = None) -> None:
        try:
            return original(self, transformed, params)
        except duckdb.Error as error:
            number = 100072 if "NOT NULL constraint" in str(error) else 100038
            raise ProgrammingError(msg=str(error), errno=number, sqlstate="22000") from error

    cursor.FakeSnowflakeCursor._execute = refusing


def mend_comments() -> None:
    """What a COMMENT returns can't be described."""
    original = cursor.FakeSnowflakeCursor._describe_last_sql

    def described(self: Any) -> Any:
        if self._last_sql.upper().startswith("COMMENT"):
            self._last_sql, self._last_params = cursor.SQL_SUCCESS, None
        return original(self)

    cursor.FakeSnowflakeCursor._describe_last_sql = described


def mend_catalog() -> None:
    """SHOW OBJECTS has no views, and lacks what dbt asks of each."""
    show.SQL_CREATE_VIEW_SHOW_OBJECTS = """
        CREATE VIEW IF NOT EXISTS _fs_global._fs_information_schema._fs_show_objects AS
        SELECT to_timestamp(0)::timestamptz AS created_on, table_name AS name, table_catalog AS database_name,
               table_schema AS schema_name, CASE table_type WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END AS kind,
               'N' AS is_dynamic, 'N' AS is_iceberg
        FROM (SELECT table_name, table_catalog, table_schema, table_type FROM information_schema.tables
              WHERE table_type = 'BASE TABLE' UNION ALL
              SELECT view_name, database_name, schema_name, 'VIEW' FROM duckdb_views() WHERE NOT internal)
        WHERE table_schema <> '_fs_information_schema'
    """


def remember_statements() -> None:
    """Half of the time goes into rewriting statements for DuckDB, most of which come again and again."""
    parsed = lru_cache(1000)(dialect.parse_one)
    rewritten: dict[str, Any] = {}
    original = cursor.FakeSnowflakeCursor._transform

    def parse_one(statement: str) -> Any:
        found = parsed(statement).copy()
        found.meta["statement"] = statement
        return found

    def transform(self: Any, expression: Any, params: Any) -> Any:
        statement = expression.meta.get("statement", "")
        if not isinstance(expression, exp.Select | exp.Insert | exp.Update | exp.Delete) or "information" in statement:
            return original(self, expression, params)
        if statement not in rewritten:
            rewritten[statement] = original(self, expression, params)
        return rewritten[statement].copy()

    server.parse_one = cursor.parse_one = parse_one
    cursor.FakeSnowflakeCursor._transform = transform
    cursor.sqlglot.parse_one = lru_cache(1000)(cursor.sqlglot.parse_one)


def main() -> None:
    """Serve until standard input ends."""
    logging.disable(logging.INFO)
    mend_times()
    mend_copies()
    mend_locks()
    mend_errors()
    mend_comments()
    mend_catalog()
    remember_statements()
    warnings.simplefilter("ignore")
    server.shared_fs = FakeSnow(create_schema_on_connect=False)
    server.shared_fs.duck_conn.execute("SET threads = 1")
    # Of that protocol, or asyncio leaves Nagle's algorithm on, and each answer comes 40 ms later.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    running = uvicorn.Server(uvicorn.Config(server.app, log_level="error"))
    threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True).start()
    while not running.started:
        time.sleep(0.02)
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
