"""What assets ask of a warehouse, whatever database it is in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import pyarrow as pa

from klaviyo_assets.schema.columns import Columns
from klaviyo_assets.schema.spec import ForeignKey, TableSpec
from klaviyo_assets.warehouse.batches import typed_batch
from klaviyo_assets.warehouse.errors import ColumnFixed, ForeignTable, SnapshotMissing
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Extract, Publication, Sweep
from klaviyo_assets.warehouse.names import fitting
from klaviyo_assets.warehouse.reader import Reader
from klaviyo_assets.warehouse.results import AccountIdentity, Beginning, Difference, Inspection, LoadResult
from klaviyo_assets.warehouse.spool import Spool, temporary_spool
from klaviyo_assets.warehouse.state import SNAPSHOT, SyncState
from klaviyo_assets.warehouse.steps import differences
from klaviyo_assets.warehouse.steps.beginning import admit, begin, store_account
from klaviyo_assets.warehouse.steps.deletes import flag_gone, keys_to_ask_for, missing_keys
from klaviyo_assets.warehouse.steps.ensuring import ensure, is_foreign
from klaviyo_assets.warehouse.steps.fitting import appearing, columns_left_out, fit, fit_relation
from klaviyo_assets.warehouse.steps.inspection import inspect
from klaviyo_assets.warehouse.steps.live_rows import measure_shrinkage, rows_by_day
from klaviyo_assets.warehouse.steps.loading import patch, upsert
from klaviyo_assets.warehouse.steps.loads import (
    NO_READ,
    newest_number,
    oldest_remembered,
)
from klaviyo_assets.warehouse.steps.lookups import correct
from klaviyo_assets.warehouse.steps.origins import source_columns
from klaviyo_assets.warehouse.steps.requests import take_request
from klaviyo_assets.warehouse.steps.rewriting import change_columns, find_old_values, rewrite
from klaviyo_assets.warehouse.steps.states import flush_states, forget, read_state, read_states, recount, write_state
from klaviyo_assets.warehouse.steps.unchanged import (
    is_published,
    is_same_snapshot,
    remember_publication,
    remember_snapshot,
    restamp,
)
from klaviyo_assets.warehouse.transaction import Transaction

INSPECTION_MEMORY = "500MB"
"""What DuckDB may use to look at tables: grouping the keys of millions of rows, it would hold them all."""

_Done = TypeVar("_Done")

_MANY_COLUMNS = 100


class Warehouse(Reader):
    """The tables of one Klaviyo account in a database.

    A database is open only while rows are loaded or read: between the loads of a long run anybody else may use it.

    Whatever writes is told the number that its read was given when it `began`: what others have read or written since
    then is not older. Without one the read begins with the write.
    """

    # Writing

    def begin(
        self,
        *,
        now: dt.datetime | None = None,
        account: AccountIdentity | None = None,
        tables: Iterable[TableSpec] = (),
    ) -> Beginning:
        """Give a read that begins its number, and the states; mend what can't be true of these.

        Args:
            now: The source's time, aware.
            account: The one that is read; the first one that comes is stored.
            tables: Those that are read; what is known of those whose rows lack declared columns is void.

        Raises:
            AnotherAccount: The warehouse holds the rows of another.
            ViewInPlace: A view is in a table's place.
        """
        with self.transaction() as transaction:
            is_new = account is not None and admit(transaction, account, self.place)
            beginning = begin(transaction, transaction.in_schema(self.staging_schema), now, tables)
            if account and is_new:
                store_account(transaction, account)
            return beginning

    def load(
        self,
        extract: Extract,
        spool: Spool,
        *,
        guard: float | None = None,
        days: tuple[dt.datetime, dt.datetime] | None = None,
    ) -> LoadResult:
        """Upsert a spool's rows by primary key and store the extract's states, in one transaction.

        What the extract wants to ask is asked before that, while the file is closed. A column of a property that can't
        be widened stops nothing: what it does not hold goes to the overflow column.

        Args:
            extract: What the rows are.
            spool: The rows.
            guard: Share of the live rows of its coverage that may be flagged; None: any.
            days: Range of time in which the rows of each partition are counted afterwards, [start, end), UTC days.

        Returns:
            What became of the rows, and of the table's columns.

        Raises:
            OutdatedRead: So much was written since the read began that nobody knows what is newer.
            WarehouseError: Any other of `warehouse.errors`. Nothing was written.
        """
        spec, fixed = extract.spec, dict[str, str]()
        pa.default_memory_pool().release_unused()  # by the read, whose rows lie on disk now
        with temporary_spool() as gone:
            asks = bool(extract.coverage and extract.ask)
            if asks:
                self._ask(extract, spool, gone, guard)
            confirmed = gone if asks else None
            while True:
                load = partial(
                    self._load, extract, spool, guard=guard, confirmed=confirmed, fixed=list(fixed), days=days
                )
                try:
                    result = self.within(_memory(spool), f"Loading {spec.name}", load)
                except ColumnFixed as error:
                    if not spec.dynamic or error.column in spec.types or error.column in fixed:
                        raise
                    fixed[error.column] = str(error)
                else:
                    beyond = tuple(name for name in result.overflow if name not in fixed)
                    return replace(result, overflow=beyond, columns_fixed=tuple(fixed.values()))

    def _ask(self, extract: Extract, spool: Spool, gone: Spool, guard: float | None) -> None:
        """Ask about the rows that are missing; write the keys of those that are gone to a spool."""
        assert extract.coverage and extract.ask  # noqa: S101
        missing = []
        with self.reading() as reading:
            if reading:
                number = newest_number(reading) if extract.began is None else extract.began
                missing = keys_to_ask_for(reading, extract.spec, extract.coverage, guard, spool, number)
        if keys := sorted(extract.ask(missing, spool)) if missing else []:
            key = extract.spec.primary_key[0]
            gone.write(typed_batch(Columns(len(keys), {key: keys}), extract.spec))

    def _load(
        self,
        extract: Extract,
        spool: Spool,
        memory: str | None,
        *,
        guard: float | None,
        confirmed: Spool | None,
        fixed: Sequence[str],
        days: tuple[dt.datetime, dt.datetime] | None,
    ) -> LoadResult:
        spec = extract.spec
        with self.transaction() as transaction:
            number = newest_number(transaction) if extract.began is None else extract.began
            transaction.session.limit_memory(memory, one_thread=_columns(spool) > _MANY_COLUMNS)
            void = ensure(transaction, spec)
            spool, comments = fitting(spool, transaction.dialect.capabilities.longest_name)
            left_out = columns_left_out(transaction, spec, spool)
            fitted = fit(transaction, spec, spool, left_out, self.max_dynamic_columns, fixed, comments)
            result = upsert(
                transaction,
                spec,
                spool,
                began=number,
                coverage=extract.coverage,
                guard=guard,
                overflow=fitted.overflow,
                confirmed=confirmed,
            )
            differences.count_read(transaction, spec.name, extract.coverage)
            recount(transaction, spec.name, result.row_count)
            for state in extract.states:
                if not (void and state.scope == ""):  # it began where others seemed to have ended
                    write_state(transaction, replace(state, rows=result.row_count, read_number=number))
            old = find_old_values(transaction, spec)
            by_day = rows_by_day(transaction, spec, *days) if days else {}
        return replace(
            result,
            by_day=by_day,
            columns_added=tuple(fitted.added),
            columns_widened=tuple(fitted.widened),
            overflow=tuple(fitted.overflow),
            columns_left_out=left_out,
            columns_with_old_values=old,
        )

    def patch(self, extract: Extract, spool: Spool) -> LoadResult:
        """Fill columns of rows that the table has already, and store the extract's states, in one transaction.

        A read that began before the one that the stored states speak of changes nothing.
        """
        with self.transaction() as transaction:
            number = newest_number(transaction) if extract.began is None else extract.began
            ensure(transaction, extract.spec)
            before = [read_state(transaction, state.table, state.scope) for state in extract.states]
            if any(state and (state.read_number or 0) > number for state in before):
                count = transaction.count(extract.spec.name)
                return LoadResult(spool.rows, 0, 0, older=spool.rows, row_count=count)
            fit(transaction, extract.spec, spool)
            result = patch(transaction, extract.spec, spool)
            for state in extract.states:
                write_state(transaction, replace(state, read_number=number))
        return result

    def sweep(self, sweep: Sweep, *, guard: float) -> LoadResult:
        """Flag the rows that a sweep shows to be gone, after asking once more about each of them.

        Args:
            sweep: Every key that the source has.
            guard: If more than this share of the live rows are gone, and the sweep does not accept it, the flags wait.

        Raises:
            WarehouseError: One of `warehouse.errors`. Nothing was written.
        """
        with self.reading() as reading:
            missing = missing_keys(reading, sweep) if reading else []
        alive = sweep.still_there(missing) if missing else set()
        gone = [key for key in missing if key not in alive]
        with temporary_spool() as spool, self.transaction() as transaction:
            if gone:
                spool.write(typed_batch(Columns(len(gone), {sweep.spec.primary_key[0]: gone}), sweep.spec))
            ensure(transaction, sweep.spec)
            deleted, waiting = flag_gone(transaction, sweep, spool, None if sweep.accept_shrink else guard)
            for state in sweep.states:
                write_state(transaction, replace(state, read_number=sweep.began))
            row_count = transaction.count(sweep.spec.name)
        return LoadResult(sweep.keys.rows, 0, 0, deleted=deleted, row_count=row_count, waiting=waiting)

    def store_snapshot(self, extract: Extract, spool: Spool) -> LoadResult:
        """Replace the snapshot of a table by a spool's rows, and store the extract's state, in one transaction.

        A read that began before the one that is there already changes nothing: what came into being between the two
        would look deleted.

        Args:
            extract: What the rows are, with one state.
            spool: The rows.

        Raises:
            WarehouseError: One of `warehouse.errors`. Nothing was written.
        """
        with self.transaction() as transaction:
            result = self._store_snapshot(transaction, extract, spool)
            return replace(result, shrinkage=measure_shrinkage(transaction, extract.spec, self.staging_schema))

    def _store_snapshot(self, transaction: Transaction, extract: Extract, spool: Spool) -> LoadResult:
        spec, (state,) = extract.spec, extract.states
        staging = transaction.in_schema(self.staging_schema)
        staging.create_schema()
        staging.has_table(spec.name)
        before = read_state(transaction, spec.name, SNAPSHOT)
        if before is None and is_foreign(staging, spec):
            raise ForeignTable(f"{self.staging_schema}.{spec.name}")
        number = newest_number(transaction) if extract.began is None else extract.began
        if before and (before.read_number or 0) > number and staging.column_types(spec.name):
            count = staging.value(f"SELECT count(*) FROM {staging.table(spec.name)}")
            return LoadResult(spool.rows, 0, 0, older=spool.rows, row_count=count)
        if before and before.rows is not None and is_same_snapshot(transaction, staging, spec, spool):
            write_state(transaction, replace(state, rows=before.rows, read_number=number))
            return LoadResult(before.rows, before.rows, 0, row_count=before.rows)
        if staging.dialect.capabilities.transactional_ddl:
            staging.drop(spec.name)
        if not staging.dialect.capabilities.transactions:  # no half of a snapshot may count as one
            forget(transaction, [spec.name], SNAPSHOT)
            flush_states(transaction)
        ensure(staging, spec)
        spool, comments = fitting(spool, staging.dialect.capabilities.longest_name)
        added = fit(staging, spec, spool, comments=comments).added
        result = upsert(staging, spec, spool)
        write_state(transaction, replace(state, rows=result.rows, read_number=number))
        remember_snapshot(transaction, staging, spec, spool)
        return replace(result, columns_added=tuple(added))

    def publish(self, publication: Publication, *, guard: float, run_id: str | None = None) -> LoadResult:
        """Publish a table's snapshot and flag what vanished, in one transaction.

        Args:
            publication: Which table, and what may be inferred from its snapshot.
            guard: If more than this share of the live rows vanished, and the publication does not accept it, the
                flags wait.
            run_id: Of the run, for the table's state.

        Raises:
            SnapshotMissing: There is none.
            WarehouseError: Any other of `warehouse.errors`. Nothing was written.
        """
        spec = publication.spec
        with self.transaction() as transaction:
            snapshot = read_state(transaction, spec.name, SNAPSHOT)
            if not snapshot:
                raise SnapshotMissing(spec.name)
            for dependent in publication.dependents:  # before anything is changed
                transaction.has_table(dependent.name)
            # Nothing but publications writes here, so an older snapshot is not outdated.
            began = max(snapshot.read_number or NO_READ, oldest_remembered(transaction))
            complete = publication.infers_deletes and snapshot.complete
            if complete and is_published(transaction, spec):
                result = restamp(transaction, spec, began)
            else:
                ensure(transaction, spec)
                staging = transaction.in_schema(self.staging_schema)
                if publication.dependents:
                    transaction.session.reserve()
                source = staging.source(spec.name)
                fit_relation(transaction, spec, source)
                result = upsert(
                    transaction,
                    spec,
                    source,
                    began=began,
                    coverage=replace(WHOLE_TABLE, read_at=snapshot.synced_through) if complete else None,
                    guard=None if publication.accept_shrink else guard,
                )
                remember_publication(transaction, spec, result, complete=complete)
            corrected = sum(
                correct(transaction, dependent, lookup)
                for dependent in publication.dependents
                for lookup in dependent.lookups
                if lookup.table == spec.name
            )
            write_state(
                transaction,
                SyncState(
                    spec.name,
                    synced_through=snapshot.synced_through,
                    complete=True,
                    rows=result.rows,
                    run_id=run_id,
                    read_number=snapshot.read_number,
                ),
            )
            old = find_old_values(transaction, spec)
        return replace(result, corrected=corrected, columns_with_old_values=old)

    def rewrite(self, specs: Sequence[TableSpec]) -> dict[str, list[str]]:
        """Remove and hash the values of blocked and hashed columns, here and in the snapshots, in one transaction.

        Returns table -> what was done, in words; tables with nothing to do are not in it.
        """
        if not self.exists():
            return {}
        done: dict[str, list[str]] = {}
        with self.transaction() as transaction:
            staging = transaction.in_schema(self.staging_schema)
            places = ((transaction, ""), (staging, " (staging)"))
            changed = [(change_columns(place, spec), suffix) for spec in specs for place, suffix in places]
            transaction.session.reserve()
            for rewriting, suffix in changed:
                if found := rewrite(rewriting):
                    done[rewriting.spec.name + suffix] = found
            for spec in specs:
                find_old_values(transaction, spec)
        return done

    def adopt(self, specs: Iterable[TableSpec], state: SyncState | None) -> None:
        """Take over those tables that are there already, made and filled by somebody else, in one transaction.

        They get the columns that are declared and that they lack, and the types and the key that rows are found by.
        Their appearing columns count as come from the source: a row that comes without one of them empties it. Not so
        those that can't be emptied, which no source has made.

        Args:
            specs: Of tables that may be there.
            state: How far one of them counts as read; its number of rows is counted here.

        Raises:
            WarehouseError: One of `warehouse.errors`. Nothing was changed.
        """
        with self.transaction() as transaction:
            there = [spec for spec in specs if transaction.has_table(spec.name)]
            for spec in there:
                ensure(transaction, spec)
            for spec in there:
                own = transaction.session.never_empty(self.schema_name, spec.name)
                source_columns(transaction, spec, appearing(spec, transaction.column_types(spec.name)) - own)
            if state:
                count, number = transaction.count(state.table), newest_number(transaction)
                write_state(transaction, replace(state, rows=count, read_number=number))

    # State

    def remember(self, *states: SyncState) -> None:
        """Store states that come with no rows."""
        with self.transaction() as transaction:
            for state in states:
                write_state(transaction, state)

    def take_request(self, name: str, quota: int, seconds: float) -> float:
        """Note that something is asked for and return 0; or return the seconds until it may be.

        Args:
            name: Of what is asked for.
            quota: How often that may be in so many seconds.
            seconds: By the clock that rows are stamped with.

        Raises:
            WarehouseError: One of `warehouse.errors`. Nothing was noted.
        """
        with self.transaction() as transaction:
            return take_request(transaction, name, quota, seconds)

    def remember_differences(
        self, found: Iterable[Difference], is_wanted: Callable[[Difference], bool], state: SyncState
    ) -> list[Difference]:
        """Store what a comparison of the numbers of the state's table found, and the state; see `differences.store`."""
        with self.transaction() as transaction:
            stored = differences.store(transaction, state.table, found, is_wanted)
            write_state(transaction, state)
        return stored

    def forget(self, tables: Sequence[str]) -> list[str]:
        """Forget how far tables are synced, all scopes; return those of which something was known. Rows stay."""
        if not self.exists():
            return []
        with self.transaction() as transaction:
            known = sorted({table for table, _ in read_states(transaction)} & set(tables))
            forget(transaction, known)
            differences.forget(transaction, known)
        return known

    # Looking

    def inspect(
        self, tables: Iterable[tuple[TableSpec, Sequence[ForeignKey]]], *, now: dt.datetime
    ) -> dict[str, Inspection]:
        """Look at tables for what should not be; see `inspection.inspect`."""
        if not self.exists():
            return {}
        chosen = list(tables)

        def look(memory: str | None) -> dict[str, Inspection]:
            with self.transaction() as transaction:
                transaction.session.limit_memory(memory)
                return inspect(transaction, chosen, now)

        return self.within(INSPECTION_MEMORY, "Looking at the tables", look)


def _memory(spool: Spool) -> str:
    """Return what DuckDB may use for a load: it would hold many rows in memory that it can as well write to disk.

    Many columns are written by one thread, which needs less.
    """
    columns = _columns(spool)
    return f"{100 + (columns // 4 if columns > _MANY_COLUMNS else columns * 2)}MB"


def _columns(spool: Spool) -> int:
    return len({name for file in spool.files for name in file.types})
