"""A session of a Postgres database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence, Set
from typing import Any

import pyarrow as pa

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.postgres import reading, staging, writing
from klaviyo_assets.warehouse.postgres.catalog import PostgresCatalog
from klaviyo_assets.warehouse.postgres.connecting import Connection
from klaviyo_assets.warehouse.session import Source, Staged
from klaviyo_assets.warehouse.spool import Spool


class PostgresSession(PostgresCatalog):
    """Rows in bulk, both ways, by COPY."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._spooled: dict[tuple[Any, ...], str] = {}

    def arrow(self, query: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query and return its rows as Arrow."""
        return reading.arrow(self, query, parameters)

    def spooled(self, spool: Spool, types: Mapping[str, Type]) -> str:
        """Return a temporary table with columns of all of a spool's rows."""
        known = (spool.folder, len(spool.files), *types.items())
        if known not in self._spooled:
            name = f"_spooled_{len(self._spooled)}"
            staging.copy_spooled(self, name, spool, types)
            self._spooled[known] = name
        return self._spooled[known]

    def takes(self, spool: Spool, name: str, kind: Type, target: str) -> bool:
        """Return whether a native type holds exactly all values of a spool's column that have a type of ours."""
        return staging.takes(self.dialect, spool, name, kind, target)

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
        return writing.write(self, schema, spec, staged, types, cleared, stamp)
