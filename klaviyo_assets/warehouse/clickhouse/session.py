"""A session on a ClickHouse server: each statement is done at once, in an order in which none does harm alone."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from typing import Any

from klaviyo_assets.schema.spec import SYSTEM_COLUMNS, TableSpec, Type
from klaviyo_assets.warehouse.clickhouse import staging, tables, writing
from klaviyo_assets.warehouse.clickhouse.catalog import GONE, VERSION, ClickHouseCatalog
from klaviyo_assets.warehouse.clickhouse.connecting import ERRORS, code_of
from klaviyo_assets.warehouse.clickhouse.lease import STEP, ClickHouseLease
from klaviyo_assets.warehouse.errors import ColumnFixed
from klaviyo_assets.warehouse.local.incoming import takes
from klaviyo_assets.warehouse.session import STAGE, Source, Staged
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import column_list, literal, quote

_A_WHILE = 10.0
"""Seconds that a lease may be old when a statement begins that may take long."""

_CHANGED = "_changed"


class ClickHouseSession(ClickHouseCatalog):
    """What may hold the lease of a schema."""

    lease: ClickHouseLease | None = None

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._spooled: dict[tuple[Any, ...], str] = {}
        self._statements = 0
        self._replaced: dict[str, Sequence[str]] = {}

    # Writing

    def mend(self, schemas: Sequence[str]) -> None:
        """Delete what processes that died have left in its place."""
        if self.lease is None or self.lease.unmended is None:
            return
        for schema in schemas:
            for table, relation in self.relations(schema).items():
                columns = self.every_column(schema, table)
                if VERSION in columns and GONE not in columns and not table.startswith("_"):
                    key = _key(relation.key)
                    writing.remove_replaced(self, self.name(schema, table), key, self.lease.unmended * STEP)
        self.lease.mended()

    def before_states(self) -> None:
        """Delete what has been replaced; raise WarehouseError if somebody else may write by now."""
        for place, key in self._replaced.items():
            self._keep()
            writing.remove_replaced(self, place, key, self._first_version())
        self._replaced.clear()
        self._check()
        self.committing = True

    def commit(self) -> None:
        """Take note that the states are written."""
        self.committing = False

    def _check(self) -> None:
        if self.lease:
            self.lease.renew()

    def rollback(self) -> None:
        """Remove what is temporary, and let others write."""
        try:
            super().rollback()
        finally:
            if self.lease:
                self.lease.give_back()

    def _keep(self, *, for_long: bool = False) -> None:
        if self.lease:
            self.lease.keep(_A_WHILE if for_long else None)

    def _first_version(self) -> int:
        """Return the lowest version that the session writes."""
        return (self.lease.number if self.lease else 0) * STEP

    def _version(self) -> int:
        """Return the version of what one statement writes: higher than of all before, lower than of later leases."""
        self._statements += 1
        return self._first_version() + self._statements

    def insert(self, relation: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert a few rows into a table of states, all at once."""
        self._keep()
        schema, table = self.place_of(relation)
        types = self.columns(schema, table)
        described = literal(", ".join(f"{quote(name)} {tables.nullable(types[name])}" for name in names))
        lines = [dict(zip(names, map(_told, row), strict=True)) for row in rows]
        data = literal("\n".join(json.dumps(line) for line in lines))
        chosen = column_list(names)
        self.execute(
            f"INSERT INTO {relation} ({chosen}, {quote(VERSION)}) "
            f"SELECT {chosen}, {self._version()} FROM format(JSONEachRow, {described}, {data})"
        )

    def put(self, relation: str, key: Sequence[str], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert a few rows into a table of states, in the place of those with their key."""
        self.insert(relation, names, rows)

    def insert_from(self, relation: str, names: Sequence[str], query: str, parameters: Sequence[Any] = ()) -> int:
        """Insert what a query returns into a table of states; return the number of rows."""
        self._keep()
        version = self._version()
        into = f"INSERT INTO {relation} ({column_list([*names, VERSION])})"
        self.execute(f"{into} SELECT *, {version} FROM ({query}) AS came", parameters)
        return writing.rows_of_version(self, relation, version)

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
        """Change columns of a table's rows, and return how many were changed; see `Session.update`."""
        self._keep()
        schema, table = self.place_of(relation)
        columns = self.columns(schema, table)
        key = _key(self.relations(schema)[table].key)
        if not before:
            version = self._version()
            changed = writing.update(self, relation, list(columns), assigned, where, parameters, source, version)
        else:
            staging.make(self, _CHANGED, columns, key)
            own = f"{relation} AS own, {source}" if source else relation
            chosen = [quote("own", name) if source else quote(name) for name in columns if name not in assigned]
            names = column_list([*assigned, *(name for name in columns if name not in assigned)])
            select = f"SELECT {', '.join([*assigned.values(), *chosen])} FROM {own} WHERE {where}"
            self.execute(f"INSERT INTO {_CHANGED} ({names}) {select}", parameters)
            ((changed,),) = self.sql(f"SELECT count(*) FROM {_CHANGED}")
            if changed:
                before(self.temporary[_CHANGED])
                self._keep()
                version = self._version()
                into = f"INSERT INTO {relation} ({column_list([*columns, VERSION])})"
                self.execute(f"{into} SELECT {column_list(columns)}, {version} FROM {_CHANGED}")
        if changed:
            self._replaces(schema, table, key)
        return changed

    def delete(self, relation: str, where: str, parameters: Sequence[Any] = ()) -> int:
        """Remove rows of `STAGE`, of a snapshot or of a table of states; return how many."""
        self._keep()
        place = self.temporary.get(relation, relation)
        schema, table = self.place_of(relation)
        if where == "true":
            self.execute(f"TRUNCATE TABLE {place} SYNC")
            return 0
        if relation in self.temporary:
            self.changed(schema)
        key = _key(self.relations(schema)[table].key)
        alias = f" AS {quote(relation)}" if relation in self.temporary else ""
        return writing.remove(self, place, key, where, parameters, self._version(), alias)

    def _replaces(self, schema: str, table: str, key: Sequence[str]) -> None:
        place = self.name(schema, table)
        if GONE not in self.every_column(schema, table):
            self._replaced[place] = key

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
        """Create a table in which a row replaces the one with its key."""
        self._keep()
        ddl = tables.made(types, spec.primary_key if spec else key, states=spec is None)
        self.execute(f"CREATE TABLE IF NOT EXISTS {self.name(schema, table)} {ddl}")
        self.changed(schema)

    def ensure_key(self, schema: str, spec: TableSpec) -> None:
        """Make a table of somebody else's one in which a row replaces the one with its key."""
        if not tables.has_key(self, schema, spec):
            self._keep(for_long=True)
            tables.give_key(self, schema, spec, self._check)
        declared = [*spec.types, *(column.name for column in SYSTEM_COLUMNS)]
        appearing = [name for name in self.stored(schema, spec.name) if spec.dynamic and name.startswith(spec.dynamic)]
        tables.allow_null(self, schema, spec, [*declared, *appearing])

    def has_primary_key(self, schema: str, spec: TableSpec) -> bool:
        """Return whether the database itself lets no row of a table lack its key, or share it, as FINAL sees it."""
        return tables.has_key(self, schema, spec)

    def add_columns(self, schema: str, table: str, types: Mapping[str, str]) -> None:
        """Add empty columns, all at once."""
        self._keep()
        added = ", ".join(
            f"ADD COLUMN IF NOT EXISTS {quote(name)} {tables.nullable(native)}" for name, native in types.items()
        )
        self.execute(f"ALTER TABLE {self.name(schema, table)} {added}")
        self.changed(schema)

    def describe(self, schema: str, table: str, comments: Mapping[str, str]) -> None:
        """Comment on columns."""
        if comments:
            told = ", ".join(f"COMMENT COLUMN {quote(name)} {literal(text)}" for name, text in comments.items())
            self.execute(f"ALTER TABLE {self.name(schema, table)} {told}")
            self.changed(schema)

    def widen(self, schema: str, table: str, changes: Mapping[str, tuple[str, str]]) -> None:
        """Change the types of columns, all at once; see `tables`."""
        self._keep(for_long=True)
        try:
            tables.widen(self, schema, table, changes, self._check)
        except ERRORS as error:
            if code_of(error) not in _FIXED:
                raise
            name = next(iter(changes))
            raise ColumnFixed(table, name, *changes[name], [f"ClickHouse error {code_of(error)}"]) from None

    def drop_column(self, schema: str, table: str, name: str) -> bool:
        """Drop a column; return False if something of the table depends on it."""
        self._keep(for_long=True)
        try:
            self.execute(f"ALTER TABLE {self.name(schema, table)} DROP COLUMN {quote(name)}")
        except ERRORS as error:
            if code_of(error) not in _FIXED:
                raise
            return False
        self.changed(schema)
        return True

    # Rows in bulk

    def spooled(self, spool: Spool, types: Mapping[str, Type]) -> str:
        """Return a temporary table with columns of all of a spool's rows, each once."""
        known = (spool.folder, len(spool.files), *types.items())
        if known not in self._spooled:
            relation = f"_spooled_{len(self._spooled)}"
            staging.spooled(self, relation, spool, types)
            self._spooled[known] = relation
        return self._spooled[known]

    def takes(self, spool: Spool, name: str, kind: Type, target: str) -> bool:
        """Return whether a native type holds exactly all values of a spool's column that have a type of ours."""
        return takes(spool, name, kind, self.dialect.local_type(target))

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
        self._keep()
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
        """Write the rows of `STAGE` into a table; see `writing`."""
        self._keep(for_long=True)
        place = self.name(schema, spec.name)
        version = self._version()
        written, updated = writing.write(self, place, spec, staged, types, cleared, stamp, version)
        if updated:
            self._replaces(schema, spec.name, spec.primary_key)
        return written, updated

    def unstage(self) -> None:
        """Drop `STAGE`."""
        self.unscratch(STAGE)

    def scratch(self, name: str, types: Mapping[str, str]) -> None:
        """Make an empty temporary table."""
        staging.make(self, name, types, types)

    def unscratch(self, name: str) -> None:
        """Drop what `scratch` has made."""
        self.execute(f"DROP TABLE IF EXISTS {self.temporary.pop(name)} SYNC")


_FIXED = (44, 47, 48, 524, 549)
"""Numbers of errors that say that a column can't change: it is part of a key or an index, or others depend on it."""


def _told(value: Any) -> Any:
    return str(value) if isinstance(value, dt.date) else value


def _key(sorting: str) -> list[str]:
    """Return the columns of a table's key, as `system.tables` tells it."""
    names = [name.strip() for name in sorting.strip("()").split(",")]
    return [name.strip("`").replace("\\`", "`").replace("\\\\", "\\") for name in names]
