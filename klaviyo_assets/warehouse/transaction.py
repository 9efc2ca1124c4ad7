"""An open transaction on one schema: its statements, its tables and their columns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.dialect import ALWAYS, NEVER, Dialect
from klaviyo_assets.warehouse.errors import ViewInPlace
from klaviyo_assets.warehouse.names import whole_names
from klaviyo_assets.warehouse.session import Session, Source
from klaviyo_assets.warehouse.sql import literal, quote
from klaviyo_assets.warehouse.state import SyncState


@dataclass
class Transaction:
    """An open transaction on one schema; the caller commits or rolls back.

    stamp: written to `_fivetran_synced` of every row that is touched: now, in UTC, without a zone.
    states, newest_number: what `steps.states` and `steps.loads` know, once they have read it: nobody else writes now.
    changed_states: keys of the states that are still to be written.
    recorded: tables, and numbers of reads, of which it is remembered that rows were written.
    """

    session: Session
    schema: str
    stamp: dt.datetime = dt.datetime.min
    states: dict[tuple[str, str], SyncState] | None = field(default=None, init=False)
    changed_states: set[tuple[str, str]] = field(default_factory=set, init=False)
    recorded: set[tuple[str, int]] = field(default_factory=set, init=False)
    newest_number: int | None = field(default=None, init=False)
    _types: dict[str, dict[str, str]] = field(default_factory=dict, init=False)
    _counts: dict[str, int] = field(default_factory=dict, init=False)
    _tables: set[str] | None = field(default=None, init=False)
    _views: set[str] | None = field(default=None, init=False)

    @property
    def dialect(self) -> Dialect:
        """The SQL text of the database."""
        return self.session.dialect

    def in_schema(self, schema: str) -> Transaction:
        """Return the same transaction on another schema."""
        return replace(self, schema=schema)

    # Statements

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything."""
        return self.session.sql(statement, parameters)

    def change(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run an INSERT, UPDATE or DELETE; return the number of its rows."""
        return self.session.change(statement, parameters)

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row."""
        return self.sql(statement, parameters)[0][0]

    def insert(self, table: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert a few rows into a table of this schema."""
        if rows:
            self.session.insert(self.table(table), names, rows)

    def insert_from(self, table: str, names: Sequence[str], query: str, parameters: Sequence[Any] = ()) -> None:
        """Insert what a query returns into a table of states."""
        self.session.insert_from(self.table(table), names, query, parameters)

    def put(self, table: str, key: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert a few rows into a table of states, in the place of those with their key."""
        if rows:
            self.session.put(self.table(table), key, names, rows)

    def update(
        self,
        table: str,
        assigned: Mapping[str, str],
        where: str,
        parameters: Sequence[Any] = (),
        *,
        source: str | None = None,
        before: Callable[[str], None] | None = None,
    ) -> int:
        """Change columns of rows, return how many; see `Session.update`."""
        return self.session.update(self.table(table), assigned, where, parameters, source=source, before=before)

    def delete(self, table: str, where: str, parameters: Sequence[Any] = ()) -> int:
        """Remove rows of a snapshot or of a table of states; return how many."""
        return self.session.delete(self.table(table), where, parameters)

    # What is there

    def table(self, name: str) -> str:
        """Return the quoted name of a table of this schema."""
        return self.session.name(self.schema, name)

    def tables(self) -> set[str]:
        """Return the names of the tables of this schema, folded."""
        if self._tables is None:
            self._tables = self.session.tables(self.schema)
        return set(self._tables)

    def is_view(self, name: str) -> bool:
        """Return whether a name that a table may have is a view's."""
        folded = self.dialect.fold(name)
        if folded in self.tables():
            return False
        if self._views is None:
            self._views = self.session.views(self.schema)
        return folded in self._views

    def has_table(self, name: str) -> bool:
        """Return whether there is a table; raise ViewInPlace if a view has its name."""
        if self.is_view(name):
            raise ViewInPlace(f"{self.schema}.{name}")
        return self.dialect.fold(name) in self.tables()

    def column_types(self, table: str) -> dict[str, str]:
        """Column, folded -> native type, in order; empty if there is no such table."""
        if table not in self._types:
            if self.dialect.fold(table) not in self.tables():
                return {}
            self._types[table] = self.session.columns(self.schema, table)
        return dict(self._types[table])

    def source(self, table: str) -> Source:
        """Return a table as the relation that it is, with the types of its columns."""
        return Source(self.table(table), self.column_types(table))

    def sources(self) -> dict[str, Source]:
        """Return all tables by their names, folded."""
        found = self.session.all_columns(self.schema)
        return {name: Source(self.table(name), types) for name, types in found.items()}

    def row_counts(self, tables: Iterable[str]) -> dict[str, int | None]:
        """Return table -> number of rows, of those that are there.

        None, if it is not empty and counting takes long: `count` does it.
        """
        there = sorted({table for table in tables if self.dialect.fold(table) in self.tables()})
        if not there:
            return {}
        if self.dialect.capabilities.counts_at_once:
            counts = [f"SELECT {literal(table)}, count(*) FROM {self.table(table)}" for table in there]
        else:
            counts = [
                f"SELECT {literal(table)}, CASE WHEN NOT EXISTS (SELECT 1 FROM {self.table(table)}) THEN 0 END"
                for table in there
            ]
        return dict(self.sql(" UNION ALL ".join(counts)))

    def count(self, table: str) -> int:
        """Return the number of rows of a table, which is counted once: in some databases that takes long."""
        if table not in self._counts:
            self._counts[table] = self.value(f"SELECT count(*) FROM {self.table(table)}")
        return self._counts[table]

    def inserted(self, table: str, rows: int) -> None:
        """Take note of rows that were inserted, for `count`."""
        if table in self._counts:
            self._counts[table] += rows

    def holds(self, source: Source, name: str, target: str) -> bool:
        """Return whether a native type holds all values of a column exactly."""
        condition = self.dialect.survives(quote(name), source.types[name], target)
        if condition in (ALWAYS, NEVER):
            return condition == ALWAYS
        return not self.sql(f"SELECT 1 FROM {source.relation} WHERE NOT {condition} LIMIT 1")

    # Changing tables

    def create_schema(self) -> None:
        """Create the schema if it is not there."""
        self.session.create_schema(self.schema)

    def create(
        self, name: str, types: Mapping[str, Type], spec: TableSpec | None = None, *, key: Sequence[str] = ()
    ) -> None:
        """Create a table if it is not there; raise ViewInPlace if it is a view; see `Session.create`."""
        if self.has_table(name):
            return
        natives = {column: self.dialect.type_names[kind] for column, kind in types.items()}
        self.session.create(self.schema, name, natives, spec, key=key)
        self._changed(name)
        if self._tables is not None:
            self._tables.add(self.dialect.fold(name))

    def drop(self, table: str) -> None:
        """Drop a table of this schema if it is there; raise ViewInPlace if it is a view."""
        if self.has_table(table):
            self._changed(table)
            self._counts.pop(table, None)
            self.sql(f"DROP TABLE {self.table(table)}")
            self._tables = None

    def scratch(self, name: str, types: Mapping[str, Type]) -> None:
        """Make an empty temporary table."""
        self.session.scratch(name, {column: self.dialect.type_names[kind] for column, kind in types.items()})

    def clear(self, table: str) -> None:
        """Remove all rows of a table."""
        self.delete(table, "true")
        self._counts.pop(table, None)

    def add_columns(self, table: str, types: Mapping[str, str]) -> None:
        """Add empty columns. types: column -> native type."""
        if types:
            self._changed(table)
            self.session.add_columns(self.schema, table, types)

    def widen(self, table: str, targets: Mapping[str, str]) -> None:
        """Change the types of columns, with their values, which the new types hold.

        Raises ColumnFixed, after which the transaction is lost, if something else depends on a column.
        """
        existing = self.column_types(table)
        changes = {name: (existing[name], target) for name, target in targets.items() if existing[name] != target}
        if changes:
            self._changed(table)
            self.session.widen(self.schema, table, changes)

    def describe(self, table: str, comments: Mapping[str, str]) -> None:
        """Comment on columns."""
        self.session.describe(self.schema, table, comments)

    def whole_names(self, table: str) -> dict[str, str]:
        """Return column -> whole name, of those whose names were cut."""
        return whole_names(self.session.descriptions(self.schema, table))

    def drop_column(self, table: str, name: str) -> bool:
        """Drop a column; return False if the database can't because of what depends on the table."""
        self._changed(table)
        return self.session.drop_column(self.schema, table, name)

    def _changed(self, table: str) -> None:
        self._types.pop(table, None)


def naive(moment: dt.datetime | None) -> dt.datetime | None:
    """Return a moment in UTC, without its zone."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment and moment.tzinfo else moment


def aware(moment: dt.datetime | None) -> dt.datetime | None:
    """Return a moment of the warehouse, which are all in UTC, with that zone."""
    return moment.replace(tzinfo=dt.UTC) if moment and moment.tzinfo is None else moment
