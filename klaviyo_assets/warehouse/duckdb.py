"""The DuckDB warehouse."""

from __future__ import annotations

import datetime as dt
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
from dagster_duckdb import DuckDBResource
from pydantic import Field, PrivateAttr

from klaviyo_assets.warehouse.attached import attached
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.columns import Columns
from klaviyo_assets.warehouse.deletes import check_shrink, flag_gone, missing_keys
from klaviyo_assets.warehouse.errors import DiskFull, SnapshotMissing, WarehouseLocked, WarehouseUnusable, is_full
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Publication, Scope, Sweep, SyncState
from klaviyo_assets.warehouse.fitting import columns_left_out, fit
from klaviyo_assets.warehouse.inspection import Inspection, inspect
from klaviyo_assets.warehouse.interrupts import interruptible
from klaviyo_assets.warehouse.live_rows import daily_counts, earliest, measure_shrinkage
from klaviyo_assets.warehouse.loading import LoadResult, patch, upsert
from klaviyo_assets.warehouse.lookups import correct
from klaviyo_assets.warehouse.new_file import copy_to_new_file
from klaviyo_assets.warehouse.rewriting import find_old_values, rewrite
from klaviyo_assets.warehouse.schema import DELETED, ForeignKey, TableSpec
from klaviyo_assets.warehouse.spool import Spool, temporary_spool
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets.warehouse.transaction import Transaction

SNAPSHOT = "snapshot"
"""Scope of the state of a table's staging copy."""

INSPECTION_MEMORY = "500MB"
"""What DuckDB may use to look at tables: grouping the keys of millions of rows, it would hold them all."""

_Done = TypeVar("_Done")

