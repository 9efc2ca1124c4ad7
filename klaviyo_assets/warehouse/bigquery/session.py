"""A session of BigQuery: tables are changed and rows staged first, then one transaction writes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any

import pyarrow as pa
from google.cloud import bigquery

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.bigquery import partitions, reading, remaking, staging, writing
from klaviyo_assets.warehouse.bigquery.catalog import BigQueryCatalog
from klaviyo_assets.warehouse.bigquery.connecting import ERRORS, Client, exceptions
from klaviyo_assets.warehouse.bigquery.dialect import alters
from klaviyo_assets.warehouse.bigquery.lease import BigQueryLease
from klaviyo_assets.warehouse.bigquery.text import fold
from klaviyo_assets.warehouse.bigquery.types import field
from klaviyo_assets.warehouse.dialect import ALWAYS
from klaviyo_assets.warehouse.errors import ColumnFixed
from klaviyo_assets.warehouse.local.incoming import takes
from klaviyo_assets.warehouse.session import RESTAMPED, RESTAMPED_TYPES, Source, Staged
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import quote

_PARTITIONED = ("TIMESTAMP", "DATETIME", "DATE")
_CLUSTERED = ("STRING", "INT64", "BOOL", "DATE", "TIMESTAMP", "DATETIME", "NUMERIC")
_MOST_CLUSTERED = 4
"""https://cloud.google.com/bigquery/docs/creating-clustered-tables#limitations"""


