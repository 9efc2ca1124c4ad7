"""Rows on their way into a table of DuckDB's: straight from the files in which they lie.

They are matched by delete and insert, not by MERGE, which took minutes for scattered rows in DuckDB 2.0.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec, Type
from klaviyo_assets.warehouse.duckdb.catalog import DuckDBCatalog
from klaviyo_assets.warehouse.local.keys import stage_keys
from klaviyo_assets.warehouse.local.rows import ORDER, IncomingRows, relation_rows, spool_rows
from klaviyo_assets.warehouse.local.sql import has_array
from klaviyo_assets.warehouse.session import STAGE, Source, Staged
from klaviyo_assets.warehouse.spool import Spool
from klaviyo_assets.warehouse.sql import column_list, quote, same_key

_KEPT = "_kept"


@dataclass(frozen=True)
class StagedRows(Staged):
    """Rows whose keys lie in `STAGE`. parts: where their other values lie."""

    parts: Sequence[IncomingRows] = field(kw_only=True)


def stage(
    session: DuckDBCatalog,
    spec: TableSpec,
    source: Spool | Source,
    types: Mapping[str, str],
    beyond: Mapping[str, Set[Type]] | None,
    *,
    whole: bool,
) -> StagedRows:
    """Make `STAGE`: the key and the version of every row that came, without `whole` all columns.

    The other columns stay where they are until they are inserted: they may be hundreds.
    """
    parts = (
        spool_rows(source, types, spec.overflow, beyond)
        if isinstance(source, Spool)
        else [relation_rows(source, spec, types)]
    )
    came = {name for part in parts for name in part.values}
    key = [*spec.primary_key, *([spec.version] if spec.version and whole else [])]
    names = list(dict.fromkeys(key if whole else [*key, *(name for name in types if name in came)]))
    total, _ = stage_keys(session.sql, spec, parts, types, names)
    return StagedRows(total, came, parts=parts)


def write(
    session: DuckDBCatalog,
    schema: str,
    spec: TableSpec,
    staged: Staged,
    types: Mapping[str, str],
    cleared: Collection[str],
    stamp: dt.datetime,
) -> tuple[int, int]:
    """Replace the rows whose keys lie in `STAGE`; return how many were written, and how many were there before."""
    assert isinstance(staged, StagedRows)  # noqa: S101
    table = session.name(schema, spec.name)
    others = _keep_other_columns(session, schema, spec, types, {*staged.names, *cleared})
    match = same_key(spec.name, STAGE, spec.primary_key)
    updated = session.change(f"DELETE FROM {table} USING {STAGE} WHERE {match}")
    ((left,),) = session.sql(f"SELECT count(*) FROM {STAGE}")
    if others and not _needing_own_insert(session, schema, spec, types).isdisjoint(others):
        joins = [([], f"ANTI JOIN {_KEPT} AS kept"), (others, f"JOIN {_KEPT} AS kept")]
    else:
        joins = [(others, f"LEFT JOIN {_KEPT} AS kept" if others else "")]
    written = sum(
        _insert(session, table, spec, part, chosen, join, stamp, all_of_them=left == staged.came)
        for part in staged.parts
        for chosen, join in joins
    )
    if others:
        session.sql(f"DROP TABLE {_KEPT}")
    return written, updated


def _insert(
    session: DuckDBCatalog,
    table: str,
    spec: TableSpec,
    rows: IncomingRows,
    others: Sequence[str],
    join: str,
    stamp: dt.datetime,
    *,
    all_of_them: bool,
) -> int:
    """Write the staged rows of a part of what came.

    others: columns whose values were kept. join: SQL that joins those, or chooses the rows that have none.
    """
    kept = f" {join} ON {same_key('new', 'kept', spec.primary_key)}" if join else ""
    where = "" if all_of_them else f" WHERE new.{ORDER} IN (SELECT {ORDER} FROM {STAGE})"
    names = [name for name in rows.values if name not in (SYNCED.name, DELETED.name)]
    values = ", ".join([*(quote("new", name) for name in names), *(quote("kept", name) for name in others)])
    return session.change(
        f"INSERT INTO {table} ({column_list([*names, *others, SYNCED.name, DELETED.name])}) "
        f"SELECT {values}, ?, false FROM ({rows.select(names)}) AS new{kept}{where}",
        [stamp],
    )


def _keep_other_columns(
    session: DuckDBCatalog, schema: str, spec: TableSpec, types: Mapping[str, str], filled: set[str]
) -> list[str]:
    """Remember the columns that this load does not speak of: they are another load's, or the user's."""
    others = [name for name in types if name not in filled | {SYNCED.name, DELETED.name}]
    if others:
        generated = session.generated(schema, spec.name)
        others = [name for name in others if name not in generated]
    if others:
        ddl = ", ".join(f"{quote(name)} {types[name]}" for name in (*spec.primary_key, *others))
        session.sql(f"CREATE TEMP TABLE {_KEPT} ({ddl})")
        key = column_list(spec.primary_key, "old")
        session.sql(
            f"INSERT INTO {_KEPT} SELECT DISTINCT ON ({key}) {key}, {column_list(others, 'old')} "
            f"FROM {session.name(schema, spec.name)} AS old SEMI JOIN {STAGE} "
            f"ON {same_key('old', STAGE, spec.primary_key)}"
        )
    return others


def _needing_own_insert(session: DuckDBCatalog, schema: str, spec: TableSpec, types: Mapping[str, str]) -> set[str]:
    """Return the columns that an insert of new rows must not name.

    Those with a default, which new rows get, and arrays: DuckDB 2.0 fails to insert an outer join's NULL into one.
    """
    return session.with_default(schema, spec.name) | {name for name, native in types.items() if has_array(native)}
