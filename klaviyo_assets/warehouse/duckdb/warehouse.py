"""The DuckDB warehouse."""

from __future__ import annotations

import datetime as dt
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import duckdb
import pyarrow as pa
from dagster_duckdb import DuckDBResource
from pydantic import Field, PrivateAttr

from klaviyo_assets import clock as clocks
from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import DELETED, ForeignKey, TableSpec
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.duckdb import differences
from klaviyo_assets.warehouse.duckdb.attached import attached
from klaviyo_assets.warehouse.duckdb.beginning import begin, claim, known_account
from klaviyo_assets.warehouse.duckdb.deletes import flag_gone, keys_to_ask_for, missing_keys
from klaviyo_assets.warehouse.duckdb.fitting import columns_left_out, fit, fit_relation
from klaviyo_assets.warehouse.duckdb.inspection import inspect
from klaviyo_assets.warehouse.duckdb.interrupts import interruptible, is_interrupt
from klaviyo_assets.warehouse.duckdb.live_rows import daily_counts, earliest, measure_shrinkage
from klaviyo_assets.warehouse.duckdb.loading import patch, upsert
from klaviyo_assets.warehouse.duckdb.loads import NO_READ, ensure_loads, newest_number, unused_stamp
from klaviyo_assets.warehouse.duckdb.location import file_of, shown
from klaviyo_assets.warehouse.duckdb.lookups import correct
from klaviyo_assets.warehouse.duckdb.new_file import copy_to_new_file
from klaviyo_assets.warehouse.duckdb.opening import opened
from klaviyo_assets.warehouse.duckdb.rewriting import find_old_values, rewrite
from klaviyo_assets.warehouse.duckdb.rows import Source
from klaviyo_assets.warehouse.duckdb.sql import IN_UTC, TYPE_NAMES, convert, quote, type_of
from klaviyo_assets.warehouse.duckdb.transaction import Transaction
from klaviyo_assets.warehouse.errors import (
    ColumnFixed,
    ConstraintViolated,
    DiskFull,
    SnapshotMissing,
    WarehouseUnusable,
    is_full,
    violation,
)
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Ask, Publication, Scope, Sweep
from klaviyo_assets.warehouse.results import AccountIdentity, Beginning, Difference, Inspection, LoadResult
from klaviyo_assets.warehouse.spool import Spool, temporary_spool
from klaviyo_assets.warehouse.state import SNAPSHOT, SyncState

INSPECTION_MEMORY = "500MB"
"""What DuckDB may use to look at tables: grouping the keys of millions of rows, it would hold them all."""

_Done = TypeVar("_Done")

_log = logging.getLogger(__name__)
_LACKS_MEMORY = re.compile("memory|pin block", re.IGNORECASE)