_log = logging.getLogger(__name__)
_LACKS_MEMORY = re.compile("memory|pin block", re.IGNORECASE)
_LOCKED = re.compile("Could not set lock|lock is held|used by another process")
_HOLDER = re.compile(r"Conflicting lock is held in (.+?)(?:\. |$)")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class DuckDBWarehouse(DuckDBResource):
    """A DuckDB file (or MotherDuck) that holds the tables of one Klaviyo account.

    Usable wherever a `DuckDBResource` is. The file is open only while rows are loaded or read: between the loads of
    a long run anybody else may read it.

    Whatever writes is told when its run `began`: what others have written since then is not older than what it read.
    """

    schema_name: str = Field(default="klaviyo", description="Schema of the destination tables.")
    lock_timeout: float = Field(
        default=120.0, description="Seconds to wait for another process that holds the database file."
    )

    max_dynamic_columns: int = Field(
        default=2000, description="Columns that may appear in a table; the values of more go to one JSON column."
    )
    _clock: Callable[[], dt.datetime] = PrivateAttr(default_factory=lambda: _now)

    @property
    def staging_schema(self) -> str:
        """Schema of the snapshots."""
        return f"{self.schema_name}_staging"

    # Writing

    def load(
        self,
        spec: TableSpec,
        spool: Spool,
        *,
        began: dt.datetime,
        scope: Scope | None = None,
        guard: float | None = None,
        states: Sequence[SyncState] = (),
    ) -> LoadResult:
        """Upsert a spool's rows by primary key and store the states, in one transaction."""
        return self._within(
            _memory(spool),
            f"Loading {spec.name}",
            lambda memory: self._load(spec, spool, began=began, scope=scope, guard=guard, states=states, memory=memory),
        )

    def _load(
        self,
        spec: TableSpec,
        spool: Spool,
        *,
        began: dt.datetime,
        scope: Scope | None,
        guard: float | None,
        states: Sequence[SyncState],
        memory: str | None,
    ) -> LoadResult:
        with self._transaction(self.schema_name, began) as transaction:
            transaction.limit_memory(memory)
            transaction.ensure(spec)
            left_out = columns_left_out(transaction, spec, spool)
            added, widened, overflow = fit(transaction, spec, spool, left_out, self.max_dynamic_columns)
            result = upsert(transaction, spec, spool, scope=scope, guard=guard, overflow=overflow)
            for state in states:
                transaction.write_state(state)
            old = find_old_values(transaction, spec)
        return replace(
            result,
            columns_added=tuple(added),
            columns_widened=tuple(widened),
            overflow=overflow,
            columns_left_out=left_out,
            columns_with_old_values=old,
        )

    def patch(
        self, spec: TableSpec, spool: Spool, *, began: dt.datetime, states: Sequence[SyncState] = ()
    ) -> LoadResult:
        """Fill columns of rows that the table has already, and store the states, in one transaction."""
        with self._transaction(self.schema_name, began) as transaction:
            transaction.ensure(spec)
            fit(transaction, spec, spool)
            result = patch(transaction, spec, spool)
            for state in states:
                transaction.write_state(state)
        return result

    def sweep(self, sweep: Sweep, *, began: dt.datetime, guard: float) -> LoadResult:
        """Flag the rows that a sweep shows to be gone, after asking once more about each of them."""
        with self._reading() as reading:
            missing = missing_keys(reading, sweep) if reading else []
        alive = sweep.still_there(missing) if missing else set()
        gone = [key for key in missing if key not in alive]
        live = self.live_rows(sweep.spec)
        if not sweep.accept_shrink:
            check_shrink(sweep.spec, before=live, going=len(gone), guard=guard)
        with temporary_spool() as spool, self._transaction(self.schema_name, began) as transaction:
            if gone:
                spool.write(typed_batch(Columns(len(gone), {sweep.spec.primary_key[0]: gone}), sweep.spec))
            transaction.ensure(sweep.spec)
            deleted = flag_gone(transaction, sweep, spool)
            for state in sweep.states:
                transaction.write_state(state)
            row_count = transaction.value(f"SELECT count(*) FROM {transaction.table(sweep.spec.name)}")
        return LoadResult(sweep.keys.rows, 0, 0, deleted=deleted, row_count=row_count)

    def store_snapshot(self, spec: TableSpec, spool: Spool, *, began: dt.datetime, state: SyncState) -> LoadResult:
        """Replace the staging copy of a table by a spool's rows, in one transaction.

        A read that began before the one that is there already changes nothing: what came into being between the two
        would look deleted.
        """
        with self._transaction(self.staging_schema, began) as transaction:
            transaction.create_schema()
            destination = replace(transaction, schema=self.schema_name)
            destination.ensure_state()
            before = destination.read_state(spec.name, SNAPSHOT)
            if _is_newer(before, state) and transaction.column_types(spec.name):
                count = transaction.value(f"SELECT count(*) FROM {transaction.table(spec.name)}")
                shrinkage = measure_shrinkage(destination, spec, self.staging_schema)
                return LoadResult(spool.rows, 0, 0, older=spool.rows, row_count=count, shrinkage=shrinkage)
            transaction.alter(spec.name, f"DROP TABLE IF EXISTS {transaction.table(spec.name)}")
            transaction.ensure(spec)
            added, *_ = fit(transaction, spec, spool)
            result = upsert(transaction, spec, spool)
            destination.write_state(replace(state, rows=result.rows))
            shrinkage = measure_shrinkage(destination, spec, self.staging_schema)
        return replace(result, columns_added=tuple(added), shrinkage=shrinkage)

    def publish(
        self, publication: Publication, *, began: dt.datetime, guard: float, run_id: str | None = None
    ) -> LoadResult:
        """Publish a table's staging copy into the destination and flag what vanished, in one transaction.

        Raises SnapshotMissing, or SuspiciousSnapshot if more than the share `guard` of the live rows would be
        flagged and the publication does not accept that.
        """
        spec = publication.spec
        with self._transaction(self.schema_name, began) as transaction:
            snapshot = transaction.read_state(spec.name, SNAPSHOT)
            if not snapshot or not snapshot.complete:
                raise SnapshotMissing(
                    f"There is no complete snapshot of {spec.name} yet: materialize klaviyo_staging/{spec.name}."
                )
            transaction.ensure(spec)
            result = upsert(
                transaction,
                spec,
                transaction.table(spec.name, self.staging_schema),
                scope=WHOLE_TABLE if publication.infers_deletes else None,
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
        with self._transaction(self.schema_name) as transaction:
            staging = replace(transaction, schema=self.staging_schema)
            for spec in specs:
                for place, suffix in ((transaction, ""), (staging, " (staging)")):
                    if found := rewrite(place, spec):
                        done[spec.name + suffix] = found
                find_old_values(transaction, spec)
        return done

    def copy_to_new_file(self) -> str:
        """Replace the database file by a copy of it, without what it once held; return what was done, in words."""
        if ":" in self.database:
            return f"{self.database} is no file of this machine: it was not copied to a new one."
        if not self._exists():
            return "There is no database yet."
        file = Path(self.database)
        before = file.stat().st_size
        with self.connect() as connection:
            copy_to_new_file(connection, file)
        return f"{self.database} was copied to a new file: {before:,} bytes before, {file.stat().st_size:,} now."

    def try_to_write(self) -> None:
        """Raise what a load would raise, if the warehouse can't be written; change nothing."""
        with self.connect() as connection:
            connection.execute("BEGIN TRANSACTION").fetchall()
            try:
                transaction = Transaction(connection, self.schema_name, dt.datetime.min, dt.datetime.min)
                transaction.ensure_state()
            finally:
                connection.execute("ROLLBACK").fetchall()

    # State

    def remember(self, *states: SyncState) -> None:
        """Store states that come with no rows."""
        with self._transaction(self.schema_name) as transaction:
            for state in states:
                transaction.write_state(state)

    def forget(self, tables: Sequence[str]) -> list[str]:
        """Forget how far tables are synced, all scopes; return those of which something was known. Rows stay."""
        if not self._exists():
            return []
        with self._transaction(self.schema_name) as transaction:
            known = sorted({table for table, _ in transaction.read_states()} & set(tables))
            transaction.forget(known)
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
        """Return some columns of a destination table; no rows if the table or one of the columns does not exist."""
        with self._reading() as transaction:
            if not transaction or not set(columns) <= transaction.column_types(table).keys():
                return []
            chosen = ", ".join(quote(name) for name in columns)
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
            with self._transaction(self.schema_name) as transaction:
                transaction.limit_memory(memory)
                return inspect(transaction, chosen, now)

        return self._within(INSPECTION_MEMORY, "Looking at the tables", look)

    def read(
        self,
        table: str,
        *,
        snapshot: bool = False,
        column: str | None = None,
        window: tuple[dt.datetime, dt.datetime] | None = None,
    ) -> pa.Table:
        """Read a table (deleted rows included) as Arrow.

        snapshot: read the staging copy. window: only rows whose `column` lies in [start, end), UTC.
        """
        where, parameters = "", []
        if column and window:
            where = f" WHERE {quote(column)} >= ? AND {quote(column)} < ?"
            parameters = [moment.astimezone(dt.UTC).replace(tzinfo=None) for moment in window]
        with self.connect() as connection:
            transaction = Transaction(connection, self.schema_name, dt.datetime.min, dt.datetime.min)
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
        return ":" in self.database or Path(self.database).exists()

    @contextmanager
    def _reading(self) -> Iterator[Transaction | None]:
        """Give a connection to read with, None if there is no database yet."""
        if not self._exists():
            yield None
            return
        with self._connect() as connection:
            yield Transaction(connection, self.schema_name, dt.datetime.min, dt.datetime.min)

    @contextmanager
    def _transaction(self, schema: str, began: dt.datetime | None = None) -> Iterator[Transaction]:
        with self._connect() as connection:
            connection.execute("BEGIN TRANSACTION").fetchall()
            now = self._clock()
            moments = (moment.astimezone(dt.UTC).replace(tzinfo=None) for moment in (began or now, now))
            transaction = Transaction(connection, schema, *moments)
            try:
                with interruptible(connection):
                    if schema == self.schema_name:
                        transaction.ensure_state()
                    yield transaction
                    transaction.commit()
            except BaseException as error:
                with suppress(duckdb.Error):  # a COMMIT that failed has rolled back already
                    connection.execute("ROLLBACK").fetchall()
                if isinstance(error, duckdb.Error) and is_full(error):
                    raise DiskFull(self.database, "Free some there, and run it again.") from error
                raise

    @contextmanager
    def _connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database as `connect` does, for a fraction of the time if it is a file that nobody holds."""
        with ExitStack() as stack:
            connection = self._attach(stack) or stack.enter_context(self.connect())
            yield connection

    def _attach(self, stack: ExitStack) -> duckdb.DuckDBPyConnection | None:
        if ":" in self.database or self.connection_config:
            return None
        file = Path(self.database)
        self._make_folder(file)
        try:
            return stack.enter_context(attached(file))
        except duckdb.Error:
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
        """Open the database, waiting for a process that holds the file; close it at the end.

        Raises WarehouseLocked, which names that process, after `lock_timeout` seconds, and WarehouseUnusable if the
        database can't be opened at all.
        """
        if ":" not in self.database:
            self._make_folder(Path(self.database))
        connection = self._open(clock() + self.lock_timeout, sleep, clock)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database as `DuckDBResource` does, but wait for its lock and always close it."""
        with self.connect() as connection:
            yield connection

    def _open(
        self, deadline: float, sleep: Callable[[float], None], clock: Callable[[], float]
    ) -> duckdb.DuckDBPyConnection:
        pause = 0.05
        waiting = False
        while True:
            try:
                return duckdb.connect(self.database, config=self.connection_config or {})
            except duckdb.Error as error:
                reason = str(error).partition("\n")[0].removeprefix("IO Error: ").replace(f'"{self.database}"', "it")
                if "newer version" in str(error):
                    reason = f"a newer version of DuckDB than {duckdb.__version__} has written it."
                who = _holder(reason)
                if who is None and isinstance(error, duckdb.IOException):
                    raise WarehouseUnusable(self.database, reason) from None
                if who is None:
                    raise
                if clock() >= deadline:
                    raise WarehouseLocked(
                        f"{self.database} has been held by {who} for {self.lock_timeout:g} s. Close it there, and run "
                        "it again. Readers should open the file read-only and only while they read."
                    ) from None
                if not waiting:
                    _log.info("Waiting for %s, which holds %s.", who, self.database)
                    waiting = True
                sleep(pause)
                pause = min(pause * 1.5, 2.0)


def _holder(error: str) -> str | None:
    """Return who holds the file, if that is why it can't be opened."""
    if "file handle conflict" in error:
        return "another run in this process"  # DuckDB can't open a file that is just being opened or closed
    if not _LOCKED.search(error):
        return None
    holder = _HOLDER.search(error)
    return holder.group(1) if holder else "another process"


def _memory(spool: Spool) -> str:
    """Return what DuckDB may use for a load: it would hold many rows in memory that it can as well write to disk."""
    columns = {name for file in spool.files for name in file.types}
    return f"{100 + 2 * len(columns)}MB"


def _is_newer(before: SyncState | None, state: SyncState) -> bool:
    if before is None or before.synced_through is None or state.synced_through is None:
        return False
    return before.synced_through > state.synced_through
