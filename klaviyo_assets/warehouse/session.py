"""What each database does in its own way: statements, its catalog, changing tables, and rows in bulk."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.dialect import ALWAYS, Dialect
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import column_list, quote

_ROWS_AT_ONCE = 200

RESTAMPED = "_restamped"
"""Temporary table with the new stamps of rows of which only some columns change."""

RESTAMPED_TYPES = {"was": Type.TIMESTAMP, "read_number": Type.BIGINT, "stamp": Type.TIMESTAMP}

STAGE = "_stage"
"""Temporary relation with the rows of a load, at least their key and their version, each key once."""


@dataclass(frozen=True)
class Source:
    """A relation and the native types of its columns."""

    relation: str
    types: Mapping[str, str]


@dataclass(frozen=True)
class Staged:
    """Rows that lie in `STAGE`.

    came: their number before duplicates were removed. names: the columns that came. shortened: rows that are too long
    for the database, of which values went to the overflow column.
    """

    came: int
    names: Set[str]
    shortened: int = 0


class Session(ABC):
    """An open connection to a database, in UTC, within a transaction.

    Statements come with names in double quotes and `?` for each parameter. Times are in UTC, without a zone. Whatever
    makes or changes tables, `stage` included, comes before what changes their rows: not every database can do it after.
    Only `spooled`, of one or two columns of text, and `scratch` may come later, if `reserve` came before.
    """

    dialect: Dialect

    # Statements

    @abstractmethod
    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything."""

    @abstractmethod
    def parts(self, query: str) -> Iterator[list[tuple[Any, ...]]]:
        """Run a query and give its rows, thousands at a time; nothing else may run until the last has come."""

    @abstractmethod
    def arrow(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query and return its rows as Arrow."""

    @abstractmethod
    def change(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run an INSERT, UPDATE or DELETE; return the number of its rows."""

    def insert(self, relation: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert a few rows into a table."""
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            some = rows[first : first + _ROWS_AT_ONCE]
            marks = ", ".join([f"({', '.join('?' for _ in names)})"] * len(some))
            self.change(
                f"INSERT INTO {relation} ({column_list(names)}) VALUES {marks}",
                [value for row in some for value in row],
            )

    def insert_from(self, relation: str, names: Sequence[str], query: str, parameters: Sequence[Any] = ()) -> int:
        """Insert what a query returns into a table of states; return the number of rows."""
        return self.change(f"INSERT INTO {relation} ({column_list(names)}) {query}", parameters)

    def put(self, relation: str, key: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert a few rows into a table of states, in the place of those with their key."""
        for first in range(0, len(rows), _ROWS_AT_ONCE):
            chosen = [dict(zip(names, row, strict=True)) for row in rows[first : first + _ROWS_AT_ONCE]]
            each = " AND ".join(f"{quote(name)} = ?" for name in key)
            self.delete(
                relation, " OR ".join([f"({each})"] * len(chosen)), [row[name] for row in chosen for name in key]
            )
        self.insert(relation, names, rows)

    def update(
        self,
        relation: str,
        assigned: Mapping[str, str],
        where: str,
        parameters: Sequence[Any] = (),
        *,
        source: str | None = None,
        before: Callable[[str], None] | None = None,
    ) -> int:
        """Change columns of a table's rows, and return how many were changed.

        assigned: column -> expression; its parameters come first. source: a relation and its name, whose rows are
        joined by `where`, in which the table is called `own`. before: called with a relation of the rows as they will
        be, if there are any, in a database in which they are there at once.
        """
        changed = ", ".join(f"{quote(name)} = {expression}" for name, expression in assigned.items())
        joined = f" FROM {source}" if source else ""
        own = f"{relation} AS own" if source else relation
        return self.change(f"UPDATE {own} SET {changed}{joined} WHERE {where}", parameters)

    def delete(self, relation: str, where: str, parameters: Sequence[Any] = ()) -> int:
        """Remove rows of `STAGE`, of a snapshot or of a table of states; return how many."""
        return self.change(f"DELETE FROM {relation} WHERE {where}", parameters)

    def before_states(self) -> None:  # noqa: B027
        """Finish what was written, before the states are; raise WarehouseError if it does not count."""

    @abstractmethod
    def commit(self) -> None:
        """Make everything durable and visible to others."""

    @abstractmethod
    def rollback(self) -> None:
        """Undo everything that was not committed."""

    @abstractmethod
    def now(self) -> dt.datetime:
        """Return the time at which rows are written: by one clock for all who write to the database."""

    def limit_memory(self, limit: str | None, *, one_thread: bool = False) -> None:  # noqa: B027
        """Let the database write to disk what it would hold in memory beyond a limit, if it runs in this process.

        one_thread: each would need memory of its own.
        """

    # The catalog

    @abstractmethod
    def name(self, schema: str, table: str) -> str:
        """Return the quoted name of a table."""

    @abstractmethod
    def create_schema(self, schema: str) -> None:
        """Create a schema if it is not there."""

    @abstractmethod
    def tables(self, schema: str) -> set[str]:
        """Return the names of a schema's tables, folded."""

    @abstractmethod
    def views(self, schema: str) -> set[str]:
        """Return the names of a schema's views, folded."""

    @abstractmethod
    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Return column, folded -> native type of a table, in order."""

    @abstractmethod
    def all_columns(self, schema: str) -> dict[str, dict[str, str]]:
        """Return what `columns` does, for each table of a schema."""

    # Changing tables

    @abstractmethod
    def create(
        self,
        schema: str,
        table: str,
        types: Mapping[str, str],
        spec: TableSpec | None = None,
        *,
        key: Sequence[str] = (),
    ) -> None:
        """Create a table that is not there.

        types: column -> native type. spec: None for a table of states, whose rows have a `key`; it may be NULL.
        """

    def ensure_key(self, schema: str, spec: TableSpec) -> None:  # noqa: B027
        """Make an existing table ready for `write`, which finds rows by their key."""

    def has_primary_key(self, schema: str, spec: TableSpec) -> bool:
        """Return whether the database itself lets no row of a table lack its key, or share it."""
        return False

    def never_empty(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table, folded, that no row can have emptied: computed ones, and those NOT NULL."""
        return set()

    def generated(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table, folded, that the database computes: nobody can write them."""
        return set()

    def needed(self, schema: str, table: str) -> set[str]:
        """Return the columns of a table, folded, that a new row must have a value for, if the database tells."""
        return set()

    def room(self, schema: str, table: str) -> int | None:
        """Return how many columns can still be added to a table, None if any number."""
        return None

    @abstractmethod
    def add_columns(self, schema: str, table: str, types: Mapping[str, str]) -> None:
        """Add empty columns. types: column -> native type."""

    def describe(self, schema: str, table: str, comments: Mapping[str, str]) -> None:  # noqa: B027
        """Comment on columns: those whose names were cut have the whole name in theirs."""

    def descriptions(self, schema: str, table: str) -> dict[str, str]:
        """Return column -> comment, of the columns that have one."""
        return {}

    @abstractmethod
    def widen(self, schema: str, table: str, changes: Mapping[str, tuple[str, str]]) -> None:
        """Change the types of columns: name -> (existing, target). The targets hold the values.

        Raises ColumnFixed, after which the transaction is lost, if something else depends on a column.
        """

    @abstractmethod
    def drop_column(self, schema: str, table: str, name: str) -> bool:
        """Drop a column; return False if the database can't because of what depends on the table."""

    # Rows in bulk

    @abstractmethod
    def spooled(self, spool: Spool, types: Mapping[str, Type]) -> str:
        """Return a relation of columns of all of a spool's rows."""

    @abstractmethod
    def takes(self, spool: Spool, name: str, kind: Type, target: str) -> bool:
        """Return whether a native type holds exactly all values of a spool's column that have a type of ours."""

    @abstractmethod
    def stage(
        self,
        spec: TableSpec,
        source: Spool | Source,
        types: Mapping[str, str],
        *,
        beyond: Mapping[str, Set[Type]] | None = None,
        whole: bool = True,
    ) -> Staged:
        """Make `STAGE` of rows on their way into a table, one per key: the newest version, the last among equals.

        types: column -> native type of the table; what comes and is not in it is left out. beyond: columns of which
        the values of some types go to the overflow column. whole: False: only these columns are written, by `patch`,
        else the rows are, by `write`. Raises WarehouseError if a row has no key.
        """

    @abstractmethod
    def write(
        self,
        schema: str,
        spec: TableSpec,
        staged: Staged,
        types: Mapping[str, str],
        *,
        cleared: Collection[str],
        stamp: dt.datetime,
    ) -> tuple[int, int]:
        """Write the rows of `STAGE` into a table; return how many, and how many of them were there before.

        types: column -> native type of the table. cleared: columns that did not come and become NULL; others that did
        not come stay as they are, or get their default. The rows are live, and stamped with `stamp`.
        """

    def where_staged(self, schema: str, spec: TableSpec, alias: str) -> str:
        """Return a condition that is true of all rows whose keys are in `STAGE`, with which fewer are looked at.

        alias: what the table is called.
        """
        return ALWAYS

    def unstage(self) -> None:
        """Drop `STAGE`."""
        self.sql(f"DROP TABLE {STAGE}")

    def scratch(self, name: str, types: Mapping[str, str]) -> None:
        """Make `RESTAMPED`, empty. types: column -> native type."""
        self.sql(f"CREATE TEMP TABLE {name} ({', '.join(f'{column} {native}' for column, native in types.items())})")

    def reserve(self) -> None:  # noqa: B027
        """Make what `spooled` and `scratch` need once rows have been changed."""

    def unscratch(self, name: str) -> None:
        """Drop what `scratch` has made."""
        self.sql(f"DROP TABLE {name}")
