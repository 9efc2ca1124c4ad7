"""Rows on their way into temporary tables: Parquet that the local engine writes, and a load job, which is free.

The tables are in the warehouse's dataset, and end by themselves a day later should the process die. Values of JSON come
as text, which is parsed when they are written.

https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet
"""

from __future__ import annotations

import datetime as dt
import secrets
import tempfile
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from google.cloud import bigquery

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.bigquery.catalog import TEMPORARY, BigQueryCatalog
from klaviyo_assets.warehouse.bigquery.text import name as placed
from klaviyo_assets.warehouse.bigquery.types import field
from klaviyo_assets.warehouse.local import rows as local
from klaviyo_assets.warehouse.local.engine import engine, query
from klaviyo_assets.warehouse.local.incoming import incoming
from klaviyo_assets.warehouse.local.rows import IncomingRows
from klaviyo_assets.warehouse.local.sql import TEXT
from klaviyo_assets.warehouse.local.sql import TYPE_NAMES as LOCAL_NAMES
from klaviyo_assets.warehouse.relation import count_with_keys, newest_rows
from klaviyo_assets.warehouse.session import STAGE, Source, Staged
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import literal, quote

LATE = "_spooled_late"
"""Table for what is spooled when a transaction has begun, in which no table can be made."""

_LATE_COLUMNS = {"number": "INT64", "first": "STRING", "second": "STRING"}
_LATE_BYTES = 2_000_000
"""Of texts in one statement; a request may have 10 MB: https://cloud.google.com/bigquery/quotas#query_jobs"""

MOST_DAYS = 3500
"""Partitions that one statement writes; it may be 4,000: https://cloud.google.com/bigquery/quotas#partitioned_tables"""

_LIFE = dt.timedelta(days=1)


@dataclass(frozen=True)
class StagedRows(Staged):
    """Rows that lie in `STAGE`.

    texts: columns of JSON that are still texts there. splits: days at which they are cut into parts, if one statement
    can't write all of them.
    """

    texts: Set[str] = frozenset()
    splits: Sequence[dt.date] = ()


