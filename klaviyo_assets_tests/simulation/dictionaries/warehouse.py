"""The warehouse: what `Warehouse` promises, without a database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pydantic import PrivateAttr

from klaviyo_assets import clock
from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec, Type
from klaviyo_assets.warehouse.arrow import ARROW_TYPES
from klaviyo_assets.warehouse.errors import AnotherAccount, SnapshotMissing
from klaviyo_assets.warehouse.extract import WHOLE_TABLE, Coverage, Extract, Publication, Sweep
from klaviyo_assets.warehouse.guard import is_suspicious
from klaviyo_assets.warehouse.results import AccountIdentity, Beginning, Difference, LoadResult, Shrinkage
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.state import SNAPSHOT, SyncState
from klaviyo_assets.warehouse.steps.deletes import MOST_ASKED
from klaviyo_assets.warehouse.steps.loads import KEPT, NO_READ
from klaviyo_assets.warehouse.transaction import naive
from klaviyo_assets.warehouse.warehouse import Warehouse
from klaviyo_assets_tests.simulation.dictionaries.content import Content, Row, Table
from klaviyo_assets_tests.simulation.dictionaries.spools import keys, parts
from klaviyo_assets_tests.simulation.dictionaries.writing import Came, Writing, is_covered

TICK = dt.timedelta(microseconds=1)


class Store:
    """What has been committed, who is told of each step, and the time: also of copies of the warehouse."""

    def __init__(self) -> None:
        self.content = Content()
        self.tick: Callable[[], None] = lambda: None
        self.clock: clock.Clock = lambda: clock.machine_time()


class Dictionaries(Warehouse):
    """Of what it inherits only what no database is needed for works; the rest raises NotImplementedError.

    Columns of properties have no limit, and no policy hides any.
    """

    _store: Store = PrivateAttr(default_factory=Store)

    @property
    def place(self) -> str:
        return "A warehouse of dictionaries"

    @property
    def store(self) -> Store:
        return self._store

    def exists(self) -> bool:
        return True

    def session(self, *, writes: bool) -> Any:
        raise NotImplementedError("There is no database.")

    @contextmanager
    def connect(self) -> Iterator[None]:
        """Nobody waits for anybody."""
        yield

    def set_clock(self, now: dt.datetime) -> None:
        self._store.clock = lambda: now

    def _reading(self) -> Content:
        self._store.tick()
        return self._store.content

    @contextmanager
    def _writing(self) -> Iterator[Writing]:
        store = self._store
        store.tick()
        now, last = naive(store.clock()), store.content.stamp
        assert now
        stamp = last + TICK if now <= last < now + dt.timedelta(seconds=1) else now
        writing = Writing(store.content.copy(), stamp, store.tick)
        writing.content.stamp = stamp
        yield writing
        store.tick()
        store.content = writing.content
        store.tick()

    # Writing

    def begin(
        self,
        *,
        now: dt.datetime | None = None,
        account: AccountIdentity | None = None,
        tables: Iterable[TableSpec] = (),
    ) -> Beginning:
        with self._writing() as writing:
            content, specs = writing.content, list(tables)
            if account and content.account and content.account.id != account.id:
                raise AnotherAccount(self.place, str(content.account), str(account))
            mended = writing.mend(now, specs)
            for spec in specs:
                if spec.name in content.tables:
                    writing.ensure(spec)
            content.account = account or content.account
            return Beginning(writing.next_number(), dict(content.states), tuple(mended))

    def load(
        self,
        extract: Extract,
        spool: Spool,
        *,
        guard: float | None = None,
        days: tuple[dt.datetime, dt.datetime] | None = None,
    ) -> LoadResult:
        spec, confirmed = extract.spec, None
        assert spec.policy is None
        if extract.coverage and extract.ask:
            missing = self._to_ask_for(extract, spool, guard)
            confirmed = set(extract.ask(missing, spool)) if missing else set()
        with self._writing() as writing:
            number = writing.content.number if extract.began is None else extract.began
            void = writing.ensure(spec)
            table = writing.content.tables[spec.name]
            added, widened = writing.fit(spec, table, spool)
            came, names = writing.came(spec, table, spool)
            result = writing.upsert(
                spec, came, names, number, coverage=extract.coverage, guard=guard, confirmed=confirmed
            )
            writing.count_read(spec.name, extract.coverage)
            for state in extract.states:
                if not (void and state.scope == ""):
                    writing.write_state(replace(state, rows=result.row_count, read_number=number))
        return replace(result, columns_added=tuple(added), columns_widened=tuple(widened))

    def _to_ask_for(self, extract: Extract, spool: Spool, guard: float | None) -> list[str]:
        content, spec = self._reading(), extract.spec
        if spec.name not in content.tables:
            return []
        assert extract.coverage
        number = content.number if extract.began is None else extract.began
        writing = Writing(content, dt.datetime.min, self._store.tick)
        writing.check(spec.name, number)
        covered = writing.covered(content.tables[spec.name], extract.coverage, number)
        there = _keys_of(spec, spool)
        missing = {key[0]: row for key, row in covered.items() if key[0] not in there}
        suspicious = guard is None or is_suspicious(spec, live=len(covered), going=len(missing), guard=guard)
        if len(missing) > MOST_ASKED and suspicious:
            return []
        return sorted(missing, key=lambda key: (missing[key].stamp, key))[:MOST_ASKED]

    def patch(self, extract: Extract, spool: Spool) -> LoadResult:
        spec = extract.spec
        with self._writing() as writing:
            content = writing.content
            number = content.number if extract.began is None else extract.began
            writing.ensure(spec)
            table = content.tables[spec.name]
            before = [content.states.get((state.table, state.scope)) for state in extract.states]
            if any(state and (state.read_number or 0) > number for state in before):
                return LoadResult(spool.rows, 0, 0, older=spool.rows, row_count=len(table.rows))
            writing.fit(spec, table, spool)
            came, names = writing.came(spec, table, spool)
            updated = writing.fill(spec, came, names)
            for state in extract.states:
                writing.write_state(replace(state, read_number=number))
            return LoadResult(len(came), 0, updated, row_count=len(table.rows))

    def sweep(self, sweep: Sweep, *, guard: float) -> LoadResult:
        content, name = self._reading(), sweep.spec.name
        missing = []
        if name in content.tables:
            Writing(content, dt.datetime.min, self._store.tick).check(name, sweep.began)
            there, before = keys(sweep.keys), naive(sweep.created_before)
            assert before
            missing = [
                key[0]
                for key, row in content.tables[name].live().items()
                if row.load <= sweep.began and key[0] not in there
                if sweep.created not in row.values or row.values[sweep.created] < before
            ]
        alive = sweep.still_there(missing) if missing else set()
        with self._writing() as writing:
            writing.ensure(sweep.spec)
            gone = set(missing) - alive
            deleted, waiting = writing.flag_gone(sweep, gone, None if sweep.accept_shrink else guard)
            for state in sweep.states:
                writing.write_state(replace(state, read_number=sweep.began))
            count = len(writing.content.tables[name].rows)
        return LoadResult(sweep.keys.rows, 0, 0, deleted=deleted, row_count=count, waiting=waiting)

    def store_snapshot(self, extract: Extract, spool: Spool) -> LoadResult:
        spec, (state,) = extract.spec, extract.states
        with self._writing() as writing:
            content = writing.content
            number = content.number if extract.began is None else extract.began
            before, there = content.states.get((spec.name, SNAPSHOT)), content.snapshots.get(spec.name)
            if before and (before.read_number or 0) > number and there is not None:
                result = LoadResult(spool.rows, 0, 0, older=spool.rows, row_count=len(there.rows))
            else:
                table = content.snapshots[spec.name] = Table(dict(spec.types))
                writing.fit(spec, table, spool)
                came, _ = writing.came(spec, table, spool)
                table.rows = {key: Row(values, False, writing.stamp, number, number) for key, values in came.items()}
                writing.tick()
                writing.write_state(replace(state, rows=len(came), read_number=number))
                result = LoadResult(len(came), len(came), 0, row_count=len(came))
            own = content.tables.get(spec.name, Table()).live()
            staged = content.snapshots[spec.name].rows
            return replace(result, shrinkage=Shrinkage(len(own), len(own.keys() - staged.keys()), len(staged)))

    def publish(self, publication: Publication, *, guard: float, run_id: str | None = None) -> LoadResult:
        spec = publication.spec
        with self._writing() as writing:
            content = writing.content
            snapshot = content.states.get((spec.name, SNAPSHOT))
            if not snapshot:
                raise SnapshotMissing(spec.name)
            began = max(snapshot.read_number or NO_READ, content.number - KEPT)
            complete = publication.infers_deletes and snapshot.complete
            writing.ensure(spec)
            source, table = content.snapshots[spec.name], content.tables[spec.name]
            came: Came = {key: row.values for key, row in source.rows.items()}
            for name in spec.types:
                table.set_type(name, source.types[name])
            result = writing.upsert(
                spec,
                came,
                set(spec.types),
                began,
                coverage=replace(WHOLE_TABLE, read_at=snapshot.synced_through) if complete else None,
                guard=None if publication.accept_shrink else guard,
            )
            corrected = sum(
                writing.correct(dependent, lookup)
                for dependent in publication.dependents
                for lookup in dependent.lookups
                if lookup.table == spec.name
            )
            published = SyncState(spec.name, complete=True, rows=result.rows, run_id=run_id)
            writing.write_state(
                replace(published, synced_through=snapshot.synced_through, read_number=snapshot.read_number)
            )
            return replace(result, corrected=corrected)

    def remember(self, *states: SyncState) -> None:
        with self._writing() as writing:
            for state in states:
                writing.write_state(state)

    def take_request(self, name: str, quota: int, seconds: float) -> float:
        with self._writing() as writing:
            long = dt.timedelta(seconds=seconds)
            ended = writing.stamp - long
            recent = [at for at in writing.content.requests.get(name, ()) if ended < at < writing.stamp + long]
            if len(recent) >= quota:
                return (recent[-quota] - ended).total_seconds()
            recent.append(max([writing.stamp, *(at + TICK for at in recent[-1:])]))
            writing.content.requests[name] = recent
            return 0.0

    def remember_differences(
        self, found: Iterable[Difference], is_wanted: Callable[[Difference], bool], state: SyncState
    ) -> list[Difference]:
        with self._writing() as writing:
            known = writing.content.differences.get(state.table, ())
            reads = {(each.day, each.group, each.theirs, each.ours): each.reads for each in known}
            counted = [
                replace(each, reads=reads.get((each.day, each.group, each.theirs, each.ours), 0)) for each in found
            ]
            stored = [replace(each, wanted=is_wanted(each)) for each in counted]
            writing.content.differences[state.table] = stored
            writing.write_state(state)
            return list(stored)

    def forget(self, tables: Sequence[str]) -> list[str]:
        with self._writing() as writing:
            known = sorted({table for table, _ in writing.content.states} & set(tables))
            writing.forget(known)
            for name in known:
                writing.content.differences.pop(name, None)
            return known

    # Looking

    def account(self) -> AccountIdentity | None:
        return self._reading().account

    def states(self) -> dict[tuple[str, str], SyncState]:
        return dict(self._reading().states)

    def rows(self, table: str, columns: Sequence[str], *, as_read: bool = False) -> list[tuple[Any, ...]]:
        found = self._reading().tables.get(table, Table())
        if not {*columns} <= {*found.types, SYNCED.name, DELETED.name}:
            return []
        rows: Collection[Row] = found.rows.values()
        if as_read:
            rows = sorted(rows, key=lambda row: (row.read, row.stamp))
        return [tuple(_system(row).get(name, row.values.get(name)) for name in columns) for row in rows]

    def values(self, table: str, column: str, *, most: int | None = None) -> list[Any]:
        found = dict.fromkeys(value for (value,) in self.rows(table, [column]) if value is not None)
        return list(found)[:most]

    def earliest(self, table: str, column: str) -> dt.datetime | None:
        live = self._reading().tables.get(table, Table()).live().values()
        first: dt.datetime | None = min((row.values[column] for row in live if column in row.values), default=None)
        return first.replace(tzinfo=dt.UTC) if first else None

    def daily_counts(
        self, table: str, by: str, at: str, start: dt.datetime, end: dt.datetime
    ) -> dict[tuple[Any, dt.date], int]:
        counts: dict[tuple[Any, dt.date], int] = {}
        for row in self._reading().tables.get(table, Table()).live().values():
            if is_covered(row.values, Coverage(at, start, end)):
                group = row.values.get(by), row.values[at].date()
                counts[group] = counts.get(group, 0) + 1
        return counts

    def wanted_days(self, table: str) -> list[dt.date]:
        return sorted({each.day for each in self._reading().differences.get(table, ()) if each.wanted})

    def live_rows(self, spec: TableSpec) -> int:
        return len(self._reading().tables.get(spec.name, Table()).live())

    def read(
        self,
        table: str,
        *,
        snapshot: bool = False,
        column: str | None = None,
        windows: Sequence[tuple[dt.datetime, dt.datetime]] | None = None,
    ) -> pa.Table:
        content = self._reading()
        found = (content.snapshots if snapshot else content.tables)[table]
        types = {**found.types, SYNCED.name: Type.TIMESTAMP, DELETED.name: Type.BOOLEAN}
        chosen = [
            {**row.values, **_system(row)}
            for row in found.rows.values()
            if not column
            or windows is None
            or any(is_covered(row.values, Coverage(column, start, end)) for start, end in windows)
        ]
        return pa.Table.from_pylist(chosen, pa.schema([(name, ARROW_TYPES[kind]) for name, kind in types.items()]))


def _keys_of(spec: TableSpec, spool: Spool) -> set[Any]:
    """Return the keys of a spool's rows, of a table whose key is one column."""
    (name,) = spec.primary_key
    return {row[name] for _, rows in parts(spool) for row in rows}


def _system(row: Row) -> dict[str, Any]:
    return {SYNCED.name: row.stamp, DELETED.name: row.deleted}
