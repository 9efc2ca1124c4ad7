"""A connection to a Postgres database, in a transaction.

Everything is the transaction's own: settings, the lock and temporary tables end with it, whoever pools connections.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any

import psycopg
import pyarrow as pa

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec, Type
from klaviyo_assets.warehouse.errors import ColumnFixed, WarehouseError
from klaviyo_assets.warehouse.postgres import reading, staging, writing
from klaviyo_assets.warehouse.postgres.catalog import PostgresCatalog
from klaviyo_assets.warehouse.postgres.connecting import Connection
from klaviyo_assets.warehouse.session import Source, Staged
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import column_list, literal, quote

_SAVEPOINT = "_before"
_COLUMN = re.compile(r'column "?([^"\s]+)"?')

_FIXED = ("0A", "22", "2B", "42", "54")
"""Classes of what Postgres says if a column can't change because of what depends on it, or because a row would be too
long."""

_UPDATES_BESIDE_BRIN = 160000

_HAS_KEY = """
    SELECT 1 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
    WHERE c.oid = CAST(? AS regclass)
    AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
    AND (i.indisprimary AND (c.relkind = 'p' OR NOT c.relhassubclass) OR NOT CAST(? AS boolean))
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


class PostgresSession(PostgresCatalog):
    """An open connection, in a transaction that the caller began."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._spooled: dict[tuple[Any, ...], str] = {}

    def arrow(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query and return its rows as Arrow."""
        return reading.arrow(self, query, parameters)

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
        """Create a table: the key and the system columns first, for Postgres reads a row from its beginning.

        A table of rows has its key as its primary key. A large one has indexes that cost next to nothing: BRIN on the
        time of its partitions and on when rows were written, and one of the rows that are deleted. A table of states
        has no key: its rows are their own replica identity, without which none of a publication can be deleted.
        """
        first = [*(spec.primary_key if spec else ()), *(name for name in types if spec and name not in spec.types)]
        ordered = dict.fromkeys([*first, *types])
        ddl = [f"{quote(column)} {types[column]}" for column in ordered]
        ddl += [f"PRIMARY KEY ({column_list(spec.primary_key)})"] if spec else []
        place, deleted = self.name(schema, table), quote(DELETED.name)
        self.execute(f"CREATE TABLE {place} ({', '.join(ddl)})")
        if spec is None:
            self.execute(f"ALTER TABLE {place} REPLICA IDENTITY FULL")
        elif spec.partitioned_by:
            self.execute(f"CREATE INDEX ON {place} ({quote(spec.primary_key[0])}) WHERE {deleted}")
            # Before 16, an update of a column with any index writes to all indexes.
            written = [SYNCED.name] if self.connection.info.server_version >= _UPDATES_BESIDE_BRIN else []
            for name in (spec.partitioned_by, *written):
                self.execute(
                    f"CREATE INDEX ON {place} USING brin ({quote(name)}) "
                    "WITH (pages_per_range = 32, autosummarize = on)"
                )

    def ensure_key(self, schema: str, spec: TableSpec) -> None:
        """Make a unique index on the key of a table that lacks one; raise WarehouseError if that is impossible."""
        if self._has_key(schema, spec):
            return
        table = self.name(schema, spec.name)
        chosen = column_list(spec.primary_key)
        try:
            with self._undone_on_error():
                self.execute(f"CREATE UNIQUE INDEX ON {table} ({chosen})")
        except psycopg.errors.FeatureNotSupported:
            raise WarehouseError(
                f"{schema}.{spec.name} is partitioned, but not by its key ({', '.join(spec.primary_key)}), so that the "
                "unique index can't be made by which rows are found. Partition it by HASH "
                f"({chosen}), and run it again."
            ) from None
        except psycopg.errors.UniqueViolation:
            twice = f"SELECT 1 FROM {table} GROUP BY {chosen} HAVING count(*) > 1"
            ((count,),) = self.sql(f"SELECT count(*) FROM ({twice}) AS twice")
            raise WarehouseError(
                f"{schema}.{spec.name} has several rows with one key ({', '.join(spec.primary_key)}), for {count:,} "
                "keys, so that the unique index can't be made by which rows are found. Remove the rows that are too "
                "many, and run it again."
            ) from None

    def has_primary_key(self, schema: str, spec: TableSpec) -> bool:
        """Return whether a table has its key as its primary key, and no heirs, of which that says nothing."""
        return self._has_key(schema, spec, primary=True)

    def _has_key(self, schema: str, spec: TableSpec, *, primary: bool = False) -> bool:
        return bool(self.sql(_HAS_KEY, [self.name(schema, spec.name), primary, sorted(spec.primary_key)]))

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

    # Rows in bulk

    def spooled(self, spool: Spool, types: Mapping[str, Type]) -> str:
        """Return a temporary table with columns of all of a spool's rows."""
        known = (spool.folder, len(spool.files), *types.items())
        if known not in self._spooled:
            name = f"_spooled_{len(self._spooled)}"
            staging.copy_spooled(self, name, spool, types)
            self._spooled[known] = name
        return self._spooled[known]

    def takes(self, spool: Spool, name: str, kind: Type, target: str) -> bool:
        """Return whether a native type holds exactly all values of a spool's column that have a type of ours."""
        return staging.takes(self.dialect, spool, name, kind, target)

    def stage(
        self,
        spec: TableSpec,
        source: Spool | Source,
        types: Mapping[str, str],
        *,
        beyond: Mapping[str, Set[Type]] | None = None,
        whole: bool = True,
    ) -> Staged:
        """Make `STAGE` of all columns of rows on their way into a table; see `staging`."""
        if isinstance(source, Spool):
            return staging.stage_spool(self, spec, source, types, beyond)
        return staging.stage_relation(self, spec, source, types)

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
        """Write the rows of `STAGE` into a table; see `writing`. Raises WarehouseError if a trigger keeps some back."""
        written, updated = writing.write(self, schema, spec, staged, types, cleared, stamp)
        writing.check_written(self, schema, spec, written, stamp)
        return written, updated
