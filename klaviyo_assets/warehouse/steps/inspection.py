"""Looking at a table: are its keys unique, are its rows still there, do its foreign keys lead anywhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from klaviyo_assets.schema.spec import DELETED, SYNCED, ForeignKey, TableSpec
from klaviyo_assets.warehouse.results import Inspection
from klaviyo_assets.warehouse.session import Source
from klaviyo_assets.warehouse.sql import column_list, literal, quote, same_key
from klaviyo_assets.warehouse.state import INSPECTED, INSPECTED_WHOLLY, WAITING, SyncState
from klaviyo_assets.warehouse.steps.declared import as_declared, with_system_columns
from klaviyo_assets.warehouse.steps.loads import is_remembered, newest_number, written_since
from klaviyo_assets.warehouse.steps.states import read_states, write_state
from klaviyo_assets.warehouse.transaction import Transaction, naive

SMALL = 100_000
"""Rows up to which a table is always looked at as a whole."""

WHOLLY_EVERY = dt.timedelta(days=7)
"""How often a larger one is. In between only what has been written since is looked at."""


def inspect(
    transaction: Transaction, tables: Iterable[tuple[TableSpec, Sequence[ForeignKey]]], now: dt.datetime
) -> dict[str, Inspection]:
    """Look at tables with one query each, and store when that was; return what was found by table name.

    tables: each with the foreign keys to follow. What does not exist is left out. now: this machine's time.
    A table with flaws is looked at from the same load on again, so that they are found until they are mended.
    """
    there = transaction.sources()
    states = read_states(transaction)
    number = newest_number(transaction)
    found = {}
    for spec, keys in tables:
        if spec.name not in there:
            continue
        followed = [
            key
            for key in keys
            if key.column in there[spec.name].types and key.table in there and key.references in there[key.table].types
        ]
        last, last_wholly = states.get((spec.name, INSPECTED)), states.get((spec.name, INSPECTED_WHOLLY))
        since = last.read_number if last and is_remembered(transaction, last.read_number or 0) else None
        wholly = since is None or _wholly(last, last_wholly, now)
        waiting = states.get((spec.name, WAITING))
        seen = _inspect(transaction, there, spec, followed, last, since, wholly)
        found[spec.name] = replace(seen, waiting=waiting.rows or 0) if waiting else seen
        looked = SyncState(spec.name, INSPECTED, synced_through=now, rows=seen.live, read_number=number)
        if not seen.flawless and last:
            looked = replace(looked, synced_through=last.synced_through, read_number=last.read_number)
        write_state(transaction, looked)
        if wholly and seen.flawless:
            write_state(transaction, replace(looked, scope=INSPECTED_WHOLLY))
    return found


def _wholly(last: SyncState | None, last_wholly: SyncState | None, now: dt.datetime) -> bool:
    if last is None or last_wholly is None or last_wholly.synced_through is None:
        return True
    return (last.rows or 0) <= SMALL or not dt.timedelta(0) <= now - last_wholly.synced_through < WHOLLY_EVERY


def _inspect(
    transaction: Transaction,
    there: Mapping[str, Source],
    spec: TableSpec,
    keys: Sequence[ForeignKey],
    last: SyncState | None,
    since: int | None,
    wholly: bool,
) -> Inspection:
    key = spec.primary_key
    dialect = transaction.dialect
    table = as_declared(dialect, there[spec.name], with_system_columns(spec, *key, *(each.column for each in keys)))
    deleted = quote("own", DELETED.name)
    written = "true"
    if since is not None and last and last.synced_through:
        # By its stamp, what others have written.
        by_others = f"{quote('own', SYNCED.name)} >= TIMESTAMP {literal(str(naive(last.synced_through)))}"
        written = f"({written_since(transaction, spec.name, since)} OR {by_others})"
    recent = "true" if wholly else written
    has_key = " AND ".join(f"{quote('own', name)} IS NOT NULL" for name in key)
    has_news = (
        "true"
        if wholly
        else f"EXISTS (SELECT 1 FROM (SELECT {column_list(key)} FROM {table} AS own WHERE {recent}) AS written "
        f"WHERE {same_key('own', 'written', key)})"
    )
    orphans = [
        f"(SELECT count(*) FROM {table} AS own WHERE {recent} AND NOT coalesce({deleted}, false) "
        f"AND {quote('own', each.column)} IS NOT NULL AND NOT EXISTS (SELECT 1 "
        f"FROM {as_declared(dialect, there[each.table], {each.references: spec.types[each.column]})} AS other "
        f"WHERE {quote('own', each.column)} = {quote('other', each.references)}))"
        for each in keys
    ]
    flaws = [
        f"(SELECT count(*) FROM {table} AS own WHERE NOT ({has_key}))",
        f"(SELECT count(*) FROM (SELECT 1 FROM {table} AS own WHERE {has_key} AND {has_news} "
        f"GROUP BY {column_list(key, 'own')} HAVING count(*) > 1) AS twice)",
    ]
    if transaction.session.has_primary_key(transaction.schema, spec):
        flaws = ["0", "0"]
    count = f"(SELECT count(*) FROM {transaction.table(spec.name)})"
    states = [state for state in read_states(transaction).values() if state.table == spec.name]
    counted = max((state.rows or 0 for state in states if state.is_range), default=0)
    if counted and not wholly and not dialect.capabilities.counts_at_once:
        count = str(counted)  # the next load counts them again, and finds those that were removed since
    # Each a query of its own, for which a database may have an index.
    selected = [
        count,
        f"(SELECT count(*) FROM {table} AS own WHERE {deleted})",
        f"(SELECT count(*) FROM {table} AS own WHERE {deleted} AND {written})",
        *flaws,
        *orphans,
    ]
    ((rows, gone, flagged, without_key, duplicates, *unknown),) = transaction.sql(f"SELECT {', '.join(selected)}")
    return Inspection(
        rows=rows,
        live=rows - gone,
        live_before=last.rows if last else None,
        flagged=flagged if since is not None else 0,
        wholly=wholly,
        duplicates=duplicates,
        without_key=without_key,
        orphans={each.column: count for each, count in zip(keys, unknown, strict=True)},
    )