class BigQuerySession(BigQueryCatalog):
    """A client that may hold the lease of a schema."""

    def __init__(self, client: Client, schema: str, *, most_billed: int | None = None) -> None:
        super().__init__(client, schema, most_billed=most_billed)
        self.held: BigQueryLease | None = None
        self.temporary = staging.TemporaryTables(self)
        self._spooled: dict[tuple[Any, ...], str] = {}
        self._staged: Set[str] = frozenset()
        self._days: dict[tuple[str, str], partitions.Days | None] = {}

    def arrow(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query and return its rows as Arrow."""
        return reading.arrow(self, query, parameters)

    # Transactions

    def reserve(self) -> None:
        """Make what `spooled` and `scratch` need within a transaction, in which no table can be made."""
        self.scratch(RESTAMPED, {name: self.dialect.type_names[kind] for name, kind in RESTAMPED_TYPES.items()})
        self.temporary.reserve()

    def _before_session(self, session: str) -> None:
        """Say in which session the transaction will be, for who comes next if this process dies."""
        if self.held:
            self.held.renew(session)

    def _before_writing(self) -> None:
        if self.held:
            self.held.give_back()

    def commit(self) -> None:
        """Make everything durable and visible to others, and let them write."""
        if not self.writing:
            self._before_writing()
        super().commit()
        if self.held:
            self.held.given_back()

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
        """Create a table, with partitions of the day that a row's partition is, clustered by its key."""
        self._assert_not_writing()
        self._keep()
        made = bigquery.Table(self.reference(schema, table), [field(name, kind) for name, kind in types.items()])
        if spec and types.get(spec.partitioned_by or "") in _PARTITIONED:
            made.time_partitioning = bigquery.TimePartitioning(
                type_=bigquery.TimePartitioningType.DAY, field=spec.partitioned_by
            )
        if spec and (by := [name for name in spec.primary_key if types[name] in _CLUSTERED]):
            made.clustering_fields = by[:_MOST_CLUSTERED]
        self.client.create_table(made, exists_ok=True)
        self.appeared(schema, table)

    def room(self, schema: str, table: str) -> int | None:
        """Return how many columns can still be added to a table."""
        return (self.dialect.capabilities.most_columns or 0) - len(self.columns(schema, table))

    def add_columns(self, schema: str, table: str, types: Mapping[str, str]) -> None:
        """Add empty columns, all at once; those that a load that died has added are there."""
        self._change_fields(schema, table, {name: field(name, kind) for name, kind in types.items()})

    def describe(self, schema: str, table: str, comments: Mapping[str, str]) -> None:
        """Describe columns."""
        there = self.columns(schema, table)
        described = {name: field(name, there[name], comment) for name, comment in comments.items() if name in there}
        if described:
            self._change_fields(schema, table, described)

    def _change_fields(self, schema: str, table: str, fields: Mapping[str, bigquery.SchemaField]) -> None:
        """Replace columns of a table by others of the same types, and add those that it lacks."""
        self._keep()
        self._assert_not_writing()
        self.changed(schema, table)
        found = self.described(schema, table)
        assert found  # noqa: S101
        names = {fold(each.name) for each in found.schema}
        found.schema = [
            *(_described(each, fields.get(fold(each.name))) for each in found.schema),
            *(each for name, each in fields.items() if name not in names),
        ]
        self.client.update_table(found, ["schema"])
        self.changed(schema, table)

    def widen(self, schema: str, table: str, changes: Mapping[str, tuple[str, str]]) -> None:
        """Change the types of columns, all at once.

        ALTER changes what it can, which is free. For another type the table is made anew, which is one statement: it is
        as it was or as it should be; see `remaking`.
        """
        self._keep(for_long=True)
        place = self.name(schema, table)
        try:
            if all(alters(existing, target) for existing, target in changes.values()):
                for name, (_, target) in changes.items():
                    self.execute(f"ALTER TABLE {place} ALTER COLUMN {quote(name)} SET DATA TYPE {target}")
            else:
                remaking.remake(self, schema, table, changes)
        except (exceptions.BadRequest, exceptions.Forbidden) as error:
            name = next(iter(changes))
            raise ColumnFixed(table, name, *changes[name], [str(error.message).splitlines()[0]]) from None
        finally:
            self.changed(schema, table)

    def drop_column(self, schema: str, table: str, name: str) -> bool:
        """Drop a column; return False if the table is partitioned or clustered by it."""
        self._keep()
        found = self.described(schema, table)
        if found and name in {
            found.time_partitioning and found.time_partitioning.field,
            *(found.clustering_fields or ()),
        }:
            return False
        self.execute(f"ALTER TABLE {self.name(schema, table)} DROP COLUMN {quote(name)}")
        self.changed(schema, table)
        return True

    def _assert_not_writing(self) -> None:
        if self.writing:
            raise AssertionError("tables can't be changed within a transaction")

    def _keep(self, *, for_long: bool = False) -> None:
        """Keep the lease for what comes; raise WarehouseError if it is lost."""
        if self.held and not self.writing:
            if for_long:
                self.held.renew()
            else:
                self.held.keep()

    # Rows in bulk

    def spooled(self, spool: Spool, types: Mapping[str, Type]) -> str:
        """Return a table with columns of all of a spool's rows."""
        known = (spool.folder, len(spool.files), *types.items())
        if known not in self._spooled:
            self._keep()
            self._spooled[known] = self.temporary.spooled(spool, types)
        return self._spooled[known]

    def takes(self, spool: Spool, name: str, kind: Type, target: str) -> bool:
        """Return whether a native type holds exactly all values of a spool's column that have a type of ours."""
        return takes(spool, name, kind, self.dialect.local_type(target), self.dialect.longest_text(target))

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
        self._assert_not_writing()
        self._days.clear()
        if isinstance(source, Spool):
            staged = self.temporary.stage(spec, source, types, beyond)
        else:
            staged = self.temporary.stage_relation(spec, source, types)
        self._staged = staged.names
        return staged

    def where_staged(self, schema: str, spec: TableSpec, alias: str) -> str:
        """Return the condition that a row is in a partition in which there are keys of `STAGE`; see `partitions`."""
        return self._within_days(schema, spec, alias, "before")

    def _within_days(self, schema: str, spec: TableSpec, alias: str, when: str) -> str:
        known = (schema, spec.name)
        if known not in self._days:
            moves = spec.partitioned_by in self._staged
            self._days[known] = partitions.found(self, schema, spec, moves=moves)
        days = self._days[known]
        if days is None or spec.partitioned_by is None:
            return ALWAYS
        native = self.columns(schema, spec.name)[spec.partitioned_by]
        return partitions.condition(quote(alias, spec.partitioned_by), native, getattr(days, when))

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
        before, after = (self._within_days(schema, spec, "own", when) for when in ("before", "after"))
        return writing.write(
            self, schema, spec, staged, types, cleared, stamp, before=before, after=after
        )  # fmt: skip

    def unstage(self) -> None:
        """Leave `STAGE` to the end of the session: within a transaction it can't be dropped."""

    def scratch(self, name: str, types: Mapping[str, str]) -> None:
        """Make `RESTAMPED`, or empty the one that is there: within a transaction it can't be made."""
        if self.writing:
            self.change(f"DELETE FROM {name}")
        elif name not in self.relations:
            self.temporary.create(name, types)

    def unscratch(self, name: str) -> None:
        """Leave it to the end of the session."""

    def close(self) -> None:
        """Undo what was not committed, let others write, and drop temporary tables."""
        try:
            self.rollback()
            if self.held and self.held.is_held:
                self.held.give_back()
        finally:
            with suppress(*ERRORS):
                self.temporary.drop()


def _described(existing: bigquery.SchemaField, wanted: bigquery.SchemaField | None) -> bigquery.SchemaField:
    if wanted is None or not wanted.description:
        return existing
    return bigquery.SchemaField.from_api_repr(existing.to_api_repr() | {"description": wanted.description})
