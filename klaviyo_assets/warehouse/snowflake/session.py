"""A session of a Snowflake database: tables are changed and rows staged first, then one transaction writes them."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any

import pyarrow as pa

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.errors import ColumnFixed
from klaviyo_assets.warehouse.local.incoming import takes
from klaviyo_assets.warehouse.session import RESTAMPED, RESTAMPED_TYPES, Source, Staged
from klaviyo_assets.warehouse.snowflake import reading, staging, writing
from klaviyo_assets.warehouse.snowflake.catalog import SnowflakeCatalog
from klaviyo_assets.warehouse.snowflake.connecting import Connection, errors
from klaviyo_assets.warehouse.snowflake.dialect import alters
from klaviyo_assets.warehouse.snowflake.lease import SnowflakeLease
from klaviyo_assets.warehouse.snowflake.text import swapped
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import literal, quote

_log = logging.getLogger(__name__)

_VIEWS = """
    SELECT table_schema, table_name FROM information_schema.views
    WHERE contains(upper(view_definition), upper(?)) ORDER BY 1, 2
"""
_OF_TABLE = "SELECT clustering_key, comment FROM information_schema.tables WHERE table_schema = ? AND table_name = ?"


class SnowflakeSession(SnowflakeCatalog):
    """A connection that may hold the lease of a schema."""

    def __init__(self, connection: Connection, schema: str) -> None:
        super().__init__(connection, schema, self._before_writing)
        self.lease: SnowflakeLease | None = None
        self.files = staging.Files(self)
        self._spooled: dict[tuple[Any, ...], str] = {}

    def arrow(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query and return its rows as Arrow."""
        return reading.arrow(self, query, parameters)

    # Transactions

    def reserve(self) -> None:
        """Make what `spooled` and `scratch` need within a transaction, in which no table can be made."""
        self.scratch(RESTAMPED, {name: self.dialect.type_names[kind] for name, kind in RESTAMPED_TYPES.items()})
        self.files.reserve()

    def _before_writing(self) -> None:
        if self.lease:
            self.lease.give_back()

    def commit(self) -> None:
        """Make everything durable and visible to others, and let them write."""
        if not self.writing:
            self._before_writing()
        super().commit()
        if self.lease:
            self.lease.given_back()

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
        """Create a table."""
        self._keep()
        ddl = ", ".join(f"{quote(column)} {kind}" for column, kind in types.items())
        self.execute(f"CREATE TABLE IF NOT EXISTS {self.name(schema, table)} ({ddl})")
        self.appeared(schema, table)

    def add_columns(self, schema: str, table: str, types: Mapping[str, str]) -> None:
        """Add empty columns, all at once; those that a load that died has added are there."""
        self._keep()
        added = ", ".join(f"{quote(name)} {kind}" for name, kind in types.items())
        self.execute(f"ALTER TABLE {self.name(schema, table)} ADD COLUMN {added}")
        self.changed(schema, table)

    def describe(self, schema: str, table: str, comments: Mapping[str, str]) -> None:
        """Comment on columns."""
        for name, comment in comments.items():
            self.execute(f"COMMENT ON COLUMN {self.name(schema, table)}.{quote(name)} IS {literal(comment)}")
        self.changed(schema, table)

    def widen(self, schema: str, table: str, changes: Mapping[str, tuple[str, str]]) -> None:
        """Change the types of columns, all at once.

        ALTER makes them only longer. For another type the table is made anew, which is one statement: it is as it was
        or as it should be. Grants, comments and NOT NULL are kept, and the views that show it are named, for some may
        have to be made anew, too. A default would be lost: it prevents the change.
        """
        self._keep(for_long=True)
        place = self.name(schema, table)
        try:
            if all(alters(existing, target) for existing, target in changes.values()):
                for name, (_, target) in changes.items():  # each does no harm if the others do not follow
                    self.execute(f"ALTER TABLE {place} ALTER COLUMN {quote(name)} SET DATA TYPE {target}")
            else:
                self._make_anew(schema, table, changes)
        except errors.ProgrammingError as error:
            if self.connection.is_closed():
                raise
            name = next(iter(changes))
            raise ColumnFixed(table, name, *changes[name], [str(error.msg).splitlines()[0]]) from None
        self.changed(schema, table)

    def _make_anew(self, schema: str, table: str, changes: Mapping[str, tuple[str, str]]) -> None:
        place, types = self.name(schema, table), self.columns(schema, table)
        comments, required = self.descriptions(schema, table), self.required(schema, table)
        if computed := self.computed(schema, table):
            name = next(iter(changes))
            because = [f"{column} has the default {default}" for column, default in computed.items()]
            raise ColumnFixed(table, name, *changes[name], because)
        targets = {name: changes[name][1] if name in changes else kind for name, kind in types.items()}
        ddl = ", ".join(f"{quote(name)} {kind}" for name, kind in targets.items())
        values = ", ".join(
            f"{self.dialect.convert(quote(name), types[name], targets[name])} AS {quote(name)}" for name in types
        )
        ((key, comment),) = self.sql(_OF_TABLE, [swapped(schema), swapped(table)])
        clustered = f" CLUSTER BY {key.removeprefix('LINEAR')}" if key else ""
        self.execute(f"CREATE OR REPLACE TABLE {place} ({ddl}){clustered} COPY GRANTS AS SELECT {values} FROM {place}")
        if comment:
            self.execute(f"COMMENT ON TABLE {place} IS {literal(comment)}")
        if required:
            again = ", ".join(f"COLUMN {quote(name)} SET NOT NULL" for name in required)
            self.execute(f"ALTER TABLE {place} ALTER {again}")
        self.describe(schema, table, comments)
        if views := [".".join(view) for view in self.sql(_VIEWS, [swapped(table)])]:
            _log.warning(
                "%s.%s was made anew: %s got another type. If one of these views shows a column of it and fails now, "
                "make it anew, too: %s.",
                schema, table, ", ".join(changes), ", ".join(views),
            )  # fmt: skip

    def drop_column(self, schema: str, table: str, name: str) -> bool:
        """Drop a column: no view prevents it."""
        self.execute(f"ALTER TABLE {self.name(schema, table)} DROP COLUMN {quote(name)}")
        self.changed(schema, table)
        return True

    def _keep(self, *, for_long: bool = False) -> None:
        """Keep the lease for what comes; raise WarehouseError if it is lost."""
        if self.lease and not self.writing:
            if for_long:
                self.lease.renew()
            else:
                self.lease.keep()

    # Rows in bulk

    def spooled(self, spool: Spool, types: Mapping[str, Type]) -> str:
        """Return a temporary table with columns of all of a spool's rows."""
        known = (spool.folder, len(spool.files), *types.items())
        if known not in self._spooled:
            self._keep()
            self._spooled[known] = self.files.spooled(spool, types)
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
        if isinstance(source, Spool):
            return self.files.stage(spec, source, types, beyond)
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
        return writing.write(self, schema, spec, staged, types, cleared, stamp)

    def unstage(self) -> None:
        """Leave `STAGE` to the end of the session: a DROP would commit."""

    def scratch(self, name: str, types: Mapping[str, str]) -> None:
        """Make `RESTAMPED`, or empty the one that is there: within a transaction it can't be made."""
        if self.writing:
            self.change(f"DELETE FROM {name}")
        else:
            ddl = ", ".join(f"{column} {kind}" for column, kind in types.items())
            self.use_schema()
            self.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({ddl})")

    def unscratch(self, name: str) -> None:
        """Leave it to the end of the session."""
