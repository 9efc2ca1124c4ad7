"""Statements on a connection to a Postgres database, and what its catalog says."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from itertools import count
from typing import Any

import psycopg

from klaviyo_assets.warehouse.postgres.connecting import Connection
from klaviyo_assets.warehouse.postgres.dialect import PostgresDialect
from klaviyo_assets.warehouse.session import Session
from klaviyo_assets.warehouse.sql import quote

INSTEAD_OF_NUL = "\ufffd"
"""What stands for a NUL character, which no text of Postgres' can hold: the character for those that are unknown."""

_ROWS_IN_A_PART = 10_000
_TABLES, _VIEWS = ("r", "p"), ("v", "m", "f")
_MARK = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')|\?""")
_COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ? AND c.relkind = ANY (?) AND a.attnum > 0 AND NOT a.attisdropped AND c.relname = coalesce(?, c.relname)
    ORDER BY c.relname, a.attnum
"""  # noqa: E501


def with_marks(statement: str, marks: Iterable[str]) -> str:
    """Return a statement with other marks for its `?`, but for those in names and in texts."""
    each = iter(marks)
    return _MARK.sub(lambda found: found[1] or next(each), statement)


@lru_cache(maxsize=512)
def numbered(statement: str) -> str:
    """Return a statement with `$1`, `$2` for its `?`."""
    return with_marks(statement, (f"${number}" for number in count(1)))


class PostgresCatalog(Session):
    """An open connection, in a transaction that the caller began: its statements, and its catalog."""

    dialect = PostgresDialect()

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.committing = False

    # Statements

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run one statement; without parameters, also several."""
        if not parameters:
            return self.connection.execute(statement.encode())
        values = [value.replace("\0", INSTEAD_OF_NUL) if isinstance(value, str) else value for value in parameters]
        return self.connection.execute(numbered(statement).encode(), values)

    def copy(self, statement: str) -> AbstractContextManager[psycopg.Copy]:
        """Begin a COPY."""
        return self.connection.cursor().copy(statement.encode())

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything."""
        cursor = self.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []

    def parts(self, query: str) -> Iterator[list[tuple[Any, ...]]]:
        """Run a query and give its rows, thousands at a time."""
        self.execute(f"DECLARE _parts NO SCROLL CURSOR FOR {query}")
        while some := self.sql(f"FETCH {_ROWS_IN_A_PART} FROM _parts"):
            yield some
        self.execute("CLOSE _parts")

    def change(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run an INSERT, UPDATE or DELETE; return the number of its rows."""
        return self.execute(statement, parameters).rowcount

    def commit(self) -> None:
        """Make everything durable and visible to others."""
        self.committing = True
        self.execute("COMMIT")
        self.committing = False

    def rollback(self) -> None:
        """Undo everything that was not committed."""
        if self.connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            self.execute("ROLLBACK")

    def now(self) -> dt.datetime:
        """Return the server's time."""
        ((moment,),) = self.sql("SELECT clock_timestamp()")
        return moment  # type: ignore[no-any-return]

    # The catalog

    def name(self, schema: str, table: str) -> str:
        """Return the quoted name of a table."""
        return quote(schema, table)

    def create_schema(self, schema: str) -> None:
        """Create a schema if it is not there: only then is the right to do so needed."""
        if not self.sql("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = ?", [schema]):
            self.execute(f"CREATE SCHEMA {quote(schema)}")

    def tables(self, schema: str) -> set[str]:
        """Return the names of a schema's tables."""
        return self._relations(schema, _TABLES)

    def views(self, schema: str) -> set[str]:
        """Return the names of a schema's views, materialized ones and foreign tables included."""
        return self._relations(schema, _VIEWS)

    def _relations(self, schema: str, kinds: Sequence[str]) -> set[str]:
        found = self.sql(
            "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = ? AND c.relkind = ANY (?)",
            [schema, list(kinds)],
        )
        return {name for (name,) in found}

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Return column -> Postgres' name of its type, in order."""
        return {name: native for _, name, native in self.sql(_COLUMNS, [schema, list(_TABLES), table])}

    def all_columns(self, schema: str) -> dict[str, dict[str, str]]:
        """Return what `columns` does, for each table of a schema."""
        tables: dict[str, dict[str, str]] = {name: {} for name in self.tables(schema)}
        for table, column, native in self.sql(_COLUMNS, [schema, list(_TABLES), None]):
            tables[table][column] = native
        return tables

    def never_empty(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table that no row can have emptied: computed ones, and those NOT NULL."""
        return self._columns_where("attnotnull OR attgenerated <> ''", schema, table)

    def generated(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table that Postgres computes."""
        return self._columns_where("attgenerated <> ''", schema, table)

    def needed(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table that a new row must have a value for."""
        return self._columns_where("attnotnull AND NOT atthasdef AND attidentity = ''", schema, table)

    def _columns_where(self, condition: str, schema: str, table: str) -> set[str]:
        found = self.sql(
            "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = CAST(? AS regclass) AND attnum > 0 "
            f"AND NOT attisdropped AND ({condition})",
            [self.name(schema, table)],
        )
        return {name for (name,) in found}

    def room(self, schema: str, table: str) -> int:
        """Return how many columns a table has room for: dropped ones count."""
        ((used,),) = self.sql(
            "SELECT count(*) FROM pg_catalog.pg_attribute WHERE attrelid = CAST(? AS regclass) AND attnum > 0",
            [self.name(schema, table)],
        )
        return max(0, (self.dialect.capabilities.most_columns or 0) - int(used))
