"""Statements on a connection to Snowflake, and what its catalog says.

Snowflake commits each change of a table by itself, and what a transaction has done before with it. So a transaction
begins with the first change of rows, and from then on tables can't be changed.

https://docs.snowflake.com/en/sql-reference/transactions
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from klaviyo_assets.warehouse.session import Session
from klaviyo_assets.warehouse.snowflake.connecting import Connection, errors, is_missing
from klaviyo_assets.warehouse.snowflake.dialect import SnowflakeDialect
from klaviyo_assets.warehouse.snowflake.text import swapped, written
from klaviyo_assets.warehouse.snowflake.types import native
from klaviyo_assets.warehouse.sql import quote

_ROWS_IN_A_PART = 10_000

_MOST_SHOWN = 10_000
"""Rows that a SHOW returns at most: https://docs.snowflake.com/en/sql-reference/sql/show-columns"""

_CHANGES_ROWS = ("INSERT", "UPDATE", "DELETE")
_CHANGES_TABLES = ("CREATE", "ALTER", "DROP", "COMMENT")
_TEMPORARY = "TEMPORARY"


class SnowflakeCatalog(Session):
    """A connection whose transaction begins with the first change of rows.

    before_writing: called when that comes, within the transaction.
    """

    dialect = SnowflakeDialect()

    def __init__(self, connection: Connection, schema: str, before_writing: Callable[[], None] = lambda: None) -> None:
        self.connection = connection
        self.schema = schema
        self.committing = False
        self.writing = False
        self.before_writing = before_writing
        self._is_in = ""
        self._relations: dict[str, dict[str, str]] = {}
        self._columns: dict[str, dict[str, dict[str, str]]] = {}
        self._comments: dict[tuple[str, str], dict[str, str]] = {}
        self._required: dict[tuple[str, str], list[str]] = {}
        self._computed: dict[tuple[str, str], dict[str, str]] = {}
        self._virtual: dict[tuple[str, str], list[str]] = {}

    # Statements

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Run one statement; return its cursor."""
        kind = statement.lstrip().partition(" ")[0].upper()
        if self.writing and kind in _CHANGES_TABLES:
            raise AssertionError(f"would commit what was written before: {statement}")
        cursor = self.connection.cursor()
        cursor.execute(written(statement), tuple(parameters) or None)
        return cursor

    def begin(self) -> None:
        """Begin the transaction, if it has not begun."""
        if not self.writing:
            self.execute("BEGIN")
            self.writing = True
            self.before_writing()

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything."""
        if statement.lstrip().upper().startswith(_CHANGES_ROWS):
            self.begin()
        with self._closed(self.execute(statement, parameters)) as cursor:
            return [_row(row) for row in cursor.fetchall()]

    def parts(self, query: str) -> Iterator[list[tuple[Any, ...]]]:
        """Run a query and give its rows, thousands at a time; nothing else may run until the last has come."""
        with self._closed(self.execute(query)) as cursor:
            while some := cursor.fetchmany(_ROWS_IN_A_PART):
                yield [_row(row) for row in some]

    def change(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run an INSERT, UPDATE or DELETE; return the number of its rows."""
        self.begin()
        with self._closed(self.execute(statement, parameters)) as cursor:
            return int(cursor.rowcount or 0)

    @contextmanager
    def _closed(self, cursor: Any) -> Iterator[Any]:
        try:
            yield cursor
        finally:
            cursor.close()

    def commit(self) -> None:
        """Make everything durable and visible to others."""
        if self.writing:
            self.committing = True
            self.execute("COMMIT")
            self.committing = self.writing = False

    def rollback(self) -> None:
        """Undo everything that was not committed."""
        if self.writing:
            self.writing = False
            self.execute("ROLLBACK")

    def now(self) -> dt.datetime:
        """Return the account's time."""
        ((moment,),) = self.sql("SELECT sysdate()")
        return moment  # type: ignore[no-any-return]

    # The catalog

    def name(self, schema: str, table: str) -> str:
        """Return the quoted name of a table."""
        return quote(schema, table)

    def create_schema(self, schema: str) -> None:
        """Create a schema if it is not there: only then is the right to do so needed."""
        if self.has_schema(schema):
            return
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
        self._relations.pop(schema, None)
        self._is_in = schema
        if schema != self.schema:
            self.use_schema()

    def use_schema(self) -> None:
        """Be in the schema of the tables, where temporary ones are, too: it may have been made after the login."""
        if self._is_in != self.schema:
            self.execute(f"USE SCHEMA {quote(self.schema)}")
            self._is_in = self.schema

    def has_schema(self, schema: str) -> bool:
        """Return whether a schema is there."""
        return bool(self._shown(schema)) or bool(
            self.sql("SELECT 1 FROM information_schema.schemata WHERE schema_name = ?", [swapped(schema)])
        )

    def tables(self, schema: str) -> set[str]:
        """Return the names of a schema's tables."""
        return {name for name, kind in self._shown(schema).items() if "VIEW" not in kind}

    def views(self, schema: str) -> set[str]:
        """Return the names of a schema's views, materialized ones included."""
        return {name for name, kind in self._shown(schema).items() if "VIEW" in kind}

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Return column -> native type of a table, in order.

        One statement asks for those of all tables of a schema, and then one for each table that has been changed.
        """
        if schema not in self._columns:
            self._columns[schema] = self._show_columns("SCHEMA", quote(schema))
        known = self._columns[schema]
        if table not in known:
            known |= self._show_columns("TABLE", self.name(schema, table))
        return dict(known.get(table, {}))

    def all_columns(self, schema: str) -> dict[str, dict[str, str]]:
        """Return what `columns` does, for each table of a schema."""
        return {table: self.columns(schema, table) for table in self.tables(schema)}

    def descriptions(self, schema: str, table: str) -> dict[str, str]:
        """Return column -> comment, of the columns that have one."""
        if table in self.tables(schema):
            self.columns(schema, table)
        return dict(self._comments.get((schema, table), {}))

    def required(self, schema: str, table: str) -> list[str]:
        """Return the columns of a table that may not be NULL; it was asked for its `columns`."""
        return list(self._required.get((schema, table), ()))

    def never_empty(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table that no row can have emptied: computed ones, and those NOT NULL."""
        self.columns(schema, table)
        return {*self._required.get((schema, table), ()), *self._virtual.get((schema, table), ())}

    def needed(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table that a new row must have a value for."""
        self.columns(schema, table)
        return {*self._required.get((schema, table), ())} - self._computed.get((schema, table), {}).keys()

    def computed(self, schema: str, table: str) -> dict[str, str]:
        """Return column -> its default, or what it is computed from; the table was asked for its `columns`."""
        return dict(self._computed.get((schema, table), {}))

    def changed(self, schema: str, table: str) -> None:
        """Forget what is known of a table."""
        self._columns.get(schema, {}).pop(table, None)
        for known in (self._comments, self._required, self._computed, self._virtual):
            known.pop((schema, table), None)

    def appeared(self, schema: str, table: str) -> None:
        """Take note of a table that was made."""
        self._relations.setdefault(schema, {})[table] = "TABLE"
        self.changed(schema, table)

    def _shown(self, schema: str) -> dict[str, str]:
        if schema not in self._relations:
            found = self._show(f"SHOW TERSE OBJECTS IN SCHEMA {quote(schema)}", "name", "kind")
            self._relations[schema] = {swapped(name): kind for name, kind in found if kind != _TEMPORARY}
        return self._relations[schema]

    def _show_columns(self, scope: str, place: str) -> dict[str, dict[str, str]]:
        statement = f"SHOW COLUMNS IN {scope} {place}"
        found = self._show(
            statement,
            "schema_name",
            "table_name",
            "column_name",
            "data_type",
            "comment",
            "null?",
            "default",
            "expression",
        )
        if scope == "SCHEMA" and len(found) >= _MOST_SHOWN:
            return {}  # there may be more: each table is asked for
        tables: dict[str, dict[str, str]] = {}
        for *names, kind, comment, nullable, default, expression in found:
            schema, table, column = map(swapped, names)
            tables.setdefault(table, {})[column] = native(kind)
            if comment:
                self._comments.setdefault((schema, table), {})[column] = comment
            if nullable == "false":
                self._required.setdefault((schema, table), []).append(column)
            if expression:
                self._virtual.setdefault((schema, table), []).append(column)
            if default or expression:
                self._computed.setdefault((schema, table), {})[column] = default or expression
        return tables

    def _show(self, statement: str, *names: str) -> list[tuple[Any, ...]]:
        """Return some columns of what a SHOW says, nothing if the schema is not there."""
        try:
            cursor = self.execute(statement)
        except errors.ProgrammingError as error:
            if is_missing(error):
                return []
            raise
        with self._closed(cursor):
            places = {column.name: place for place, column in enumerate(cursor.description)}
            return [tuple(row[places[name]] for name in names) for row in cursor.fetchall()]


def _row(row: Sequence[Any]) -> tuple[Any, ...]:
    """Return a row with times in UTC without a zone, and whole numbers as such."""
    return tuple(_value(value) for value in row)


def _value(value: Any) -> Any:
    if isinstance(value, dt.datetime) and value.tzinfo:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    if isinstance(value, Decimal) and value == value.to_integral_value() and value.as_tuple().exponent == 0:
        return int(value)
    return value
