"""Looking at tables that somebody else has made and filled, as they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from klaviyo_assets.schema.spec import DELETED, SYNCED, SYSTEM_COLUMNS, TableSpec
from klaviyo_assets.warehouse.results import OtherType, SchemaSurvey, TableSurvey
from klaviyo_assets.warehouse.session import Source
from klaviyo_assets.warehouse.sql import column_list, quote
from klaviyo_assets.warehouse.steps.declared import as_declared, with_system_columns
from klaviyo_assets.warehouse.steps.ensuring import has_other_values, no_text_to_find_by
from klaviyo_assets.warehouse.transaction import Transaction, aware, naive


def survey(transaction: Transaction, specs: Iterable[TableSpec], staging: str) -> SchemaSurvey:
    """Look at those tables of the schema that are there; rows are counted only where all columns of the key are.

    staging: the schema of snapshots.
    """
    there, session = transaction.sources(), transaction.session
    tables = {}
    for spec in specs:
        source = there.get(transaction.dialect.fold(spec.name))
        if source is not None:
            needed = session.needed(transaction.schema, spec.name) - with_system_columns(spec, *spec.types).keys()
            found = TableSurvey(source.types, dict(_other_types(transaction, spec, source)), frozenset(needed))
            has_key = source.types.keys() >= set(spec.primary_key)
            tables[spec.name] = _counted(transaction, spec, source, found) if has_key else found
    staged = session.tables(staging) | session.views(staging)
    return SchemaSurvey(tables, frozenset(there), frozenset(session.views(transaction.schema)), frozenset(staged))


def _other_types(transaction: Transaction, spec: TableSpec, source: Source) -> Iterator[tuple[str, OtherType]]:
    """Yield the columns that are not as declared, and what `ensure` does to them."""
    dialect = transaction.dialect
    narrow = no_text_to_find_by(dialect, spec, source.types)
    system = {column.name: column for column in SYSTEM_COLUMNS}
    for name, kind in with_system_columns(spec, *spec.types).items():
        native, declared = source.types.get(name), dialect.type_names[kind]
        if native is None or native == declared:
            continue
        altered = name in narrow or (name in system and not dialect.holds_all(native, kind))
        wrong = altered and name in system and has_other_values(transaction, spec.name, system[name], native)
        yield name, OtherType(native, declared, altered, wrong)


def _counted(transaction: Transaction, spec: TableSpec, source: Source, found: TableSurvey) -> TableSurvey:
    by = [spec.partitioned_by] if spec.partitioned_by and spec.partitioned_by in source.types else []
    types = with_system_columns(spec, *spec.primary_key, *by)
    rows = f"{as_declared(transaction.dialect, source, types)} AS own"
    lacks_key = " OR ".join(f"{quote(name)} IS NULL" for name in spec.primary_key)
    synced = quote(SYNCED.name)
    now = f"CAST(? AS {transaction.dialect.type_names[SYNCED.type]})"
    parameters = [naive(transaction.session.now())] * 2 * len(by)
    chosen = ["count(*)", f"max({synced})"]
    chosen += [f"sum(CASE WHEN {condition} THEN 1 ELSE 0 END)" for condition in (quote(DELETED.name), lacks_key)]
    for moment in map(quote, by):  # nobody has written a row later than now, whatever it says
        written = f"{moment} <= coalesce({synced}, {now}) AND {moment} <= {now}"
        chosen += [f"min({moment})", f"max(CASE WHEN {written} THEN {moment} END)"]
    ((count, last, deleted, without_key, *times),) = transaction.sql(
        f"SELECT {', '.join(chosen)} FROM {rows}", parameters
    )
    duplicates = transaction.value(
        f"SELECT count(*) FROM (SELECT 1 AS one FROM {rows} WHERE NOT ({lacks_key}) "
        f"GROUP BY {column_list(spec.primary_key)} HAVING count(*) > 1) AS twice"
    )
    first, newest = [aware(moment) for moment in times] or [None, None]
    return replace(
        found,
        rows=count,
        deleted=int(deleted or 0),
        without_key=int(without_key or 0),
        duplicates=duplicates,
        synced_at=aware(last),
        first=first,
        last=newest,
    )
