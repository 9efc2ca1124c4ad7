"""Rows on their way into temporary tables: Parquet that the local engine writes, PUT and COPY.

The stage and the tables are the session's own, and gone with it. Values of JSON come as text, which is parsed when they
are written. The relation of a large spool is several files, which Snowflake reads at the same time.

https://docs.snowflake.com/en/sql-reference/sql/copy-into-table
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import duckdb

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.local import rows as local
from klaviyo_assets.warehouse.local.engine import engine, query
from klaviyo_assets.warehouse.local.incoming import incoming
from klaviyo_assets.warehouse.local.sql import TEXT
from klaviyo_assets.warehouse.local.sql import TYPE_NAMES as LOCAL_NAMES
from klaviyo_assets.warehouse.relation import count_with_keys, newest_rows
from klaviyo_assets.warehouse.session import STAGE, Source, Staged
from klaviyo_assets.warehouse.snowflake.catalog import SnowflakeCatalog
from klaviyo_assets.warehouse.snowflake.dialect import NESTED
from klaviyo_assets.warehouse.snowflake.text import swapped
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import literal, quote

_LATE = "_spooled_late"
"""Temporary table for what is spooled when a transaction has begun, in which no table can be made."""

_FILE_BYTES = 150_000_000
"""https://docs.snowflake.com/en/user-guide/data-load-considerations-prepare recommends 100 to 250 MB."""

_INSTANTS = ("TIMESTAMP_TZ", "TIMESTAMP_LTZ")


@dataclass(frozen=True)
class StagedRows(Staged):
    """Rows that lie in `STAGE`. texts: columns of JSON that are still texts there."""

    texts: Set[str] = frozenset()


class Files:
    """What is spooled, on its way into temporary tables of a session."""

    def __init__(self, session: SnowflakeCatalog) -> None:
        self._session = session
        self._number = 0
        self._late = 0
        self._stage = f"_spool_{secrets.token_hex(8)}"
        self._has_stage = False

    def reserve(self) -> None:
        """Make what `spooled` needs within a transaction."""
        self._make_stage()
        self._session.execute(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {_LATE} (number NUMBER(38,0), first VARCHAR, second VARCHAR)"
        )

    def spooled(self, spool: Spool, types: Mapping[str, Type]) -> str:
        """Return a relation of columns of all of a spool's rows; within a transaction, of one or two texts."""
        if self._session.writing:
            return self._spooled_late(spool, types)
        natives = {name: self._session.dialect.type_names[kind] for name, kind in types.items()}
        table = f"_spooled_{self._number}"
        self._create(table, natives)
        chosen = ", ".join(_sent(name, LOCAL_NAMES[kind], natives[name]) for name, kind in types.items())
        with engine(spool) as connection:
            self._copy(
                connection, spool, table, [f"SELECT {chosen} FROM {local.spooled(spool, types)}"] if spool.files else []
            )
        return table

    def _spooled_late(self, spool: Spool, types: Mapping[str, Type]) -> str:
        if len(types) > 2 or any(kind is not Type.TEXT for kind in types.values()):
            raise AssertionError(f"can't be staged within a transaction: {dict(types)}")
        self._late += 1
        named = dict(zip(("first", "second"), types, strict=False))
        chosen = ", ".join(
            f"CAST({quote(name)} AS {TEXT}) AS {quote(swapped(column))}" for column, name in named.items()
        )
        with engine(spool) as connection:
            statement = f'SELECT CAST({self._late} AS BIGINT) AS "NUMBER", {chosen} FROM {local.spooled(spool, types)}'
            self._copy(connection, spool, _LATE, [statement] if spool.files else [])
        renamed = ", ".join(f"{column} AS {quote(name)}" for column, name in named.items())
        return f"(SELECT {renamed} FROM {_LATE} WHERE number = {self._late})"

    def stage(
        self, spec: TableSpec, spool: Spool, types: Mapping[str, str], beyond: Mapping[str, Set[Type]] | None
    ) -> StagedRows:
        """Make `STAGE` of the rows of a spool, all columns that came, one row per key."""
        rows = incoming(self._session.dialect, spec, spool, types, beyond)
        texts = {name for name in rows.names if types[name] in NESTED}
        text = self._session.dialect.text
        self._create(STAGE, {name: text if name in texts else types[name] for name in rows.names})
        with engine(spool) as connection:
            total, chosen = rows.one_per_key(query(connection))
            queries = []
            for part, there in rows.columns():
                columns = ", ".join(_sent(name, rows.natives[name], types[name]) for name in there)
                queries.append(f"SELECT {columns} FROM ({part.select(there)}) AS came{chosen}")
            self._copy(connection, spool, STAGE, queries)
        return StagedRows(total, rows.came, texts=texts)

    def _make_stage(self) -> None:
        if not self._has_stage:
            self._session.use_schema()
            self._session.execute(f"CREATE TEMPORARY STAGE {self._stage}")
            self._has_stage = True

    def _create(self, table: str, types: Mapping[str, str]) -> None:
        ddl = ", ".join(f"{quote(name)} {native}" for name, native in types.items())
        self._session.use_schema()
        self._session.execute(f"CREATE OR REPLACE TEMPORARY TABLE {table} ({ddl})")

    def _copy(self, connection: duckdb.DuckDBPyConnection, spool: Spool, table: str, queries: Iterable[str]) -> None:
        """Copy the rows of queries of the local engine into a table, by the names of their columns."""
        self._number += 1
        place = f"@{self._stage}/{self._number}"
        with tempfile.TemporaryDirectory(dir=spool.folder) as folder:
            paths = []
            for number, statement in enumerate(queries):
                path = Path(folder) / str(number)
                connection.execute(
                    f"COPY ({statement}) TO {literal(str(path))} "
                    f"(FORMAT parquet, COMPRESSION snappy, FILE_SIZE_BYTES {_FILE_BYTES})"
                ).fetchall()
                paths.append(path)
            if not paths:
                return
            self._make_stage()
            for path in paths:
                files = literal(f"file://{path.as_posix()}/*.parquet")
                self._session.execute(f"PUT {files} {place}/{path.name} AUTO_COMPRESS=FALSE")
        self._session.execute(
            f"COPY INTO {table} FROM {place} FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) "
            "MATCH_BY_COLUMN_NAME = CASE_SENSITIVE"
        )


def stage_relation(session: SnowflakeCatalog, spec: TableSpec, source: Source, types: Mapping[str, str]) -> StagedRows:
    """Make `STAGE` of the declared columns of another table, one row per key."""
    came, newest = newest_rows(session, spec, source, types)
    session.use_schema()
    session.execute(f"CREATE OR REPLACE TEMPORARY TABLE {STAGE} AS {newest}")
    return StagedRows(count_with_keys(session, spec, source), came)


def _sent(name: str, local_type: str, native: str) -> str:
    """Return the expression of a column in a file: times with a zone as instants, JSON as text."""
    value = quote(name)
    if native.partition("(")[0] in _INSTANTS:
        value = f"CAST(CAST({value} AS TIMESTAMP) AS TIMESTAMP WITH TIME ZONE)"
    elif native.startswith("TIMESTAMP"):
        value = f"CAST({value} AS TIMESTAMP)"
    elif local_type == LOCAL_NAMES[Type.JSON]:
        value = f"CAST({value} AS {TEXT})"
    return f"{value} AS {quote(swapped(name))}"
