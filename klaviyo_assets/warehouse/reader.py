"""What is asked of the tables of a warehouse without changing them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec, Type
from klaviyo_assets.warehouse.database import Database
from klaviyo_assets.warehouse.extract import Coverage
from klaviyo_assets.warehouse.results import AccountIdentity, SchemaSurvey, Shrinkage
from klaviyo_assets.warehouse.sql import quote
from klaviyo_assets.warehouse.state import SyncState
from klaviyo_assets.warehouse.steps import differences
from klaviyo_assets.warehouse.steps.beginning import known_account
from klaviyo_assets.warehouse.steps.declared import as_declared
from klaviyo_assets.warehouse.steps.live_rows import count_live, daily_counts, earliest, measure_shrinkage
from klaviyo_assets.warehouse.steps.loads import (
    read_numbers,
)
from klaviyo_assets.warehouse.steps.states import read_states
from klaviyo_assets.warehouse.steps.survey import survey
from klaviyo_assets.warehouse.transaction import naive


class Reader(Database):
    """The tables of one Klaviyo account in a database, to be read."""

    def account(self) -> AccountIdentity | None:
        """Return the account whose rows the warehouse holds, None if it does not know."""
        with self.reading() as transaction:
            return known_account(transaction) if transaction else None

    def states(self) -> dict[tuple[str, str], SyncState]:
        """Return (table, scope) -> how far it is synced."""
        with self.reading() as transaction:
            return read_states(transaction) if transaction else {}

    def state(self, table: str, scope: str = "") -> SyncState | None:
        """Return how far a scope of a table is synced, or None if it never was."""
        return self.states().get((table, scope))

    def rows(self, table: str, columns: Sequence[str], *, as_read: bool = False) -> list[tuple[Any, ...]]:
        """Return some columns of a table, in types of ours, times in UTC without a zone.

        Args:
            table: Without a schema.
            columns: In the order of the result.
            as_read: In the order of the reads that the rows come from, whatever the clocks said then.

        Returns:
            A tuple for each row, deleted ones included; none if the table or one of the columns does not exist.
        """
        with self.reading() as transaction:
            types = transaction.column_types(table) if transaction else {}
            if not transaction or not {*columns, *([SYNCED.name] if as_read else [])} <= types.keys():
                return []
            dialect = transaction.dialect
            rows = as_declared(dialect, transaction.source(table), {DELETED.name: DELETED.type})
            types[DELETED.name] = dialect.type_names[DELETED.type]
            chosen = ", ".join(
                dialect.convert(quote("own", name), types[name], dialect.type_names[dialect.type_of(types[name])])
                for name in columns
            )
            order = ""
            if as_read:
                synced = quote("own", SYNCED.name)
                order = (
                    f" LEFT JOIN {read_numbers(transaction, table)} AS loads ON {synced} = loads.synced_at "
                    f"ORDER BY loads.read_number NULLS FIRST, {synced}"
                )
            return transaction.sql(f"SELECT {chosen} FROM {rows} AS own{order}")

    def values(self, table: str, column: str, *, most: int | None = None) -> list[Any]:
        """Return each value but NULL that a column of a table has, also in rows that are deleted; `most` at most.

        JSON is given as text. No values if the table or the column does not exist.
        """
        with self.reading() as transaction:
            native = transaction.column_types(table).get(column) if transaction else None
            if not transaction or native is None:
                return []
            name, limit = quote(column), "" if most is None else f" LIMIT {most:d}"
            value = name
            if transaction.dialect.type_of(native) is Type.JSON:  # which some databases compare with nothing
                value = transaction.dialect.convert(name, native, transaction.dialect.text)
            found = transaction.sql(
                f"SELECT DISTINCT {value} FROM {transaction.table(table)} WHERE {name} IS NOT NULL{limit}"
            )
            return [value for (value,) in found]

    def earliest(self, table: str, column: str) -> dt.datetime | None:
        """Return the earliest time in a TIMESTAMP column among the rows that are not deleted, in UTC."""
        with self.reading() as transaction:
            return earliest(transaction, table, column) if transaction else None

    def daily_counts(
        self, table: str, by: str, at: str, start: dt.datetime, end: dt.datetime
    ) -> dict[tuple[Any, dt.date], int]:
        """Return (value of `by`, UTC day of `at`) -> number of rows in [start, end) that are not deleted."""
        with self.reading() as transaction:
            return daily_counts(transaction, table, by, Coverage(at, start, end)) if transaction else {}

    def wanted_days(self, table: str) -> list[dt.date]:
        """Return the UTC days of a table that are to be read again because their numbers differ, oldest first."""
        with self.reading() as transaction:
            return differences.wanted_days(transaction, table) if transaction else []

    def live_rows(self, spec: TableSpec) -> int:
        """Return the number of rows of a table that are not deleted."""
        with self.reading() as transaction:
            return count_live(transaction, spec.name) if transaction else 0

    def shrinkage(self, spec: TableSpec) -> Shrinkage | None:
        """Return what publishing the snapshot of a table would do; None if it has none."""
        with self.reading() as transaction:
            if not transaction or not transaction.in_schema(self.staging_schema).column_types(spec.name):
                return None
            return measure_shrinkage(transaction, spec, self.staging_schema)

    def read(
        self,
        table: str,
        *,
        snapshot: bool = False,
        column: str | None = None,
        windows: Sequence[tuple[dt.datetime, dt.datetime]] | None = None,
    ) -> pa.Table:
        """Read a table (deleted rows included) as Arrow.

        Args:
            table: Without a schema.
            snapshot: Read its snapshot instead.
            column: A TIMESTAMP column, for `windows`; it may be text in the table.
            windows: Only rows whose `column` lies in one of [start, end), aware.
        """
        where, parameters = "", []
        with self.session(writes=False) as session:
            schema = self.staging_schema if snapshot else self.schema_name
            relation = session.name(schema, table)
            if column and windows is not None:
                moment, native = quote(column), session.columns(schema, table).get(column)
                if native is not None:
                    moment = session.dialect.read_as(moment, native, Type.TIMESTAMP)
                within = [f"({moment} >= ? AND {moment} < ?)" for _ in windows] or ["false"]
                where = f" WHERE {' OR '.join(within)}"
                parameters = [naive(bound) for window in windows for bound in window]
            return session.arrow(f"SELECT * FROM {relation}{where}", parameters)

    def survey(self, specs: Iterable[TableSpec]) -> SchemaSurvey:
        """Look at tables that somebody else has made, as they stand; nothing, if there is no database."""
        with self.reading() as transaction:
            return survey(transaction, specs, self.staging_schema) if transaction else SchemaSurvey({})
