"""An open transaction: its statements, the tables and columns of its schema, and how far the tables are synced.

Tables are made with explicit DDL only: DuckDB 2.0.0 gives wrong results after `CREATE TABLE AS` and a large insert in
the same transaction.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import duckdb

from klaviyo_assets.schema.spec import SYSTEM_COLUMNS, Column, TableSpec, Type
from klaviyo_assets.warehouse.duckdb.declared import holds_all, with_system_columns
from klaviyo_assets.warehouse.duckdb.exactness import ALWAYS, NEVER, says, survives
from klaviyo_assets.warehouse.duckdb.rows import Source
from klaviyo_assets.warehouse.duckdb.sql import (
    TEXT,
    TYPE_NAMES,
    column_list,
    convert,
    fold,
    is_named,
    literal,
    quote,
)
from klaviyo_assets.warehouse.errors import ColumnFixed, ViewInPlace, WarehouseError
from klaviyo_assets.warehouse.state import INSPECTED, INSPECTED_WHOLLY, PRIVACY, SNAPSHOT, SyncState

_log = logging.getLogger(__name__)

STATE_TABLE = "_sync_state"
_STATE_COLUMNS = {
    "table": Type.TEXT,
    "scope": Type.TEXT,
    "synced_from": Type.TIMESTAMP,
    "synced_through": Type.TIMESTAMP,
    "complete": Type.BOOLEAN,
    "rows": Type.BIGINT,
    "run_id": Type.TEXT,
    "synced_at": Type.TIMESTAMP,
    "read_number": Type.BIGINT,
}


_NAME = r'(?:"(?:[^"]|"")*"|[^\s."(]+)'
_ON = re.compile(rf"^CREATE (?:UNIQUE )?INDEX {_NAME} ON {_NAME}(?:\.{_NAME})*\s*(?:USING\s+)?", re.IGNORECASE)


@dataclass
class Transaction:
    """An open transaction on one schema; the caller commits or rolls back.

    stamp: written to `_fivetran_synced` of every row that is touched: now, in UTC, without a zone.
    """

    connection: duckdb.DuckDBPyConnection
    schema: str
    stamp: dt.datetime = dt.datetime.min
    _types: dict[str, dict[str, str]] = field(default_factory=dict, init=False)
    _tables: set[str] | None = field(default=None, init=False)
    _views: set[str] | None = field(default=None, init=False)

    @cached_property
    def catalog(self) -> str:
        """Name of the database. Names carry it, because a schema may be called as its database is: klaviyo.duckdb."""
        return str(self.value("SELECT current_database()"))

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything: an unfetched result blocks the connection in DuckDB 2."""
        return self.connection.execute(statement, parameters).fetchall()

    def limit_memory(self, limit: str | None) -> None:
        """Let DuckDB write to disk what it would hold in memory beyond a limit, until the file is closed."""
        if limit:
            self.sql(f"SET memory_limit = {literal(limit)}")

    def commit(self) -> None:
        """Make everything durable and visible to others."""
        self.sql("COMMIT")

    def alter(self, table: str, statement: str) -> None:
        """Run a statement that changes a table of this schema."""
        self._types.pop(table, None)
        self.sql(statement)

    def drop(self, table: str) -> None:
        """Drop a table of this schema if it is there; raise ViewInPlace if it is a view."""
        if self.has_table(table):
            self.alter(table, f"DROP TABLE {self.table(table)}")
            self._tables = None

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row."""
        return self.sql(statement, parameters)[0][0]

    def table(self, name: str, schema: str | None = None) -> str:
        """Return the quoted name of a table of this schema, or of another one."""
        return quote(self.catalog, schema or self.schema, name)

    # Tables and columns

    def create_schema(self) -> None:
        """Create the schema if it is not there."""
        self.sql(f"CREATE SCHEMA IF NOT EXISTS {quote(self.catalog, self.schema)}")

    def tables(self) -> set[str]:
        """Return the names of the tables of this schema, folded."""
        if self._tables is None:
            self._tables = {fold(name) for (name,) in self.catalog_rows("duckdb_tables", "table_name")}
        return set(self._tables)

    def is_view(self, name: str) -> bool:
        """Return whether a name that a table may have is a view's."""
        if fold(name) in self.tables():
            return False
        if self._views is None:
            self._views = {fold(view) for (view,) in self.catalog_rows("duckdb_views", "view_name")}
        return fold(name) in self._views

    def has_table(self, name: str) -> bool:
        """Return whether there is a table; raise ViewInPlace if a view has its name."""
        if self.is_view(name):
            raise ViewInPlace(f"{self.schema}.{name}")
        return fold(name) in self.tables()

    def column_types(self, table: str) -> dict[str, str]:
        """Column, folded -> DuckDB's name of its type, in order; empty if there is no such table."""
        if table not in self._types:
            if fold(table) not in self.tables():
                return {}
            described = self.sql(f"DESCRIBE {self.table(table)}")
            self._types[table] = {fold(name): data_type for name, data_type, *_ in described}
        return dict(self._types[table])

    def source(self, table: str) -> Source:
        """Return a table as the relation that it is, with the types of its columns."""
        return Source(self.table(table), self.column_types(table))

    def catalog_rows(self, function: str, chosen: str, table: str | None = None) -> list[tuple[Any, ...]]:
        """Return the rows that a function of DuckDB's catalog has for a table of this schema, or for all of them.

        function, chosen: `duckdb_tables` or its like, and SQL of what to select. Names are compared as DuckDB does.
        """
        names = {"database_name": self.catalog, "schema_name": self.schema, **({"table_name": table} if table else {})}
        where = " AND ".join(map(is_named, names))
        return self.sql(f"SELECT {chosen} FROM {function}() WHERE {where}", [fold(name) for name in names.values()])

    def create(self, name: str, types: dict[str, Type]) -> None:
        """Create a table if it is not there; raise ViewInPlace if it is a view."""
        if self.has_table(name):
            return
        ddl = ", ".join(f"{quote(column)} {TYPE_NAMES[kind]}" for column, kind in types.items())
        self.sql(f"CREATE TABLE IF NOT EXISTS {self.table(name)} ({ddl})")
        if self._tables is not None:
            self._tables.add(fold(name))

    def row_counts(self, tables: Iterable[str]) -> dict[str, int]:
        """Return table -> number of rows, of those that are there."""
        there = sorted({table for table in tables if fold(table) in self.tables()})
        counts = [f"SELECT {literal(table)}, count(*) FROM {self.table(table)}" for table in there]
        return dict(self.sql(" UNION ALL ".join(counts))) if counts else {}

    def ensure(self, spec: TableSpec) -> bool:
        """Create the schema and the table; of an existing one, add the declared columns that it lacks.

        Returns whether what was known of how far the table is synced can't be true of it, and is forgotten.
        Columns by which rows are found have their declared type, if it is TEXT, and the system columns one that holds
        every value of theirs: what is compared with them has it too. Raises WarehouseError where that is impossible,
        ViewInPlace among them.
        """
        self.create_schema()
        declared = with_system_columns(spec, *spec.types)
        known = self.read_state(spec.name)
        reason = self.why_void(known, self.row_counts([spec.name]), declared) if known else None
        if reason:
            _log.warning("What was known of how far %s is synced is void: %s.", spec.name, reason)
        if reason or not self.column_types(spec.name):
            self.void(spec.name)
        self.create(spec.name, declared)
        existing = self.column_types(spec.name)
        found_by = {*spec.primary_key, *(key.column for key in spec.foreign_keys)}
        found_by |= {name for lookup in spec.lookups for name in (lookup.on, lookup.column)}
        for name, kind in declared.items():
            if name not in existing:
                self.add_column(spec.name, name, TYPE_NAMES[kind])
            elif kind is Type.TEXT and name in found_by:
                self.widen(spec.name, {name: TEXT})
        for column in SYSTEM_COLUMNS:
            if column.name in existing:
                self._hold_all(spec.name, column, existing[column.name])
        return reason is not None

    def _hold_all(self, table: str, column: Column, existing: str) -> None:
        if holds_all(existing, column.type):
            return
        name, declared = column.name, TYPE_NAMES[column.type]
        condition = says(quote(name), declared) if existing == TEXT else survives(quote(name), existing, declared)
        if self.sql(f"SELECT 1 FROM {self.table(table)} WHERE NOT {condition} LIMIT 1"):
            raise WarehouseError(f"{table}.{name} is {existing}: its values are no {declared}. Correct its type.")
        self.widen(table, {name: declared})

    def holds(self, source: Source, name: str, target: str) -> bool:
        """Return whether a type holds all values of a column exactly."""
        condition = survives(quote(name), source.types[name], target)
        if condition in (ALWAYS, NEVER):
            return condition == ALWAYS
        return not self.sql(f"SELECT 1 FROM {source.relation} WHERE NOT {condition} LIMIT 1")

    def widen(self, table: str, targets: Mapping[str, str]) -> None:
        """Change the types of columns, with their values, which the new types hold.

        DuckDB alters no table that has indexes: they are dropped and made again. Raises ColumnFixed, after which the
        transaction is lost, if something else depends on a column.
        """
        existing = self.column_types(table)
        changing = {name: target for name, target in targets.items() if existing[name] != target}
        if not changing:
            return
        indexes = self.catalog_rows("duckdb_indexes", "index_name, is_unique, sql", table)
        remaking = [
            f"CREATE {'UNIQUE ' if unique else ''}INDEX {quote(index)} ON {self.table(table)} {_indexed(sql)}"
            for index, unique, sql in indexes
        ]
        name = next(iter(changing))
        try:
            for index, *_ in indexes:
                self.sql(f"DROP INDEX {self.table(index)}")
            for name, target in changing.items():
                self.alter(
                    table,
                    f"ALTER TABLE {self.table(table)} ALTER COLUMN {quote(name)} "
                    f"SET DATA TYPE {target} USING {convert(quote(name), existing[name], target)}",
                )
            for statement in remaking:  # now: after the rows have changed, a unique one fails
                self.sql(statement)
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.DependencyException) as error:
            dependents = [f"index {index}" for index, *_ in indexes]
            raise ColumnFixed(table, name, existing[name], changing[name], dependents) from error

    def add_column(self, table: str, name: str, kind: str) -> None:
        """Add an empty column. kind: DuckDB's name of its type."""
        self.alter(table, f"ALTER TABLE {self.table(table)} ADD COLUMN {quote(name)} {kind}")

    # State

    def write_state(self, state: SyncState) -> None:
        """Store a state, added to what was known before; the state of an earlier read replaces none of a later one."""
        before = self.read_state(state.table, state.scope)
        known = state.after(before)
        if known is None:
            return
        table = self.table(STATE_TABLE)
        self.sql(f'DELETE FROM {table} WHERE "table" = ? AND scope = ?', [state.table, state.scope])
        self.sql(
            f"INSERT INTO {table} ({column_list(_STATE_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [known.table, known.scope, naive(known.synced_from), naive(known.synced_through), known.complete,
             known.rows, known.fingerprint or known.run_id, self.stamp, known.read_number],
        )  # fmt: skip

    def read_state(self, table: str, scope: str = "") -> SyncState | None:
        """Return what is known of a scope, with aware UTC times."""
        return self._states(' WHERE "table" = ? AND scope = ?', [table, scope]).get((table, scope))

    def read_states(self) -> dict[tuple[str, str], SyncState]:
        """Return (table, scope) -> what is known of it, with aware UTC times."""
        return self._states()

    def _states(self, where: str = "", parameters: Sequence[str] = ()) -> dict[tuple[str, str], SyncState]:
        if not self.has_table(STATE_TABLE):
            return {}
        there = self.column_types(STATE_TABLE)
        read_number = "read_number" if "read_number" in there else "NULL"  # written by an older version
        names = [name for name in _STATE_COLUMNS if name != "read_number"]
        return {
            (table, scope): SyncState(
                table,
                scope,
                synced_from=aware(since),
                synced_through=aware(through),
                complete=complete,
                rows=rows,
                run_id=None if scope == PRIVACY else run_id,
                stored_at=aware(stored_at),
                read_number=number,
                fingerprint=run_id if scope == PRIVACY else None,
            )
            for table, scope, since, through, complete, rows, run_id, stored_at, number in self.sql(
                f"SELECT {column_list(names)}, {read_number} FROM {self.table(STATE_TABLE)}{where}", parameters
            )
        }

    def forget(self, tables: Sequence[str], scope: str | None = None) -> None:
        """Remove the states of tables, of one scope or of all."""
        if not self.column_types(STATE_TABLE):
            return
        for table in tables:
            self.sql(
                f'DELETE FROM {self.table(STATE_TABLE)} WHERE "table" = ? AND scope = coalesce(?, scope)',
                [table, scope],
            )

    def why_void(self, state: SyncState, counts: Mapping[str, int], declared: Iterable[str] = ()) -> str | None:
        """Say why a state can't be true of its table: somebody made that anew, or removed rows; None: it can.

        counts: table -> rows, see `row_counts`; no load makes them fewer. declared: columns that rows should have.
        """
        rows, expected = counts.get(state.table), state.rows or 0
        if rows is None:
            return "the table is gone"
        if rows < expected:
            return f"{expected - rows:,} of its {expected:,} rows were removed" if rows else "the table was emptied"
        if lacking := sorted(set(declared) - self.column_types(state.table).keys()):
            return f"its rows have no {' and no '.join(lacking)}" if rows else None
        return None

    def void(self, table: str) -> None:
        """Forget how far a table is synced, and its parts; not its snapshot, nor what an inspection saw."""
        kept = {SNAPSHOT, *((INSPECTED, INSPECTED_WHOLLY) if self.column_types(table) else ())}
        for known, scope in self.read_states():
            if known == table and scope not in kept:
                self.forget([table], scope)

    def ensure_state(self) -> None:
        """Create `_sync_state` if it is not there."""
        self.create_schema()
        there = self.column_types(STATE_TABLE)
        if not there:
            self.create(STATE_TABLE, _STATE_COLUMNS)
        elif "read_number" not in there:
            self.add_column(STATE_TABLE, "read_number", TYPE_NAMES[_STATE_COLUMNS["read_number"]])


def _indexed(sql: str) -> str:
    """Return what is indexed, of a statement `CREATE INDEX i ON s.t(a, lower(b));` as DuckDB writes it."""
    rest = _ON.sub("", sql.rstrip().rstrip(";"), count=1)
    return rest if rest.startswith("(") else f"USING {rest}"


def naive(moment: dt.datetime | None) -> dt.datetime | None:
    """Return a moment in UTC, without its zone."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment and moment.tzinfo else moment


def aware(moment: dt.datetime | None) -> dt.datetime | None:
    """Return a moment of the warehouse, which are all in UTC, with that zone."""
    return moment.replace(tzinfo=dt.UTC) if moment and moment.tzinfo is None else moment
