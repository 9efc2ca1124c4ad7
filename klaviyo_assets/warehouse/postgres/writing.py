"""Rows of `STAGE` on their way into a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from klaviyo_assets.schema.spec import DELETED, SYNCED, TableSpec
from klaviyo_assets.warehouse.session import STAGE, Staged
from klaviyo_assets.warehouse.sql import column_list, quote

if TYPE_CHECKING:
    from klaviyo_assets.warehouse.postgres.session import PostgresSession


def write(
    session: PostgresSession,
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
    names = [name for name in types if name in staged.names and name not in system]
    changed = [name for name in names if name not in spec.primary_key] + system
    emptied = [name for name in types if name in cleared and name not in staged.names]
    assigned = [
        *(f"{quote(name)} = excluded.{quote(name)}" for name in changed),
        *(f"{quote(name)} = NULL" for name in emptied),
    ]
    # A row that was inserted has no xmax; of one that was updated it is this transaction, which had locked it.
    ((written, updated),) = session.sql(
        f"WITH written AS (INSERT INTO {session.name(schema, spec.name)} AS own ({column_list([*names, *system])}) "
        f"SELECT {column_list(names)}, ?, false FROM {STAGE} ON CONFLICT ({column_list(spec.primary_key)}) "
        f"DO UPDATE SET {', '.join(assigned)} RETURNING (own.xmax = 0) AS is_new) "
        "SELECT count(*), count(*) FILTER (WHERE NOT is_new) FROM written",
        [stamp],
    )
    return int(written), int(updated)
