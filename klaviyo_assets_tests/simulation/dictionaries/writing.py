"""A transaction on dictionaries: on a copy of all that is there, which takes its place at the end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

from klaviyo_assets.schema.spec import Lookup, TableSpec, Type
from klaviyo_assets.schema.values import EXACT_IN_DOUBLE
from klaviyo_assets.warehouse.batches import widen
from klaviyo_assets.warehouse.errors import OutdatedRead, WarehouseError
from klaviyo_assets.warehouse.extract import Coverage, Sweep
from klaviyo_assets.warehouse.guard import FEW_WAIT, SETTLED_AFTER, Waiting, is_suspicious
from klaviyo_assets.warehouse.results import LoadResult
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.state import (
    INSPECTED,
    INSPECTED_WHOLLY,
    SNAPSHOT,
    SNAPSHOT_CONTENT,
    WAITING,
    SyncState,
    joined,
    with_rows,
)
from klaviyo_assets.warehouse.steps.beginning import TOLERANCE
from klaviyo_assets.warehouse.steps.loads import KEPT, NO_READ
from klaviyo_assets.warehouse.transaction import naive
from klaviyo_assets_tests.simulation.dictionaries.content import Content, Key, Row, Table, converted
from klaviyo_assets_tests.simulation.dictionaries.spools import keys, parts

Came = Mapping[Key, Mapping[str, Any]]
DAY = dt.timedelta(days=1)


@dataclass
class Writing:
    """content: the copy. stamp: now, in UTC, without a zone. tick: told of each step, and may raise."""

    content: Content
    stamp: dt.datetime
    tick: Callable[[], None]
    recorded: dict[tuple[str, int], int] = field(default_factory=dict)

    # Numbers

    def next_number(self) -> int:
        self.content.number += 1
        return self.content.number

    def record(self, table: str, read: int) -> int:
        """Return the number under which this transaction writes rows of a table that come from a read."""
        if (table, read) not in self.recorded:
            self.tick()
            self.recorded[table, read] = self.next_number()
        return self.recorded[table, read]

    def check(self, table: str, began: int) -> None:
        if not max(self.content.number - KEPT, NO_READ) <= began <= self.content.number:
            raise OutdatedRead(table, began, self.content.number)

    # States

    def write_state(self, state: SyncState) -> None:
        self.tick()
        states = self.content.states
        if state.is_range and state.synced_through:
            before = {key: known for key, known in states.items() if key[0] == state.table and known.is_range}
            after = joined(before.values(), state)
            for key in before.keys() - {(known.table, known.scope) for known in after}:
                del states[key]
            for known in after:
                if known not in before.values():
                    self._store(known)
        elif known := state.after(states.get((state.table, state.scope))):
            self._store(known)

    def _store(self, state: SyncState) -> None:
        stored = replace(state, stored_at=self.stamp.replace(tzinfo=dt.UTC), extends=False)
        self.content.states[state.table, state.scope] = stored

    def forget(self, tables: Collection[str], scope: str | None = None) -> None:
        for key in [key for key in self.content.states if key[0] in tables and scope in (None, key[1])]:
            del self.content.states[key]

    def void(self, name: str) -> None:
        kept = {SNAPSHOT, SNAPSHOT_CONTENT, *((INSPECTED, INSPECTED_WHOLLY) if name in self.content.tables else ())}
        for known, scope in list(self.content.states):
            if known == name and scope not in kept:
                self.forget([name], scope)

    def mend(self, now: dt.datetime | None, specs: Iterable[TableSpec]) -> list[str]:
        """Forget what can't be true; say of which tables."""
        content, mended = self.content, []
        declared = {spec.name: set(spec.types) for spec in specs}
        for name in sorted({table for table, scope in content.states if scope != SNAPSHOT}):
            known = with_rows(content.states, name)
            if known is None and name in content.tables:
                continue
            if self._is_void(content.tables.get(name), known, declared.get(name, set())):
                self.void(name)
                mended.append(name)
        for name in [table for table, scope in content.states if scope == SNAPSHOT]:
            if self._is_void(content.snapshots.get(name), content.states[name, SNAPSHOT], declared.get(name, set())):
                self.forget([name], SNAPSHOT)
                mended.append(f"{name} ({SNAPSHOT})")
        for key, state in list(content.states.items()):
            if now and state.synced_through and state.synced_through > min(now, state.stored_at or now) + TOLERANCE:
                stored, through = state.stored_at, min(state.stored_at or now, now) - TOLERANCE
                if state.synced_from and stored and stored <= now + TOLERANCE and through > state.synced_from:
                    content.states[key] = replace(state, synced_through=through)
                else:
                    self.forget([key[0]], key[1])
                mended.append(" ".join(key))
        return mended

    def _is_void(self, table: Table | None, known: SyncState | None, declared: set[str]) -> bool:
        if table is None:
            return True
        return len(table.rows) < (known.rows if known and known.rows else 0) or bool(
            table.rows and declared - table.types.keys()
        )

    # Tables

    def ensure(self, spec: TableSpec) -> bool:
        """Make a table, or the columns that it lacks; return whether its state is void."""
        self.tick()
        table, known = self.content.tables.get(spec.name), with_rows(self.content.states, spec.name)
        void = known is not None and self._is_void(table, known, set(spec.types))
        if void or table is None:
            self.void(spec.name)
        table = self.content.tables.setdefault(spec.name, Table())
        table.types = {**{name: kind for name, kind in spec.types.items() if name not in table.types}, **table.types}
        return void

    def fit(self, spec: TableSpec, table: Table, spool: Spool) -> tuple[list[str], list[str]]:
        """Add the columns that came, and widen those that are too narrow; return the names of both."""
        came: dict[str, dict[Type, list[Any]]] = {}
        for types, rows in parts(spool):
            for name, kind in types.items():
                came.setdefault(name, {}).setdefault(kind, []).extend(row[name] for row in rows)
        added, widened = [], []
        for name, values in came.items():
            known = table.types.get(name)
            if known:
                values.setdefault(known, []).extend(row.values.get(name) for row in table.rows.values())
            kind = reduce(widen, sorted(values))
            if kind is Type.DOUBLE and not all(_is_exact(value) for value in values.get(Type.BIGINT, ())):
                kind = Type.TEXT
            if known is not kind:
                (widened if known else added).append(name)
            table.set_type(name, kind)
        return added, widened

    def came(self, spec: TableSpec, table: Table, spool: Spool) -> tuple[Came, set[str]]:
        """Return the rows of a spool by key, the newest version of each, and the columns that came."""
        rows: list[dict[str, Any]] = []
        names: set[str] = set()
        for types, some in parts(spool):
            names |= types.keys()
            narrow = {name: kind for name, kind in types.items() if kind is not table.types[name]}
            for row in some:
                changed = {name: converted(row[name], kind, table.types[name]) for name, kind in narrow.items()}
                rows.append({**row, **changed})
        return newest(spec, rows), names

    # Rows

    def upsert(
        self,
        spec: TableSpec,
        came: Came,
        names: Collection[str],
        began: int,
        *,
        coverage: Coverage | None = None,
        guard: float | None = None,
        confirmed: set[Any] | None = None,
    ) -> LoadResult:
        """Write rows by key, and flag what a complete read lacks."""
        table = self.content.tables[spec.name]
        self.check(spec.name, began)
        deleted, waiting = 0, None
        if coverage:
            covered = self.covered(table, coverage, began)
            missing = {key: row for key, row in covered.items() if key not in came}
            deleted, waiting = self.flag(spec, missing, len(covered), coverage.read_at, guard, began, confirmed)
        self.forget_returned(spec, came)
        written = {
            key: row
            for key, row in came.items()
            if not (key in table.rows and self._is_newer(spec, table.rows[key], row, began))
        }
        appearing = {name for name in names if name not in spec.types} if spec.dynamic else set()
        table.origins |= appearing
        cleared = dict.fromkeys(table.origins - set(names))
        updated = sum(key in table.rows for key in written)
        for key, values in written.items():
            before = table.rows[key].values if key in table.rows else {}
            merged = {**before, **cleared, **dict.fromkeys(names), **values}
            there = {name: value for name, value in merged.items() if value is not None}
            table.rows[key] = Row(there, False, self.stamp, self.record(spec.name, began), began)
        self.tick()
        return LoadResult(
            rows=len(came),
            inserted=len(written) - updated,
            updated=updated,
            deleted=deleted,
            older=len(came) - len(written),
            row_count=len(table.rows),
            waiting=waiting,
        )

    def _is_newer(self, spec: TableSpec, old: Row, new: Mapping[str, Any], began: int) -> bool:
        """Whether the table knows something newer of a row than what came."""
        later = old.read > began
        if not spec.version:
            return later
        before, now = old.values.get(spec.version), new.get(spec.version)
        if old.deleted or (before and before > old.stamp) or (now and now > self.stamp):
            return later
        return bool(before and now and before > now)

    def covered(self, table: Table, coverage: Coverage, began: int) -> dict[Key, Row]:
        """Return the live rows of a coverage that nobody has written since a read began."""
        return {key: row for key, row in table.live().items() if row.load <= began and is_covered(row.values, coverage)}

    def flag(
        self,
        spec: TableSpec,
        missing: Mapping[Key, Row],
        live: int,
        read_at: dt.datetime | None,
        guard: float | None,
        began: int,
        confirmed: set[Any] | None = None,
    ) -> tuple[int, Waiting | None]:
        """Flag rows that a complete read lacks, or note those whose flags wait."""
        if not missing:
            return 0, None
        notes, at = self.notes(spec.name), naive(read_at)
        suspicious = guard is not None and is_suspicious(spec, live=live, going=len(missing), guard=guard)
        settles = suspicious and len(missing.keys() | notes.keys()) <= FEW_WAIT
        going = dict(missing)
        if guard is not None and confirmed is not None:
            going = {key: row for key, row in going.items() if key[0] in confirmed}
        if suspicious:
            old = {key for key, since in notes.items() if at and since and since <= at - SETTLED_AFTER}
            going = {key: row for key, row in going.items() if settles and key in old}
        table = self.content.tables[spec.name]
        for key, row in going.items():
            table.rows[key] = row.written(self.stamp, self.record(spec.name, began), began, deleted=True)
        self.tick()
        if len(going) == len(missing):
            return len(going), None
        for key, since in notes.items():
            if at and (since is None or since > at):
                self.content.notes[spec.name, key] = at
        for key in missing.keys() - going.keys() - notes.keys():
            self.content.notes[spec.name, key] = at
        return len(going), Waiting(live, len(missing) - len(going), suspicious, bool(settles))

    def notes(self, table: str) -> dict[Key, dt.datetime | None]:
        return {key: since for (name, key), since in self.content.notes.items() if name == table}

    def forget_returned(self, spec: TableSpec, came: Collection[Key]) -> None:
        notes = self.notes(spec.name)
        if not notes:
            return
        live = self.content.tables[spec.name].live()
        for key in [key for key in notes if key in came or key not in live]:
            del self.content.notes[spec.name, key]
        left = self.notes(spec.name)
        self.forget([spec.name], WAITING)
        if left:
            since = min((since for since in left.values() if since), default=None)
            through = since.replace(tzinfo=dt.UTC) if since else None
            self.write_state(SyncState(spec.name, WAITING, synced_through=through, rows=len(left)))

    def flag_gone(self, sweep: Sweep, gone: Collection[str], guard: float | None) -> tuple[int, Waiting | None]:
        """Flag the rows that a sweep shows to be gone, and the children of all that are flagged."""
        spec, table = sweep.spec, self.content.tables[sweep.spec.name]
        self.check(spec.name, sweep.began)
        live = table.live()
        missing = {key: row for key, row in live.items() if row.load <= sweep.began and key[0] in gone}
        deleted, waiting = self.flag(spec, missing, len(live), sweep.created_before, guard, sweep.began)
        self.forget_returned(spec, [key for key in table.live() if key[0] not in gone])
        flagged = {key[0] for key, row in table.rows.items() if row.deleted}
        known = {key[0] for key in table.rows} | keys(sweep.keys)
        for child, column in sweep.children:
            theirs = self.content.tables.get(child.name)
            for key, row in theirs.live().items() if theirs else ():
                of = row.values.get(column)
                if of in flagged or (of is not None and of not in known and row.load <= sweep.began):
                    load = self.record(child.name, sweep.began)
                    theirs.rows[key] = row.written(self.stamp, load, sweep.began, deleted=True)  # type: ignore[union-attr]
        return deleted, waiting

    def fill(self, spec: TableSpec, came: Came, names: Collection[str]) -> int:
        """Fill columns of live rows that have other values there."""
        table, number = self.content.tables[spec.name], None
        filled = [name for name in names if name not in spec.primary_key]
        changed = 0
        for key, values in came.items():
            row = table.rows.get(key)
            if row and not row.deleted and any(row.values.get(name) != values.get(name) for name in filled):
                number = number or self.next_number()
                merged = {**row.values, **{name: values.get(name) for name in filled}}
                there = {name: value for name, value in merged.items() if value is not None}
                table.rows[key] = row.written(self.stamp, number, values=there)
                changed += 1
        self.tick()
        return changed

    def correct(self, dependent: TableSpec, lookup: Lookup) -> int:
        """Let a column repeat the one that it is looked up in; return how many rows were changed."""
        table, number = self.content.tables.get(dependent.name), None
        if table is None or not {lookup.on, lookup.column} <= table.types.keys():
            return 0
        values = [row.values for row in self.content.tables[lookup.table].rows.values()]
        right = {each[lookup.key]: each[lookup.value] for each in values if lookup.value in each}
        changed = 0
        for key, row in table.rows.items():
            value = right.get(row.values.get(lookup.on))
            if value is not None and row.values.get(lookup.column) != value:
                number = number or self.next_number()
                written = replace(row, values={**row.values, lookup.column: value})
                table.rows[key] = written if row.deleted else written.written(self.stamp, number)
                changed += 1
        self.tick()
        return changed

    def count_read(self, name: str, coverage: Coverage | None) -> None:
        """Take note that the days of a coverage have been read completely."""
        if coverage is None or coverage.start is None or coverage.end is None:
            return
        first, last = naive(coverage.start), naive(coverage.end - DAY)
        assert first and last
        self.content.differences[name] = [
            replace(each, reads=each.reads + 1, wanted=False)
            if first <= dt.datetime.combine(each.day, dt.time()) <= last
            else each
            for each in self.content.differences.get(name, ())
        ]


def newest(spec: TableSpec, rows: Iterable[Mapping[str, Any]]) -> Came:
    """Return the rows by key: of several the newest version, the last among equals. Raises for one without a key."""
    found: dict[Key, Mapping[str, Any]] = {}
    without = 0
    for row in rows:
        key = tuple(row.get(name) for name in spec.primary_key)
        without += None in key
        before = found.get(key, {}).get(spec.version) if spec.version else None
        if before is None or (row.get(str(spec.version)) or dt.datetime.min) >= before:
            found[key] = row
    if without:
        raise WarehouseError(f"{without} rows for {spec.name} have no {' and '.join(spec.primary_key)}.")
    return found


def is_covered(values: Mapping[str, Any], coverage: Coverage) -> bool:
    """Return whether a row is in a coverage."""
    if coverage.column is None:
        return True
    value = values.get(coverage.column)
    if coverage.values is not None:
        return value in keys(coverage.values)
    start, end = naive(coverage.start), naive(coverage.end)
    if value is None:
        return start is None and end is None
    return (start is None or start <= value) and (end is None or value < end)


def _is_exact(value: int | None) -> bool:
    return value is None or abs(value) <= EXACT_IN_DOUBLE
