"""Rows of `STAGE` on their way into a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec
from klaviyo_assets.warehouse.bigquery.catalog import BigQueryCatalog
from klaviyo_assets.warehouse.bigquery.partitions import pieces
from klaviyo_assets.warehouse.bigquery.staging import StagedRows
from klaviyo_assets.warehouse.dialect import ALWAYS, NEVER
from klaviyo_assets.warehouse.session import STAGE, Staged
from klaviyo_assets.warehouse.sql import column_list, quote, same_key


def write(
    session: BigQueryCatalog,
    schema: str,
    spec: TableSpec,
    staged: Staged,
    types: Mapping[str, str],
    cleared: Collection[str],
    stamp: dt.datetime,
    *,
    before: str,
    after: str,
) -> tuple[int, int]:
    """Update the columns that came, and insert the rows that are new; return how many were written, and updated.

    Whatever else a row has, columns of another load or of a user, stays as it is. before, after: conditions that a row
    of the table is in a partition in which there are these keys; the update may move rows to others.
    """
    assert isinstance(staged, StagedRows)  # noqa: S101
    system = [SYNCED.name, DELETED.name]
    table, key = session.name(schema, spec.name), spec.primary_key
    names = [name for name in types if name in staged.names and name not in system]
    values = {
        name: session.dialect.parsed(quote("new", name)) if name in staged.texts else quote("new", name)
        for name in names
    }
    stamped = {SYNCED.name: "CAST(? AS TIMESTAMP)", DELETED.name: "false"}
    assigned = [f"{quote(name)} = {value}" for name, value in (values | stamped).items() if name not in key]
    emptied = [f"{quote(name)} = NULL" for name in types if name in cleared and name not in staged.names]
    same, updated, inserted = same_key("own", "new", key), 0, 0
    by = spec.partitioned_by
    for piece in pieces(quote("new", by), types[by], staged.splits) if by in types and by else [ALWAYS]:
        if before != NEVER:
            updated += session.change(
                f"UPDATE {table} AS own SET {', '.join([*assigned, *emptied])} FROM {STAGE} AS new "
                f"WHERE {same} AND {before} AND {piece}",
                [stamp],
            )
        there = "" if after == NEVER else f"AND NOT EXISTS (SELECT 1 FROM {table} AS own WHERE {same} AND {after})"
        inserted += session.change(
            f"INSERT INTO {table} ({column_list([*names, *system])}) "
            f"SELECT {', '.join((values | stamped).values())} FROM {STAGE} AS new WHERE {piece} {there}",
            [stamp],
        )
    return inserted + updated, updated
