"""Statements, the catalog and changes of tables, in Postgres.

Everything is the transaction's own: settings, the lock and temporary tables end with it, whoever pools connections.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any

import psycopg

from klaviyo_assets.schema.spec import TableSpec
from klaviyo_assets.warehouse.errors import ColumnFixed, WarehouseError
from klaviyo_assets.warehouse.postgres.connecting import Connection
from klaviyo_assets.warehouse.postgres.dialect import INSTEAD_OF_NUL, PostgresDialect
from klaviyo_assets.warehouse.session import Session
from klaviyo_assets.warehouse.sql import column_list, literal, quote

_ROWS_IN_A_PART = 10_000
_TABLES, _VIEWS = ("r", "p"), ("v", "m", "f")
_MARK = re.compile(r"""("(?:[^"]|"")*"|'(?:[^']|'')*')|\?""")
_SAVEPOINT = "_before"
_COLUMN = re.compile(r'column "?([^"\s]+)"?')

_FIXED = ("0A", "22", "2B", "42", "54")
"""Classes of what Postgres says if a column can't change because of what depends on it, or because a row would be too
long."""

_COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ? AND c.relkind = ANY (?) AND a.attnum > 0 AND NOT a.attisdropped AND c.relname = coalesce(?, c.relname)
    ORDER BY c.relname, a.attnum
"""  # noqa: E501

_HAS_KEY = """
    SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = CAST(? AS regclass)
    AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
    AND ARRAY(SELECT CAST(a.attname AS text) FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indrelid
              AND a.attnum = ANY ((CAST(i.indkey AS smallint[]))[0:i.indnkeyatts - 1]) ORDER BY 1) = CAST(? AS text[])
"""

_DEPENDENTS = """
    SELECT a.attname, CASE v.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END || n.nspname || '.' || v.relname
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
    JOIN pg_catalog.pg_class v ON v.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.classid = CAST('pg_catalog.pg_rewrite' AS regclass) AND d.refobjid = CAST(? AS regclass) AND v.oid <> d.refobjid
    UNION
    SELECT a.attname, 'index ' || i.relname
    FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class i ON i.oid = d.objid AND i.relkind = 'i'
    JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    WHERE d.refobjid = CAST(? AS regclass) ORDER BY 1, 2
