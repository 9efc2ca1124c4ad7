"""Writing rows by primary key.

They are matched by delete and insert, not by MERGE, which took minutes for scattered rows in DuckDB 2.0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec, Type
from klaviyo_assets.warehouse.duckdb.deletes import flag_vanished
from klaviyo_assets.warehouse.duckdb.flags import forget_returned
from klaviyo_assets.warehouse.duckdb.loads import record, restamping, written_by_later_read
from klaviyo_assets.warehouse.duckdb.origins import source_columns
from klaviyo_assets.warehouse.duckdb.rows import ORDER as _ORDER
from klaviyo_assets.warehouse.duckdb.rows import IncomingRows, Source, relation_rows, spool_rows
from klaviyo_assets.warehouse.duckdb.sql import column_list, fold, has_array, literal, quote, same_key
from klaviyo_assets.warehouse.duckdb.transaction import Transaction
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.extract import Coverage
from klaviyo_assets.warehouse.results import LoadResult
from klaviyo_assets.warehouse.spool import Spool

_STAGE, _KEPT = "_stage", "_kept"


def upsert(
    transaction: Transaction,
    spec: TableSpec,
    source: Spool | Source,
    *,
    began: int | None = None,
    coverage: Coverage | None = None,
    guard: float | None = None,
    overflow: Mapping[str, Set[Type]] | None = None,
    confirmed: Spool | None = None,
) -> LoadResult:
    """Write rows by primary key, flag what vanished from `coverage`; the table exists and fits.

    source: a spool, or a relation with columns of the table.
    began: number of the read that they come from; None: the table is new, and nobody else has written to it.
    guard: share of the coverage's live rows that may be flagged at once; the flags of more wait. None: any.
    overflow: columns of the spool of which the values of some types go to the overflow column.
    confirmed: keys of which the source says that they are gone, if others must not be flagged.
    """
    types = transaction.column_types(spec.name)
    rows_of = (
        spool_rows(source, types, spec.overflow, overflow)
        if isinstance(source, Spool)
        else [relation_rows(source, spec, types)]
    )
    _stage(transaction, spec, rows_of)
    came = transaction.value(f"SELECT count(*) FROM {_STAGE}")
    _deduplicate(transaction, spec)
    _check_keys(transaction, spec)
    rows = transaction.value(f"SELECT count(*) FROM {_STAGE}")
    deleted, older, waiting = 0, 0, None
    if began is not None:
        if coverage:
            deleted, waiting = flag_vanished(transaction, spec, coverage, guard, _STAGE, began, confirmed)
        forget_returned(transaction, spec, _STAGE)
        older = _leave_newer(transaction, spec, began) if rows else 0
    staged = {name for part in rows_of for name in part.values}
    owned = source_columns(transaction, spec, staged)
    others = _keep_other_columns(transaction, spec, types, staged | owned) if rows else []
    table = transaction.table(spec.name)
    match = same_key(spec.name, _STAGE, spec.primary_key)
    updated = transaction.value(f"DELETE FROM {table} USING {_STAGE} WHERE {match}") if rows else 0
    all_of_them = rows - older == came
    if others and not _needing_own_insert(transaction, spec, types).isdisjoint(others):
        parts = [([], f"ANTI JOIN {_KEPT} AS kept"), (others, f"JOIN {_KEPT} AS kept")]
    else:
        parts = [(others, f"LEFT JOIN {_KEPT} AS kept" if others else "")]
    written = sum(
        _insert(transaction, spec, part, chosen, join, all_of_them=all_of_them)
        for part in rows_of
        for chosen, join in parts
    )
    transaction.sql(f"DROP TABLE {_STAGE}")
    if others:
        transaction.sql(f"DROP TABLE {_KEPT}")
    if began is not None and (written or deleted):
        record(transaction, spec.name, began)
    return LoadResult(
        rows=rows, inserted=written - updated, updated=updated, deleted=deleted, older=older,
        row_count=transaction.value(f"SELECT count(*) FROM {table}"), waiting=waiting,
    )  # fmt: skip


def _insert(
    transaction: Transaction,
    spec: TableSpec,
    rows: IncomingRows,
    others: Sequence[str],
    join: str,
    *,
    all_of_them: bool,
) -> int:
    """Write the staged rows of a part of what came, straight from where they lie.

    others: columns whose values were kept. join: SQL that joins those, or chooses the rows that have none.
    """
    where = ""
    kept = f" {join} ON {same_key('new', 'kept', spec.primary_key)}" if join else ""
    if not all_of_them:
        where = f" WHERE new.{_ORDER} IN (SELECT {_ORDER} FROM {_STAGE})"
    names = [name for name in rows.values if name not in (SYNCED.name, DELETED.name)]
    values = ", ".join([*(quote("new", name) for name in names), *(quote("kept", name) for name in others)])
    written: int = transaction.value(
        f"INSERT INTO {transaction.table(spec.name)} ({column_list([*names, *others, SYNCED.name, DELETED.name])}) "
        f"SELECT {values}, ?, false FROM ({rows.select(names)}) AS new{kept}{where}",
        [transaction.stamp],
    )
    return written


def patch(transaction: Transaction, spec: TableSpec, spool: Spool) -> LoadResult:
    """Fill columns of rows that the table has, leaving alone the rows that have these values already."""
    types = transaction.column_types(spec.name)
    rows_of = spool_rows(spool, types)
    staged = {name for part in rows_of for name in part.values}
    _stage(transaction, spec, rows_of, [name for name in types if name in staged])
    _deduplicate(transaction, spec)
    _check_keys(transaction, spec)
    filled = sorted(staged - set(spec.primary_key))
    table = transaction.table(spec.name)
    updated = 0
    if filled:
        differs = " OR ".join(f"own.{quote(name)} IS DISTINCT FROM new.{quote(name)}" for name in filled)
        with restamping(transaction, spec.name) as stamp:
            updated = transaction.value(
                f"UPDATE {table} AS own SET {', '.join(f'{quote(name)} = new.{quote(name)}' for name in filled)}, "
                f"{quote(SYNCED.name)} = {stamp} FROM {_STAGE} AS new WHERE {same_key('own', 'new', spec.primary_key)} "
                f"AND NOT coalesce(own.{quote(DELETED.name)}, false) AND ({differs})"
            )
    rows = transaction.value(f"SELECT count(*) FROM {_STAGE}")
    transaction.sql(f"DROP TABLE {_STAGE}")
    return LoadResult(rows, 0, updated, row_count=transaction.value(f"SELECT count(*) FROM {table}"))


def _stage(
    transaction: Transaction, spec: TableSpec, rows_of: Sequence[IncomingRows], names: Sequence[str] | None = None
) -> None:
    """Fill the stage with the key and the version of every row that came, or with the columns `names`.

    The other columns stay where they are until they are inserted: they may be hundreds.
    """
    key = [*spec.primary_key, *([spec.version] if spec.version else [])]
    names = list(dict.fromkeys(key if names is None else [*key, *names]))
    types = transaction.column_types(spec.name)
    ddl = ", ".join(f"{quote(name)} {types[name]}" for name in names)
    transaction.sql(f"CREATE TEMP TABLE {_STAGE} ({ddl}, {_ORDER} BIGINT)")
    for part in rows_of:
        came = [name for name in names if name in part.values]
        transaction.sql(f"INSERT INTO {_STAGE} ({column_list([*came, _ORDER])}) {part.select(came)}")


def _deduplicate(transaction: Transaction, spec: TableSpec) -> None:
    """Keep one row per key: the newest version, the last to come among equals."""
    key = column_list(spec.primary_key)
    total, distinct = transaction.sql(
        f"SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT {key} FROM {_STAGE})) FROM {_STAGE}"
    )[0]
    if total > distinct:
        newest = f"{quote(spec.version)} DESC NULLS LAST, {_ORDER} DESC" if spec.version else f"{_ORDER} DESC"
        transaction.sql(
            f"DELETE FROM {_STAGE} WHERE {_ORDER} IN (SELECT {_ORDER} FROM (SELECT {_ORDER}, "
            f"row_number() OVER (PARTITION BY {key} ORDER BY {newest}) AS n FROM {_STAGE}) WHERE n > 1)"
        )


def _check_keys(transaction: Transaction, spec: TableSpec) -> None:
    null = " OR ".join(f"{quote(name)} IS NULL" for name in spec.primary_key)
    count = transaction.value(f"SELECT count(*) FROM {_STAGE} WHERE {null}")
    if count:
        raise WarehouseError(f"{count} rows for {spec.name} have no {' and '.join(spec.primary_key)}.")


def _leave_newer(transaction: Transaction, spec: TableSpec, began: int) -> int:
    """Drop staged rows of which the table knows something newer: another run was faster.

    A row is newer by its version, or, if it has none, because it was read later. What a later read flagged stays so.
    A version that is later than when it was written is none: until then no other one would get past it.
    """
    later = written_by_later_read(transaction, spec.name, began)
    if later == "false" and not spec.version:
        return 0
    deleted = f"coalesce(old.{quote(DELETED.name)}, false)"
    newer = later
    if spec.version:
        old, new = (f"{row}.{quote(spec.version)}" for row in ("old", _STAGE))
        written, now = f"old.{quote(SYNCED.name)}", f"TIMESTAMP {literal(str(transaction.stamp))}"
        ahead = (
            f"try_cast({old} AS TIMESTAMP) > try_cast({written} AS TIMESTAMP) OR try_cast({new} AS TIMESTAMP) > {now}"
        )
        newer = f"CASE WHEN {deleted} OR {ahead} THEN {later} ELSE {old} > {new} END"
    older: int = transaction.value(
        f"DELETE FROM {_STAGE} USING {transaction.table(spec.name)} AS old "
        f"WHERE {same_key('old', _STAGE, spec.primary_key)} AND {newer}"
    )
    return older


def _keep_other_columns(
    transaction: Transaction, spec: TableSpec, types: Mapping[str, str], filled: set[str]
) -> list[str]:
    """Remember the columns that this load does not speak of: they are another load's, or the user's."""
    others = [name for name in types if name not in filled | {SYNCED.name, DELETED.name}]
    if others:
        generated = _generated(transaction, spec)
        others = [name for name in others if name not in generated]
    if others:
        ddl = ", ".join(f"{quote(name)} {types[name]}" for name in (*spec.primary_key, *others))
        transaction.sql(f"CREATE TEMP TABLE {_KEPT} ({ddl})")
        key = column_list(spec.primary_key, "old")
        transaction.sql(
            f"INSERT INTO {_KEPT} SELECT DISTINCT ON ({key}) {key}, {column_list(others, 'old')} "
            f"FROM {transaction.table(spec.name)} AS old SEMI JOIN {_STAGE} "
            f"ON {same_key('old', _STAGE, spec.primary_key)}"
        )
    return others


def _needing_own_insert(transaction: Transaction, spec: TableSpec, types: Mapping[str, str]) -> set[str]:
    """Return the columns that an insert of new rows must not name.

    Those with a default, which new rows get, and arrays: DuckDB 2.0 fails to insert an outer join's NULL into one.
    """
    return _with_default(transaction, spec) | {name for name, native in types.items() if has_array(native)}


def _with_default(transaction: Transaction, spec: TableSpec) -> set[str]:
    described = transaction.sql(f"DESCRIBE {transaction.table(spec.name)}")
    return {fold(name) for name, _, _, _, default, *_ in described if default is not None}


def _generated(transaction: Transaction, spec: TableSpec) -> set[str]:
    """Return the columns that DuckDB computes: the catalog has a default for them, DESCRIBE has none."""
    catalog = transaction.catalog_rows("duckdb_columns", "column_name, column_default", spec.name)
    return {fold(name) for name, default in catalog if default is not None} - _with_default(transaction, spec)