class DuckDBWarehouse(DuckDBResource):
    """A DuckDB file (or MotherDuck) that holds the tables of one Klaviyo account.

    Usable wherever a `DuckDBResource` is. The file is open only while rows are loaded or read: between the loads of
    a long run anybody else may read it.

    Whatever writes is told the number that its read was given when it `began`: what others have read or written since
    then is not older. Without one the read begins with the write.
    """

    schema_name: str = Field(default="klaviyo", description="Schema of the destination tables.")
    lock_timeout: float = Field(
        default=120.0, description="Seconds to wait for another process that holds the database file."
    )

    max_dynamic_columns: int = Field(
        default=2000, description="Columns that may appear in a table; the values of more go to one JSON column."
    )
    _clock: clocks.Clock | None = PrivateAttr(default=None)
    _run_id: str | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Note the run, which waits only once for somebody who holds the file."""
        self._run_id = context.run.run_id if context.run else None

    @property
    def staging_schema(self) -> str:
        """Schema of the snapshots."""
        return f"{self.schema_name}_staging"

    @property
    def place(self) -> str:
        """Where the tables are, in words."""
        return f"The schema {self.schema_name} of {shown(self.database)}"

    # Writing

    def begin(self, *, now: dt.datetime | None = None, account: AccountIdentity | None = None) -> Beginning:
        """Give a read that begins its number, and the states; mend what can't be true of these.

        now: the source's time, aware. account: the one that is read; the first one that comes is stored.
        Raises AnotherAccount if the warehouse holds the rows of another.
        """
        with self._transaction() as transaction:
            if account:
                claim(transaction, account, self.place)
            return begin(transaction, replace(transaction, schema=self.staging_schema), now)

    def account(self) -> AccountIdentity | None:
        """Return the account whose rows the warehouse holds, None if it does not know."""
        with self._reading() as transaction:
            return known_account(transaction) if transaction else None

    def load(
        self,
        spec: TableSpec,
        spool: Spool,
        *,
        began: int | None = None,
        scope: Scope | None = None,
        guard: float | None = None,
        ask: Ask | None = None,
        states: Sequence[SyncState] = (),
    ) -> LoadResult:
        """Upsert a spool's rows by primary key and store the states, in one transaction.

        ask: asked about rows that are missing from the scope before that, while the file is closed.
        A column of a property that can't be widened stops nothing: what it does not hold goes to the overflow column.
        """
        fixed: dict[str, str] = {}
        with temporary_spool() as gone:
            if scope and ask:
                self._ask(spec, spool, ask, gone, began=began, scope=scope, guard=guard)
            while True:
                load = partial(
                    self._load,
                    spec,
                    spool,
                    began=began,
                    scope=scope,
                    guard=guard,
                    confirmed=gone if scope and ask else None,
                    states=states,
                    fixed=list(fixed),
                )
                try:
                    result = self._within(_memory(spool), f"Loading {spec.name}", load)
                except ColumnFixed as error:
                    if not spec.dynamic or error.column in spec.types or error.column in fixed:
                        raise
                    fixed[error.column] = str(error)
                else:
                    beyond = tuple(name for name in result.overflow if name not in fixed)
                    return replace(result, overflow=beyond, columns_fixed=tuple(fixed.values()))

    def _ask(
        self,
        spec: TableSpec,
        spool: Spool,
        ask: Ask,
        gone: Spool,
        *,
        began: int | None,
        scope: Scope,
        guard: float | None,
    ) -> None:
        with self._reading() as reading:
            missing = []
            if reading:
                number = newest_number(reading) if began is None else began
                missing = keys_to_ask_for(reading, spec, scope, guard, spool, number)
        if keys := sorted(ask(missing, spool)) if missing else []:
            gone.write(typed_batch(Columns(len(keys), {spec.primary_key[0]: keys}), spec))

    def _load(
        self,
        spec: TableSpec,
        spool: Spool,
        memory: str | None,
        *,
        began: int | None,
        scope: Scope | None,
        guard: float | None,
        confirmed: Spool | None,
        states: Sequence[SyncState],
        fixed: Sequence[str],
    ) -> LoadResult:
        with self._transaction() as transaction:
            number = newest_number(transaction) if began is None else began
            transaction.limit_memory(memory)
            transaction.ensure(spec)
            left_out = columns_left_out(transaction, spec, spool)
            fitted = fit(transaction, spec, spool, left_out, self.max_dynamic_columns, fixed)
            result = upsert(
                transaction,
                spec,
                spool,
                began=number,
                scope=scope,
                guard=guard,
                overflow=fitted.overflow,
                confirmed=confirmed,
            )
            differences.count_read(transaction, spec.name, scope)
            for state in states:
                transaction.write_state(replace(state, rows=result.row_count, read_number=number))
            old = find_old_values(transaction, spec)
        return replace(
            result,
            columns_added=tuple(fitted.added),
            columns_widened=tuple(fitted.widened),
            overflow=tuple(fitted.overflow),
            columns_left_out=left_out,
            columns_with_old_values=old,
        )

    def patch(
        self, spec: TableSpec, spool: Spool, *, began: int | None = None, states: Sequence[SyncState] = ()
    ) -> LoadResult:
        """Fill columns of rows that the table has already, and store the states, in one transaction."""
        with self._transaction() as transaction:
            number = newest_number(transaction) if began is None else began
            transaction.ensure(spec)
            fit(transaction, spec, spool)
            result = patch(transaction, spec, spool, number)
            for state in states:
                transaction.write_state(replace(state, read_number=number))
        return result

    def sweep(self, sweep: Sweep, *, guard: float) -> LoadResult:
        """Flag the rows that a sweep shows to be gone, after asking once more about each of them."""
        with self._reading() as reading:
            missing = missing_keys(reading, sweep) if reading else []
        alive = sweep.still_there(missing) if missing else set()
        gone = [key for key in missing if key not in alive]
        with temporary_spool() as spool, self._transaction() as transaction:
            if gone:
                spool.write(typed_batch(Columns(len(gone), {sweep.spec.primary_key[0]: gone}), sweep.spec))
            transaction.ensure(sweep.spec)
            deleted, waiting = flag_gone(transaction, sweep, spool, None if sweep.accept_shrink else guard)
            for state in sweep.states:
                transaction.write_state(replace(state, read_number=sweep.began))
            row_count = transaction.value(f"SELECT count(*) FROM {transaction.table(sweep.spec.name)}")
        return LoadResult(sweep.keys.rows, 0, 0, deleted=deleted, row_count=row_count, waiting=waiting)

    def store_snapshot(
        self, spec: TableSpec, spool: Spool, *, state: SyncState, began: int | None = None
    ) -> LoadResult:
        """Replace the staging copy of a table by a spool's rows, in one transaction.

        A read that began before the one that is there already changes nothing: what came into being between the two
        would look deleted.
        """
        with self._transaction() as destination:
            transaction = replace(destination, schema=self.staging_schema)
            transaction.create_schema()
            number = newest_number(destination) if began is None else began
            before = destination.read_state(spec.name, SNAPSHOT)
            if before and (before.read_number or 0) > number and transaction.column_types(spec.name):
                count = transaction.value(f"SELECT count(*) FROM {transaction.table(spec.name)}")
                shrinkage = measure_shrinkage(destination, spec, self.staging_schema)
                return LoadResult(spool.rows, 0, 0, older=spool.rows, row_count=count, shrinkage=shrinkage)
            transaction.drop(spec.name)
            transaction.ensure(spec)
            added = fit(transaction, spec, spool).added
            result = upsert(transaction, spec, spool)
            destination.write_state(replace(state, rows=result.rows, read_number=number))
            shrinkage = measure_shrinkage(destination, spec, self.staging_schema)
        return replace(result, columns_added=tuple(added), shrinkage=shrinkage)

    def publish(self, publication: Publication, *, guard: float, run_id: str | None = None) -> LoadResult:
        """Publish a table's staging copy into the destination and flag what vanished, in one transaction.

        If that is more than the share `guard` of the live rows, and the publication does not accept it, the flags wait.
        Raises SnapshotMissing.
        """
        spec = publication.spec
        with self._transaction() as transaction:
            snapshot = transaction.read_state(spec.name, SNAPSHOT)
            if not snapshot:
                raise SnapshotMissing(spec.name)
            transaction.ensure(spec)
            staging = replace(transaction, schema=self.staging_schema)
            source = Source(staging.table(spec.name), staging.column_types(spec.name))
            fit_relation(transaction, spec, source)
            result = upsert(
                transaction,
                spec,
                source,
                began=snapshot.read_number or NO_READ,
                scope=replace(WHOLE_TABLE, read_at=snapshot.synced_through)
                if publication.infers_deletes and snapshot.complete
                else None,
                guard=None if publication.accept_shrink else guard,
            )
            corrected = sum(
                correct(transaction, dependent, lookup)
                for dependent in publication.dependents
                for lookup in dependent.lookups
                if lookup.table == spec.name
            )
            transaction.write_state(
                SyncState(
                    spec.name,
                    synced_through=snapshot.synced_through,
                    complete=True,
                    rows=result.rows,
                    run_id=run_id,
                    read_number=snapshot.read_number,
                )
            )
            old = find_old_values(transaction, spec)
        return replace(result, corrected=corrected, columns_with_old_values=old)

    def rewrite(self, specs: Sequence[TableSpec]) -> dict[str, list[str]]:
        """Remove and hash the values of blocked and hashed columns, here and in the staging copies, in one transaction.

        Returns table -> what was done, in words; tables with nothing to do are not in it.
        """
        if not self._exists():
            return {}
        done: dict[str, list[str]] = {}
        with self._transaction() as transaction:
            staging = replace(transaction, schema=self.staging_schema)
            for spec in specs:
                for place, suffix in ((transaction, ""), (staging, " (staging)")):
                    if found := rewrite(place, spec):
                        done[spec.name + suffix] = found
                find_old_values(transaction, spec)
        return done

    def copy_to_new_file(self) -> str:
        """Replace the database file by a copy of it, without what it once held; return what was done, in words."""
        file = file_of(self.database)
        if file is None:
            return f"{shown(self.database)} is no file of this machine: it was not copied to a new one."
        if not file.exists():
            return "There is no database yet."
        before = file.stat().st_size
        with self.connect() as connection:
            copy_to_new_file(connection, file)
        return f"{self.database} was copied to a new file: {before:,} bytes before, {file.stat().st_size:,} now."

    def try_to_write(self) -> None:
        """Raise what a load would raise, if the warehouse can't be written; change nothing."""
        with self.connect() as connection:
            connection.execute("BEGIN TRANSACTION").fetchall()
            try:
                transaction = Transaction(connection, self.schema_name)
                transaction.ensure_state()
            finally:
                connection.execute("ROLLBACK").fetchall()

    # State

    def remember(self, *states: SyncState) -> None:
        """Store states that come with no rows."""
        with self._transaction() as transaction:
            for state in states:
                transaction.write_state(state)

    def remember_differences(
        self, found: Iterable[Difference], is_wanted: Callable[[Difference], bool], state: SyncState
    ) -> list[Difference]:
        """Store what a comparison of the numbers of the state's table found, and the state; see `differences.store`."""
        with self._transaction() as transaction:
            stored = differences.store(transaction, state.table, found, is_wanted)
            transaction.write_state(state)
        return stored

    def forget(self, tables: Sequence[str]) -> list[str]:
        """Forget how far tables are synced, all scopes; return those of which something was known. Rows stay."""
        if not self._exists():
            return []
        with self._transaction() as transaction:
            known = sorted({table for table, _ in transaction.read_states()} & set(tables))
            transaction.forget(known)
            differences.forget(transaction, known)
        return known

    # Reading

    def states(self) -> dict[tuple[str, str], SyncState]:
        """Return (table, scope) -> how far it is synced."""
        with self._reading() as transaction:
            return transaction.read_states() if transaction else {}

    def state(self, table: str, scope: str = "") -> SyncState | None:
        """Return how far a scope of a table is synced, or None if it never was."""
        return self.states().get((table, scope))

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query and fetch its rows."""
        with self.connect() as connection:
            return connection.execute(statement, parameters).fetchall()

    def rows(self, table: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """Return some columns of a destination table, in types of ours, times in UTC without a zone.

        No rows if the table or one of the columns does not exist.
        """
        with self._reading() as transaction:
            types = transaction.column_types(table) if transaction else {}
            if not transaction or not set(columns) <= types.keys():
                return []
            chosen = ", ".join(convert(quote(name), types[name], TYPE_NAMES[type_of(types[name])]) for name in columns)
            return transaction.sql(f"SELECT {chosen} FROM {transaction.table(table)}")

    def earliest(self, table: str, column: str) -> dt.datetime | None:
        """Return the earliest time in a TIMESTAMP column among the rows that are not deleted, in UTC."""
        with self._reading() as transaction:
            return earliest(transaction, table, column) if transaction else None

    def daily_counts(
        self, table: str, by: str, at: str, start: dt.datetime, end: dt.datetime
    ) -> dict[tuple[Any, dt.date], int]:
        """Return (value of `by`, UTC day of `at`) -> number of rows in [start, end) that are not deleted."""
        with self._reading() as transaction:
            return daily_counts(transaction, table, by, Scope(at, start, end)) if transaction else {}

    def wanted_days(self, table: str) -> list[dt.date]:
        """Return the UTC days of a table that are to be read again because their numbers differ, oldest first."""
        with self._reading() as transaction:
            return differences.wanted_days(transaction, table) if transaction else []

    def live_rows(self, spec: TableSpec) -> int:
        """Return the number of rows of a table that are not deleted."""
        with self._reading() as transaction:
            if not transaction or not transaction.column_types(spec.name):
                return 0
            count: int = transaction.value(
                f"SELECT count(*) FROM {transaction.table(spec.name)} WHERE NOT coalesce({quote(DELETED.name)}, false)"
            )
            return count

    def inspect(
        self, tables: Iterable[tuple[TableSpec, Sequence[ForeignKey]]], *, now: dt.datetime
    ) -> dict[str, Inspection]:
        """Look at tables for what should not be; see `inspection.inspect`."""
        if not self._exists():
            return {}
        chosen = list(tables)

        def look(memory: str | None) -> dict[str, Inspection]:
            with self._transaction() as transaction:
                transaction.limit_memory(memory)
                return inspect(transaction, chosen, now)

        return self._within(INSPECTION_MEMORY, "Looking at the tables", look)

    def read(
        self,
        table: str,
        *,
        snapshot: bool = False,
        column: str | None = None,
        windows: Sequence[tuple[dt.datetime, dt.datetime]] | None = None,
    ) -> pa.Table:
        """Read a table (deleted rows included) as Arrow.

        snapshot: read the staging copy. windows: only rows whose `column` lies in one of [start, end).
        """
        where, parameters = "", []
        if column and windows is not None:
            within = [f"({quote(column)} >= ? AND {quote(column)} < ?)" for _ in windows] or ["false"]
            where = f" WHERE {' OR '.join(within)}"
            parameters = [moment.astimezone(dt.UTC).replace(tzinfo=None) for window in windows for moment in window]
        with self.connect() as connection:
            transaction = Transaction(connection, self.schema_name)
            relation = transaction.table(table, self.staging_schema if snapshot else None)
            return connection.sql(f"SELECT * FROM {relation}{where}", params=parameters).to_arrow_table()

    # Connections

    def _within(self, memory: str, what: str, work: Callable[[str | None], _Done]) -> _Done:
        """Do work within a limit of memory, and without it if that is too little; a limit of the user's own wins."""
        if "memory_limit" in (self.connection_config or {}):
            return work(None)
        try:
            return work(memory)
        except (duckdb.OutOfMemoryException, duckdb.TransactionException) as error:
            if not _LACKS_MEMORY.search(str(error)):
                raise
            _log.info("%s needs more memory than %s: trying again without that limit.", what, memory)
        return work(None)

    def _exists(self) -> bool:
        file = file_of(self.database)
        return file is None or file.exists()

    @contextmanager
    def _reading(self) -> Iterator[Transaction | None]:
        """Give a connection to read with, None if there is no database yet."""
        if not self._exists():
            yield None
            return
        with self._connect() as connection:
            yield Transaction(connection, self.schema_name)

    def _now(self) -> dt.datetime:
        moment = (self._clock or clocks.machine_time)()
        return moment.astimezone(dt.UTC).replace(tzinfo=None)

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with self._connect() as connection:
            connection.execute("BEGIN TRANSACTION").fetchall()
            transaction = Transaction(connection, self.schema_name)
            try:
                transaction.ensure_state()
                ensure_loads(transaction)
                transaction.synced_at = unused_stamp(transaction, self._now())
                yield transaction
                transaction.commit()
            except BaseException as error:
                with suppress(duckdb.Error):  # a COMMIT that failed has rolled back already
                    connection.execute("ROLLBACK").fetchall()
                if isinstance(error, duckdb.Error) and is_full(error):
                    raise DiskFull(shown(self.database), "Free some there, and run it again.") from error
                if isinstance(error, duckdb.Error) and (reason := violation(error)):
                    raise ConstraintViolated(self.schema_name, reason) from None
                raise

    @contextmanager
    def _connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database as `connect` does, for a fraction of the time if it is a file that nobody holds."""
        with ExitStack() as stack:
            connection = self._attach(stack) or stack.enter_context(self.connect())
            with interruptible(connection):
                yield connection

    def _attach(self, stack: ExitStack) -> duckdb.DuckDBPyConnection | None:
        file = file_of(self.database)
        if file is None or self.connection_config:
            return None
        self._make_folder(file)
        try:
            return stack.enter_context(attached(file))
        except (duckdb.Error, RuntimeError) as error:
            if is_interrupt(error):
                raise KeyboardInterrupt from None
            if not isinstance(error, duckdb.Error):
                raise
            return None  # `connect` waits, and knows what to say

    def _make_folder(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseUnusable(self.database, f"its folder can't be made: {error.strerror}") from None

    @contextmanager
    def connect(
        self, *, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database, waiting for a process that holds the file; close it at the end. Its time zone is UTC.

        Raises WarehouseLocked, which names that process, after `lock_timeout` seconds, for which a run waits once; and
        WarehouseUnusable if the database can't be opened at all.
        """
        if file := file_of(self.database):
            self._make_folder(file)
        connection = opened(
            self.database,
            self.connection_config or {},
            timeout=self.lock_timeout,
            run_id=self._run_id,
            sleep=sleep,
            clock=clock,
        )
        try:
            connection.execute(IN_UTC).fetchall()
            yield connection
        finally:
            connection.close()

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database as `DuckDBResource` does, but wait for its lock and always close it."""
        with self.connect() as connection:
            yield connection


def _memory(spool: Spool) -> str:
    """Return what DuckDB may use for a load: it would hold many rows in memory that it can as well write to disk."""
    columns = {name for file in spool.files for name in file.types}
    return f"{100 + 2 * len(columns)}MB"
