"""A schema as Fivetran's connector leaves it: its tables, its columns and its types, and none of this project's."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot

from klaviyo_assets.assets.warehouses import warehouse_of
from klaviyo_assets.sandbox.account import Account
from klaviyo_assets.settings import Settings
from klaviyo_assets.tables.naming import column_names
from klaviyo_assets.warehouse.location import kind_of
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets_tests.expected import MORE_TABLES, TABLES
from klaviyo_assets_tests.reference import destination

TYPES = {
    "duckdb": {"String": "VARCHAR", "Instant": "TIMESTAMP WITH TIME ZONE", "Boolean": "BOOLEAN", "Double": "DOUBLE",
               "LocalDate": "DATE", "Json": "JSON"},
    "postgres": {"String": "character varying(256)", "Instant": "timestamp with time zone", "Boolean": "boolean",
                 "Double": "double precision", "LocalDate": "date", "Json": "json"},
    "snowflake": {"String": "VARCHAR(256)", "Instant": "TIMESTAMP_TZ", "Boolean": "BOOLEAN", "Double": "FLOAT",
                  "LocalDate": "DATE", "Json": "VARIANT"},
    "bigquery": {"String": "STRING", "Instant": "TIMESTAMP", "Boolean": "BOOL", "Double": "FLOAT64",
                 "LocalDate": "DATE", "Json": "JSON"},
}  # fmt: skip
"""Types of the ERD, as Fivetran names them in a database. Some texts have a length where one is known."""

TEXTS = {"postgres": ("character varying(256)", "text"), "snowflake": ("VARCHAR(256)", "VARCHAR(16777216)")}
"""The type of a text, and of one that is longer."""

SYSTEM = {"_fivetran_synced": "Instant", "_fivetran_deleted": "Boolean"}
PROPERTIES = {"event": ("property_", "property_value"), "person": ("custom_", None)}
MOST_PROPERTIES = 25

Execute = Callable[[str], None]


def leave_schema(address: str, account: Account, until: dt.datetime, *, more: Iterable[str] = ()) -> None:
    """Make the schema `klaviyo` of an account, last synced at `until`: what happened or appeared later is not there.

    more: statements that run then, in which the tables are called by their names alone.
    """
    columns = {
        table["name"]: {column["name"]: column["type"] for column in table["columns"]}
        for table in destination()["tables"]
    }
    keys = {
        table["name"]: [column["name"] for column in table["columns"] if column.get("primaryKey")]
        for table in destination()["tables"]
    }
    expected = TABLES | MORE_TABLES
    kind = kind_of(address)
    with closing(duckdb.connect(address if kind == "duckdb" else ":memory:")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute('CREATE SCHEMA klaviyo; SET schema = "klaviyo"')
        for name, types in columns.items():
            rows = list(expected[name](account).values()) if name in expected else []
            if name == "event":
                shown = {event.id for event in account.events if event.visible_at <= until.timestamp()}
                rows = [r for r in rows if r["id"] in shown and dt.datetime.fromisoformat(r["datetime"]) <= until]
            _fill(connection, name, {**types, **SYSTEM}, [*map(_row, [name] * len(rows), rows)], until)
        if kind == "postgres":
            _to_postgres(connection, address, keys, more)
        elif kind != "duckdb":
            _to_emulator(connection, kind, keys, more)
        else:
            for statement in more:
                connection.execute(statement)


def _row(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with a column for each property."""
    if table not in PROPERTIES:
        return dict(row)
    prefix, _ = PROPERTIES[table]
    properties = row[prefix]
    named = {column: properties[key] for key, column in column_names(list(properties), prefix).items()}
    return {**named, **{name: value for name, value in row.items() if name != prefix}}