class TemporaryTables:
    """Tables that are there while something is loaded. Statements call them by names without quotes."""

    def __init__(self, session: BigQueryCatalog) -> None:
        self._session = session
        self._number = 0
        self._late = 0
        self._made: list[bigquery.TableReference] = []

    def create(self, called: str, types: Mapping[str, str]) -> bigquery.TableReference:
        """Create an empty table."""
        place = self.place(called)
        table = bigquery.Table(place, schema=[field(name, native) for name, native in types.items()])
        table.expires = dt.datetime.now(dt.UTC) + _LIFE
        self._session.client.create_table(table)
        return place

    def place(self, called: str) -> bigquery.TableReference:
        """Return a place where no table is, at which `called` is from now on."""
        place = self._session.reference(self._session.schema, f"{TEMPORARY}{secrets.token_hex(8)}{called}")
        self._made.append(place)
        self._session.relations[called] = placed(place.dataset_id, place.table_id)
        return place

    def drop(self) -> None:
        """Drop what was made."""
        while self._made:
            self._session.client.delete_table(self._made.pop(), not_found_ok=True)
        self._session.relations.clear()

    def reserve(self) -> None:
        """Make what `spooled` needs within a transaction."""
        if LATE not in self._session.relations:
            self.create(LATE, _LATE_COLUMNS)

    def spooled(self, spool: Spool, types: Mapping[str, Type]) -> str:
        """Return a relation of columns of all of a spool's rows; within a transaction, of one or two texts."""
        if self._session.writing:
            return self._spooled_late(spool, types)
        self._number += 1
        called = f"_spooled_{self._number}"
        natives = {name: self._session.dialect.type_names[kind] for name, kind in types.items()}
        place = self.create(called, {name: _loaded_as(native) for name, native in natives.items()})
        chosen = ", ".join(_sent(quote(name), LOCAL_NAMES[kind], natives[name], name) for name, kind in types.items())
        if spool.files:
            with engine(spool) as connection:
                self._load(connection, spool, place, f"SELECT {chosen} FROM {local.spooled(spool, types)}")
        return called

    def _spooled_late(self, spool: Spool, types: Mapping[str, Type]) -> str:
        if len(types) > 2 or any(kind is not Type.TEXT for kind in types.values()):
            raise AssertionError(f"can't be staged within a transaction: {dict(types)}")
        self._late += 1
        named = dict(zip(("first", "second"), types, strict=False))
        chosen = ", ".join(f"CAST({quote(name)} AS {TEXT})" for name in named.values())
        with engine(spool) as connection:
            found = connection.execute(f"SELECT {chosen} FROM {local.spooled(spool, types)}")
            waiting: list[Sequence[str | None]] = []
            size = 0
            while some := found.fetchmany(1000):
                waiting += some
                size += sum(len(text or "") * 2 + 50 for row in some for text in row)
                if size > _LATE_BYTES:
                    self._insert_late(waiting)
                    waiting, size = [], 0
            self._insert_late(waiting)
        renamed = ", ".join(f"{column} AS {quote(name)}" for column, name in named.items())
        return f"(SELECT {renamed} FROM {LATE} WHERE number = {self._late})"

    def _insert_late(self, rows: Sequence[Sequence[str | None]]) -> None:
        if not rows:
            return
        values = [
            bigquery.StructQueryParameter(
                None,
                bigquery.ScalarQueryParameter("first", "STRING", row[0]),
                bigquery.ScalarQueryParameter("second", "STRING", row[1] if len(row) > 1 else None),
            )
            for row in rows
        ]
        self._session.change(
            f"INSERT INTO {LATE} (number, first, second) SELECT {self._late}, row.first, row.second "
            "FROM UNNEST(?) AS row",
            [bigquery.ArrayQueryParameter(None, "STRUCT", values)],
        )

    def stage(
        self, spec: TableSpec, spool: Spool, types: Mapping[str, str], beyond: Mapping[str, Set[Type]] | None
    ) -> StagedRows:
        """Make `STAGE` of the rows of a spool, all columns that came, one row per key."""
        rows = incoming(self._session.dialect, spec, spool, types, beyond)
        texts = {name for name in rows.names if types[name] == "JSON"}
        place = self.create(STAGE, {name: _loaded_as(types[name]) for name in rows.names})
        with engine(spool) as connection:
            total, chosen = rows.one_per_key(query(connection))
            queries = []
            for part, there in rows.columns():
                columns = ", ".join(
                    _sent(
                        quote(name) if name in there else f"CAST(NULL AS {rows.natives[name]})",
                        rows.natives[name], types[name], name,
                    )
                    for name in rows.names
                )  # fmt: skip
                queries.append(f"SELECT {columns} FROM ({part.select(there)}) AS came{chosen}")
            if queries:
                self._load(connection, spool, place, " UNION ALL ".join(queries))
            days = _days(connection, [part for part in rows.parts if spec.partitioned_by in part.values], spec)
        return StagedRows(total, rows.came, texts=texts, splits=days[MOST_DAYS::MOST_DAYS])

    def stage_relation(self, spec: TableSpec, source: Source, types: Mapping[str, str]) -> StagedRows:
        """Make `STAGE` of the declared columns of another table, one row per key."""
        session = self._session
        came, newest = newest_rows(session, spec, source, types)
        place = self.place(STAGE)
        ends = dt.datetime.now(dt.UTC) + _LIFE
        session.execute(
            f"CREATE TABLE {quote(place.dataset_id, place.table_id)} "
            f"OPTIONS(expiration_timestamp = TIMESTAMP '{ends:%Y-%m-%d %H:%M:%S}') AS {newest}"
        )
        return StagedRows(count_with_keys(session, spec, source), came)

    def _load(
        self, connection: duckdb.DuckDBPyConnection, spool: Spool, place: bigquery.TableReference, statement: str
    ) -> None:
        """Load the rows of a query of the local engine into a table that is there."""
        options: dict[str, Any] = {
            "source_format": bigquery.SourceFormat.PARQUET,
            "write_disposition": bigquery.WriteDisposition.WRITE_APPEND,
            "create_disposition": bigquery.CreateDisposition.CREATE_NEVER,
        }
        with tempfile.TemporaryDirectory(dir=spool.folder) as folder:
            path = Path(folder) / "rows.parquet"
            connection.execute(
                f"COPY ({statement}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION snappy)"
            ).fetchall()
            with path.open("rb") as file:
                job = self._session.client.load_table_from_file(
                    file, place, job_config=bigquery.LoadJobConfig(**options), location=self._session.location
                )
            job.result()


def _days(connection: duckdb.DuckDBPyConnection, parts: Sequence[IncomingRows], spec: TableSpec) -> list[dt.date]:
    """Return the days of a table's partitions in which there are rows, in order."""
    if not parts or not spec.partitioned_by:
        return []
    day = f"CAST({quote(spec.partitioned_by)} AS DATE)"
    queries = [f"SELECT {day} AS day FROM ({part.select([spec.partitioned_by])}) AS came" for part in parts]
    days = f"SELECT DISTINCT day FROM ({' UNION ALL '.join(queries)}) AS days WHERE day IS NOT NULL ORDER BY 1"
    return [day for (day,) in connection.execute(days).fetchall()]


def _loaded_as(native: str) -> str:
    return "STRING" if native == "JSON" else native


def _sent(value: str, local_type: str, native: str, name: str) -> str:
    """Return the expression of a column in a file: times with a zone as instants, JSON as text."""
    if native == "TIMESTAMP":
        value = f"CAST(CAST({value} AS TIMESTAMP) AS TIMESTAMP WITH TIME ZONE)"
    elif native == "DATETIME":
        value = f"CAST({value} AS TIMESTAMP)"
    elif local_type == LOCAL_NAMES[Type.JSON]:
        value = f"CAST({value} AS {TEXT})"
    return f"{value} AS {quote(name)}"
