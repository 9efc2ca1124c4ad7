"""Statements on a ClickHouse server, and what its catalog says.

Two columns of a table are this project's, and not among those that `SELECT *` shows: `_version` says which of the rows
with a key is the newest one, `_is_deleted` of a table of states that there is none. `FINAL`, which is set for all
statements, leaves the others out.

https://clickhouse.com/docs/engines/table-engines/mergetree-family/replacingmergetree
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from klaviyo_assets.warehouse.clickhouse.connecting import Client
from klaviyo_assets.warehouse.clickhouse.dialect import ClickHouseDialect
from klaviyo_assets.warehouse.clickhouse.text import written
from klaviyo_assets.warehouse.session import Session
from klaviyo_assets.warehouse.sql import quote

VERSION, GONE = "_version", "_is_deleted"
HIDDEN = (VERSION, GONE)

TEMPORARY = "_temporary_"
"""Beginning of the names of tables that are gone once a session ends, or its process is known to be dead."""

EVERY_VERSION: Mapping[str, Any] = {"final": 0}

_NULLABLE = re.compile(r"Nullable\(((?:[^()]|\([^()]*\))*)\)")
_COLUMNS = """
    SELECT table, name, type, default_kind, default_expression, comment FROM system.columns
    WHERE database = ? ORDER BY table, position
"""
_TABLES = """
    SELECT name, engine, engine_full, sorting_key, comment, dateDiff('second', metadata_modification_time, now())
    FROM system.tables WHERE database = ? AND NOT is_temporary
