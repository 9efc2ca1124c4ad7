"""How often something was asked for that may be asked for only so often: a row of `_requests` for each time."""

from __future__ import annotations

import datetime as dt

from klaviyo_assets.schema.spec import Type
from klaviyo_assets.warehouse.transaction import Transaction

REQUESTS_TABLE = "_requests"
_TICK = dt.timedelta(microseconds=1)
_COLUMNS = {"name": Type.TEXT, "asked_at": Type.TIMESTAMP}


def take_request(transaction: Transaction, name: str, quota: int, seconds: float) -> float:
    """Note a request and return 0; if there were so many in the last seconds, return those until there may be one.

    What was noted further in the future than that is void: the clock was wrong then.
    """
    transaction.create_schema()
    transaction.create(REQUESTS_TABLE, _COLUMNS, key=list(_COLUMNS))
    now = transaction.stamp
    ended, wrong = now - dt.timedelta(seconds=seconds), now + dt.timedelta(seconds=seconds)
    table = transaction.table(REQUESTS_TABLE)
    asked = [at for (at,) in transaction.sql(f"SELECT asked_at FROM {table} WHERE name = ? ORDER BY 1", [name])]
    recent = [at for at in asked if ended < at < wrong]
    now = max([now, *(at + _TICK for at in recent[-1:])])
    if len(recent) >= quota:
        wait: dt.timedelta = recent[-quota] - ended
        return wait.total_seconds()
    if len(recent) < len(asked):
        transaction.delete(REQUESTS_TABLE, "name = ? AND (asked_at <= ? OR asked_at >= ?)", [name, ended, wrong])
    transaction.insert(REQUESTS_TABLE, list(_COLUMNS), [(name, now)])
    return 0.0
