"""Statements, the catalog and changes of tables, in DuckDB.

Tables are made with explicit DDL only: DuckDB 2.0.0 gives wrong results after `CREATE TABLE AS` and a large insert in
the same transaction.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import duckdb
import pyarrow as pa

from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.duckdb.dialect import DuckDBDialect
from klaviyo_assets.warehouse.errors import ColumnFixed
from klaviyo_assets.warehouse.local.sql import convert, fold, is_named
from klaviyo_assets.warehouse.session import Session
from klaviyo_assets.warehouse.sql import literal, quote

_NAME = r'(?:"(?:[^"]|"")*"|[^\s."(]+)'
_ON = re.compile(rf"^CREATE (?:UNIQUE )?INDEX {_NAME} ON {_NAME}(?:\.{_NAME})*\s*(?:USING\s+)?", re.IGNORECASE)
_ROWS_IN_A_PART = 10_000


class DuckDBCatalog(Session):
    """An open connection, in a transaction that the caller began. clock: gives the time, without a zone, in UTC."""

    dialect = DuckDBDialect()

    def __init__(self, connection: duckdb.DuckDBPyConnection, clock: Callable[[], dt.datetime]) -> None:
        self.connection = connection
        self._clock = clock
        self._committed = False

    # Statements

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything: an unfetched result blocks the connection in DuckDB 2."""
        return self.connection.execute(statement, parameters).fetchall()

    def parts(self, query: str) -> Iterator[list[tuple[Any, ...]]]:
        """Run a query and give its rows, thousands at a time; nothing else may run until the last has come."""
        result = self.connection.execute(query)
        while some := result.fetchmany(_ROWS_IN_A_PART):
            yield some

    def arrow(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query and return its rows as Arrow."""
        return self.connection.sql(query, params=list(parameters)).to_arrow_table()

    def change(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run an INSERT, UPDATE or DELETE; return the number of its rows."""
        ((count,),) = self.sql(statement, parameters)
        return int(count)

    def commit(self) -> None:
        """Make everything durable and visible to others."""
        self.sql("COMMIT")
        self._committed = True

    def rollback(self) -> None:
        """Undo everything that was not committed."""
        if not self._committed:
            self.sql("ROLLBACK")

    def now(self) -> dt.datetime:
        """Return this machine's time: only one process writes at a time."""
        return self._clock()

    def limit_memory(self, limit: str | None, *, one_thread: bool = False) -> None:
        """Let DuckDB write to disk what it would hold in memory beyond a limit, until the file is closed.

        one_thread: each holds rows of its own, and those that fill no row group are moved once more.
        """
        if limit:
            self.sql(f"SET memory_limit = {literal(limit)}")
            if one_thread:
                self.sql("SET threads = 1")

    # The catalog

    @cached_property
    def catalog(self) -> str:
        """Name of the database. Names carry it, because a schema may be called as its database is: klaviyo.duckdb."""
        return str(self.sql("SELECT current_database()")[0][0])

    def name(self, schema: str, table: str) -> str:
        """Return the quoted name of a table."""
        return quote(self.catalog, schema, table)

    def create_schema(self, schema: str) -> None:
        """Create a schema if it is not there."""
        self.sql(f"CREATE SCHEMA IF NOT EXISTS {quote(self.catalog, schema)}")

    def tables(self, schema: str) -> set[str]:
        """Return the names of a schema's tables, folded."""
        return {fold(name) for (name,) in self.catalog_rows("duckdb_tables", "table_name", schema)}

    def views(self, schema: str) -> set[str]:
        """Return the names of a schema's views, folded."""
        return {fold(name) for (name,) in self.catalog_rows("duckdb_views", "view_name", schema)}

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Return column, folded -> DuckDB's name of its type, in order."""
        return {fold(name): native for name, native, *_ in self.sql(f"DESCRIBE {self.name(schema, table)}")}

    def all_columns(self, schema: str) -> dict[str, dict[str, str]]:
        """Return what `columns` does, for each table of a schema."""
        tables: dict[str, dict[str, str]] = {name: {} for name in self.tables(schema)}
        chosen = "table_name, column_name, data_type"
        for table, column, native in self.catalog_rows("duckdb_columns", chosen, schema):
            if fold(table) in tables:  # else it is a view
                tables[fold(table)][fold(column)] = native
        return tables

    def never_empty(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table, folded, that no row can have emptied: computed ones, and those NOT NULL."""
        catalog = self.catalog_rows("duckdb_columns", "column_name, is_nullable", schema, table)
        return {fold(name) for name, nullable in catalog if not nullable} | self.generated(schema, table)

    def needed(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table, folded, that a new row must have a value for."""
        catalog = self.catalog_rows("duckdb_columns", "column_name, is_nullable, column_default", schema, table)
        return {fold(name) for name, nullable, default in catalog if not nullable and default is None}

    def with_default(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table, folded, that have a default."""
        described = self.sql(f"DESCRIBE {self.name(schema, table)}")
        return {fold(name) for name, _, _, _, default, *_ in described if default is not None}

    def generated(self, schema: str, table: str) -> set[str]:
        """Return the columns that DuckDB computes, folded: the catalog has a default for them, DESCRIBE has none."""
        catalog = self.catalog_rows("duckdb_columns", "column_name, column_default", schema, table)
        return {fold(name) for name, default in catalog if default is not None} - self.with_default(schema, table)

    def catalog_rows(self, function: str, chosen: str, schema: str, table: str | None = None) -> list[tuple[Any, ...]]:
        """Return the rows that a function of DuckDB's catalog has for a table of a schema, or for all of them.

        function, chosen: `duckdb_tables` or its like, and SQL of what to select. Names are compared as DuckDB does.
        """
        names = {"database_name": self.catalog, "schema_name": schema, **({"table_name": table} if table else {})}
        where = " AND ".join(map(is_named, names))
        return self.sql(f"SELECT {chosen} FROM {function}() WHERE {where}", [fold(name) for name in names.values()])

    # Changing tables

    def create(
        self,
        schema: str,
        table: str,
        types: Mapping[str, str],
        spec: TableSpec | None = None,
        *,
        key: Sequence[str] = (),
    ) -> None:
        """Create a table, without a key: DuckDB keeps the index of one in memory, as a whole."""
        ddl = ", ".join(f"{quote(column)} {native}" for column, native in types.items())
        self.sql(f"CREATE TABLE IF NOT EXISTS {self.name(schema, table)} ({ddl})")

    def add_columns(self, schema: str, table: str, types: Mapping[str, str]) -> None:
        """Add empty columns."""
        for name, native in types.items():
            self.sql(f"ALTER TABLE {self.name(schema, table)} ADD COLUMN {quote(name)} {native}")

    def widen(self, schema: str, table: str, changes: Mapping[str, tuple[str, str]]) -> None:
        """Change the types of columns.

        DuckDB alters no table that has indexes: they are dropped and made again.
        """
        place = self.name(schema, table)
        indexes = self.catalog_rows("duckdb_indexes", "index_name, is_unique, sql", schema, table)
        remaking = [
            f"CREATE {'UNIQUE ' if unique else ''}INDEX {quote(index)} ON {place} {_indexed(sql)}"
            for index, unique, sql in indexes
        ]
        name = next(iter(changes))
        try:
            for index, *_ in indexes:
                self.sql(f"DROP INDEX {self.name(schema, index)}")
            for name, (existing, target) in changes.items():
                self.sql(
                    f"ALTER TABLE {place} ALTER COLUMN {quote(name)} "
                    f"SET DATA TYPE {target} USING {convert(quote(name), existing, target)}"
                )
            for statement in remaking:  # now: after the rows have changed, a unique one fails
                self.sql(statement)
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.DependencyException) as error:
            raise ColumnFixed(table, name, *changes[name], [f"index {index}" for index, *_ in indexes]) from error

    def drop_column(self, schema: str, table: str, name: str) -> bool:
        """Drop a column; return False if the table has indexes, for which DuckDB refuses it."""
        if self.catalog_rows("duckdb_indexes", "1", schema, table):
            return False
        self.sql(f"ALTER TABLE {self.name(schema, table)} DROP COLUMN {quote(name)}")
        return True


def _indexed(sql: str) -> str:
    """Return what is indexed, of a statement `CREATE INDEX i ON s.t(a, lower(b));` as DuckDB writes it."""
    rest = _ON.sub("", sql.rstrip().rstrip(";"), count=1)
    return rest if rest.startswith("(") else f"USING {rest}"
