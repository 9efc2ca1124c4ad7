"""Changing rows: every change is an INSERT of rows with a higher version.

ClickHouse undoes nothing. One INSERT of a few rows is there as a whole or not at all; one of many may be cut off if the
server dies, and is then repeated with the load. Rows that are replaced are deleted at the end of a session, so that
who reads without `FINAL` sees each key once.

https://clickhouse.com/docs/guides/developer/transactional
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec
from klaviyo_assets.warehouse.clickhouse.catalog import EVERY_VERSION, GONE, HIDDEN, VERSION, ClickHouseCatalog
from klaviyo_assets.warehouse.session import STAGE, Staged
from klaviyo_assets.warehouse.sql import column_list, quote, same_key


def rows_of_version(session: ClickHouseCatalog, place: str, version: int) -> int:
    """Return how many rows one statement has written."""
    statement = f"SELECT count(*) FROM {place} WHERE {quote(VERSION)} = ?"
    ((count,),) = session.sql(statement, [version], **EVERY_VERSION)
    return int(count)


def update(
    session: ClickHouseCatalog,
    place: str,
    columns: Sequence[str],
    assigned: Mapping[str, str],
    where: str,
    parameters: Sequence[Any],
    source: str | None,
    version: int,
) -> int:
    """Write rows anew with other values in some columns; return how many. See `Session.update`."""
    own = f"{place} AS own, {source}" if source else place
    of_own = (lambda name: quote("own", name)) if source else quote
    kept = [name for name in columns if name not in assigned]
    chosen = ", ".join([*assigned.values(), *(of_own(name) for name in kept)])
    session.execute(
        f"INSERT INTO {place} ({column_list([*assigned, *kept, VERSION])}) "
        f"SELECT {chosen}, {version} FROM {own} WHERE {where}",
        parameters,
    )
    return rows_of_version(session, place, version)


def write(
    session: ClickHouseCatalog,
    place: str,
    spec: TableSpec,
    staged: Staged,
    types: Mapping[str, str],
    cleared: Collection[str],
    stamp: dt.datetime,
    version: int,
) -> tuple[int, int]:
    """Write the rows of `STAGE` into a table; return how many, and how many of them were there before.

    Of a row that was there, whatever did not come, columns of another load or of a user, is written again as it was. A
    new row has the defaults of these columns.
    """
    system, key = [SYNCED.name, DELETED.name], spec.primary_key
    names = [name for name in types if name in staged.names and name not in system]
    emptied = [name for name in types if name in cleared and name not in staged.names]
    kept = [name for name in types if name not in {*names, *emptied, *system}]
    chosen = column_list(key)
    is_known = f"({chosen}) IN (SELECT {chosen} FROM {place})"
    ((came, updated),) = session.sql(f"SELECT count(*), count(*) FILTER (WHERE {is_known}) FROM {STAGE}")
    values = [*(quote("new", name) for name in names), *("NULL" for _ in emptied), "CAST(? AS TIMESTAMP)", "false"]
    filled = [*names, *emptied, *system]
    if updated:
        own = [quote("own", name) for name in kept]
        source = (
            f"{STAGE} AS new INNER JOIN {place} AS own ON {same_key('own', 'new', key)}"
            if kept
            else f"{STAGE} AS new WHERE {is_known}"
        )
        session.execute(
            f"INSERT INTO {place} ({column_list([*filled, *kept, VERSION])}) "
            f"SELECT {', '.join([*values, *own])}, {version} FROM {source}",
            [stamp],
        )
    if came > updated:
        session.execute(
            f"INSERT INTO {place} ({column_list([*names, *system, VERSION])}) "
            f"SELECT {column_list(names, 'new')}, CAST(? AS TIMESTAMP), false, {version} FROM {STAGE} AS new "
            f"WHERE NOT {is_known}",
            [stamp],
        )
    return came, updated


def remove(
    session: ClickHouseCatalog,
    place: str,
    key: Sequence[str],
    where: str,
    parameters: Sequence[Any],
    version: int,
    alias: str,
) -> int:
    """Write that rows of a table of states are gone; return how many."""
    names = column_list(key)
    session.execute(
        f"INSERT INTO {place} ({names}, {quote(VERSION)}, {quote(GONE)}) "
        f"SELECT {names}, {version}, 1 FROM {place}{alias} WHERE {where}",
        parameters,
    )
    return rows_of_version(session, place, version)


def remove_replaced(session: ClickHouseCatalog, place: str, key: Sequence[str], since: int) -> None:
    """Delete the rows of a table that others replace whose version is not lower than `since`."""
    versions = session.sql(
        f"SELECT DISTINCT {quote(VERSION)} FROM {place} WHERE {quote(VERSION)} >= ?", [since], **EVERY_VERSION
    )
    chosen = column_list(key)
    replaced = " OR ".join(
        f"({quote(VERSION)} < {version} AND ({chosen}) IN "
        f"(SELECT {chosen} FROM {place} WHERE {quote(VERSION)} = {version}))"
        for (version,) in versions
    )
    if replaced:
        session.execute(f"DELETE FROM {place} WHERE {replaced}", **EVERY_VERSION)


__all__ = ["HIDDEN", "remove", "remove_replaced", "rows_of_version", "update", "write"]