"""


@dataclass(frozen=True)
class Column:
    """A column. native: without `Nullable`. kind: '' or DEFAULT, MATERIALIZED, ALIAS, EPHEMERAL."""

    native: str
    nullable: bool
    kind: str
    default: str
    comment: str

    @property
    def is_stored(self) -> bool:
        """Whether rows have a value of their own in it."""
        return self.kind in ("", "DEFAULT")


@dataclass(frozen=True)
class Relation:
    """A table or a view. age: seconds since it was made or changed."""

    engine: str
    definition: str
    key: str
    comment: str
    age: int

    @property
    def is_view(self) -> bool:
        """Whether it is a view."""
        return self.engine.endswith("View")


@dataclass
class _Known:
    relations: dict[str, Relation] = field(default_factory=dict)
    columns: dict[str, dict[str, Column]] = field(default_factory=dict)


class ClickHouseCatalog(Session):
    """Statements of one session, each of which is done once it returns."""

    dialect = ClickHouseDialect()

    def __init__(self, client: Client, schema: str, prefix: str, seconds: float | None = None) -> None:
        """Take a client. prefix: of temporary tables. seconds: that a statement may take."""
        self.client = client
        self.schema = schema
        self.prefix = prefix
        self.committing = False
        self.temporary: dict[str, str] = {}
        self._settings = {"max_execution_time": seconds} if seconds else {}
        self._known: dict[str, _Known] = {}
        self._named: dict[str, tuple[str, str]] = {}

    # Statements

    def execute(self, statement: str, parameters: Sequence[Any] = (), **settings: Any) -> None:
        """Run a statement that returns no rows."""
        text, bound = written(statement, parameters, self.temporary)
        self.client.command(text, parameters=bound or None, settings={**self._settings, **settings})

    def sql(self, statement: str, parameters: Sequence[Any] = (), **settings: Any) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything."""
        text, bound = written(statement, parameters, self.temporary)
        found = self.client.query(text, parameters=bound or None, settings={**self._settings, **settings})
        return [tuple(row) for row in found.result_rows]

    def parts(self, query: str) -> Iterator[list[tuple[Any, ...]]]:
        """Run a query and give its rows, thousands at a time."""
        text, _ = written(query, (), self.temporary)
        with self.client.query_row_block_stream(text, settings=self._settings) as stream:
            for block in stream:
                yield [tuple(row) for row in block]

    def arrow(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query and return its rows as Arrow, times in UTC without a zone."""
        text, bound = written(query, parameters, self.temporary)
        table = self.client.query_arrow(text, parameters=bound or None, settings=self._settings)
        for place, column in enumerate(table.schema):
            if pa.types.is_timestamp(column.type) and column.type.tz:
                plain = table.column(place).cast(pa.timestamp(column.type.unit))
                table = table.set_column(place, column.name, plain)
        return table

    def change(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run an INSERT into a temporary table; return 0, for ClickHouse does not tell how many rows."""
        self.execute(statement, parameters)
        return 0

    def insert_arrow(self, relation: str, rows: pa.Table) -> None:
        """Insert rows in bulk."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        names = [name.replace("\\", "\\\\") for name in rows.column_names]
        statement = f"INSERT INTO {relation} ({', '.join(quote(name) for name in names)}) FORMAT ArrowStream\n"
        self.client.raw_insert(
            "", insert_block=statement.encode() + sink.getvalue().to_pybytes(), settings=self._settings
        )

    def commit(self) -> None:
        """Everything is durable and visible already."""

    def rollback(self) -> None:
        """Remove what is temporary."""
        for table in self.temporary.values():
            self.execute(f"DROP TABLE IF EXISTS {table} SYNC")
        self.temporary.clear()

    def now(self) -> dt.datetime:
        """Return the server's time."""
        ((moment,),) = self.sql("SELECT now64(6, 'UTC')")
        return moment  # type: ignore[no-any-return]

    # The catalog

    def name(self, schema: str, table: str) -> str:
        """Return the quoted name of a table."""
        named = quote(schema, table)
        self._named[named] = (schema, table)
        return named

    def place_of(self, relation: str) -> tuple[str, str]:
        """Return schema and table of a quoted name, or of a temporary relation."""
        return self._named[self.temporary.get(relation, relation)]

    def create_schema(self, schema: str) -> None:
        """Create a database if it is not there: only then is the right to do so needed."""
        if not self.relations(schema) and not self.sql("SELECT 1 FROM system.databases WHERE name = ?", [schema]):
            self.execute(f"CREATE DATABASE IF NOT EXISTS {quote(schema)}")
            self._known.pop(schema, None)

    def tables(self, schema: str) -> set[str]:
        """Return the names of a schema's tables."""
        return {name for name, relation in self.relations(schema).items() if not relation.is_view}

    def views(self, schema: str) -> set[str]:
        """Return the names of a schema's views, materialized ones included."""
        return {name for name, relation in self.relations(schema).items() if relation.is_view}

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Return column -> native type of a table, in order, of those that rows have values of their own in."""
        return {name: column.native for name, column in self.stored(schema, table).items()}

    def all_columns(self, schema: str) -> dict[str, dict[str, str]]:
        """Return what `columns` does, for each table of a schema."""
        return {table: self.columns(schema, table) for table in self.tables(schema)}

    def descriptions(self, schema: str, table: str) -> dict[str, str]:
        """Return column -> comment, of the columns that have one."""
        return {name: column.comment for name, column in self.stored(schema, table).items() if column.comment}

    def never_empty(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table that no row can have emptied: computed ones, and those that hold no NULL."""
        columns = self.every_column(schema, table)
        return {name for name, column in columns.items() if not (column.nullable and column.is_stored)}

    def relations(self, schema: str) -> dict[str, Relation]:
        """Return the tables and views of a schema."""
        return self._catalog(schema).relations

    def every_column(self, schema: str, table: str) -> dict[str, Column]:
        """Return all columns of a table, hidden and computed ones included."""
        return self._catalog(schema).columns.get(table, {})

    def stored(self, schema: str, table: str) -> dict[str, Column]:
        """Return the columns of a table that rows have values of their own in."""
        return {name: column for name, column in self.every_column(schema, table).items() if column.is_stored}

    def changed(self, schema: str) -> None:
        """Forget what is known of a schema."""
        self._known.pop(schema, None)

    def _catalog(self, schema: str) -> _Known:
        """Return what a schema has: two statements tell it of all its tables."""
        if schema not in self._known:
            known = _Known({name: Relation(*rest) for name, *rest in self.sql(_TABLES, [schema])})
            for table, name, native, *rest in self.sql(_COLUMNS, [schema]):
                plain = _NULLABLE.sub(r"\1", native)
                column = Column(plain, plain != native, *rest)
                known.columns.setdefault(table, {})[name] = column
            self._known[schema] = known
        return self._known[schema]
