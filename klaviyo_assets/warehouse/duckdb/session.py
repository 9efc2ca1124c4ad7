"""A session of a DuckDB file, or of a database at MotherDuck."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Set

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.duckdb import writing
from klaviyo_assets.warehouse.duckdb.catalog import DuckDBCatalog
from klaviyo_assets.warehouse.local import rows
from klaviyo_assets.warehouse.session import Source, Staged
from klaviyo_assets.warehouse.spool import Spool


class DuckDBSession(DuckDBCatalog):
    """Rows in bulk: DuckDB reads the files of a spool itself."""

    def spooled(self, spool: Spool, types: Mapping[str, Type]) -> str:
        """Return the files of a spool as a relation."""
        return rows.spooled(spool, types)

    def takes(self, spool: Spool, name: str, kind: Type, target: str) -> bool:
        """Return whether a native type holds exactly all values of a spool's column that have a type of ours."""
        return rows.takes(self.sql, spool, name, kind, target)

    def stage(
        self,
        spec: TableSpec,
        source: Spool | Source,
        types: Mapping[str, str],
        *,
        beyond: Mapping[str, Set[Type]] | None = None,
        whole: bool = True,
    ) -> Staged:
        """Make `STAGE` of the key and the version of rows on their way into a table; see `writing`."""
        return writing.stage(self, spec, source, types, beyond, whole=whole)

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