"""  # noqa: E501


@lru_cache(maxsize=512)
def numbered(statement: str) -> str:
    """Return a statement with `$1`, `$2` for its `?`, but for those in names and in texts."""
    count = 0

    def number(found: re.Match[str]) -> str:
        nonlocal count
        if found[1]:
            return found[1]
        count += 1
        return f"${count}"

    return _MARK.sub(number, statement)


class PostgresCatalog(Session):
    """An open connection, in a transaction that the caller began."""

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

    def room(self, schema: str, table: str) -> int:
        """Return how many columns a table has room for: dropped ones count."""
        ((used,),) = self.sql(
            "SELECT count(*) FROM pg_catalog.pg_attribute WHERE attrelid = CAST(? AS regclass) AND attnum > 0",
            [self.name(schema, table)],
        )
        return max(0, (self.dialect.capabilities.most_columns or 0) - int(used))

    # Changing tables

    def create(self, schema: str, table: str, types: Mapping[str, str], spec: TableSpec | None = None) -> None:
        """Create a table: the key and the system columns first, for Postgres reads a row from its beginning.

        A table of rows has its key as its primary key, and a BRIN index on the time of its partitions, which costs
        next to nothing.
        """
        first = [*(spec.primary_key if spec else ()), *(name for name in types if spec and name not in spec.types)]
        ordered = dict.fromkeys([*first, *types])
        ddl = [f"{quote(column)} {types[column]}" for column in ordered]
        key = [f"PRIMARY KEY ({column_list(spec.primary_key)})"] if spec else []
        self.execute(f"CREATE TABLE {self.name(schema, table)} ({', '.join([*ddl, *key])})")
        if spec and spec.partitioned_by:
            self.execute(
                f"CREATE INDEX ON {self.name(schema, table)} USING brin ({quote(spec.partitioned_by)}) "
                "WITH (pages_per_range = 32, autosummarize = on)"
            )

    def ensure_key(self, schema: str, spec: TableSpec) -> None:
        """Make a unique index on the key of a table that lacks one; raise WarehouseError if duplicates forbid it."""
        table, key = self.name(schema, spec.name), sorted(spec.primary_key)
        if self.sql(_HAS_KEY, [table, key]):
            return
        chosen = column_list(spec.primary_key)
        try:
            with self._undone_on_error():
                self.execute(f"CREATE UNIQUE INDEX ON {table} ({chosen})")
        except psycopg.errors.UniqueViolation:
            twice = f"SELECT 1 FROM {table} GROUP BY {chosen} HAVING count(*) > 1"
            ((count,),) = self.sql(f"SELECT count(*) FROM ({twice}) AS twice")
            raise WarehouseError(
                f"{schema}.{spec.name} has several rows with one key ({', '.join(spec.primary_key)}), for {count:,} "
                "keys, so that the unique index can't be made by which rows are found. Remove the rows that are too "
                "many, and run it again."
            ) from None

    def add_columns(self, schema: str, table: str, types: Mapping[str, str]) -> None:
        """Add empty columns, all at once."""
        added = ", ".join(f"ADD COLUMN {quote(name)} {native}" for name, native in types.items())
        self.execute(f"ALTER TABLE {self.name(schema, table)} {added}")

    def describe(self, schema: str, table: str, comments: Mapping[str, str]) -> None:
        """Comment on columns."""
        for name, comment in comments.items():
            self.execute(f"COMMENT ON COLUMN {self.name(schema, table)}.{quote(name)} IS {literal(comment)}")

    def descriptions(self, schema: str, table: str) -> dict[str, str]:
        """Return column -> comment, of the columns that have one."""
        found = self.sql(
            "SELECT a.attname, d.description FROM pg_catalog.pg_description d JOIN pg_catalog.pg_attribute a "
            "ON a.attrelid = d.objoid AND a.attnum = d.objsubid "
            "WHERE d.classoid = CAST('pg_catalog.pg_class' AS regclass) AND d.objoid = CAST(? AS regclass) "
            "AND NOT a.attisdropped",
            [self.name(schema, table)],
        )
        return dict(found)

    def widen(self, schema: str, table: str, changes: Mapping[str, tuple[str, str]]) -> None:
        """Change the types of columns, all at once: Postgres writes the table anew, and its indexes."""
        place = self.name(schema, table)
        altered = ", ".join(
            f"ALTER COLUMN {quote(name)} TYPE {target} USING {self.dialect.convert(quote(name), existing, target)}"
            for name, (existing, target) in changes.items()
        )
        try:
            with self._undone_on_error():
                self.execute(f"ALTER TABLE {place} {altered}")
        except psycopg.Error as error:
            refused = (error.sqlstate or "").startswith(_FIXED)
            if not refused or isinstance(error, psycopg.errors.InsufficientPrivilege):
                raise
            dependents: dict[str, list[str]] = {}
            for column, what in self.sql(_DEPENDENTS, [place, place]):
                dependents.setdefault(column, []).append(what)
            told = f"{error.diag.message_primary} {error.diag.message_detail or ''}"
            said = [name for name in _COLUMN.findall(told) if name in changes]
            name = next(iter([*said, *(name for name in changes if name in dependents), *changes]))
            because = dependents.get(name) or [str(error.diag.message_primary)]
            raise ColumnFixed(table, name, *changes[name], because) from None

    def drop_column(self, schema: str, table: str, name: str) -> bool:
        """Drop a column; return False if a view shows it."""
        try:
            with self._undone_on_error():
                self.execute(f"ALTER TABLE {self.name(schema, table)} DROP COLUMN {quote(name)}")
        except psycopg.errors.DependentObjectsStillExist:
            return False
        return True

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        """Undo what fails, and no more."""
        self.execute(f"SAVEPOINT {_SAVEPOINT}")
        try:
            yield
        except psycopg.Error:
            if not self.connection.closed:
                self.execute(f"ROLLBACK TO SAVEPOINT {_SAVEPOINT}")
            raise
        self.execute(f"RELEASE SAVEPOINT {_SAVEPOINT}")
