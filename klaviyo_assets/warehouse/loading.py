"""The steps of a load, all inside one open DuckDB transaction.

Tables are made with explicit DDL only: DuckDB 2.0.0 gives wrong results after `CREATE TABLE AS` and a large insert in
the same transaction. Rows are matched by delete and insert, not by MERGE, which took minutes for scattered rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import duckdb

from klaviyo_assets.warehouse.batches import EXACT_IN_DOUBLE, widen
from klaviyo_assets.warehouse.errors import SuspiciousSnapshot, WarehouseError
from klaviyo_assets.warehouse.extract import Scope, Sweep, SyncState
from klaviyo_assets.warehouse.rewriting import sql_function
from klaviyo_assets.warehouse.rows import ORDER as _ORDER
from klaviyo_assets.warehouse.rows import Rows, relation_rows, spool_rows
from klaviyo_assets.warehouse.schema import DELETED, SYNCED, SYSTEM_COLUMNS, Lookup, TableSpec, Type
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import TYPE_NAMES, columns, convert, literal, quote, same_key, type_of

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
}
_STAGE, _KEPT = "_stage", "_kept"
_NOT_DELETED = f"NOT coalesce({quote(DELETED.name)}, false)"


class Shrinkage(NamedTuple):
    """What publishing a staging copy would do.

    live: rows of the table that are not deleted. lacking: those of them that the copy lacks. staged: rows of the copy.
    """

    live: int
    lacking: int
    staged: int


@dataclass(frozen=True)
class LoadResult:
    """What a load did.

    rows: rows that came, duplicates removed. row_count: rows in the table afterwards, deleted ones included.
    older: rows that were not written because the table holds a newer version of them.
    overflow: names of appearing columns that the table has no room for.
    columns_left_out: columns that came and that the table does not take.
    columns_with_old_values: blocked or hashed columns that hold values from before they were.
    shrinkage: of a snapshot, what publishing it would do.
    """

    rows: int
    inserted: int
    updated: int
    deleted: int = 0
    older: int = 0
    corrected: int = 0
    row_count: int = 0
    columns_added: tuple[str, ...] = ()
    columns_widened: tuple[str, ...] = ()
    overflow: tuple[str, ...] = ()
    columns_left_out: tuple[str, ...] = ()
    columns_with_old_values: tuple[str, ...] = ()
    shrinkage: Shrinkage | None = None


@dataclass
class Transaction:
    """An open transaction on one schema; the caller commits or rolls back.

    began: start of the run: what was written since then is not older than what this run has read.
    synced_at: now, written to `_fivetran_synced` of every row that is touched. Both in UTC, without a zone.
    """

    connection: duckdb.DuckDBPyConnection
    schema: str
    began: dt.datetime
    synced_at: dt.datetime
    _types: dict[str, dict[str, Type]] = field(default_factory=dict, init=False)
    _created: set[str] = field(default_factory=set, init=False)

    @cached_property
    def catalog(self) -> str:
        """Name of the database. Names carry it, because a schema may be called as its database is: klaviyo.duckdb."""
        return str(self.value("SELECT current_database()"))

    def sql(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and fetch everything: an unfetched result blocks the connection in DuckDB 2."""
        return self.connection.execute(statement, parameters).fetchall()

    def commit(self) -> None:
        """Make everything durable and visible to others."""
        self.sql("COMMIT")

    def alter(self, table: str, statement: str) -> None:
        """Run a statement that changes or drops a table of this schema."""
        self._types.pop(table, None)
        self._created.discard(table)
        self.sql(statement)

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row."""
        return self.sql(statement, parameters)[0][0]

    def table(self, name: str, schema: str | None = None) -> str:
        """Return the quoted name of a table of this schema, or of another one."""
        return quote(self.catalog, schema or self.schema, name)

    def create_schema(self) -> None:
        """Create the schema if it is not there."""
        self.sql(f"CREATE SCHEMA IF NOT EXISTS {quote(self.catalog, self.schema)}")

    # Tables and columns

    def column_types(self, table: str) -> dict[str, Type]:
        """Column -> type of an existing table, in order; empty if there is no such table."""
        if table not in self._types:
            there = "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() "
            if table not in self._created and not self.sql(
                f"{there} AND schema_name = ? AND table_name = ?", [self.schema, table]
            ):
                return {}
            described = self.sql(f"DESCRIBE {self.table(table)}")
            self._types[table] = {name.lower(): type_of(data_type) for name, data_type, *_ in described}
        return dict(self._types[table])

    def create(self, name: str, types: dict[str, Type]) -> None:
        """Create a table if it is not there."""
        ddl = ", ".join(f"{quote(column)} {TYPE_NAMES[kind]}" for column, kind in types.items())
        self.sql(f"CREATE TABLE IF NOT EXISTS {self.table(name)} ({ddl})")
        self._created.add(name)

    def ensure(self, spec: TableSpec) -> None:
        """Create the schema and the table; of an existing one, add the declared columns that it lacks.

        A declared TEXT column that has another type becomes text: it may be hashed by now.
        """
        self.create_schema()
        declared = spec.types | {column.name: column.type for column in SYSTEM_COLUMNS}
        self.create(spec.name, declared)
        existing = self.column_types(spec.name)
        for name, kind in declared.items():
            if name not in existing:
                self._add_column(spec.name, name, kind)
            elif kind is Type.TEXT:
                self._widen(spec.name, name, existing[name], kind)

    def _widen(self, table: str, name: str, existing: Type, target: Type) -> None:
        if existing is not target:
            self.alter(
                table,
                f"ALTER TABLE {self.table(table)} ALTER COLUMN {quote(name)} "
                f"SET DATA TYPE {TYPE_NAMES[target]} USING {convert(quote(name), existing, target)}",
            )

    def left_out(self, spec: TableSpec, spool: Spool) -> tuple[str, ...]:
        """Return the spool's columns that the table does not take: it takes all of the first rows.

        What its overflow column holds is no new column either.
        """
        if spec.takes_new_columns or not self.sql(f"SELECT 1 FROM {self.table(spec.name)} LIMIT 1"):
            return ()
        existing = self.column_types(spec.name)
        new = {name for file in spool.files for name in file.types} - existing.keys()
        if new and spec.overflow in existing:
            keys = f"SELECT DISTINCT unnest(json_keys({quote(spec.overflow)})) FROM {self.table(spec.name)}"
            new -= {key for (key,) in self.sql(keys)}
        return tuple(sorted(new))

    def _add_column(self, table: str, name: str, kind: Type) -> None:
        self.alter(table, f"ALTER TABLE {self.table(table)} ADD COLUMN {quote(name)} {TYPE_NAMES[kind]}")

    def fit(
        self, spec: TableSpec, spool: Spool, left_out: Collection[str] = (), most: int | None = None
    ) -> tuple[list[str], list[str], tuple[str, ...]]:
        """Add the spool's new columns to the table and widen those that are too narrow; return both.

        left_out: columns that the table does not take.
        most: appearing columns that the table may have; the names of those beyond are returned too. They are not added
            but go to the table's overflow column. A column that the table has stays one.
        """
        existing = self.column_types(spec.name)
        incoming: dict[str, set[Type]] = {}
        for file in spool.files:
            for name, kind in file.types.items():
                if name not in left_out:
                    incoming.setdefault(name, set()).add(kind)
        overflow = self._overflow(spec, existing, incoming, most)
        if overflow and spec.overflow and spec.overflow not in existing:
            self._add_column(spec.name, spec.overflow, Type.JSON)
        for name in overflow:
            del incoming[name]
        added, widened = [], []
        for name, kinds in incoming.items():
            target = self._common_type(spec.name, name, existing.get(name), kinds, spool)
            if name not in existing:
                self._add_column(spec.name, name, target)
                added.append(name)
            elif target != existing[name]:
                self._widen(spec.name, name, existing[name], target)
                widened.append(name)
        return added, widened, overflow

    def _overflow(
        self, spec: TableSpec, existing: Iterable[str], incoming: Iterable[str], most: int | None
    ) -> tuple[str, ...]:
        if most is None or not spec.dynamic:
            return ()
        there = {name for name in existing if name.startswith(spec.dynamic)} - {*spec.types, spec.overflow}
        new = [name for name in incoming if name not in there and name not in spec.types]
        return tuple(new[max(0, most - len(there)) :])

    def _common_type(
        self, table: str, name: str, existing: Type | None, incoming: Iterable[Type], spool: Spool
    ) -> Type:
        kinds = {*incoming, *([existing] if existing else [])}
        target = kinds.pop()
        for kind in kinds:
            target = widen(target, kind)
        if target is Type.DOUBLE and len(kinds):
            sources = [_parquet(file.path) for file in spool.files if file.types.get(name) is Type.BIGINT]
            if existing is Type.BIGINT:
                sources.append(self.table(table))
            inexact = f"{quote(name)} NOT BETWEEN -{EXACT_IN_DOUBLE} AND {EXACT_IN_DOUBLE}"
            if any(self.value(f"SELECT count(*) FROM {source} WHERE {inexact}") for source in sources):
                return Type.TEXT
        return target

    # Upsert

    def upsert(
        self,
        spec: TableSpec,
        source: Spool | str,
        *,
        scope: Scope | None = None,
        guard: float | None = None,
        overflow: Collection[str] = (),
    ) -> LoadResult:
        """Write rows by primary key, flag what vanished from `scope`; the table exists and fits.

        source: a spool, or the quoted name of a relation with the table's columns.
        guard: share of the scope's live rows that may vanish; more raises SuspiciousSnapshot. None: any.
        overflow: columns of the spool whose values go to the overflow column.
        """
        types = self.column_types(spec.name)
        rows_of = (
            spool_rows(source, types, spec.overflow, overflow)
            if isinstance(source, Spool)
            else [relation_rows(source, spec, types)]
        )
        self._stage(spec, rows_of)
        came = self.value(f"SELECT count(*) FROM {_STAGE}")
        self._deduplicate(spec)
        self._check_keys(spec)
        rows = self.value(f"SELECT count(*) FROM {_STAGE}")
        deleted = self._flag_vanished(spec, scope, guard) if scope else 0
        older = self._leave_newer(spec)
        staged = {name for part in rows_of for name in part.values}
        others = self._keep_other_columns(spec, types, staged) if rows else []
        table = self.table(spec.name)
        match = same_key(spec.name, _STAGE, spec.primary_key)
        updated = self.value(f"DELETE FROM {table} USING {_STAGE} WHERE {match}") if rows else 0
        all_of_them = rows - older == came
        written = sum(self._insert(spec, part, others, all_of_them=all_of_them) for part in rows_of)
        self.sql(f"DROP TABLE {_STAGE}")
        if others:
            self.sql(f"DROP TABLE {_KEPT}")
        return LoadResult(
            rows=rows, inserted=written - updated, updated=updated, deleted=deleted, older=older,
            row_count=self.value(f"SELECT count(*) FROM {table}"),
        )  # fmt: skip

    def _insert(self, spec: TableSpec, rows: Rows, others: Sequence[str], *, all_of_them: bool) -> int:
        """Write the staged rows of a part of what came, straight from where they lie."""
        kept, where = "", ""
        if others:
            kept = f" LEFT JOIN {_KEPT} AS kept ON {same_key('new', 'kept', spec.primary_key)}"
        if not all_of_them:
            where = f" WHERE new.{_ORDER} IN (SELECT {_ORDER} FROM {_STAGE})"
        names = [name for name in rows.values if name not in (SYNCED.name, DELETED.name)]
        values = ", ".join([*(quote("new", name) for name in names), *(quote("kept", name) for name in others)])
        written: int = self.value(
            f"INSERT INTO {self.table(spec.name)} ({columns([*names, *others, SYNCED.name, DELETED.name])}) "
            f"SELECT {values}, ?, false FROM ({rows.select(names)}) AS new{kept}{where}",
            [self.synced_at],
        )
        return written

    def patch(self, spec: TableSpec, spool: Spool) -> LoadResult:
        """Fill columns of rows that the table has, leaving alone the rows that have these values already."""
        types = self.column_types(spec.name)
        rows_of = spool_rows(spool, types)
        staged = {name for part in rows_of for name in part.values}
        self._stage(spec, rows_of, [name for name in types if name in staged])
        self._deduplicate(spec)
        self._check_keys(spec)
        filled = sorted(staged - set(spec.primary_key))
        table = self.table(spec.name)
        updated = 0
        if filled:
            differs = " OR ".join(f"own.{quote(name)} IS DISTINCT FROM new.{quote(name)}" for name in filled)
            updated = self.value(
                f"UPDATE {table} AS own SET {', '.join(f'{quote(name)} = new.{quote(name)}' for name in filled)}, "
                f"{quote(SYNCED.name)} = ? FROM {_STAGE} AS new WHERE {same_key('own', 'new', spec.primary_key)} "
                f"AND NOT coalesce(own.{quote(DELETED.name)}, false) AND ({differs})",
                [self.synced_at],
            )
        rows = self.value(f"SELECT count(*) FROM {_STAGE}")
        self.sql(f"DROP TABLE {_STAGE}")
        return LoadResult(rows, 0, updated, row_count=self.value(f"SELECT count(*) FROM {table}"))

    def _owned(self, spec: TableSpec, types: dict[str, Type]) -> set[str]:
        """Columns that a row fills by being there: appearing ones are NULL where the row has none."""
        return {name for name in types if spec.dynamic and name.startswith(spec.dynamic)} - set(spec.types)

    def _stage(self, spec: TableSpec, rows_of: Sequence[Rows], names: Sequence[str] | None = None) -> None:
        """Fill the stage with the key and the version of every row that came, or with the columns `names`.

        The other columns stay where they are until they are inserted: they may be hundreds.
        """
        key = [*spec.primary_key, *([spec.version] if spec.version else [])]
        names = list(dict.fromkeys(key if names is None else [*key, *names]))
        types = self.column_types(spec.name)
        ddl = ", ".join(f"{quote(name)} {TYPE_NAMES[types[name]]}" for name in names)
        self.sql(f"CREATE TEMP TABLE {_STAGE} ({ddl}, {_ORDER} BIGINT)")
        for part in rows_of:
            came = [name for name in names if name in part.values]
            self.sql(f"INSERT INTO {_STAGE} ({columns([*came, _ORDER])}) {part.select(came)}")

    def _deduplicate(self, spec: TableSpec) -> None:
        """Keep one row per key: the newest version, the last to come among equals."""
        key = columns(spec.primary_key)
        total, distinct = self.sql(
            f"SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT {key} FROM {_STAGE})) FROM {_STAGE}"
        )[0]
        if total > distinct:
            newest = f"{quote(spec.version)} DESC NULLS LAST, {_ORDER} DESC" if spec.version else f"{_ORDER} DESC"
            self.sql(
                f"DELETE FROM {_STAGE} WHERE {_ORDER} IN (SELECT {_ORDER} FROM (SELECT {_ORDER}, "
                f"row_number() OVER (PARTITION BY {key} ORDER BY {newest}) AS n FROM {_STAGE}) WHERE n > 1)"
            )

    def _check_keys(self, spec: TableSpec) -> None:
        null = " OR ".join(f"{quote(name)} IS NULL" for name in spec.primary_key)
        count = self.value(f"SELECT count(*) FROM {_STAGE} WHERE {null}")
        if count:
            raise WarehouseError(f"{count} rows for {spec.name} have no {' and '.join(spec.primary_key)}.")

    def _leave_newer(self, spec: TableSpec) -> int:
        """Drop staged rows of which the table holds a newer version: another run was faster.

        Rows without a version are newer if a run wrote them that began after this one.
        """
        parameters = []
        if spec.version:
            newer = f"old.{quote(spec.version)} > {_STAGE}.{quote(spec.version)}"
        elif self._began_later(spec):
            newer = f"old.{quote(SYNCED.name)} > ?"
            parameters.append(self.began)
        else:
            return 0
        older: int = self.value(
            f"DELETE FROM {_STAGE} USING {self.table(spec.name)} AS old "
            f"WHERE {same_key('old', _STAGE, spec.primary_key)} AND {newer} "
            f"AND NOT coalesce(old.{quote(DELETED.name)}, false)",
            parameters,
        )
        return older

    def _began_later(self, spec: TableSpec) -> bool:
        """Return whether the run that wrote to the table last began after this one."""
        last = self.read_state(spec.name)
        return bool(last and last.synced_at and last.synced_at > self.began.replace(tzinfo=dt.UTC))

    def _keep_other_columns(self, spec: TableSpec, types: dict[str, Type], staged: set[str]) -> list[str]:
        """Remember the columns that this load does not speak of: they are another load's, or the user's."""
        owned = self._owned(spec, types)
        others = [name for name in types if name not in staged | owned | {SYNCED.name, DELETED.name}]
        if others:
            ddl = ", ".join(f"{quote(name)} {TYPE_NAMES[types[name]]}" for name in (*spec.primary_key, *others))
            self.sql(f"CREATE TEMP TABLE {_KEPT} ({ddl})")
            key = columns(spec.primary_key, "old")
            self.sql(
                f"INSERT INTO {_KEPT} SELECT DISTINCT ON ({key}) {key}, {columns(others, 'old')} "
                f"FROM {self.table(spec.name)} AS old SEMI JOIN {_STAGE} ON {same_key('old', _STAGE, spec.primary_key)}"
            )
        return others

    # Deletes

    def _flag_vanished(self, spec: TableSpec, scope: Scope, guard: float | None) -> int:
        condition, parameters = _inside(scope)
        table = self.table(spec.name)
        # What was written since this run began may have come into being after it was read here.
        live = f"{condition} AND {_NOT_DELETED} AND coalesce({quote(SYNCED.name)} <= ?, true)"
        parameters = [*parameters, self.began]
        vanished = (
            f"{live} AND NOT EXISTS (SELECT 1 FROM {_STAGE} WHERE {same_key(spec.name, _STAGE, spec.primary_key)})"
        )
        if guard is not None:
            before = self.value(f"SELECT count(*) FROM {table} WHERE {live}", parameters)
            going = self.value(f"SELECT count(*) FROM {table} WHERE {vanished}", parameters)
            check_shrink(spec, before=before, going=going, guard=guard)
        deleted: int = self.value(
            f"UPDATE {table} SET {quote(DELETED.name)} = true, {quote(SYNCED.name)} = ? WHERE {vanished}",
            [self.synced_at, *parameters],
        )
        return deleted

    def missing(self, sweep: Sweep) -> list[str]:
        """Return the keys of live rows that a sweep should have seen and did not."""
        if not self.column_types(sweep.spec.name):
            return []
        (key,) = sweep.spec.primary_key
        keys = _parquets(sweep.keys) if sweep.keys.files else "(SELECT NULL WHERE false)"
        found = self.sql(
            f"SELECT {quote(key)} FROM {self.table(sweep.spec.name)} WHERE {_NOT_DELETED} "
            f"AND {quote(SYNCED.name)} < ? AND coalesce({quote(sweep.created)} < ?, true) "
            f"AND {quote(key)} NOT IN (SELECT * FROM {keys})",
            [_naive(sweep.began), _naive(sweep.created_before)],
        )
        return [row[0] for row in found]

    def flag(self, sweep: Sweep, gone: Spool) -> int:
        """Flag the rows with these keys that nobody has written since the sweep began, and their children."""
        (key,) = sweep.spec.primary_key
        if not gone.files:
            return 0
        keys = f"(SELECT * FROM {_parquets(gone)})"
        flag = f"SET {quote(DELETED.name)} = true, {quote(SYNCED.name)} = ? WHERE {_NOT_DELETED}"
        deleted: int = self.value(
            f"UPDATE {self.table(sweep.spec.name)} {flag} AND {quote(SYNCED.name)} < ? AND {quote(key)} IN {keys}",
            [self.synced_at, _naive(sweep.began)],
        )
        for child, column in sweep.children:
            if self.column_types(child.name):
                self.sql(
                    f"UPDATE {self.table(child.name)} {flag} AND {quote(column)} IN (SELECT {quote(key)} "
                    f"FROM {self.table(sweep.spec.name)} WHERE {quote(DELETED.name)} AND {quote(key)} IN {keys})",
                    [self.synced_at],
                )
        return deleted

    # Live rows

    def shrinkage(self, spec: TableSpec, staging: str) -> Shrinkage:
        """Compare a table with its staging copy, which is in the schema `staging`."""
        copy = self.table(spec.name, staging)
        staged = self.value(f"SELECT count(*) FROM {copy}")
        if not self.column_types(spec.name):
            return Shrinkage(0, 0, staged)
        live = f"{self.table(spec.name)} WHERE {_NOT_DELETED}"
        lacking = (
            f"SELECT count(*) FROM (SELECT * FROM {live}) AS live ANTI JOIN {copy} AS staged "
            f"ON {same_key('live', 'staged', spec.primary_key)}"
        )
        return Shrinkage(self.value(f"SELECT count(*) FROM {live}"), self.value(lacking), staged)

    def earliest(self, table: str, column: str) -> dt.datetime | None:
        """Return the earliest time in a column, in UTC; None if there is no live row."""
        if column not in self.column_types(table):
            return None
        return _aware(self.value(f"SELECT min({quote(column)}) FROM {self.table(table)} WHERE {_NOT_DELETED}"))

    def daily_counts(self, table: str, by: str, scope: Scope) -> dict[tuple[Any, dt.date], int]:
        """Return (value of `by`, day) -> number of live rows in a range of time."""
        if not scope.column or not {by, scope.column} <= self.column_types(table).keys():
            return {}
        condition, parameters = _inside(scope)
        counted = self.sql(
            f"SELECT {quote(by)}, CAST({quote(scope.column)} AS DATE) AS day, count(*) FROM {self.table(table)} "
            f"WHERE {_NOT_DELETED} AND {condition} GROUP BY ALL",
            parameters,
        )
        return {(value, day): count for value, day, count in counted}

    # Lookups

    def correct(self, dependent: TableSpec, lookup: Lookup) -> int:
        """Update the rows of `dependent` whose looked-up column differs from the table it repeats.

        Where `dependent` holds digests, the other table's values are hashed to compare (a digest stays what it is).
        """
        if not self.column_types(dependent.name) or not self.column_types(lookup.table):
            return 0
        key, value, policy = quote(lookup.key), quote(lookup.value), dependent.policy
        with ExitStack() as stack:
            if policy and (policy.hashes(lookup.on) or policy.hashes(lookup.column)):
                digest = stack.enter_context(sql_function(self, policy.digest, Type.TEXT))
                key = f"{digest}({key})" if policy.hashes(lookup.on) else key
                value = f"{digest}({value})" if policy.hashes(lookup.column) else value
            corrected: int = self.value(
                f"UPDATE {self.table(dependent.name)} AS own SET {quote(lookup.column)} = other.value, "
                f"{quote(SYNCED.name)} = ? FROM (SELECT {key} AS key, {value} AS value "
                f"FROM {self.table(lookup.table)}) AS other WHERE own.{quote(lookup.on)} = other.key "
                f"AND other.value IS NOT NULL AND own.{quote(lookup.column)} IS DISTINCT FROM other.value",
                [self.synced_at],
            )
        return corrected

    # State

    def write_state(self, state: SyncState) -> None:
        """Store a state, added to what was known before."""
        before = self.read_state(state.table, state.scope)
        known = state.after(before)
        if known is None:
            return
        began = max(self.began, _naive(before.synced_at) or self.began) if before else self.began
        table = self.table(STATE_TABLE)
        self.sql(f'DELETE FROM {table} WHERE "table" = ? AND scope = ?', [state.table, state.scope])
        self.sql(
            f"INSERT INTO {table} ({columns(_STATE_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [known.table, known.scope, _naive(known.synced_from), _naive(known.synced_through), known.complete,
             known.rows, known.run_id, began],
        )  # fmt: skip

    def read_state(self, table: str, scope: str = "") -> SyncState | None:
        """Return what is known of a scope, with aware UTC times."""
        return self._states(' WHERE "table" = ? AND scope = ?', [table, scope]).get((table, scope))

    def read_states(self) -> dict[tuple[str, str], SyncState]:
        """Return (table, scope) -> what is known of it, with aware UTC times."""
        return self._states()

    def _states(self, where: str = "", parameters: Sequence[str] = ()) -> dict[tuple[str, str], SyncState]:
        if not self.column_types(STATE_TABLE):
            return {}
        return {
            (table, scope): SyncState(
                table, scope, _aware(since), _aware(through), complete, rows, run_id, _aware(synced_at)
            )
            for table, scope, since, through, complete, rows, run_id, synced_at in self.sql(
                f"SELECT {columns(_STATE_COLUMNS)} FROM {self.table(STATE_TABLE)}{where}", parameters
            )
        }

    def forget(self, tables: Sequence[str], scope: str | None = None) -> None:
        """Remove the states of tables, of one scope or of all."""
        for table in tables:
            self.sql(
                f'DELETE FROM {self.table(STATE_TABLE)} WHERE "table" = ? AND scope = coalesce(?, scope)',
                [table, scope],
            )

    def ensure_state(self) -> None:
        """Create `_sync_state` if it is not there."""
        self.create_schema()
        self.create(STATE_TABLE, _STATE_COLUMNS)


FEW_ROWS = 10
"""A child table (a key of foreign keys), or a part of a table, may lose so many rows without anybody asking why."""


def check_shrink(spec: TableSpec, *, before: int, going: int, guard: float) -> None:
    """Raise SuspiciousSnapshot if too many live rows would be flagged as deleted.

    before: live rows now. going: those of them that a complete read did not return.
    guard: share of `before` that may go. Rows of child tables (their key contains a foreign key) come and go with
        settings of their parents, so a few of them may always go.
    """
    few_may_go = bool({key.column for key in spec.foreign_keys} & set(spec.primary_key)) or spec.partitioned_by
    if not going or going <= guard * before or (few_may_go and going <= FEW_ROWS):
        return
    raise SuspiciousSnapshot(
        f"{going:,} of the {before:,} live rows of {spec.name} did not come with a complete read, more than the share "
        f"of {guard:.0%} that `delete_guard` allows. Nothing was written. If they are really gone, materialize "
        f"{spec.name} alone with `accept_shrink: true` in its run config."
    )


def _inside(scope: Scope) -> tuple[str, list[Any]]:
    if scope.column is None:
        return "true", []
    column = quote(scope.column)
    if scope.values is not None:
        if not scope.values.files:
            return "false", []
        return f"{column} IN (SELECT * FROM {_parquets(scope.values)})", []
    conditions, parameters = ["true"], []
    for operator, bound in ((">=", scope.start), ("<", scope.end)):
        if bound is not None:
            conditions.append(f"{column} {operator} ?")
            parameters.append(_naive(bound))
    return " AND ".join(conditions), parameters


def _parquet(path: Any) -> str:
    return f"read_parquet({literal(str(path))}, file_row_number = true)"


def _parquets(spool: Spool) -> str:
    return f"read_parquet([{', '.join(literal(str(file.path)) for file in spool.files)}])"


def _naive(moment: dt.datetime | None) -> dt.datetime | None:
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment and moment.tzinfo else moment


def _aware(moment: dt.datetime | None) -> dt.datetime | None:
    return moment.replace(tzinfo=dt.UTC) if moment else None
