"""Rows on their way into temporary tables, in bulk as Arrow, which the local engine makes of what is spooled.

Temporary tables are tables of the schema with a name of their session: a server behind a balancer knows no sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set

import duckdb
import pyarrow as pa

from klaviyo_assets.schema.spec import TableSpec, Type
from klaviyo_assets.warehouse.clickhouse.catalog import ClickHouseCatalog
from klaviyo_assets.warehouse.clickhouse.tables import made
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.local import rows as local
from klaviyo_assets.warehouse.local.engine import batches, engine, query
from klaviyo_assets.warehouse.local.incoming import incoming
from klaviyo_assets.warehouse.local.sql import TEXT
from klaviyo_assets.warehouse.local.sql import TYPE_NAMES as LOCAL_NAMES
from klaviyo_assets.warehouse.session import STAGE, Source, Staged
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import column_list, quote

_CELLS = 4_000_000
"""Values of an insert: ClickHouse wants few large ones."""


def make(
    session: ClickHouseCatalog, relation: str, types: Mapping[str, str], key: Iterable[str], *, states: bool = True
) -> None:
    """Make an empty temporary table, which statements call by the name of a relation."""
    place = session.name(session.schema, f"{session.prefix}{relation.strip('_')}")
    session.execute(f"CREATE OR REPLACE TABLE {place} {made(types, list(key), states=states)}")
    session.temporary[relation] = place


def spooled(session: ClickHouseCatalog, relation: str, spool: Spool, types: Mapping[str, Type]) -> None:
    """Make a temporary table of columns of all of a spool's rows, each once."""
    make(session, relation, {name: session.dialect.type_names[kind] for name, kind in types.items()}, types)
    if not spool.files:
        return
    chosen = ", ".join(_sent(name, LOCAL_NAMES[kind]) for name, kind in types.items())
    with engine(spool) as connection:
        _insert(session, relation, connection, [f"SELECT {chosen} FROM {local.spooled(spool, types)}"], len(types))


def stage_spool(
    session: ClickHouseCatalog,
    spec: TableSpec,
    spool: Spool,
    types: Mapping[str, str],
    beyond: Mapping[str, Set[Type]] | None,
) -> Staged:
    """Make `STAGE` of the rows of a spool, all columns that came, one row per key."""
    rows = incoming(session.dialect, spec, spool, types, beyond)
    make(session, STAGE, {name: types[name] for name in rows.names}, spec.primary_key)
    with engine(spool) as connection:
        total, chosen = rows.one_per_key(query(connection))
        queries = []
        for part, there in rows.columns():
            columns = ", ".join(_sent(name, rows.natives[name]) for name in there)
            queries.append(f"SELECT {columns} FROM ({part.select(there)}) AS came{chosen}")
        _insert(session, STAGE, connection, queries, len(rows.names))
    return Staged(total, rows.came)


def stage_relation(session: ClickHouseCatalog, spec: TableSpec, source: Source, types: Mapping[str, str]) -> Staged:
    """Make `STAGE` of the declared columns of another table, one row per key."""
    came = [name for name in types if name in spec.types and name in source.types]
    key = [*spec.primary_key, *([spec.version] if spec.version else [])]
    values = {name: session.dialect.convert(quote(name), source.types[name], types[name]) for name in came}
    names = [*came, *(name for name in key if name not in came)]
    make(session, STAGE, {name: types[name] for name in names}, spec.primary_key)
    without_key = " OR ".join(f"{values.get(name, 'NULL')} IS NULL" for name in spec.primary_key)
    ((total, empty),) = session.sql(f"SELECT count(*), count(*) FILTER (WHERE {without_key}) FROM {source.relation}")
    if empty:
        raise WarehouseError(f"{empty} rows for {spec.name} have no {' and '.join(spec.primary_key)}.")
    newest = (
        f"{values[spec.version]} DESC NULLS LAST"
        if spec.version and spec.version in values
        else column_list(spec.primary_key)
    )
    chosen = ", ".join([*values.values()])
    session.execute(
        f"INSERT INTO {STAGE} ({column_list(came)}) SELECT {chosen} FROM {source.relation} "
        f"ORDER BY {newest} LIMIT 1 BY {', '.join(values[name] for name in spec.primary_key)}"
    )
    return Staged(total, set(came))


def _sent(name: str, native: str) -> str:
    """Return the expression of a column as Arrow has a type for it."""
    return f"CAST({quote(name)} AS {TEXT}) AS {quote(name)}" if native == LOCAL_NAMES[Type.JSON] else quote(name)


def _insert(
    session: ClickHouseCatalog, relation: str, connection: duckdb.DuckDBPyConnection, queries: Iterable[str], width: int
) -> None:
    """Insert what queries of the local engine return into a temporary table."""
    rows = max(1_000, min(200_000, _CELLS // max(1, width)))
    for statement in queries:
        for batch in batches(connection.sql(statement), rows):
            session.insert_arrow(session.temporary[relation], pa.Table.from_batches([batch]))