def _fill(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    types: Mapping[str, str],
    rows: list[dict[str, Any]],
    until: dt.datetime,
) -> None:
    declared = dict(types)
    if table in PROPERTIES:
        prefix, number = PROPERTIES[table]
        found = Counter(name for row in rows for name in row if name.startswith(prefix) and name not in declared)
        declared |= {name: "String" for name, _ in found.most_common(MOST_PROPERTIES)}
        declared |= {number: "Double"} if number else {}
    synced = until.isoformat()
    texts = pa.table(
        {name: pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in declared if name not in SYSTEM}
    )
    natives = {name: TYPES["duckdb"][kind] for name, kind in declared.items()}
    values = {name: f"TRY_CAST({quote(name)} AS {native})" for name, native in natives.items()}
    # Rows that have not changed for long have no value in the column that flags them.
    values |= {
        "_fivetran_synced": f"TIMESTAMPTZ '{synced}'",
        "_fivetran_deleted": "CASE WHEN random() < 0.9 THEN false END",
    }
    chosen = ", ".join(f"CAST({value} AS {natives[name]}) AS {quote(name)}" for name, value in values.items())
    connection.register("_texts", texts)
    connection.execute(f"CREATE TABLE {quote(table)} AS SELECT {chosen} FROM _texts")
    connection.unregister("_texts")


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return json.dumps(value)


def _columns(connection: duckdb.DuckDBPyConnection, table: str, kind: str) -> dict[str, str]:
    """Column -> native type of a table. A column that something longer came for is longer, as Fivetran does it."""
    names = {native: TYPES[kind][each] for each, native in TYPES["duckdb"].items()}
    described = connection.execute(f"DESCRIBE {quote(table)}").fetchall()
    columns = {name: names[native] for name, native, *_ in described}
    if kind in TEXTS:
        usual, longer = TEXTS[kind]
        for name in [name for name, native in columns.items() if native == usual]:
            (length,) = connection.execute(f"SELECT max(length({quote(name)})) FROM {quote(table)}").fetchall()[0]
            columns[name] = longer if (length or 0) > 256 else usual
    return columns


def _to_postgres(
    connection: duckdb.DuckDBPyConnection, address: str, keys: Mapping[str, list[str]], more: Iterable[str]
) -> None:
    import psycopg

    with psycopg.connect(address, autocommit=True) as server:
        server.execute("SET TimeZone = 'UTC'; CREATE SCHEMA klaviyo; SET search_path = klaviyo")
        for table, key in keys.items():
            columns = ", ".join(
                f"{quote(name)} {native}" for name, native in _columns(connection, table, "postgres").items()
            )
            server.execute(f"CREATE TABLE {quote(table)} ({columns}, PRIMARY KEY ({', '.join(key)}))".encode())
            statement = f"COPY {quote(table)} FROM STDIN"
            with server.cursor().copy(statement.encode()) as copy:
                for row in connection.execute(f"SELECT * FROM {quote(table)}").fetchall():
                    copy.write_row(row)
        for statement in more:
            server.execute(statement.encode())


def _to_emulator(
    connection: duckdb.DuckDBPyConnection, kind: str, keys: Mapping[str, list[str]], more: Iterable[str]
) -> None:
    """Move the tables to the warehouse of the settings, in statements of its own."""
    server: Any = warehouse_of(Settings())
    quoted = (lambda name: f"`{name}`") if kind == "bigquery" else lambda name: quote(name.upper())
    server.query("CREATE SCHEMA klaviyo")
    for table in keys:
        columns = _columns(connection, table, kind)
        defined = ", ".join(f"{quoted(name)} {native}" for name, native in columns.items())
        place = f"klaviyo.{quoted(table)}"
        server.query(f"CREATE TABLE {place} ({defined})")
        texts = ", ".join(f"CAST({quote(name)} AS VARCHAR)" for name in columns)
        found = connection.execute(f"SELECT {texts} FROM {quote(table)}")
        while rows := found.fetchmany(100):
            values = [
                ", ".join(_said(value, native) for value, native in zip(row, columns.values(), strict=True))
                for row in rows
            ]
            server.query(f"INSERT INTO {place} SELECT " + " UNION ALL SELECT ".join(values))
    for statement in more:
        parsed = sqlglot.parse_one(statement, read="postgres")
        for found_table in parsed.find_all(sqlglot.exp.Table):
            found_table.set("db", sqlglot.exp.to_identifier("klaviyo"))
        server.query(parsed.sql(kind))


def _said(value: str | None, native: str) -> str:
    """Return a value in SQL, which has come as a text."""
    if value is None:
        return f"CAST(NULL AS {native})"
    text = "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"
    return f"PARSE_JSON({text})" if native in ("VARIANT", "JSON") else f"CAST({text} AS {native})"
