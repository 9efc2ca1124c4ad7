"""Rows of `STAGE` on their way into a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec
from klaviyo_assets.warehouse.errors import WarehouseError
from klaviyo_assets.warehouse.postgres.catalog import PostgresCatalog
from klaviyo_assets.warehouse.session import STAGE, Staged
from klaviyo_assets.warehouse.sql import column_list, quote, same_key

_MANY = 10_000
"""Rows from which on an index is better made anew."""


_PRIMARY_KEY = """
    SELECT k.conname, ARRAY(SELECT CAST(a.attname AS text) FROM pg_catalog.pg_attribute a
                            WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) ORDER BY 1)
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_index i ON i.indexrelid = k.conindid
    WHERE k.contype = 'p' AND k.conrelid = CAST(? AS regclass)
    AND NOT i.indisreplident AND NOT i.indisclustered AND i.indnatts = i.indnkeyatts
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.deptype = 'n' AND (d.refclassid, d.refobjid) IN (
        (CAST('pg_catalog.pg_constraint' AS regclass), k.oid), (CAST('pg_catalog.pg_class' AS regclass), i.indexrelid)))
"""
"""The primary key of a table, if it is no more than that: foreign keys and views depend on one, too."""

_TAKES_CONFLICTS = """
    SELECT c.relkind = 'r' AND NOT c.relhassubclass AND NOT EXISTS (
        SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND NOT i.indimmediate)
    FROM pg_catalog.pg_class c WHERE c.oid = CAST(? AS regclass)
"""

_TRIGGERS = """
    SELECT CAST(tgname AS text) FROM pg_catalog.pg_trigger
    WHERE tgrelid = CAST(? AS regclass) AND NOT tgisinternal AND tgenabled <> 'D' ORDER BY 1
"""


def write(
    session: PostgresCatalog,
    schema: str,
    spec: TableSpec,
    staged: Staged,
    types: Mapping[str, str],
    cleared: Collection[str],
    stamp: dt.datetime,
) -> tuple[int, int]:
    """Insert rows, or update the columns that came; return how many were written, and how many were there before.

    Whatever else a row has, columns of another load or of a user, stays as it is without being read.
    """
    system = [SYNCED.name, DELETED.name]
    table, key = session.name(schema, spec.name), spec.primary_key
    names = [name for name in types if name in staged.names and name not in system]
    filled = [*(name for name in names if name not in key), *system]
    generated = session.generated(schema, spec.name) if cleared else set()
    emptied = [f"{quote(name)} = NULL" for name in types if name in {*cleared} - {*staged.names, *generated}]
    stamped = f"CAST(? AS timestamp) AS {quote(SYNCED.name)}, false AS {quote(DELETED.name)}"
    came = f"SELECT {column_list(names)}, {stamped} FROM {STAGE}"
    into = f"INSERT INTO {table} AS own ({column_list([*names, *system])})"
    if session.needed(schema, spec.name) - {*names, *system} or not _takes_conflicts(session, table):
        # ON CONFLICT refuses also rows that are there already, because those that came lack what the table requires.
        matching = same_key("own", "new", key)
        assigned = [*(f"{quote(name)} = new.{quote(name)}" for name in filled), *emptied]
        updated = session.change(
            f"UPDATE {table} AS own SET {', '.join(assigned)} FROM ({came}) AS new WHERE {matching}", [stamp]
        )
        inserted = session.change(
            f"{into} SELECT * FROM ({came}) AS new WHERE NOT EXISTS (SELECT 1 FROM {table} AS own WHERE {matching})",
            [stamp],
        )
        return inserted + updated, updated
    if primary := _primary_key_of_empty(session, table, spec):
        # To sort all keys at once costs half as much as to find the place of each.
        session.execute(f"ALTER TABLE {table} DROP CONSTRAINT {quote(primary)}")
        inserted = session.change(f"{into} {came}", [stamp])
        session.execute(f"ALTER TABLE {table} ADD CONSTRAINT {quote(primary)} PRIMARY KEY ({column_list(key)})")
        return inserted, 0
    assigned = [*(f"{quote(name)} = excluded.{quote(name)}" for name in filled), *emptied]
    # A row that was inserted has no xmax; of one that was updated it is this transaction, which had locked it.
    ((written, updated),) = session.sql(
        f"WITH written AS ({into} {came} ON CONFLICT ({column_list(key)}) DO UPDATE SET {', '.join(assigned)} "
        "RETURNING (own.xmax = 0) AS is_new) SELECT count(*), count(*) FILTER (WHERE NOT is_new) FROM written",
        [stamp],
    )
    return int(written), int(updated)


def check_written(session: PostgresCatalog, schema: str, spec: TableSpec, written: int, stamp: dt.datetime) -> None:
    """Raise WarehouseError if some rows are not there after `write`: a trigger may keep a row back without a word."""
    ((rows,),) = session.sql(f"SELECT count(*) FROM {STAGE}")
    if written == rows:
        return
    table = session.name(schema, spec.name)  # those that a trigger has put elsewhere, in an heir, are not counted
    there = f"{same_key('own', 'new', spec.primary_key)} AND {quote('own', SYNCED.name)} = ?"
    ((lacking,),) = session.sql(
        f"SELECT count(*) FROM {STAGE} AS new WHERE NOT EXISTS (SELECT 1 FROM {table} AS own WHERE {there})", [stamp]
    )
    if lacking:
        triggers = ", ".join(name for (name,) in session.sql(_TRIGGERS, [table])) or "nobody knows which"
        raise WarehouseError(
            f"{lacking:,} of {rows:,} rows do not get into {schema}.{spec.name}, so nothing was written: a trigger "
            f"on it keeps them back ({triggers}). Drop it, or have it return NEW, and run it again."
        )


def _primary_key_of_empty(session: PostgresCatalog, table: str, spec: TableSpec) -> str | None:
    """Return the name of the primary key of a table that many rows come to and that is empty, if nothing needs it."""
    if session.sql(f"SELECT 1 FROM {table} LIMIT 1") or not session.sql(
        f"SELECT 1 FROM {STAGE} OFFSET {_MANY} LIMIT 1"
    ):
        return None
    found = session.sql(_PRIMARY_KEY, [table])
    return next((name for name, columns in found if columns == sorted(spec.primary_key)), None)


def _takes_conflicts(session: PostgresCatalog, table: str) -> bool:
    """Return whether ON CONFLICT can write rows and tell which are new.

    Not with parts or heirs, nor with a deferrable key.
    """
    ((takes,),) = session.sql(_TAKES_CONFLICTS, [table])
    return bool(takes)
